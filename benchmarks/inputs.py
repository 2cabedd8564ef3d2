"""The photographs that benchmarks run on, and the same photographs as TFRecords and as PCR.

What is made is kept under --output_dir, so that only the first benchmark pays for it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Sequence

import tensorflow as tf
from absl import flags

from benchmarks import drawn_photographs

IMAGES = flags.DEFINE_string(
    "images",
    None,
    "Folder of class folders with JPEG files. By default imagenet-sample/ in the folder that the "
    "environment variable PCR_TEST_IMAGES names; without that, a drawn set.",
)
OUTPUT_DIR = flags.DEFINE_string(
    "output_dir",
    "build/benchmarks",
    "Folder for the results (NAME.json) and what they are made of.",
)
NUM_WORKERS = flags.DEFINE_integer(
    "num_workers", os.cpu_count(), "Processes that convert and draw.", lower_bound=1
)

_JPEG_SUFFIXES = frozenset((".jpg", ".jpeg"))


@dataclasses.dataclass(frozen=True)
class Photographs:
    """JPEG files in class folders.

    Attributes:
        folder: that holds the class folders.
        files: sorted paths of the JPEG files.
        origin: what they are, for the reader of a result.
    """

    folder: pathlib.Path
    files: tuple[pathlib.Path, ...]
    origin: str

    @property
    def source_bytes(self) -> int:
        """Total size of the files."""
        return sum(path.stat().st_size for path in self.files)

    @property
    def key(self) -> str:
        """Names this set of files; changes when one of them does."""
        digest = hashlib.sha256()
        for path in self.files:
            status = path.stat()
            digest.update(f"{path} {status.st_size} {status.st_mtime_ns}\n".encode())
        return digest.hexdigest()[:12]


def photographs() -> Photographs:
    """The photographs that the flags and the environment name.

    Raises:
        ValueError: the folder named by --images holds no JPEG files.
    """
    test_images = os.environ.get("PCR_TEST_IMAGES")
    if IMAGES.value is not None:
        folder, origin = pathlib.Path(IMAGES.value), f"photographs of {IMAGES.value}"
    elif test_images is not None:
        folder = pathlib.Path(test_images) / "imagenet-sample"
        origin = "ImageNet photographs (PCR_TEST_IMAGES)"
    else:
        folder = pathlib.Path(OUTPUT_DIR.value) / "drawn"
        origin = "drawn images (PCR_TEST_IMAGES is not set)"
        drawn_photographs.draw_set(
            folder, drawn_photographs.Settings(images_per_class=20), num_workers=NUM_WORKERS.value
        )
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _JPEG_SUFFIXES)
    if not files:
        raise ValueError(f"{folder}: expected JPEG files in class folders, found none")
    return Photographs(folder, tuple(files), origin)


def convert_command(
    sources: Sequence[str | os.PathLike[str]], output: str | os.PathLike[str], *flag_list: str
) -> list[str]:
    """The command line of a conversion job without the profile of the fidelities, whose time has
    nothing to do with the number of images.

    Args:
        sources: folders, files and patterns.
        output: folder of the data set.
        *flag_list: more flags, such as "--examples_per_record=64".
    """
    inputs = [f"--input={os.fspath(source)}" for source in sources]
    command = [sys.executable, "-m", "pcr_tf.cli.convert", *inputs]
    return [*command, f"--output={os.fspath(output)}", "--profile_images=0", *flag_list]


def convert(
    sources: Sequence[str | os.PathLike[str]], output: str | os.PathLike[str], *flag_list: str
) -> None:
    """Runs `convert_command` as users do: in a process of its own.

    Raises:
        RuntimeError: the command failed; the message holds what it said.
    """
    command = convert_command(sources, output, *flag_list)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit status {done.returncode}\n{done.stderr}")


def linked_copies(source: Photographs, copies: int) -> Photographs:
    """Class folders in which each photograph stands `copies` times, as links."""
    folder = pathlib.Path(OUTPUT_DIR.value) / f"linked-{source.key}-{copies}x"
    files = []
    for path in source.files:
        class_folder = folder / path.parent.relative_to(source.folder)
        class_folder.mkdir(parents=True, exist_ok=True)
        for copy in range(copies):
            link = class_folder / f"{path.stem}-{copy}{path.suffix}"
            if not link.is_symlink():
                link.symlink_to(path.resolve())
            files.append(link)
    return Photographs(folder, tuple(files), f"{source.origin}, {copies} times")


def tfrecords(source: Photographs, *, copies: int, num_shards: int) -> list[pathlib.Path]:
    """TFRecord files of tf.train.Example that hold each photograph some number of times.

    Args:
        source: the photographs.
        copies: examples per photograph.
        num_shards: files; example n goes to file n modulo their number.

    Returns:
        The paths, in order. Their features are image/encoded and image/class/label.
    """
    folder = pathlib.Path(OUTPUT_DIR.value) / f"tfrecords-{source.key}-{copies}x-{num_shards}"
    examples = [(path, number) for number, path in enumerate(source.files * copies)]
    return labelled_tfrecords(folder, examples, num_shards=num_shards)


def labelled_tfrecords(
    folder: pathlib.Path, examples: Sequence[tuple[pathlib.Path, int]], *, num_shards: int
) -> list[pathlib.Path]:
    """TFRecord files of tf.train.Example, made unless the folder is there.

    Args:
        folder: that holds them.
        examples: path of an image, and its label.
        num_shards: files; example n goes to file n modulo their number.

    Returns:
        The paths, in order. Their features are image/encoded and image/class/label.
    """
    paths = [folder / f"part-{n:05d}-of-{num_shards:05d}.tfrecord" for n in range(num_shards)]
    if folder.exists():
        return paths
    temporary = folder.with_suffix(".partial")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    writers = [tf.io.TFRecordWriter(str(temporary / path.name)) for path in paths]
    feature = tf.train.Feature
    for number, (path, label) in enumerate(examples):
        features = {
            "image/encoded": feature(bytes_list=tf.train.BytesList(value=[path.read_bytes()])),
            "image/class/label": feature(int64_list=tf.train.Int64List(value=[label])),
        }
        example = tf.train.Example(features=tf.train.Features(feature=features))
        writers[number % num_shards].write(example.SerializeToString())
    for writer in writers:
        writer.close()
    temporary.rename(folder)
    return paths


def pcr_dataset(
    source: Photographs,
    *,
    copies: int,
    num_shards: int,
    examples_per_record: int,
    scan_script: str = "standard",
) -> pathlib.Path:
    """The folder of a PCR data set with the examples of `tfrecords`, in the same order."""
    script = "" if scan_script == "standard" else f"-{scan_script}"
    folder = pathlib.Path(OUTPUT_DIR.value)
    folder /= f"pcr-{source.key}-{copies}x-{num_shards}-{examples_per_record}{script}"
    # The conversion job itself sees that nothing is left to do, or goes on where it stopped.
    convert(
        tfrecords(source, copies=copies, num_shards=num_shards),
        folder,
        f"--examples_per_record={examples_per_record}",
        f"--num_shards={num_shards}",
        f"--num_workers={NUM_WORKERS.value}",
        f"--scan_script={scan_script}",
        "--noshuffle",
        "--noprove",
        "--quiet",
    )
    return folder
