r"""Measures reading without decoding over a link of known bandwidth and latency. Root only.

    python -m benchmarks.links [--mbit_per_s=100] [--stores=http,s3] [--delays_ms=0,100]
    python -m benchmarks.links --decode --scan_groups=2,5,10

nginx serves the files at one end, in a network namespace of its own; a token bucket (tc tbf) gives
the link its bandwidth, and benchmarks/delay.cc its latency. PcrDataset with its defaults, and
TFRecordDataset with several settings, whose best is the baseline, each read a data set at the other
end, in turn: whole and cold, from before it is opened to the last example. A window of time would
measure bursts instead: in one of 45 s, TFRecordDataset with sixteen parallel reads delivered three
times as much as the link carries, all of it fetched before. So that each read takes equally long,
the data set of each case has as many files as the link brings in --seconds. s3:// is read with the
client of tensorflow-io: to it, nginx is S3.

    python -m benchmarks.links --utilisation --stores=s3 --scan_groups=1,2 --seconds=30

Instead: how much of a 1 Gbit/s, 100 ms link PcrDataset uses, headers included, by number of reads
in flight.
"""

from __future__ import annotations

import json
import os
import pathlib
import sys
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

from absl import app, flags

from benchmarks import inputs, measure
from benchmarks.link import Link, LinkUnavailableError, compile_delay, make_link
from pcr_tf.format import open_dataset, write_side_index

_MBIT_PER_S = flags.DEFINE_integer("mbit_per_s", None, "Bandwidth; 100, or 1000 for utilisation.")
_DELAYS_MS = flags.DEFINE_list("delays_ms", None, "Round trips; 0,100, or 100 for utilisation.")
_STORES = flags.DEFINE_list("stores", ["http"], "Clients: http, s3.")
_SCAN_GROUPS = flags.DEFINE_list("scan_groups", ["1", "2", "5", "10"], "Fidelities.")
_UTILISATION = flags.DEFINE_boolean("utilisation", False, "Measure the use of the link.")
_READS_IN_FLIGHT = flags.DEFINE_list(
    "reads_in_flight", ["48"], "For --utilisation, beside the default."
)
_IMAGES_PER_RECORD = flags.DEFINE_integer("examples_per_record", 256, "As for pcr-convert.")
_DECODE = flags.DEFINE_boolean(
    "decode",
    False,
    "Make random crops of 224 pixels of each batch, by the fused op, on both sides.",
)
_SECONDS = flags.DEFINE_float(
    "seconds", 60.0, "Time that the link alone needs for what one measurement reads."
)
_ROUNDS = flags.DEFINE_integer("rounds", 3, "Measurements of each case.", lower_bound=1)

# Of a full Ethernet frame: what tbf counts, over what is left for data by the headers of Ethernet,
# IP and TCP with time stamps.
_FRAME_BYTES_PER_PAYLOAD_BYTE = 1514 / 1448

_TFRECORD = {
    "TFRecord, buffer 8 MiB": (8, 1),
    "TFRecord, buffer 4 MiB, 4 parallel reads": (4, 4),
    "TFRecord, buffer 1 MiB, 16 parallel reads": (1, 16),
}


def _mbit_per_s() -> int:
    return _MBIT_PER_S.value or (1000 if _UTILISATION.value else 100)


def _link_copies(files: Sequence[pathlib.Path], folder: pathlib.Path, read_bytes: float) -> int:
    """Fills `folder` with hard links to the files, all of them as often as it takes until a read of
    the folder fills the link for --seconds; returns how often.

    Args:
        read_bytes: of one copy of the files.
    """
    copies = max(1, round(_SECONDS.value * _mbit_per_s() * 125_000 / read_bytes))
    folder.mkdir(parents=True)
    for copy in range(copies):
        for path in files:
            os.link(path, folder / f"{copy:05d}-{path.name}")
    return copies


