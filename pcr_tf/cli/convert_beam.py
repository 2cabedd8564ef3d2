"""Converts labelled photographs to a PCR data set on many machines, with Apache Beam.

  pcr-convert-beam --input=gs://bucket/photos --output=gs://bucket/photos.pcr -- \\
    --runner=DataflowRunner --project=... --region=... --num_workers=50

Takes the flags of pcr-convert, and makes the same bytes. Options of Apache Beam, and of the runner
that it is to use, stand behind -- (pip install 'pcr-tf[beam]'). Without any, the job runs in this
process. A job that was stopped, by whatever, goes on when the same command is given again.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import Any

from absl import flags

from pcr_tf.cli.command import UsageError, as_flags, run_command
from pcr_tf.cli.convert import exit_status
from pcr_tf.cli.convert_flags import (
    SECTIONS,
    define_job_flags,
    to_options,
    with_flag_files_of_the_package,
)
from pcr_tf.convert import ConvertError
from pcr_tf.convert.job.class_text import class_lines
from pcr_tf.convert.job.conversion import split_options
from pcr_tf.convert.job.manifest import finished_manifest
from pcr_tf.convert.job.remarks import remarks, turned_images

NAME = "pcr-convert-beam"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command on `argv` (None: the process's arguments); returns the exit status."""
    arguments = with_flag_files_of_the_package(sys.argv[1:] if argv is None else argv)
    ours, beams = arguments, []
    if "--" in arguments:
        border = arguments.index("--")
        ours, beams = arguments[:border], arguments[border + 1 :]
    values = define_job_flags()

    def body(positional: list[str]) -> int:
        if positional:
            raise UsageError(
                f"unexpected argument {positional[0]!r}; name inputs with --input, and put the "
                "options of Apache Beam behind --"
            )
        if not values.input or not values.output:
            raise UsageError("--input and --output are needed")
        return _convert(values, beams)

    errors = (ConvertError, OSError, ValueError)
    return run_command(NAME, __doc__ or "", values, body, ours, errors, SECTIONS)


def _convert(values: flags.FlagValues, beam_options: list[str]) -> int:
    try:
        import apache_beam as beam
        from apache_beam.options.pipeline_options import PipelineOptions

        from pcr_tf.convert.beam import ConvertToPcr
    except ImportError as error:
        raise ConvertError(f"needs Apache Beam: {error}; install pcr-tf[beam]") from error

    jobs = split_options(to_options(values))
    if not any(option.split("=")[0] == "--runner" for option in beam_options):
        beam_options = ["--runner=FnApiRunner", *beam_options]
    pipeline = beam.Pipeline(options=PipelineOptions(beam_options))
    for job in jobs:
        _ = pipeline | f"Convert {job.part}".strip() >> ConvertToPcr(job)
    _run(pipeline)
    manifests = {job.output: finished_manifest(job.output) for job in jobs}
    for output, manifest in manifests.items():
        counts, dataset = manifest["counts"], manifest["dataset"]
        print(
            f"{output}: {counts['images']} images in {dataset['records']} records, "
            f"{dataset['shards']} shards; {counts['opaque']} kept as is, {counts['encoded']} "
            f"encoded, {counts['skipped']} skipped"
        )
        notes = [f"{heading}: {text}" for heading, text in class_lines(manifest)]
        notes += remarks(manifest)
        if text := turned_images(manifest):
            notes.append(f"warning: {text}")
        for note in notes:
            print(as_flags(f"{output}: {note}", values))
    return exit_status(values, NAME, manifests)


def _run(pipeline: Any) -> None:
    """Runs a pipeline to its end.

    Raises:
        ConvertError: what a worker's ConvertError or OSError said, if it was one.
        RuntimeError: any other error of a worker, with its traceback.
    """
    try:
        state = pipeline.run().wait_until_finish()
    except (ConvertError, RuntimeError) as error:
        # From other processes the traceback comes as text.
        text = re.sub(r" \[while running [^\]]*\]", "", str(error))
        kinds: list[type[OSError]] = [OSError, *OSError.__subclasses__()]
        names = "|".join(kind.__name__ for kind in kinds)
        said = re.findall(rf"^(?:pcr_tf\.convert\.errors\.\w+|{names}): (.*)$", text, re.MULTILINE)
        if isinstance(error, RuntimeError) and not said:
            raise
        raise ConvertError(said[-1] if said else text) from error
    if state is not None and str(state) != "DONE":
        raise ConvertError(f"the pipeline ended as {state}; run the same command again to go on")


if __name__ == "__main__":
    sys.exit(main())
