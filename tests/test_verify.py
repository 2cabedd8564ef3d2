"""`pcr-verify`: a data set that is not what its manifest and its source say is found and named."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pcr_tf.convert import ConvertError, Verification
from pcr_tf.format import PcrReader, PcrWriter, write_side_index
from pcr_tf.format.dataset_index import shard_names
from pcr_tf.format.example import Values, bytes_features, encode_example, with_features
from tests.conversion import convert, jpeg, make_class_folders, png, run, start, write_tfrecord
from tests.waiting import HANG_S, pause_midway

EXIF = b"Exif\0\0"


def faults(folder: Path, *sources: Path, num_workers: int = 0) -> list[str]:
    """What the library finds."""
    names = [str(source) for source in sources]
    check = Verification(str(folder), sources=names, num_workers=num_workers, quiet=True)
    return list(check.faults())


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Class folders with odd images in `in`; the data set of them in `pcr`."""
    root = tmp_path_factory.mktemp("verify")
    source = make_class_folders(root / "in")
    (source / "bee" / "odd.png").write_bytes(png())
    (source / "bee" / "cmyk.jpg").write_bytes(jpeg(50, mode="CMYK"))
    (source / "cat" / "grey.jpg").write_bytes(jpeg(51, mode="L"))
    (source / "cat" / "trailing.jpg").write_bytes(jpeg(52) + b"more")
    convert(source, root / "pcr", num_shards=3)
    return root


@pytest.fixture
def root(pristine: Path, tmp_path: Path) -> Path:
    """A copy to damage, of the same times of change."""
    return Path(shutil.copytree(pristine, tmp_path / "set"))


def _flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


def _shard(folder: Path, number: int = 0) -> Path:
    return folder / shard_names(folder)[number]