def _store(folder: pathlib.Path) -> dict[str, Any]:
    """Fills `folder`/bucket with both formats, PCR once for each fidelity; returns names, sizes."""
    photographs = inputs.photographs()
    records = inputs.tfrecords(photographs, copies=2, num_shards=2)
    source = inputs.pcr_dataset(
        photographs, copies=2, num_shards=2, examples_per_record=_IMAGES_PER_RECORD.value
    )
    index = open_dataset(source).index
    tfrecord_bytes = sum(path.stat().st_size for path in records)
    tfrecords = folder / "bucket" / "tfrecords"
    images = {"tfrecords": index.num_examples * _link_copies(records, tfrecords, tfrecord_bytes)}
    groups = list(map(int, _SCAN_GROUPS.value))
    for g in groups:
        pcr = folder / "bucket" / _pcr_folder(g)
        copies = _link_copies(sorted(source.glob("*.pcr")), pcr, index.prefix_bytes(g))
        images[pcr.name] = index.num_examples * copies
        write_side_index(pcr)
    return {
        "photographs": photographs.origin,
        "tfrecord_files": sorted(path.name for path in tfrecords.iterdir()),
        "tfrecord_bytes_per_image": tfrecord_bytes / index.num_examples,
        "pcr_bytes_per_image": {g: index.prefix_bytes(g) / index.num_examples for g in groups},
        "prefix_bytes": {g: index.prefix_bytes(g) / index.num_records for g in groups},
        "images": images,
    }


def _measure(
    link: Link, scheme: str, stored: Mapping[str, Any], cases: Mapping[str, Any]
) -> dict[str, list[float]]:
    task = {
        "url": link.url,
        "scheme": scheme,
        "rounds": _ROUNDS.value,
        "decode": _DECODE.value,
        "tfrecord_files": stored["tfrecord_files"],
        "images": stored["images"],
        "cases": cases,
    }
    command = [sys.executable, "-m", "benchmarks.links_reader", json.dumps(task)]
    with link.running_in_client(command) as process:
        measured, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command[:3])}: exit status {process.returncode}")
    values: dict[str, list[float]] = json.loads(measured)
    return values


def _pcr_folder(scan_groups: int) -> str:
    return f"photos-{scan_groups}.pcr"


def _pcr_case(scan_groups: int, reads_in_flight: int | None = None) -> dict[str, Any]:
    return {
        "folder": _pcr_folder(scan_groups),
        "scan_groups": scan_groups,
        "reads_in_flight": reads_in_flight,
    }


def _compare(link: Link, program: pathlib.Path, stored: Mapping[str, Any]) -> list[dict[str, Any]]:
    groups = list(map(int, _SCAN_GROUPS.value))
    cases: dict[str, Any] = {
        name: {"folder": "tfrecords", "buffer_mib": buffer_mib, "parallel_reads": reads}
        for name, (buffer_mib, reads) in _TFRECORD.items()
    }
    cases |= {f"PCR, {g} scan groups": _pcr_case(g) for g in groups}
    results = []
    mbit_per_s = _mbit_per_s()
    link.set_bandwidth(mbit_per_s)
    for scheme in _STORES.value:
        for delay_ms in map(int, _DELAYS_MS.value or ["0", "100"]):
            with link.delayed(delay_ms, program):
                rates = _measure(link, scheme, stored, cases)
            best = max(_TFRECORD, key=lambda name: measure.summarise(rates[name]).median)
            rows = []
            for g in groups:
                of_bytes = stored["tfrecord_bytes_per_image"] / stored["pcr_bytes_per_image"][g]
                name = f"PCR, {g} scan groups"
                ratio = measure.ratio(rates[name], rates[best])
                rows.append([name, f"{of_bytes:.2f}", str(ratio)])
            results.append(
                {"store": scheme, "delay_ms": delay_ms, "mbit_per_s": mbit_per_s}
                | {"baseline": best, "images_per_s": rates}
            )
            baseline = measure.summarise(rates[best]).median
            print(
                f"\n{scheme}, {mbit_per_s} Mbit/s, {delay_ms} ms; {best}: {baseline:.1f} images/s"
            )
            print(measure.table(["", "ratio of bytes", "ratio of images/s"], rows), flush=True)
    return results


