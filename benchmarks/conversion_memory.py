r"""Measures the peak memory of the processes of a conversion job at two sizes of data set.

    python -m benchmarks.conversion_memory [--images=/my/folder] [--copies=2,16]

What is measured is unique memory (USS: pages that no other process shares), sampled all along; a
worker holds the record that it writes, whose size --examples_per_record fixes, and not the data
set. The parent holds the listing, some 450 bytes an image.
"""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import shutil
import subprocess

import psutil
from absl import app, flags

from benchmarks import inputs, measure

_COPIES = flags.DEFINE_list("copies", ["2", "16"], "Times each photograph is converted.")
_SAMPLE_INTERVAL_S = 0.02


@dataclasses.dataclass
class _Peaks:
    """Largest unique memory seen: of the parent, and by process id of each worker."""

    parent_bytes: int = 0
    worker_bytes: dict[int, int] = dataclasses.field(default_factory=dict)

    def sample(self, parent: psutil.Process) -> None:
        """Looks at the parent and its workers, as far as they are there."""
        with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            self.parent_bytes = max(self.parent_bytes, parent.memory_full_info().uss)
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in parent.children():
                with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                    # The other child is multiprocessing's resource tracker.
                    if any("spawn_main" in argument for argument in child.cmdline()):
                        used = child.memory_full_info().uss
                        self.worker_bytes[child.pid] = max(
                            self.worker_bytes.get(child.pid, 0), used
                        )


def _job_peaks(photographs: inputs.Photographs) -> _Peaks:
    output = pathlib.Path(inputs.OUTPUT_DIR.value) / "conversion.pcr"
    shutil.rmtree(output, ignore_errors=True)
    workers = f"--num_workers={inputs.NUM_WORKERS.value}"
    command = inputs.convert_command([photographs.folder], output, workers, "--quiet")
    peaks = _Peaks()
    with psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as job:
        while True:
            peaks.sample(job)
            try:
                job.wait(_SAMPLE_INTERVAL_S)
                break
            except psutil.TimeoutExpired:
                continue
        said = job.stderr.read()
    if job.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit status {job.returncode}\n{said}")
    shutil.rmtree(output)
    return peaks


def main(argv: list[str]) -> None:
    """Measures, prints the table and writes conversion_memory.json."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    source = inputs.photographs()
    by_images = {}
    for copies in sorted(map(int, _COPIES.value)):
        photographs = inputs.linked_copies(source, copies)
        by_images[len(photographs.files)] = _job_peaks(photographs)
    rows = [
        [
            f"{images:,}",
            f"{peaks.parent_bytes / 1e6:.1f}",
            ", ".join(f"{used / 1e6:.1f}" for used in sorted(peaks.worker_bytes.values())),
        ]
        for images, peaks in by_images.items()
    ]
    print(f"{source.origin}, mean {source.source_bytes / len(source.files) / 1e3:.0f} KB")
    print(measure.table(["images", "parent, MB", "each worker, MB"], rows))
    result = {
        "photographs": source.origin,
        "num_workers": inputs.NUM_WORKERS.value,
        "peak_unique_bytes": {
            str(images): {
                "parent": peaks.parent_bytes,
                "workers": sorted(peaks.worker_bytes.values()),
            }
            for images, peaks in by_images.items()
        },
    }
    print(measure.write_json(inputs.OUTPUT_DIR.value, "conversion_memory", result))


if __name__ == "__main__":
    app.run(main)