def _change_manifest(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def _rewrite(folder: Path, change: Callable[[int, bytes], bytes | None]) -> None:
    """Writes every shard anew, sound, with `change` of each example (number, example)."""
    script = PcrReader(folder).index.header.scan_script
    number = 0
    for name in shard_names(folder):
        examples = list(PcrReader(folder / name).examples())
        with PcrWriter(folder / name, scan_script=script, examples_per_record=4) as writer:
            for example in examples:
                changed = change(number, example)
                number += 1
                if changed is not None:
                    writer.write(changed)
    write_side_index(folder)


def _rewrite_with_manifest(folder: Path, change: Callable[[int, bytes], bytes | None]) -> None:
    """As `_rewrite`; afterwards the manifest agrees with the shards."""
    from pcr_tf.convert.job.manifest import rebuild_index
    from pcr_tf.format.summary import summarize

    _rewrite(folder, change)
    rebuild_index(str(folder))
    summary = summarize(folder)

    def recount(manifest: dict[str, Any]) -> None:
        manifest["counts"] |= {"images": summary.images, "opaque": summary.opaque}

    _change_manifest(folder, recount)


@pytest.fixture
def of_table(tmp_path: Path) -> Path:
    """A table, a list of names and images; in `pcr` and `named` data sets of them."""
    make_class_folders(tmp_path / "in", ["x"], 3)
    (tmp_path / "t.csv").write_text("id,class\nx/000.jpg,1\nx/001.jpg,2\nx/002.jpg,0\n")
    (tmp_path / "names.txt").write_text("ant\nbee\ncat\n")
    flags = [f"--input={tmp_path / 'in'}", f"--table={tmp_path / 't.csv'}", "--label_column=class"]
    flags += ["--profile_images=0", "--num_workers=0"]
    for name, more in (("pcr", []), ("named", [f"--label_names={tmp_path / 'names.txt'}"])):
        done = run("convert", f"--output={tmp_path / name}", *flags, *more)
        assert done.returncode == 0, done.stderr
    return tmp_path


def test_a_table_that_the_proof_lacks_is_asked_for(of_table: Path) -> None:
    done = run("verify", of_table / "pcr", f"--source={of_table / 'in'}")
    assert (done.returncode, done.stdout) == (1, "")
    assert "pcr: made of a table; expected it to be named here too, with --table" in done.stderr
    with_table = [f"--source={of_table / 'in'}", f"--table={of_table / 't.csv'}"]
    assert run("verify", of_table / "pcr", *with_table).returncode == 0


def test_a_list_of_names_that_the_proof_may_lack_is_asked_for(of_table: Path) -> None:
    flags = [f"--source={of_table / 'in'}", f"--table={of_table / 't.csv'}"]
    done = run("verify", of_table / "named", *flags)
    assert done.returncode == 1
    assert "did the conversion have --label_names? Give it here as well" in done.stdout
    named = run("verify", of_table / "named", *flags, f"--label_names={of_table / 'names.txt'}")
    assert named.returncode == 0, named.stdout


# Against the manifest


def test_a_sound_data_set_is_proved_against_manifest_and_source(root: Path) -> None:
    assert faults(root / "pcr") == []
    assert faults(root / "pcr", root / "in", num_workers=2) == []
    done = run("verify", root / "pcr", f"--source={root / 'in'}")
    assert done.returncode == 0, done.stderr
    assert "3 shards, 7 records; checked: structure, checksums and images; manifest" in done.stdout
    assert "no faults" in done.stdout
    assert "comparing with the source: 25 examples" in done.stderr


def test_a_flipped_bit_is_found_and_named(root: Path) -> None:
    _flip(_shard(root / "pcr"), 3000)
    done = run("verify", root / "pcr", "--quiet")
    assert (done.returncode, done.stderr) == (1, "")
    assert f"{_shard(root / 'pcr')}: record 0, scan group" in done.stdout


def test_a_missing_and_an_unknown_shard_are_named(root: Path) -> None:
    first = _shard(root / "pcr")
    first.rename(root / "pcr" / "stranger.pcr")
    found = faults(root / "pcr", root / "in")
    assert f"{first}: in the manifest but not in the folder" in found
    assert f"{root / 'pcr' / 'stranger.pcr'}: not in the manifest" in found
    assert "not compared with the source" in found[-1]


def test_a_shard_cut_short_is_found_by_its_size(root: Path) -> None:
    shard = _shard(root / "pcr")
    size = shard.stat().st_size
    shard.write_bytes(shard.read_bytes()[:-1])
    assert f"expected {size} by the manifest, got {size - 1}" in faults(root / "pcr")[0]


def test_shards_of_another_conversion_are_found(root: Path) -> None:
    _rewrite(root / "pcr", lambda _, example: with_features(example, {"image/class/label": [5]}))
    assert sum("by the manifest" in line for line in faults(root / "pcr")) == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m["counts"].update(images=24), r"counts\.images; expected 25, got 24"),
        (lambda m: m["counts"].update(opaque=0), r"counts\.opaque; expected 1, got 0"),
        (lambda m: m["dataset"]["prefix_bytes"].reverse(), r"dataset\.prefix_bytes; expected"),
        (lambda m: m["dataset"].update(examples=1), r"dataset\.examples; expected 25, got 1"),
        (lambda m: m["shards"][0].update(examples=3), r"shard-00000.*examples; expected 3"),
        (
            lambda m: m["shards"][1].update(footer_checksum="0"),
            r"00001.*footer_checksum; exp.* 0 by",
        ),
        (lambda m: m.pop("shards"), r"manifest\.json: damaged: KeyError\('shards'\)"),
        (lambda m: m["class_names"].append("ant"), r"class_names; expected distinct"),
    ],
)
def test_a_manifest_that_says_something_else_is_found(
    root: Path, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    _change_manifest(root / "pcr", change)
    (line,) = faults(root / "pcr")
    assert re.search(message, line), line


def test_without_a_manifest_the_rest_is_checked_and_the_last_line_says_so(root: Path) -> None:
    (root / "pcr" / "manifest.json").unlink()
    done = run("verify", root / "pcr", "--quiet")
    assert done.returncode == 0, done.stderr
    assert done.stdout == (
        f"{root / 'pcr'}: 3 shards, 7 records, without a manifest; checked: structure, checksums "
        "and images: no faults\n"
    )


def test_a_manifest_with_the_words_of_an_earlier_version_is_compared_with_the_source(
    root: Path,
) -> None:
    def older(manifest: dict[str, Any]) -> None:
        flags = manifest["flags"]
        flags["source"] = flags.pop("input_format")
        flags["images_per_record"] = flags.pop("examples_per_record")
        flags["on_unreadable"] = "fail"

    _change_manifest(root / "pcr", older)
    assert faults(root / "pcr", root / "in") == []


def test_an_empty_source_is_wrong_usage(root: Path) -> None:
    done = run("verify", root / "pcr", "--source=")
    assert done.returncode == 2
    assert "--source; expected what the data set was made of" in done.stderr


def test_a_source_needs_a_manifest(root: Path) -> None:
    (root / "pcr" / "manifest.json").unlink()
    done = run("verify", root / "pcr", f"--source={root / 'in'}", "--quiet")
    assert done.returncode == 1
    assert f"{root / 'pcr'}: manifest.json; expected one beside the shards" in done.stderr


def test_a_single_file_is_checked_by_itself(root: Path) -> None:
    shard = min((root / "pcr").glob("*.pcr"))
    done = run("verify", shard, "--json", "--quiet", "--num_workers=3")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["levels"] == ["structure, checksums and images"]
    assert report["faults"] == []
    assert report["records"] > 0
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    done = run("verify", shard, "--json", "--quiet")
    assert done.returncode == 1
    assert str(shard) in json.loads(done.stdout)["faults"][0]


def test_nothing_and_a_folder_without_shards_are_errors(root: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for path in (root / "none", tmp_path / "empty"):
        done = run("verify", path)
        assert done.returncode == 1
        assert str(path) in done.stderr + done.stdout


# Against the source


def test_a_changed_source_file_is_found_and_named(root: Path) -> None:
    (root / "in" / "bee" / "003.jpg").write_bytes(jpeg(999))
    done = run("verify", root / "pcr", f"--source={root / 'in'}", "--quiet")
    assert done.returncode == 1
    (line, _) = done.stdout.splitlines()
    assert "(bee/003.jpg): image feature 'image/encoded', image 0: " in line
    assert ".pcr: record " in line
    assert ", example " in line


def test_a_changed_opaque_image_is_found(root: Path) -> None:
    data = bytearray((root / "in" / "bee" / "odd.png").read_bytes())
    data[-1] ^= 1
    (root / "in" / "bee" / "odd.png").write_bytes(data)
    (line,) = faults(root / "pcr", root / "in")
    assert line.endswith(
        "(bee/odd.png): image feature 'image/encoded', image 0: bytes differ from the source's"
    )


@pytest.mark.parametrize("number", [0, 5, 6])
def test_a_missing_source_file_is_found_and_only_its_example_is_named(
    root: Path, number: int
) -> None:
    (root / "in" / "bee" / f"{number:03d}.jpg").unlink()
    (line,) = faults(root / "pcr", root / "in")
    assert line.endswith(f" (bee/{number:03d}.jpg): made of nothing that is in the source")
    names = [
        bytes_features(example, ["image/filename"])["image/filename"][0]
        for example in PcrReader(root / "pcr").examples()
    ]
    ordinal = names.index(b"bee/%03d.jpg" % number)
    counts = [PcrReader(root / "pcr").index.record(r).num_examples for r in range(7)]
    record = next(r for r in range(7) if sum(counts[: r + 1]) > ordinal)
    assert f", example {ordinal - sum(counts[:record])} (bee" in line


def test_a_file_that_is_too_many_in_the_source_is_named(root: Path) -> None:
    (root / "in" / "ant" / "new.jpg").write_bytes(jpeg(1000))
    assert faults(root / "pcr", root / "in") == [
        f"{root / 'in' / 'ant' / 'new.jpg'}: in the source, but no example of the data set is made "
        "of it"
    ]


def test_a_name_that_is_not_utf_8_is_printed_with_its_bytes_escaped(tmp_path: Path) -> None:
    source = make_class_folders(tmp_path / "in", per_class=1)
    convert(source, tmp_path / "pcr")
    (source / "ant" / os.fsdecode(b"caf\xe9.jpg")).write_bytes(jpeg(5))
    done = run("verify", tmp_path / "pcr", f"--source={source}", "--quiet")
    assert (done.returncode, done.stderr) == (1, "")
    assert "caf\\udce9.jpg: in the source, but no example" in done.stdout


def test_an_example_lost_by_the_data_set_is_named(root: Path) -> None:
    _rewrite_with_manifest(root / "pcr", lambda number, example: None if number == 9 else example)
    (line,) = faults(root / "pcr", root / "in")
    assert "in the source, but no example of the data set is made of it" in line


def test_examples_in_another_order_are_all_there(root: Path) -> None:
    examples = list(PcrReader(root / "pcr").examples())[::-1]
    _rewrite_with_manifest(root / "pcr", lambda number, _: examples[number])
    assert faults(root / "pcr", root / "in") == []


def test_a_changed_label_and_a_changed_name_are_named_with_both_values(root: Path) -> None:
    def change(number: int, example: bytes) -> bytes:
        wrong: dict[str, Values] = {"image/class/label": [77], "image/filename": [b"no.jpg"]}
        return with_features(example, wrong) if number == 4 else example

    _rewrite_with_manifest(root / "pcr", change)
    label, name = faults(root / "pcr", root / "in", num_workers=2)
    assert "feature 'image/class/label': expected " in label
    assert label.endswith(", got 77")
    assert name.endswith(", got b'no.jpg'")


def test_a_feature_that_is_missing_and_one_that_is_too_many_are_named(tmp_path: Path) -> None:
    features: dict[str, Values] = {"image/encoded": [jpeg(1)], "id": [1], "scores": [0.5]}
    write_tfrecord(tmp_path / "in.tfrecord", [features])
    convert(tmp_path / "in.tfrecord", tmp_path / "pcr")
    write_tfrecord(
        tmp_path / "in.tfrecord", [{"image/encoded": [jpeg(1)], "id": [1], "box": [1, 2]}]
    )
    box, scores = faults(tmp_path / "pcr", tmp_path / "in.tfrecord")
    assert "feature 'box': is missing; expected [1, 2]" in box
    assert "feature 'scores': is not in the source; got 0.5" in scores


def test_an_image_with_one_changed_coefficient_is_found(root: Path) -> None:
    def change(number: int, example: bytes) -> bytes:
        if number:
            return example
        (image,) = bytes_features(example, ["image/encoded"])["image/encoded"]
        picture = Image.open(io.BytesIO(image))
        picture.putpixel((8, 8), (0, 255, 0) if picture.mode == "RGB" else 0)
        out = io.BytesIO()
        picture.save(out, "JPEG", quality=85)
        return with_features(example, {"image/encoded": [out.getvalue()]})

    _rewrite_with_manifest(root / "pcr", change)
    (line,) = faults(root / "pcr", root / "in")
    assert "image feature 'image/encoded', image 0" in line


@pytest.mark.parametrize(
    ("stored", "source", "message"),
    [
        (
            {"exif": EXIF + b"no", "comment": b"c"},
            {"exif": EXIF + b"ex", "comment": b"c"},
            r"segments .*; expected APP0 of 18 bytes, APP1 of 12 bytes, COM of 5 bytes, got others",
        ),
        ({}, {"comment": b"c"}, r"segments .*; expected APP0 of 18 bytes, COM of 5.*, got APP0 of"),
        ({"behind": b""}, {"behind": b"more"}, r"behind .*; expected 4 bytes, got 0"),
        ({"behind": b"less"}, {"behind": b"more"}, r"behind .*; expected 4 bytes, got others"),
    ],
)
def test_what_stands_beside_the_pixels_is_compared_too(
    tmp_path: Path, stored: dict[str, Any], source: dict[str, Any], message: str
) -> None:
    def image(about: dict[str, Any]) -> bytes:
        behind = about.get("behind", b"")
        return jpeg(1, **{k: v for k, v in about.items() if k != "behind"}) + behind

    images = [{"image/encoded": [image(about)]} for about in (stored, {})]
    write_tfrecord(tmp_path / "in.tfrecord", images)
    convert(tmp_path / "in.tfrecord", tmp_path / "pcr")
    assert faults(tmp_path / "pcr", tmp_path / "in.tfrecord") == []
    images[0] = {"image/encoded": [image(source)]}
    write_tfrecord(tmp_path / "in.tfrecord", images)
    (line,) = faults(tmp_path / "pcr", tmp_path / "in.tfrecord")
    assert re.search(rf"image feature 'image/encoded', image 0: {message}", line), line


def test_tfrecords_without_names_are_told_apart_by_their_images(tmp_path: Path) -> None:
    examples = [encode_example({"image/encoded": [jpeg(n), png(n)]}) for n in range(12)]
    write_tfrecord(tmp_path / "in.tfrecord", examples)
    convert(tmp_path / "in.tfrecord", tmp_path / "pcr", shuffle=False)
    assert faults(tmp_path / "pcr", tmp_path / "in.tfrecord") == []
    write_tfrecord(tmp_path / "in.tfrecord", [*examples[:3], *examples[4:]])
    assert faults(tmp_path / "pcr", tmp_path / "in.tfrecord") == [
        f"{_shard(tmp_path / 'pcr')}: record 0, example 3: made of nothing that is in the source"
    ]


@pytest.mark.parametrize("policy", ["skip", "encode", "keep"])
def test_what_a_policy_left_out_or_encoded_is_no_difference(tmp_path: Path, policy: str) -> None:
    source = make_class_folders(tmp_path / "in")
    for number in range(3):
        (source / "bee" / f"odd{number}.png").write_bytes(png(number))
    (source / "cat" / "unreadable.png").write_bytes(b"no image")
    convert(source, tmp_path / "pcr", on_unsupported=policy)
    assert faults(tmp_path / "pcr", source) == []


def test_a_skipped_item_that_the_manifest_does_not_name_is_missing(tmp_path: Path) -> None:
    source = make_class_folders(tmp_path / "in")
    (source / "bee" / "odd.png").write_bytes(png())
    convert(source, tmp_path / "pcr", on_unsupported="skip")
    _change_manifest(tmp_path / "pcr", lambda manifest: manifest.update(skipped=[]))
    (line,) = faults(tmp_path / "pcr", source)
    assert line.startswith(f"{source / 'bee' / 'odd.png'}: in the source, but no example")


def test_damaged_source_records_and_other_classes_are_named(tmp_path: Path, root: Path) -> None:
    examples = [encode_example({"image/encoded": [jpeg(n)], "id": [n]}) for n in range(3)]
    path = write_tfrecord(tmp_path / "in.tfrecord", examples)
    convert(path, tmp_path / "pcr", shuffle=False)
    _flip(path, len(examples[0]) + 16 + 100)
    unread, left = faults(tmp_path / "pcr", path)
    assert f"{path}: record 1: in the source, but no example" in unread
    assert left.endswith("record 0, example 1: made of nothing that is in the source")
    shutil.rmtree(root / "in" / "ant")
    assert "class_names; expected those of the source, ['bee', 'cat']" in "\n".join(
        faults(root / "pcr", root / "in")
    )
    with pytest.raises(ConvertError, match="no such file or folder"):
        faults(root / "pcr", root / "elsewhere")


def test_ctrl_c_ends_a_proof_at_once(tmp_path: Path) -> None:
    source = make_class_folders(tmp_path / "in", classes=("ant",), per_class=300, width=1200)
    convert(source, tmp_path / "pcr", examples_per_record=64, prove=False)
    flags = [f"--source={source}", "--num_workers=2"]

    def begin(_: int) -> subprocess.Popen[str]:
        process = start("verify", tmp_path / "pcr", *flags)
        assert process.stderr is not None
        assert "checking shards" in process.stderr.readline()
        return process

    process, _ = pause_midway(begin, lambda _: True, lambda _: False)
    os.killpg(process.pid, signal.SIGINT)
    process.send_signal(signal.SIGCONT)
    process.communicate(timeout=HANG_S)
    assert process.returncode == 130
