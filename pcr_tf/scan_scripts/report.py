"""Figures of scan scripts as text, JSON values and a plot."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pcr_tf.scan_scripts.measure import ScriptFigures
from pcr_tf.scan_scripts.search import FoundScript


def figures_table(scripts: Sequence[ScriptFigures]) -> str:
    """One line for each script and fidelity."""
    names = max(len("script"), *(len(script.name) for script in scripts))
    lines = [
        f"{'script':{names}}  groups  KB/image   share  MS-SSIM  MS-SSIM chroma  decode, ms",
    ]
    for script in scripts:
        for row in script.groups:
            luma, chroma = (_similarity(v) for v in (row.ms_ssim, row.ms_ssim_chroma))
            lines.append(
                f"{script.name:{names}}  {row.scan_groups:6d}  {row.bytes_per_image / 1000:8.1f}  "
                f"{row.source_share:6.1%}  {luma:>7}  {chroma:>14}  {row.decode_ms:10.2f}"
            )
        lines.append("")
    return "\n".join(lines[:-1])


def _similarity(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def figures_json(scripts: Sequence[ScriptFigures], **facts: Any) -> dict[str, Any]:
    """The same as JSON values, after facts of the measurement."""
    return {**facts, "scripts": [dataclasses.asdict(script) for script in scripts]}


def front_table(found: Sequence[tuple[str, FoundScript]]) -> str:
    """One line for each script of a search, by name.

    Decoding is what the model of the search says of the scans, without the rest of a decoder's
    work.
    """
    names = max(len("script"), *(len(name) for name, _ in found))
    lines = [
        f"{'script':{names}}    size  loss in budget  scans, ms  groups  scans  "
        "size weight  decode weight"
    ]
    lines += [
        f"{name:{names}}  {script.size_share:6.2%}  {script.mean_loss:14.5f}  "
        f"{script.decode_ms:9.2f}  {len(script.groups):6d}  {sum(map(len, script.groups)):5d}  "
        f"{script.goal.size_weight:11g}  {script.goal.decode_weight:13g}"
        for name, script in found
    ]
    return "\n".join(lines)


def load_pyplot() -> Any:
    """matplotlib's pyplot, drawing to files.

    Raises:
        ValueError: matplotlib is not installed; says how to install it.
    """
    try:
        import matplotlib
    except ImportError:
        raise ValueError("--plot needs matplotlib: pip install 'pcr-tf[plot]'") from None
    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


def save_plot(scripts: Sequence[ScriptFigures], path: str, title: str) -> None:
    """Saves a PNG: how similar, and how fast to decode, each share of the bytes is.

    Args:
        scripts: at least one.
        path: of the PNG file.
        title: says which images these are.

    Raises:
        ValueError: as `load_pyplot`.
    """
    pyplot = load_pyplot()
    figure, axes = pyplot.subplots(1, 3, figsize=(17, 5.2), layout="constrained")
    figure.suptitle(title)
    for script, marker in zip(scripts, "osD^vPX*<>" * len(scripts), strict=False):
        shares = [100 * row.source_share for row in script.groups]
        label = Path(script.name).stem
        for axis, values, style in (
            # Between two groups a reader has what the lower one shows.
            (axes[0], [_loss(row.ms_ssim) for row in script.groups], "steps-post"),
            (axes[1], [_loss(row.ms_ssim_chroma) for row in script.groups], "steps-post"),
            (axes[2], [row.decode_ms for row in script.groups], "default"),
        ):
            axis.plot(
                shares,
                values,
                marker=marker,
                markersize=4,
                linewidth=1.2,
                label=label,
                drawstyle=style,
            )
    for axis, text in ((axes[0], "luma"), (axes[1], "chroma")):
        axis.set_yscale("log")
        axis.set_ylabel("1 - MS-SSIM to the full image (logarithmic)")
        axis.set_title(f"What is lost of {text}")
    axes[2].set_ylabel("ms of processor time per image")
    axes[2].set_ylim(bottom=0)
    axes[2].set_title("What decoding costs")
    for axis in axes:
        axis.set_xlabel("bytes of the scan groups, % of the source's (points: groups)")
        axis.set_xlim(left=0)
        axis.grid(alpha=0.3, which="both")
        axis.legend()
    figure.savefig(path, dpi=100)
    pyplot.close(figure)


def _loss(similarity: float | None) -> float:
    # At 0 a logarithmic axis ends the line, as it does where there is no similarity.
    return float("nan") if similarity is None or similarity >= 1 else 1 - similarity
