"""What a conversion says to people: what they should know of the result, and should do."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pcr_tf.convert import Conversion, ConvertError, ConvertOptions, split_conversions
from pcr_tf.convert.job.plan import default_examples_per_record
from pcr_tf.convert.job.remarks import few_records, remarks
from pcr_tf.format import PcrReader
from tests.conversion import ROOT, make_class_folders, picture, png, run


def _program(
    text: str, folder: Path, *, from_stdin: bool = False
) -> subprocess.CompletedProcess[str]:
    """Runs a program that converts `folder`/in to `folder`/out."""
    body = textwrap.dedent(
        f"""
        from pcr_tf.convert import Conversion, ConvertOptions

        def main():
            options = ConvertOptions(
                inputs=({str(folder / "in")!r},), output={str(folder / "out")!r}, num_workers=2,
                profile_images=0,
            )
            print(Conversion(options).run(quiet=True).images, "images")
        """
    ) + textwrap.dedent(text)
    (folder / "program.py").write_text(body)
    return subprocess.run(
        [sys.executable, "-" if from_stdin else folder / "program.py"],
        input=body if from_stdin else "",
        text=True,
        capture_output=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=120,
        check=False,
    )


GUARDED = """
    if __name__ == "__main__":
        main()
"""


def test_a_program_without_a_guard_is_told_to_have_one(tmp_path: Path) -> None:
    make_class_folders(tmp_path / "in", per_class=2)
    done = _program("main()", tmp_path)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert "ended while it imported the program" in last
    assert 'if __name__ == "__main__":' in last
    assert "num_workers=0" in last
    assert "another conversion" not in done.stderr
    again = _program(GUARDED, tmp_path)
    assert (again.returncode, again.stdout) == (0, "6 images\n")


def test_a_program_from_standard_input_is_told_to_be_saved(tmp_path: Path) -> None:
    make_class_folders(tmp_path / "in", per_class=2)
    done = _program(GUARDED, tmp_path, from_stdin=True)
    assert done.returncode == 1
    assert "<stdin> is no file: save the program, or convert in this process with" in done.stderr
    assert not (tmp_path / "out").exists()


def _with_a_png_and_an_animation(folder: Path) -> Path:
    make_class_folders(folder, per_class=1)
    (folder / "bee" / "a.png").write_bytes(png())
    frames = [picture(seed) for seed in range(3)]
    frames[0].save(folder / "bee" / "b.gif", save_all=True, append_images=frames[1:])
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(4).save(folder / "bee" / "c.webp", exif=exif)
    return folder


def test_images_that_are_no_jpeg_come_with_the_remedy(tmp_path: Path) -> None:
    source = _with_a_png_and_an_animation(tmp_path / "in")
    flags = [f"--input={source}", "--num_workers=0", "--profile_images=0", "--quiet"]
    kept = run("convert", *flags, f"--output={tmp_path / 'kept'}")
    assert kept.returncode == 0
    assert (
        "note        of those kept as is 3 are not JPEG: image_batches and the decoding"
        in kept.stdout
    )
    assert "--on_unsupported=encode makes JPEGs of what Pillow reads" in kept.stdout
    anew = [*flags, f"--output={tmp_path / 'anew'}", "--on_unsupported=encode"]
    encoded = run("convert", *anew, "--encode_upright")
    assert "no JPEG" not in encoded.stdout
    assert "1 encoded had several frames or pages: the first one was taken" in encoded.stdout
    assert "1 encoded was turned upright; boxes and sizes in other features were not" in (
        encoded.stdout
    )
    manifest = json.loads((tmp_path / "anew" / "manifest.json").read_text())
    entries = {entry["name"]: entry for entry in manifest["encoded"]}
    assert entries["bee/b.gif"]["frames"] == "3"
    assert entries["bee/c.webp"]["turned"] == "6"
    assert manifest["flags"]["encode_upright"] is True
    assert run("verify", tmp_path / "anew", f"--source={source}").returncode == 0
    assert run("convert", *anew).returncode == 1, "another job: pixels differ"


def test_upright_needs_the_policy_that_encodes(tmp_path: Path) -> None:
    with pytest.raises(
        ConvertError, match=r"`encode_upright`: .* requires `on_unsupported=encode`"
    ):
        ConvertOptions(inputs=("in",), output=str(tmp_path), encode_upright=True)


def test_a_failed_proof_is_explained() -> None:
    manifest = {
        "counts": {"opaque_reasons": {"proof_failed": 2}},
        "encoded": [],
        "dataset": {"records": 64, "examples": 64},
        "flags": {"on_unsupported": "keep"},
    }
    (line,) = remarks(manifest)
    assert line.startswith("2 proof_failed: ")
    assert "Nothing is lost" in line
    assert "report it" in line


# The size of records


def _options(folder: Path, **options: Any) -> ConvertOptions:
    return ConvertOptions(
        inputs=(str(folder / "in"),),
        **{
            "output": str(folder / "out"),
            "num_workers": 0,
            "profile_images": 0,
            **options,
        },
    )


@pytest.mark.parametrize(
    ("images", "expected"),
    [(0, 1), (1, 1), (127, 1), (128, 2), (150, 2), (1000, 15), (16_383, 255), (16_384, 256)],
)
def test_records_are_smaller_for_small_sets(images: int, expected: int) -> None:
    assert default_examples_per_record(images) == expected
    assert default_examples_per_record(100 * (images + 20_000)) == 256
    assert images < 64 or images // expected >= 64


def test_a_small_set_has_records_to_shuffle_unless_told_otherwise(tmp_path: Path) -> None:
    make_class_folders(tmp_path / "in", per_class=50, width=8)
    job = Conversion(_options(tmp_path))
    assert "records     75 of 2 images" in job.describe()
    assert "note" not in job.describe()
    assert job.run(quiet=True).manifest["dataset"]["records"] == 75
    assert Conversion(_options(tmp_path)).run(quiet=True).was_finished
    reader = PcrReader(tmp_path / "out")
    assert {reader.index.record(n).num_examples for n in range(75)} == {2}
    large = Conversion(_options(tmp_path, examples_per_record=256, output=str(tmp_path / "large")))
    assert "note        only 1 record: shuffle=True gives" in large.describe()
    assert "`examples_per_record`" in large.describe()
    manifest = large.run(quiet=True).manifest
    assert (manifest["dataset"]["records"], len(remarks(manifest))) == (1, 1)


def test_each_part_of_a_split_has_records_of_its_own_size(tmp_path: Path) -> None:
    make_class_folders(tmp_path / "in", per_class=60, width=8)
    jobs = split_conversions(_options(tmp_path, split=(("large", 0.8), ("small", 0.2))))
    sizes = [job.plan.cuts.examples_per_record for job in jobs]
    assert sizes == [default_examples_per_record(len(job.plan.items)) for job in jobs] == [2, 1]
    for job in jobs:
        dataset = job.run(quiet=True).manifest["dataset"]
        assert dataset["records"] == job.plan.cuts.num_records


def test_few_records_are_no_news_where_each_holds_one_example() -> None:
    assert few_records(3, 3) == []
    assert few_records(8, 800) == []
    assert few_records(7, 700)[0].startswith("only 7 records")


def test_what_could_not_be_encoded_is_not_told_to_be_encoded(tmp_path: Path) -> None:
    make_class_folders(tmp_path / "in", per_class=1)
    (tmp_path / "in" / "bee" / "page.jpg").write_bytes(b"<html>")
    flags = [f"--input={tmp_path / 'in'}", "--num_workers=0", "--profile_images=0"]
    done = run("convert", *flags, f"--output={tmp_path / 'out'}", "--on_unsupported=encode")
    assert "1 is not JPEG" in done.stdout
    assert "they could not be encoded as JPEG, --on_unsupported=skip" in done.stdout
    assert "--on_unsupported=encode" not in done.stdout


def test_a_class_all_of_whose_images_were_skipped_is_named(tmp_path: Path) -> None:
    source = make_class_folders(tmp_path / "in", per_class=2)
    for number, image in enumerate((source / "bee").iterdir()):
        image.write_bytes(png(number))
    flags = [f"--input={source}", "--num_workers=0", "--profile_images=0"]
    flags += [f"--output={tmp_path / 'out'}", "--on_unsupported=skip"]
    for _ in range(2):  # A finished job that is run again says so as well.
        assert "no image    1 class: 'bee'; labels stay" in run("convert", *flags).stdout
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["source"]["classes_without_image"] == ["bee"]


def test_other_flags_after_a_failure_are_told_how_to_begin_anew(tmp_path: Path) -> None:
    source = make_class_folders(tmp_path / "in", per_class=2)
    (source / "bee" / "odd.png").write_bytes(png())
    flags = [f"--input={source}", f"--output={tmp_path / 'out'}", "--num_workers=0"]
    flags += ["--profile_images=0"]
    assert run("convert", *flags, "--on_unsupported=raise").returncode == 1
    again = run("convert", *flags, "--on_unsupported=keep")
    assert again.stderr.endswith(f", or remove {tmp_path / 'out'} to convert anew\n")
    shutil.rmtree(tmp_path / "out")
    assert run("convert", *flags, "--on_unsupported=keep").returncode == 0


def test_backslashes_in_a_table_are_told_to_be_slashes(tmp_path: Path) -> None:
    source = make_class_folders(tmp_path / "in", per_class=1)
    (tmp_path / "t.csv").write_text("file\nbee\\0.jpg\n")
    flags = [f"--input={source}", f"--output={tmp_path / 'out'}", f"--table={tmp_path / 't.csv'}"]
    done = run("convert", *flags, "--num_workers=0")
    assert "expected / between folders, as in '" in done.stderr


@pytest.mark.parametrize("kind", ["tfrecord", "webdataset"])
def test_a_folder_without_files_is_not_called_empty_files(tmp_path: Path, kind: str) -> None:
    (tmp_path / "in" / "below").mkdir(parents=True)
    flags = [f"--input={tmp_path / 'in'}", f"--output={tmp_path / 'out'}", f"--input_format={kind}"]
    done = run("convert", *flags, "--num_workers=0")
    assert "; no such file is there" in done.stderr
