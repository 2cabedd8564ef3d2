"""Measures scan scripts on a sample of your images, or searches for one that suits them.

  pcr-scan-scripts --input=photos/ --scripts=standard,compact,my.txt --plot=scripts.png
  pcr-scan-scripts --input=photos/ --sample_images=24 --search --output=found/

For each scan group of each script: bytes, share of the source's bytes, MS-SSIM to the full image,
and processor time of decoding. --search writes the scripts that no other one of a large space beats
in size, MS-SSIM and decoding at once. docs/SCAN_SCRIPTS.md tells about both.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from absl import flags

from pcr_tf.cli.command import UsageError, run_command, split_paths
from pcr_tf.convert import ConvertError
from pcr_tf.convert.sources import KINDS, make_source
from pcr_tf.convert.sources.files.tfds import TfdsSource
from pcr_tf.convert.sources.tables.table import TableSource
from pcr_tf.format import filesystem, scan_scripts

if TYPE_CHECKING:
    from pcr_tf.scan_scripts import ImageSample

NAME = "pcr-scan-scripts"

# The sources that need nothing but their inputs.
_KINDS = tuple(kind for kind in KINDS if kind not in (TableSource.kind, TfdsSource.kind))

# The goals of a search, as (size_weight, decode_weight): from none to much regard to the whole.
_WEIGHTS = (
    (0.03, 0.0),
    (0.03, 0.001),
    (0.3, 0.0),
    (0.3, 0.004),
    (0.3, 0.015),
    (1.0, 0.004),
    (1.0, 0.008),
    (3.0, 0.03),
)


def _define_flags() -> flags.FlagValues:
    values = flags.FlagValues()
    flags.DEFINE_multi_string(
        "input",
        [],
        "folders, files and quoted patterns, as for pcr-convert, separated by commas; may be "
        "repeated",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "input_format",
        "auto",
        ["auto", *_KINDS],
        "what the input is; auto looks at it. The images of a table are those of its folders: name "
        "them",
        flag_values=values,
    )
    flags.DEFINE_list(
        "image_feature",
        ["image/encoded"],
        "key of the feature that holds the image, or several",
        flag_values=values,
    )
    flags.DEFINE_integer("sample_images", 100, "images to draw", 1, flag_values=values)
    flags.DEFINE_integer(
        "skip_images",
        0,
        "images of the sample's order to leave out before: those that a search has seen",
        0,
        flag_values=values,
    )
    flags.DEFINE_integer(
        "sample_seed", 0, "which images are drawn follows from it", flag_values=values
    )
    flags.DEFINE_list(
        "scripts",
        list(scan_scripts.named_scripts()),
        "separated by commas: scan scripts of the package, or files in the form that jpegtran "
        "-scans reads",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "rounds", 3, "how often each image is decoded at each fidelity", 1, flag_values=values
    )
    flags.DEFINE_string("json", "", "file to write the figures to", flag_values=values)
    flags.DEFINE_string(
        "plot", "", "PNG file to plot the figures to; needs matplotlib", flag_values=values
    )
    flags.DEFINE_boolean("search", False, "search instead of measuring", flag_values=values)
    flags.DEFINE_list(
        "budget",
        ["0.05", "0.95"],
        "for --search: two shares of the source's bytes. Scripts are to lose little at fidelities "
        "between these",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "max_groups", 10, "for --search: scan groups of a script", 1, 100, flag_values=values
    )
    flags.DEFINE_string(
        "output", "", "for --search: folder to write the scripts found to", flag_values=values
    )
    return values


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command on `argv` (None: the process's arguments); returns the exit status."""
    values = _define_flags()

    def body(positional: list[str]) -> int:
        if positional:
            raise UsageError(f"unexpected argument {positional[0]!r}; name inputs with --input")
        if not values.input:
            raise UsageError("--input is needed")
        if not any(values.scripts):
            raise UsageError("--scripts: expected at least one, got none")
        if values.search:
            if not values.output:
                raise UsageError("--search needs --output")
            return _search(values)
        return _measure(values)

    return run_command(NAME, __doc__ or "", values, body, argv, (ConvertError, OSError, ValueError))


