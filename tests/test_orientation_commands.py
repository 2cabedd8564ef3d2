"""The commands on photographs that are stored turned: counted, named, checked and given back."""

from __future__ import annotations

import io
import json
import pathlib

import pytest
from PIL import Image as PillowImage

from pcr_tf import _native
from pcr_tf.convert import Export, ExportOptions
from pcr_tf.format import PcrReader, PcrWriter
from pcr_tf.format.summary import summarize
from pcr_tf.format.verify import verify_dataset
from tests import reference_writer as writer
from tests.conversion import ROOT, run
from tests.damage import ShardEditor
from tests.test_convert import convert
from tests.turned import turned_jpeg, with_segment

ORIENTATIONS = range(1, 9)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Eight orientations; a turned JPEG that is kept as it came; a photograph without EXIF."""
    folder = tmp_path_factory.mktemp("turned") / "in"
    (folder / "a").mkdir(parents=True)
    for orientation in ORIENTATIONS:
        (folder / "a" / f"{orientation}.jpg").write_bytes(turned_jpeg(orientation))
    (folder / "a" / "cut.jpg").write_bytes(turned_jpeg(6)[:-2])
    (folder / "a" / "plain.jpg").write_bytes(turned_jpeg(1, exif=0))
    return folder


@pytest.fixture(scope="module")
def dataset(source: pathlib.Path) -> pathlib.Path:
    """The data set of `source`."""
    convert(source, source.parent / "pcr", num_shards=2, profile_images=0)
    return source.parent / "pcr"


def test_the_manifest_and_the_summary_count_turned_images(dataset: pathlib.Path) -> None:
    counts = json.loads((dataset / "manifest.json").read_text())["counts"]
    # Opaque images carry their own EXIF.
    assert (counts["images"], counts["opaque"], counts["turned"]) == (10, 1, 8)
    summary = summarize(dataset, records=True)
    assert (summary.version, summary.turned) == ("1.1", 7)
    assert sum(record.turned for record in summary.records) == 7
    assert "7 turned (EXIF orientation)" in run("inspect", dataset).stdout


def test_the_conversion_ends_with_a_warning_that_says_what_to_do(
    source: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    flags = [f"--input={source}", "--profile_images=0", "--num_workers=0"]
    for _ in range(2):  # The second finds all done.
        done = run("convert", *flags, f"--output={tmp_path / 'out'}")
        assert done.returncode == 0, done.stderr
        assert "warning     8 images are stored turned (EXIF orientation)." in done.stdout
        assert "pass honor_orientation=True" in done.stdout


@pytest.mark.parametrize(("orientation", "said"), [(1, ""), (6, "1 image is stored turned")])
def test_one_turned_image_is_warned_of_and_an_upright_one_is_not(
    orientation: int, said: str, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "in" / "a").mkdir(parents=True)
    (tmp_path / "in" / "a" / "0.jpg").write_bytes(turned_jpeg(orientation))
    flags = [f"--input={tmp_path / 'in'}", f"--output={tmp_path / 'out'}", "--profile_images=0"]
    done = run("convert", *flags, "--num_workers=0")
    assert done.returncode == 0, done.stderr
    assert said in done.stdout
    assert ("warning" in done.stdout) == bool(said)


def test_an_image_that_is_encoded_anew_is_counted_as_it_is_stored(tmp_path: pathlib.Path) -> None:
    (tmp_path / "in" / "a").mkdir(parents=True)
    tags = PillowImage.Exif()
    tags[0x0112] = 6
    PillowImage.new("RGB", (64, 48)).save(tmp_path / "in" / "a" / "0.png", exif=tags)
    manifest = convert(
        tmp_path / "in", tmp_path / "out", on_unsupported="encode", profile_images=0
    ).manifest
    (image,) = [image for *_, image in PcrReader(tmp_path / "out").read_images(0, 1)]
    assert _native.exif_orientation(image) == 6
    assert manifest["counts"]["turned"] == 1


@pytest.mark.parametrize("scan_groups", [1, 4, 10])
def test_exported_files_have_their_orientation_at_every_fidelity(
    dataset: pathlib.Path, scan_groups: int, tmp_path: pathlib.Path
) -> None:
    options = ExportOptions(
        str(dataset), str(tmp_path / "out"), format="files", scan_groups=scan_groups, num_workers=0
    )
    Export(options).run(quiet=True)
    for orientation in ORIENTATIONS:
        image = (tmp_path / "out" / "a" / f"{orientation}.jpg").read_bytes()
        found = PillowImage.open(io.BytesIO(image)).getexif().get(0x0112)
        assert found == orientation if scan_groups == 10 or orientation > 1 else found is None
    assert b"Exif" not in (tmp_path / "out" / "a" / "plain.jpg").read_bytes()


def test_a_sound_data_set_of_turned_images_has_no_fault(
    dataset: pathlib.Path, source: pathlib.Path
) -> None:
    assert list(verify_dataset(dataset)) == []
    done = run("verify", dataset, f"--source={source}")
    assert done.returncode == 0, done.stdout


def test_an_orientation_that_is_not_the_exif_s_is_a_fault(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.pcr"
    with PcrWriter(path) as made:
        for orientation in (1, 6):
            image = writer.bytes_feature("image/encoded", [turned_jpeg(orientation)])
            made.write(writer.serialize([image]))
    sound = path.read_bytes()
    for values, got in (([0, 8], 8), ([0, 0], 1), ([3, 6], 3)):
        ShardEditor(sound).rewrite("metadata", {"pcr/orientations": values}).reindex().save(path)
        faults = list(verify_dataset(path))
        # At each fidelity but the full one.
        assert len(faults) == 9, faults
        assert all(f"EXIF orientation at {g} scan groups" in faults[g - 1] for g in range(1, 10))
        assert all(f"got {got}; convert it again" in fault for fault in faults)
    ShardEditor(sound).rewrite("metadata", {"pcr/orientations": None}).reindex().save(path)
    assert len(list(verify_dataset(path))) == 9


def test_a_file_of_1_0_is_sound_without_orientations(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.pcr"
    with PcrWriter(path) as made:
        image = writer.bytes_feature("image/encoded", [with_segment(turned_jpeg(6, exif=0), 6)])
        made.write(writer.serialize([image]))
    editor = ShardEditor(path).rewrite("metadata", {"pcr/orientations": None})
    editor.set_version(1, 0).save(path)
    assert list(verify_dataset(path)) == []
    assert summarize(path).turned == 0


def test_an_export_of_format_1_0_below_full_fidelity_warns_of_lost_orientations(
    dataset: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    old = ROOT / "tests" / "golden" / "v1" / "valid" / "colour_kinds.pcr"
    groups = PcrReader(old).num_groups
    for number, (path, fidelity, warns) in enumerate(
        [(old, 1, True), (old, groups, False), (old, None, False), (dataset, 1, False)]
    ):
        flags = [] if fidelity is None else [f"--scan_groups={fidelity}"]
        done = run("export", path, f"--output={tmp_path / str(number)}", *flags)
        assert done.returncode == 0, done.stderr
        assert ("are exported without it; convert the data set again" in done.stderr) == warns
