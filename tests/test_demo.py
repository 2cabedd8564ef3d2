"""The demo as its users run it: a command, on a small set; and its parts."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest

from benchmarks import drawn_photographs, stages

_ROOT = pathlib.Path(__file__).parent.parent


def _run_demo(output_dir: pathlib.Path, *flags: str) -> str:
    command = [sys.executable, "-m", "benchmarks.demo", f"--output_dir={output_dir}", *flags]
    command += ["--epochs=1", "--similarity_images=1", "--num_workers=2"]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        command, cwd=_ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, str]:
    """Folder and output of a run on 16 drawn images."""
    output_dir = tmp_path_factory.mktemp("demo")
    return output_dir, _run_demo(output_dir, "--images_per_class=1")


def test_the_demo_leaves_a_data_set_a_table_and_a_plot(
    first_run: tuple[pathlib.Path, str],
) -> None:
    output_dir, output = first_run
    table = json.loads((output_dir / "photographs-16.fidelity.json").read_text())["result"]
    assert [row["scan_groups"] for row in table] == list(range(1, 11))
    sizes = [row["bytes_per_image"] for row in table]
    assert sizes == sorted(sizes)
    assert table[-1]["share"] == 1.0
    assert table[0]["ms_ssim"] < table[4]["ms_ssim"] < table[-1]["ms_ssim"] == 1.0
    assert (output_dir / "photographs-16.pcr" / "manifest.json").exists()
    with PIL.Image.open(output_dir / "photographs-16.fidelity.png") as plot:
        assert plot.format == "PNG"
    assert "coarse accuracy (of 4)" in output
    assert "fine accuracy (of 16)" in output


def test_the_demo_trains_at_two_fidelities_and_counts_the_bytes(
    first_run: tuple[pathlib.Path, str],
) -> None:
    output_dir, _ = first_run
    low, full = (
        json.loads((output_dir / f"photographs-16.trained-at-{g}.json").read_text())["result"]
        for g in (2, 10)
    )
    assert set(low["accuracy"]) == {"coarse", "fine"}
    assert 0 < low["bytes_read"] < 0.3 * full["bytes_read"]


def test_a_second_run_of_the_demo_does_nothing_again(
    first_run: tuple[pathlib.Path, str],
) -> None:
    output_dir, _ = first_run
    before = {path: path.stat().st_mtime_ns for path in output_dir.rglob("*.jp*g")}
    output = _run_demo(output_dir, "--images_per_class=1")
    assert "are there already" in output
    assert "is finished: nothing to do" in output
    assert "measured" not in output.lower().replace("remeasure", "")
    assert output.count("kept from an earlier run") == 3
    assert before == {path: path.stat().st_mtime_ns for path in output_dir.rglob("*.jp*g")}


def test_the_demo_takes_flat_class_folders_with_files_that_are_no_images(
    first_run: tuple[pathlib.Path, str], tmp_path: pathlib.Path
) -> None:
    drawn = first_run[0] / "photographs-16"
    for number, path in enumerate(sorted(drawn.glob("*/*/*.jpg"))):
        folder = tmp_path / "mine" / f"class {number % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder)
    (tmp_path / "mine" / "class 0" / "broken.jpg").write_bytes(b"not a JPEG")
    output = _run_demo(tmp_path / "out", f"--images={tmp_path / 'mine'}")
    assert "class accuracy (of 2)" in output
    assert "kept as is  1" in output


def test_the_drawn_set_is_the_same_with_any_number_of_workers(tmp_path: pathlib.Path) -> None:
    settings = drawn_photographs.Settings(images_per_class=1, seed=5)
    for workers in (1, 2):
        folder = tmp_path / str(workers)
        assert drawn_photographs.draw_set(folder, settings, num_workers=workers) == 16
    one, two = (
        {path.relative_to(tmp_path / name): path.read_bytes() for path in files}
        for name, files in ((n, sorted((tmp_path / n).rglob("*.jpg"))) for n in ("1", "2"))
    )
    assert len(one) == 16
    assert one == two
    assert len(set(one.values())) == 16


def test_an_interrupted_drawing_goes_on_where_it_stopped(tmp_path: pathlib.Path) -> None:
    settings = drawn_photographs.Settings(images_per_class=1)
    folder = tmp_path / "drawn"
    drawn_photographs.draw_set(folder, settings)
    lost = folder / "shore" / "rising" / "shore-rising-0000.jpg"
    contents = lost.read_bytes()
    lost.unlink()
    assert drawn_photographs.draw_set(folder, settings) == 1
    assert lost.read_bytes() == contents
    assert drawn_photographs.draw_set(folder, settings) == 0


def test_a_folder_with_another_set_is_refused(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "drawn"
    drawn_photographs.draw_set(folder, drawn_photographs.Settings(images_per_class=1))
    with pytest.raises(ValueError, match=r"drawn\.json.*expected .*2.* got .*1"):
        drawn_photographs.draw_set(folder, drawn_photographs.Settings(images_per_class=2))


def test_a_folder_with_other_files_is_refused(tmp_path: pathlib.Path) -> None:
    (tmp_path / "drawn").mkdir()
    (tmp_path / "drawn" / "precious.txt").write_text("mine")
    with pytest.raises(ValueError, match="not empty"):
        drawn_photographs.draw_set(tmp_path / "drawn", drawn_photographs.Settings())


def test_drawn_images_have_the_spectrum_and_the_size_of_photographs() -> None:
    slopes, sizes = [], []
    for number, scene in enumerate(drawn_photographs.SCENES.values()):
        rng = np.random.default_rng(number)
        pixels = drawn_photographs.draw(scene, 45.0, rng)
        sizes.append(len(drawn_photographs.encode(pixels, rng)))
        side = min(pixels.shape[:2])
        luma = pixels[:side, :side].mean(axis=2)
        window = np.hanning(side)
        spectrum = np.fft.fft2((luma - luma.mean()) * window * window[:, np.newaxis])
        frequencies = np.fft.fftfreq(side)
        radius = np.hypot(frequencies[:, np.newaxis], frequencies)
        edges = np.geomspace(0.01, 0.2, 10)
        bins = np.digitize(radius, edges)
        power = [np.mean(np.abs(spectrum[bins == n]) ** 2) for n in range(1, len(edges))]
        centres = np.sqrt(edges[1:] * edges[:-1])
        slopes.append(np.polyfit(np.log(centres), np.log(power), 1)[0])
    # Photographs: power falls as the frequency's power of -2 to -3; a file takes about 100 KB.
    assert -3.4 < np.mean(slopes) < -1.8
    assert 70_000 < np.mean(sizes) < 150_000


def test_a_kept_result_is_used_until_its_settings_change(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "stage.json"
    assert stages.kept(path, {"epochs": 1}, lambda: [1, 2]) == ([1, 2], True)
    assert stages.kept(path, {"epochs": 1}, lambda: [3]) == ([1, 2], False)
    assert stages.kept(path, {"epochs": 2}, lambda: [3]) == ([3], True)
    assert stages.kept(path, {"epochs": 2}, lambda: [4], again=True) == ([4], True)


def test_a_damaged_kept_result_is_made_anew(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "stage.json"
    path.write_text('{"settings": {}, "resu')
    assert stages.kept(path, {}, lambda: "made") == ("made", True)
