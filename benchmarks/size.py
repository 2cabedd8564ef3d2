r"""Measures the size of PCR data sets beside the source JPEGs and beside TFRecords of them.

    python -m benchmarks.size [--images=/my/folder] [--scan_scripts=standard,other]

The size of a PCR data set is that of all files of its folder, side index and manifest included.
"""

from __future__ import annotations

import pathlib

from absl import app, flags

from benchmarks import inputs, measure
from pcr_tf.format import scan_scripts
from pcr_tf.format.dataset_index import open_dataset

_SCAN_SCRIPTS = flags.DEFINE_list(
    "scan_scripts", None, "Scan scripts to measure: names or files. By default all of the package."
)
_IMAGES_PER_RECORD = flags.DEFINE_integer(
    "examples_per_record", 256, "As for pcr-convert.", lower_bound=1
)


def _folder_bytes(folder: pathlib.Path) -> int:
    files = (path for path in folder.iterdir() if path.is_file())
    return sum(path.stat().st_size for path in files)


def _converted(photographs: inputs.Photographs, script: str) -> pathlib.Path:
    name = f"size-{photographs.key}-{pathlib.Path(script).stem}-{_IMAGES_PER_RECORD.value}.pcr"
    folder = pathlib.Path(inputs.OUTPUT_DIR.value) / name
    inputs.convert(
        [photographs.folder],
        folder,
        f"--scan_script={script}",
        f"--examples_per_record={_IMAGES_PER_RECORD.value}",
        f"--num_workers={inputs.NUM_WORKERS.value}",
        "--noprove",
        "--quiet",
    )
    return folder


def main(argv: list[str]) -> None:
    """Measures, prints the table and writes size.json."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    photographs = inputs.photographs()
    records = inputs.tfrecords(photographs, copies=1, num_shards=1)
    sizes = {
        "source JPEG files": photographs.source_bytes,
        "TFRecords": sum(path.stat().st_size for path in records),
    }
    prefix_shares: dict[str, list[float]] = {}
    for script in _SCAN_SCRIPTS.value or list(scan_scripts.named_scripts()):
        folder = _converted(photographs, script)
        index = open_dataset(folder).index
        name = f"PCR, {pathlib.Path(script).stem}"
        sizes[name] = _folder_bytes(folder)
        groups = range(1, index.header.num_groups + 1)
        prefix_shares[name] = [index.prefix_bytes(g) / photographs.source_bytes for g in groups]
    rows = [
        [
            name,
            f"{size_bytes:,}",
            f"{size_bytes / photographs.source_bytes:.4f}",
            " ".join(f"{share:.3f}" for share in prefix_shares.get(name, [])),
        ]
        for name, size_bytes in sizes.items()
    ]
    print(f"{photographs.origin}: {len(photographs.files)} images")
    print(
        measure.table(["", "bytes", "ratio to source", "bytes read at 1, 2, ... scan groups"], rows)
    )
    result = {
        "photographs": photographs.origin,
        "images": len(photographs.files),
        "bytes": sizes,
        "ratio_to_source": {
            name: size_bytes / photographs.source_bytes for name, size_bytes in sizes.items()
        },
        "prefix_ratio_to_source": prefix_shares,
    }
    print(measure.write_json(inputs.OUTPUT_DIR.value, "size", result))


if __name__ == "__main__":
    app.run(main)
