"""The manifest's profile: what each fidelity keeps of a sample, the same every time."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import types
from pathlib import Path

import pytest

from pcr_tf.cli.convert import main as convert_main
from pcr_tf.convert import ConvertError, ConvertOptions
from pcr_tf.convert.job.profile import fidelity_profile
from pcr_tf.format import PcrReader
from tests.conversion import digests, jpeg, make_class_folders, png, run, start
from tests.test_convert import convert


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Class folders of ten images that are large enough for MS-SSIM, and three that are not."""
    root = tmp_path_factory.mktemp("profile") / "in"
    (root / "ant").mkdir(parents=True)
    for number in range(9):
        (root / "ant" / f"{number}.jpg").write_bytes(jpeg(number, 240, 200))
    (root / "ant" / "grey.jpg").write_bytes(jpeg(9, 240, 200, mode="L"))
    (root / "ant" / "small.jpg").write_bytes(jpeg(10, 240, 100))
    (root / "ant" / "odd.png").write_bytes(png())
    (root / "ant" / "broken.jpg").write_bytes(jpeg(11, 240, 200)[:900])
    return root


def test_the_manifest_profiles_every_fidelity(source: Path, tmp_path: Path) -> None:
    profile = convert(source, tmp_path / "out").manifest["profile"]
    assert profile == json.loads((tmp_path / "out" / "manifest.json").read_text())["profile"]
    assert (profile["images"], profile["seed"]) == (10, 0)
    for key in ("ms_ssim", "bytes_per_image"):
        assert len(profile[key]) == 10
        assert profile[key] == sorted(profile[key])
    assert 0 < profile["ms_ssim"][0] < profile["ms_ssim"][-1] == 1.0


def test_the_size_of_the_sample_is_a_flag(source: Path, tmp_path: Path) -> None:
    options = {"profile_images": 3, "shuffle_seed": 5}
    profile = convert(source, tmp_path / "out", **options).manifest["profile"]
    assert (profile["images"], profile["seed"]) == (3, 5)
    reader = PcrReader(tmp_path / "out")
    assert fidelity_profile(reader, num_images=3, seed=5) == profile
    assert fidelity_profile(reader, num_images=3, seed=6) != profile
    with pytest.raises(ConvertError, match="`profile_images`; expected at least 0"):
        ConvertOptions(("in",), "out", profile_images=-1)


def test_a_job_killed_while_it_measures_ends_with_the_same_bytes(
    source: Path, tmp_path: Path
) -> None:
    flags = [f"--input={source}", "--examples_per_record=4", "--num_workers=2"]
    assert run("convert", *flags, f"--output={tmp_path / 'whole'}").returncode == 0
    process = start("convert", *flags, f"--output={tmp_path / 'out'}")
    assert process.stderr is not None
    assert any("measuring MS-SSIM of up to 64 images" in line for line in process.stderr)
    process.kill()
    process.communicate()
    assert not (tmp_path / "out" / "manifest.json").exists()
    done = run("convert", *flags, f"--output={tmp_path / 'out'}")
    assert (done.returncode, "4 of 4 shards are finished" in done.stderr) == (0, True)
    assert digests(tmp_path / "out") == digests(tmp_path / "whole")


def test_the_rate_of_a_conversion_is_told_without_the_time_of_the_profile(
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    day_s = 86400.0
    passed_s = 0.0

    def slow(*_: object, **__: object) -> dict[str, object]:
        nonlocal passed_s
        passed_s += day_s
        return {"images": 7, "seed": 0, "ms_ssim": [1.0], "bytes_per_image": [1]}

    clock = types.SimpleNamespace(monotonic=lambda: time.monotonic() + passed_s)
    monkeypatch.setattr("pcr_tf.convert.job.conversion.time", clock)
    monkeypatch.setattr("pcr_tf.convert.job.conversion.fidelity_profile", slow)
    flags = [f"--input={source}", f"--output={tmp_path}/out", "--num_workers=0", "--quiet"]
    assert convert_main([*flags, "--dry_run"]) == 0
    assert "the profile comes on top" in capsys.readouterr().out
    assert convert_main([*flags, "--dry_run", "--profile_images=0"]) == 0
    assert "on top" not in capsys.readouterr().out
    assert convert_main(flags) == 0
    said = capsys.readouterr().out
    rate_s = re.search(r"^rate .* images/s, ([\d.]+) s$", said, re.M)
    profile_s = re.search(r"^profile +of 7 images, ([\d.]+) s more$", said, re.M)
    assert rate_s is not None
    assert profile_s is not None
    assert float(profile_s[1]) >= day_s
    assert float(rate_s[1]) < day_s


def test_a_job_may_be_finished_without_the_profile(source: Path, tmp_path: Path) -> None:
    def no_memory(*_: object, **__: object) -> None:
        raise MemoryError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pcr_tf.convert.job.conversion.fidelity_profile", no_memory)
        with pytest.raises(MemoryError):
            convert(source, tmp_path / "out")
    summary = convert(source, tmp_path / "out", profile_images=0)
    assert (summary.resumed_shards, summary.manifest["profile"]) == (4, None)


@pytest.mark.parametrize("large", [False, True])
def test_without_a_profile_tensorflow_is_not_imported(
    source: Path, tmp_path: Path, large: bool
) -> None:
    folder = source if large else make_class_folders(tmp_path / "in")
    flags = ["--profile_images=0"] if large else []
    program = (
        "import sys\n"
        "from pcr_tf.cli.convert import main\n"
        "status = main(sys.argv[1:])\n"
        "sys.exit(status or 'tensorflow' in sys.modules)\n"
    )
    command = [sys.executable, "-c", program, f"--input={folder}", f"--output={tmp_path / 'out'}"]
    done = subprocess.run(
        [*command, *flags, "--quiet"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["profile"] is None


def test_where_tensorflow_is_missing_the_job_says_so_before_it_begins(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConvertError, match="`profile_images=0`"):
        convert(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    convert(source, tmp_path / "out", profile_images=0)
