"""Measuring scan scripts, searching for them, and those that come with the package."""

from __future__ import annotations

import io
import itertools
import json
import random
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pcr_tf import _native
from pcr_tf.cli.scan_scripts import main
from pcr_tf.convert import ConvertError
from pcr_tf.convert.sources import Source, make_source
from pcr_tf.format import open_dataset
from pcr_tf.format.scan_scripts import load_scan_script, named_scripts
from pcr_tf.format.summary import summarize
from pcr_tf.scan_scripts import (
    Band,
    FoundScript,
    Goal,
    ScanCosts,
    ScanSpace,
    ScriptFigures,
    draw_sample,
    find_script,
    measure_costs,
    measure_scripts,
    pareto_front,
    script_text,
)
from pcr_tf.scan_scripts.measure import prefixes
from pcr_tf.scan_scripts.search import Searcher
from pcr_tf.scan_scripts.space import covering_paths, first_dc, scans_of
from tests.conversion import jpeg, make_class_folders, png, run
from tests.test_convert import convert

_SPACE = ScanSpace(luma=Band((1, 6, 21), levels=3), chroma=Band((1, 6), levels=2))


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Class folders of 6 images of 192 x 176, in colour, and one PNG."""
    root = tmp_path_factory.mktemp("photographs")
    for number in range(6):
        folder = root / f"class-{number % 2}"
        folder.mkdir(exist_ok=True)
        (folder / f"{number}.jpg").write_bytes(jpeg(number, 192, 176))
    (root / "class-0" / "odd.png").write_bytes(png())
    return root


@pytest.fixture(scope="module")
def costs() -> ScanCosts:
    return measure_costs([jpeg(1, 192, 176), jpeg(2, 192, 192, subsampling=0)], _SPACE)


# The scripts of the package


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("name", named_scripts())
def test_a_script_of_the_package_loses_nothing(name: str, mode: str) -> None:
    image = jpeg(3, 100, 75, mode)
    coded = _native.transcode(image, _native.ScanScript(load_scan_script(name)))
    assert coded.coding == "progressive"
    versions = prefixes(coded)
    assert _native.same_coefficients(image, versions[-1]) == ""
    for version in versions:
        with Image.open(io.BytesIO(version)) as opened:
            assert opened.size == (100, 75)
            opened.load()


def _mean_loss(figures: ScriptFigures, low: float, high: float) -> float:
    """1 - MS-SSIM (6/8 luma) over shares of the bytes from low to high."""
    shares = np.array([row.source_share for row in figures.groups])
    similarities = [(row.ms_ssim or 0, row.ms_ssim_chroma or 0) for row in figures.groups]
    losses = 1 - np.array(similarities) @ [0.75, 0.25]
    budgets = np.linspace(low, high, 1000)
    return float(losses[np.searchsorted(shares, budgets, side="right") - 1].mean())


def test_scripts_are_good_at_what_they_are_for(test_images: Path) -> None:
    sample = draw_sample(_source(test_images / "imagenet-sample"), images=8, skip_images=16)
    texts = {name: load_scan_script(name) for name in named_scripts()}
    by_name = {f.name: f for f in measure_scripts(sample.images, texts, rounds=1)}
    early, late = (
        {name: _mean_loss(figures, low, high) for name, figures in by_name.items()}
        for low, high in ((0.1, 0.35), (0.1, 0.9))
    )
    assert early["early_detail"] < 0.8 * early["compact"] < 0.8 * early["standard"]
    assert late["early_detail"] < 0.9 * late["compact"]
    assert late["fast_decode"] < 0.7 * late["no_refinement"]
    full = {name: figures.groups[-1] for name, figures in by_name.items()}
    assert full["compact"].source_share < full["standard"].source_share
    assert full["early_detail"].source_share < full["standard"].source_share
    assert full["fast_decode"].source_share < full["no_refinement"].source_share


def test_fast_decode_goes_through_no_ac_coefficient_twice() -> None:
    lines = [line.partition("#")[0] for line in load_scan_script("fast_decode").splitlines()]
    scans = [entry.split(":")[1] for entry in "".join(lines).split(";") if entry.strip()]
    spectra = [tuple(int(n) for n in re.findall(r"\d+", scan)) for scan in scans]
    assert len(spectra) == 14
    assert all(ah == 0 for ss, _, ah, _ in spectra if ss > 0)


# A sample


def _source(folder: Path) -> Source:
    return make_source("auto", [str(folder)], ["image/encoded"])


def test_samples_of_one_seed_do_not_overlap(photographs: Path) -> None:
    first = draw_sample(_source(photographs), images=4, seed=5)
    rest = draw_sample(_source(photographs), images=4, skip_images=4, seed=5)
    assert len(first.images) == 4
    assert len(rest.images) == 2
    files = {path.read_bytes() for path in photographs.rglob("*.jpg")}
    assert {*first.images, *rest.images} == files
    assert first.source_bytes == sum(map(len, first.images))


def test_a_sample_follows_from_its_seed(photographs: Path) -> None:
    def images(seed: int) -> list[bytes]:
        return draw_sample(_source(photographs), images=6, seed=seed).images

    assert images(1) == images(1)
    assert any(images(1) != images(seed) for seed in range(2, 6))


def test_images_that_cannot_be_recoded_are_counted(photographs: Path) -> None:
    assert draw_sample(_source(photographs), images=100).left_out == 1


def test_an_empty_sample_is_refused(photographs: Path) -> None:
    with pytest.raises(ConvertError, match=r"expected more than 6 images .* got 6, and 1"):
        draw_sample(_source(photographs), images=1, skip_images=6)


@pytest.mark.parametrize(("images", "skip_images"), [(0, 0), (1, -1)])
def test_a_sample_of_a_number_out_of_range_is_refused(
    photographs: Path, images: int, skip_images: int
) -> None:
    with pytest.raises(ValueError, match="expected images of at least 1"):
        draw_sample(_source(photographs), images=images, skip_images=skip_images)


# Figures


def test_figures_agree_with_a_conversion(tmp_path: Path) -> None:
    source = make_class_folders(tmp_path / "in", width=192)
    sample = draw_sample(_source(source), images=100)
    (figures,) = measure_scripts(sample.images, {"compact": load_scan_script("compact")}, rounds=1)
    convert(source, tmp_path / "out", scan_script="compact")
    groups = summarize(tmp_path / "out").groups
    images = len(sample.images)
    for row, group in zip(figures.groups, groups, strict=True):
        assert row.scan_groups == group.scan_groups
        # Above them the files hold frames, and metadata in front of group 1.
        assert row.bytes_per_image * images < sum(g.group_bytes for g in groups[: row.scan_groups])
    assert images == open_dataset(tmp_path / "out").index.num_examples == 21


def test_the_bytes_of_a_group_are_those_that_the_writer_counts(photographs: Path) -> None:
    from pcr_tf.format.example import encode_example

    images = draw_sample(_source(photographs), images=100).images
    text = load_scan_script("standard")
    (figures,) = measure_scripts(images, {"standard": text}, rounds=1)
    writer = _native.ShardWriter(_native.ScanScript(text), ["image/encoded"], "test")
    writer.header()
    summaries = [
        writer.add_example(encode_example({"image/encoded": [image]}))[0] for image in images
    ]
    by_group = np.cumsum(np.sum([summary.group_bytes for summary in summaries], axis=0))
    measured = [row.bytes_per_image * len(images) for row in figures.groups]
    assert measured == pytest.approx(by_group)
    shares = [row.source_share for row in figures.groups]
    assert shares == pytest.approx(by_group / sum(map(len, images)))


def test_similarity_rises_to_one() -> None:
    (figures,) = measure_scripts(
        [jpeg(1, 200, 200)], {"standard": load_scan_script("standard")}, rounds=2
    )
    luma = [row.ms_ssim or 0.0 for row in figures.groups]
    colour = [row.ms_ssim_chroma or 0.0 for row in figures.groups]
    assert luma[0] < luma[1] < luma[4] < luma[-1] == pytest.approx(1)
    assert colour[0] < colour[3] < colour[-1] == pytest.approx(1)
    assert luma[2] == pytest.approx(luma[1], abs=0.01)  # Group 3 holds Cr alone.
    assert all(row.decode_ms > 0 for row in figures.groups)


def test_similarity_is_none_where_it_cannot_be_told() -> None:
    scripts = {"no_refinement": load_scan_script("no_refinement")}
    (small,) = measure_scripts([jpeg(1, 100, 200)], scripts, rounds=1)
    assert [row.ms_ssim for row in small.groups] == [None] * 5
    (grey,) = measure_scripts([jpeg(1, 200, 200, "L")], scripts, rounds=1)
    assert [row.ms_ssim_chroma for row in grey.groups] == [None] * 5
    assert grey.groups[0].ms_ssim is not None


def test_figures_of_no_image_are_refused() -> None:
    with pytest.raises(ValueError, match="expected images and at least 1 round; got 0, 3"):
        measure_scripts([], {"standard": load_scan_script("standard")})


# The command


def test_the_command_prints_writes_and_plots(photographs: Path, tmp_path: Path) -> None:
    (tmp_path / "my.txt").write_text(load_scan_script("no_refinement"))
    done = run(
        "scan_scripts",
        f"--input={photographs / 'class-0'},{photographs / 'class-1'}",
        f"--scripts=standard,{tmp_path / 'my.txt'}",
        "--sample_images=3",
        "--rounds=1",
        f"--json={tmp_path / 'figures.json'}",
        f"--plot={tmp_path / 'figures.png'}",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("3 images, ")
    assert sum(line.startswith("standard ") for line in done.stdout.splitlines()) == 10
    result = json.loads((tmp_path / "figures.json").read_text())
    assert (result["images"], result["sample_seed"]) == (3, 0)
    standard, mine = result["scripts"]
    assert (len(standard["groups"]), len(mine["groups"])) == (10, 5)
    assert mine["text"] == load_scan_script("no_refinement")
    with Image.open(tmp_path / "figures.png") as plot:
        assert plot.format == "PNG"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0,1,2: 0-0, 0, 0;\n0: 1-63, 0, 1;\n", "line 2: component 0, coefficient 1"),
        ("0,1,2: 0-0, 0, 0;\n\n0: 1-70, 0, 0;\n", "line 3: Se must lie in Ss..63"),
        ("# mine\n0: 1-5 0 2;\n", "line 2: the DC of component 0 must come before its AC"),
        ("0,1,2: 0-0, 0, zero;\n", "line 1: "),
        ("# nothing\n", "line 1: a script must hold a scan"),
    ],
)
def test_a_script_that_is_not_valid_is_named_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    script = tmp_path / "my.txt"
    script.write_text(text)
    assert main(["--input=nowhere", f"--scripts=compact,{script}"]) == 1
    said = capsys.readouterr().err
    assert f"{script}: scan script, {message}" in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--scripts=standard"], 2, "--input is needed"),
        (["--input=nowhere", "--search"], 2, "--search needs --output"),
        (["--input=nowhere", "photos"], 2, "unexpected argument 'photos'"),
        (["--input=nowhere"], 1, "nowhere: no such file or folder"),
        (["--input=nowhere", "--scripts=fast"], 1, "'fast': neither a file nor a script"),
        (["--input=x", "--search", "--output=y", "--budget=1"], 2, "--budget: expected two"),
        (["--input=x", "--search", "--output=y", "--budget=0.5,0.1"], 1, "ascending shares"),
        (["--input=x", "--sample_images=0"], 2, "sample_images"),
        (["--input=x", "--scripts="], 2, "--scripts: expected at least one, got none"),
        (["--input=x", "--input_format=table"], 2, "--input_format=table"),
        (["--input=x", "--input_format=tfds"], 2, "--input_format=tfds"),
        (["--input=x", "--json=no/such/a.json"], 1, "no/such: No such file or directory"),
        (["--input=x", "--plot=no/such/a.png"], 1, "no/such: No such file or directory"),
    ],
)
def test_a_wrong_command_line_is_explained(
    capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, message: str
) -> None:
    assert main(arguments) == status
    assert message in capsys.readouterr().err


def test_the_command_searches_and_writes_what_it_found(
    photographs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # The space of a real search takes 10 s for each image.
    monkeypatch.setattr("pcr_tf.scan_scripts.scan_costs.ScanSpace", lambda: _SPACE)
    arguments = [f"--input={photographs}", "--sample_images=2", "--search", "--max_groups=6"]
    texts = []
    for name in ("first", "second"):
        assert main([*arguments, f"--output={tmp_path / name}"]) == 0
        texts.append([path.read_text() for path in sorted((tmp_path / name).iterdir())])
    assert texts[0] == texts[1]
    assert all(_native.ScanScript(text).num_groups <= 6 for text in texts[0])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 * (2 + len(texts[0]))  # What was drawn, a heading, and the scripts.
    assert main([*arguments, f"--output={tmp_path / 'first'}"]) == 1
    assert "expected a new or empty folder" in capsys.readouterr().err


# The space of a search


@pytest.mark.parametrize("band", [_SPACE.luma, _SPACE.chroma, ScanSpace().chroma])
def test_few_scripts_meet_all_scans_and_states(band: Band) -> None:
    paths = covering_paths(band)
    for path in paths:
        states = [band.nothing, *(step.after for step in path)]
        assert states[-1] == band.everything
        for before, step in zip(states, path, strict=False):
            assert step in band.steps(before)
    met = {step[:4] for path in paths for step in path}
    assert met == {step[:4] for state in band.states for step in band.steps(state)}
    assert {step.after for path in paths for step in path} == {*band.states} - {band.nothing}


@pytest.mark.parametrize("edges", [(), (2, 5), (1, 5, 5), (1, 64)])
def test_bands_that_do_not_ascend_from_one_are_refused(edges: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="edges must ascend from 1"):
        Band(edges, levels=3)


def _random_script(space: ScanSpace, rng: random.Random) -> list[list]:
    """A script of the space, every scan in a group of its own."""
    left = {c: space.band(c).nothing for c in range(3)}
    dc = rng.choice((0, 1))
    scans = [first_dc(dc)]
    while left:
        component = rng.choice(list(left))
        band = space.band(component)
        step = rng.choice(list(band.steps(left[component])))
        scans += scans_of(component, [step])
        left[component] = step.after
        if step.after == band.everything:
            del left[component]
    return [[scan] for scan in scans] + ([[first_dc(0)._replace(ah=1)]] if dc else [])


@pytest.mark.parametrize("seed", range(8))
def test_the_bytes_of_a_scan_do_not_depend_on_its_script(costs: ScanCosts, seed: int) -> None:
    groups = _random_script(_SPACE, random.Random(seed))
    script = _native.ScanScript(script_text(groups))
    images = [jpeg(1, 192, 176), jpeg(2, 192, 192, subsampling=0)]
    sizes = [_native.transcode(image, script).group_sizes for image in images]
    measured = [costs.scan_bytes[scan] for (scan,) in groups]
    assert np.mean(sizes, axis=0).tolist() == measured


@pytest.mark.parametrize("seed", range(3))
def test_the_loss_of_a_state_does_not_depend_on_its_script(costs: ScanCosts, seed: int) -> None:
    images = [jpeg(1, 192, 176), jpeg(2, 192, 192, subsampling=0)]
    goal = Goal(budget=(0.1 + 0.2 * seed, 0.5 + 0.2 * seed), size_weight=0.1)
    found = find_script(costs, goal)
    (figures,) = measure_scripts(images, {"found": found.text}, rounds=1)
    assert [row.source_share for row in figures.groups] == pytest.approx(found.shares)
    measured = [
        1 - 0.75 * (row.ms_ssim or 0) - 0.25 * (row.ms_ssim_chroma or 0) for row in figures.groups
    ]
    # Colours are measured on complete luma, where fewer of them are clipped.
    assert measured == pytest.approx(found.losses, abs=2e-3)
    assert found.losses[-1] == pytest.approx(0, abs=1e-5)


# The search


def test_a_script_that_was_found_is_valid_and_within_its_groups(costs: ScanCosts) -> None:
    for max_groups in (1, 2, 5):
        found = find_script(costs, Goal(max_groups=max_groups))
        script = _native.ScanScript(found.text)
        assert script.num_groups == len(found.groups) <= max_groups
        image = jpeg(1, 192, 176)
        coded = _native.transcode(image, script)
        assert coded.coding == "progressive"
        assert _native.same_coefficients(image, prefixes(coded)[-1]) == ""


def test_a_search_has_the_same_result_each_time(costs: ScanCosts) -> None:
    again = measure_costs([jpeg(1, 192, 176), jpeg(2, 192, 192, subsampling=0)], _SPACE)
    assert again == costs
    assert find_script(again, Goal()).text == find_script(costs, Goal()).text


def test_no_random_script_is_better(costs: ScanCosts) -> None:
    """With as many groups as scans, but for the bytes spent in a state, the result is exact."""
    goal = Goal(budget=(0.1, 0.9), size_weight=0.2, decode_weight=0.01, max_groups=100)
    found = find_script(costs, goal)
    searcher, rng = Searcher(costs), random.Random(0)
    for _ in range(300):
        scans = list(itertools.chain(*_random_script(_SPACE, rng)))
        assert searcher.grouped(scans, goal).cost > 0.995 * found.cost


def test_weights_trade_loss_for_size_and_decoding(costs: ScanCosts) -> None:
    def found(size_weight: float, decode_weight: float) -> FoundScript:
        return find_script(costs, Goal((0.05, 0.5), size_weight, decode_weight))

    early, small, fast = found(0, 0), found(100, 0), found(0, 100)
    assert early.mean_loss < min(small.mean_loss, fast.mean_loss)
    assert small.size_share <= min(early.size_share, fast.size_share)
    assert fast.decode_ms <= min(early.decode_ms, small.decode_ms)
    assert all(scan.ah == 0 for group in fast.groups for scan in group)


def test_no_script_of_a_front_is_beaten(costs: ScanCosts) -> None:
    goals = [Goal((0.05, 0.5), size, decode) for size in (0.01, 1) for decode in (0, 0.1)]
    front = pareto_front(costs, goals)
    assert len({script.text for script in front}) == len(front) >= 2
    for a, b in itertools.permutations(front, 2):
        assert a.size_share < b.size_share or a.mean_loss < b.mean_loss or a.decode_ms < b.decode_ms
    assert [s.size_share for s in front] == sorted(s.size_share for s in front)


@pytest.mark.parametrize(
    "goal",
    [
        {"budget": (0.5, 0.1)},
        {"budget": (-0.1, 0.1)},
        {"size_weight": -1},
        {"decode_weight": -1},
        {"max_groups": 0},
        {"max_groups": 101},
    ],
)
def test_a_goal_out_of_range_is_refused(goal: dict) -> None:
    with pytest.raises(ValueError, match=r"expected .* got"):
        Goal(**goal)


def test_costs_need_a_large_image_in_colour() -> None:
    with pytest.raises(ValueError, match="got 1 images, none of them such a one"):
        measure_costs([jpeg(1, 192, 176, "L")], _SPACE)
    with pytest.raises(ValueError, match="got 1 images, none of them such a one"):
        measure_costs([jpeg(1, 96, 176)], _SPACE)