def _draw(values: flags.FlagValues) -> ImageSample:
    from pcr_tf.scan_scripts import draw_sample

    sample = draw_sample(
        make_source(values.input_format, split_paths(values.input), values.image_feature),
        images=values.sample_images,
        skip_images=values.skip_images,
        seed=values.sample_seed,
    )
    mean_kb = sample.source_bytes / len(sample.images) / 1000
    print(
        f"{len(sample.images)} images, {mean_kb:.1f} KB each; {sample.left_out} others cannot be "
        "read or re-coded"
    )
    return sample


@contextlib.contextmanager
def _progress(total: int, unit: str) -> Iterator[Callable[[int], None]]:
    """A bar in a terminal."""
    from tqdm import tqdm

    with tqdm(total=total, unit=f" {unit}", disable=not sys.stderr.isatty()) as bar:
        yield bar.update


def _measure(values: flags.FlagValues) -> int:
    from pcr_tf.scan_scripts import measure_scripts
    from pcr_tf.scan_scripts.measure import parse_script
    from pcr_tf.scan_scripts.report import figures_json, figures_table, load_pyplot, save_plot

    # What can be wrong is found before the images are read.
    texts = {name: scan_scripts.load_scan_script(name) for name in values.scripts}
    for name, text in texts.items():
        parse_script(name, text)
    for path in filter(None, (values.json, values.plot)):
        folder = filesystem.dirname(path)
        if not filesystem.is_remote(path) and not filesystem.is_dir(folder):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), folder)
    if values.plot:
        load_pyplot()
    sample = _draw(values)
    with _progress(len(sample.images) * (values.rounds + 1), "images") as on_progress:
        figures = measure_scripts(
            sample.images, texts, rounds=values.rounds, on_progress=on_progress
        )
    print(figures_table(figures))
    if values.json:
        facts = {
            "images": len(sample.images),
            "left_out": sample.left_out,
            "skip_images": values.skip_images,
            "sample_seed": values.sample_seed,
            "source_bytes": sample.source_bytes,
        }
        text = json.dumps(figures_json(figures, **facts), indent=1)
        filesystem.write_atomic(values.json, f"{text}\n".encode())
    if values.plot:
        save_plot(figures, values.plot, f"Scan scripts on {len(sample.images)} images")
    return 0


def _search(values: flags.FlagValues) -> int:
    from pcr_tf.scan_scripts import Goal, measure_costs, pareto_front, script_text
    from pcr_tf.scan_scripts.report import front_table

    budget = _budget(values.budget)
    goals = [
        Goal(budget, size_weight, decode_weight, values.max_groups)
        for size_weight, decode_weight in _WEIGHTS
    ]
    if os.path.isdir(values.output) and os.listdir(values.output):
        raise ValueError(f"{values.output}: expected a new or empty folder")
    sample = _draw(values)
    with _progress(len(sample.images), "images") as on_progress:
        costs = measure_costs(sample.images, on_progress=on_progress)
    with _progress(len(goals), "goals") as on_progress:
        front = pareto_front(costs, goals, on_progress=on_progress)
    os.makedirs(values.output, exist_ok=True)
    named = []
    for number, script in enumerate(front, start=1):
        path = os.path.join(values.output, f"found-{number:02d}.txt")
        comment = (
            f"Found by {NAME} on {len(sample.images)} images for a budget of "
            f"{budget[0]:.0%} to {budget[1]:.0%} of the bytes,\nsize weight "
            f"{script.goal.size_weight:g}, decode weight {script.goal.decode_weight:g}."
        )
        filesystem.write_atomic(path, script_text(script.groups, comment).encode())
        named.append((path, script))
    print(front_table(named))
    return 0


def _budget(texts: list[str]) -> tuple[float, float]:
    try:
        low, high = map(float, texts)
    except ValueError:
        raise UsageError(f"--budget: expected two shares, got {','.join(texts)}") from None
    return low, high


if __name__ == "__main__":
    sys.exit(main())
