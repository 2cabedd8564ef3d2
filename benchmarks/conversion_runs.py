"""Timed runs of the conversion job, and of the bare libjpeg transcode that it is compared with."""

from __future__ import annotations

import pathlib
import shutil
import subprocess
import time

from absl import flags

from benchmarks import inputs

_CXX = flags.DEFINE_string(
    "cxx", "g++", "C++ compiler for the bare transcode; it needs libjpeg's headers."
)


def compile_bare_transcode() -> pathlib.Path:
    """Compiles bare_transcode.cc into --output_dir.

    Returns:
        The path of the program.

    Raises:
        subprocess.CalledProcessError: the compiler refused; it has said why.
    """
    source = pathlib.Path(__file__).with_name("bare_transcode.cc")
    program = pathlib.Path(inputs.OUTPUT_DIR.value) / "bare_transcode"
    program.parent.mkdir(parents=True, exist_ok=True)
    command = [_CXX.value, "-std=c++17", "-O2", "-o", str(program), str(source), "-ljpeg"]
    subprocess.run(command, check=True)
    return program


def bare_images_per_s(
    program: pathlib.Path, photographs: inputs.Photographs, processes: int
) -> float:
    """Rate of the bare transcode in `processes` processes, without the start of the program.

    Raises:
        RuntimeError: an image could not be read or re-coded.
    """
    done = subprocess.run(
        [str(program.resolve()), str(processes)],
        input="".join(f"{path}\n" for path in photographs.files),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{program}: exit status {done.returncode}: {done.stderr.strip()}")
    images, seconds = done.stdout.split()
    return int(images) / float(seconds)


def job_images_per_s(photographs: inputs.Photographs, num_workers: int, *flag_list: str) -> float:
    """Rate of a conversion job as a whole, its start and its end included; its output is removed.

    Args:
        photographs: what is converted.
        num_workers: processes.
        *flag_list: more flags of pcr-convert.

    Raises:
        RuntimeError: the command failed; the message holds what it said.
    """
    output = pathlib.Path(inputs.OUTPUT_DIR.value) / "conversion.pcr"
    shutil.rmtree(output, ignore_errors=True)
    begin = time.perf_counter()
    workers = f"--num_workers={num_workers}"
    inputs.convert([photographs.folder], output, workers, "--quiet", *flag_list)
    seconds = time.perf_counter() - begin
    shutil.rmtree(output)
    return len(photographs.files) / seconds