def _utilisation(
    link: Link, program: pathlib.Path, stored: Mapping[str, Any]
) -> list[dict[str, Any]]:
    results = []
    mbit_per_s = _mbit_per_s()
    link.set_bandwidth(mbit_per_s)
    for scheme in _STORES.value:
        for delay_ms in map(int, _DELAYS_MS.value or ["100"]):
            cases = {
                f"{g} scan groups, {reads or 'default'} reads in flight": _pcr_case(g, reads)
                for g in map(int, _SCAN_GROUPS.value)
                for reads in (None, *map(int, _READS_IN_FLIGHT.value))
            }
            with link.delayed(delay_ms, program):
                rates = _measure(link, scheme, stored, cases)
            rows, used = [], {}
            for name, case in cases.items():
                g = case["scan_groups"]
                bytes_per_image = stored["pcr_bytes_per_image"][g] * _FRAME_BYTES_PER_PAYLOAD_BYTE
                used[name] = [8e-6 * rate * bytes_per_image / mbit_per_s for rate in rates[name]]
                summary = measure.summarise(used[name])
                prefix = f"{stored['prefix_bytes'][g] / 1e6:.1f}"
                rows.append(
                    [name, prefix, f"{summary.median:.2f}"]
                    + [f"{summary.smallest:.2f}-{summary.largest:.2f}"]
                )
            results.append(
                {"store": scheme, "delay_ms": delay_ms, "mbit_per_s": mbit_per_s, "used": used}
            )
            print(f"\n{scheme}, {mbit_per_s} Mbit/s, {delay_ms} ms")
            header = ["", "MB/read", "share of the link", "range"]
            print(measure.table(header, rows), flush=True)
    return results


def _plot(results: Sequence[Mapping[str, Any]], stored: Mapping[str, Any]) -> pathlib.Path:
    """Images/s over TFRecordDataset's by fidelity, beside the ratio of bytes."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    groups = list(map(int, _SCAN_GROUPS.value))
    figure, axes = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
    tfrecord = stored["tfrecord_bytes_per_image"]
    of_bytes = [tfrecord / stored["pcr_bytes_per_image"][g] for g in groups]
    positions = range(len(groups))
    for result in results:
        rates = result["images_per_s"]
        ratios = [
            measure.ratio(rates[f"PCR, {g} scan groups"], rates[result["baseline"]]) for g in groups
        ]
        label = f"{result['store']}, {result['delay_ms']} ms"
        axes.plot(positions, [ratio.of_medians for ratio in ratios], "o-", label=label)
    axes.plot(positions, of_bytes, "k--", label="ratio of bytes")  # On top: lines lie on it.
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xticks(positions, [str(g) for g in groups])
    axes.set_xlabel("scan groups read")
    axes.set_ylabel("images/s over TFRecordDataset's")
    axes.legend()
    path = pathlib.Path(inputs.OUTPUT_DIR.value) / "links.png"
    figure.savefig(path, dpi=120)
    return path


def main(argv: list[str]) -> None:
    """Measures, prints the tables, and writes links.json, links.png or link_utilisation.json."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    output = pathlib.Path(inputs.OUTPUT_DIR.value)
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="links-", dir=output) as name:
        folder = pathlib.Path(name).resolve()
        try:
            with make_link() as link:
                stored = _store(folder)
                with link.serve(folder, folder / "nginx"):
                    run = _utilisation if _UTILISATION.value else _compare
                    results = run(link, compile_delay(folder), stored)
        except LinkUnavailableError as error:
            print(f"Not measured: {error}", file=sys.stderr)
            return
    kind = "link_utilisation" if _UTILISATION.value else "links"
    print(measure.write_json(output, kind, {"stored": stored, "links": results}))
    if not _UTILISATION.value:
        print(_plot(results, stored))


if __name__ == "__main__":
    app.run(main)
