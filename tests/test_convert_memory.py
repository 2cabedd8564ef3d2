"""The memory that workers of a conversion share."""

from __future__ import annotations

import io
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pcr_tf.convert import Conversion, ConvertError, ConvertOptions
from pcr_tf.convert.job.memory import (
    MemoryBudget,
    coding_bytes,
    default_max_memory_bytes,
    parse_bytes,
)
from tests.conversion import digests, make_class_folders
from tests.small_dataset import draw_jpeg


def encode(width: int, height: int, mode: str, **options: int) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 255, (height // 8 + 1, width // 8 + 1), np.uint8)
    picture = Image.fromarray(pixels).resize((width, height)).convert(mode)
    out = io.BytesIO()
    picture.save(out, "JPEG", **options)
    return out.getvalue()


# By how much a process grows that re-codes its standard input, in bytes. (ru_maxrss is no less than
# the parent's.)
PEAK = """
import re, sys
from pcr_tf import _native
from pcr_tf.format.scan_scripts import load_scan_script

def peak_bytes():
    return 1024 * int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])

script = _native.ScanScript(load_scan_script("standard"))
image = sys.stdin.buffer.read()
before = peak_bytes()
assert _native.transcode(image, script).coding == "progressive"
print(peak_bytes() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.parametrize(
    "image",
    [encode(4000, 4000, "L"), encode(2400, 2400, "RGB", subsampling=0)],
    ids=["grey", "4:4:4"],
)
def test_the_need_of_an_image_follows_from_its_header(image: bytes) -> None:
    run = subprocess.run([sys.executable, "-c", PEAK], input=image, capture_output=True, check=True)
    assert 0.8 * coding_bytes(image) < int(run.stdout) < 1.1 * coding_bytes(image)


def test_every_sampling_is_counted_in_whole_mcus() -> None:
    sizes = {(17, 9, 2): 2 * 1 * 6, (16, 16, 0): 4 * 3, (17, 9, 1): 2 * 2 * 4}
    for (width, height, subsampling), blocks in sizes.items():
        image = encode(width, height, "RGB", subsampling=subsampling)
        assert coding_bytes(image) == 264 * blocks + 2 * len(image)


@pytest.mark.parametrize(
    "image",
    [b"", b"\xff\xd8", b"\x89PNG\r\n", b"\xff\xd8\xff\xc0\0\2", b"\xff\xd8\xff\xff\xff\xff"],
)
def test_what_is_no_whole_jpeg_needs_no_more_than_its_bytes(image: bytes) -> None:
    assert coding_bytes(image) == 2 * len(image)


def test_a_header_does_not_claim_more_than_would_be_spent_on_it() -> None:
    image = draw_jpeg(0)
    at = image.index(b"\xff\xc0") + 5
    huge = image[:at] + b"\xff\xdc\xff\xdc" + image[at + 4 :]
    assert coding_bytes(huge) < 70 << 20


def test_no_more_is_held_than_there_is_and_what_is_larger_is_alone() -> None:
    total = 100
    budget = MemoryBudget(total)
    lock = threading.Lock()
    held: list[int] = []
    wrong: list[list[int]] = []

    def use(seed: int) -> None:
        drawn = random.Random(seed)
        for _ in range(50):
            needed = drawn.choice([0, 1, 10, 60, 100, 1000])
            with budget.hold(needed):
                with lock:
                    held.append(needed)
                    if sum(min(one, total) for one in held) > total:
                        wrong.append(list(held))
                with lock:
                    held.remove(needed)

    threads = [threading.Thread(target=use, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert not wrong
    with budget.hold(total):  # All of it came back.
        pass


def test_what_an_error_ends_gives_back_what_it_held() -> None:
    budget = MemoryBudget(10)
    for _ in range(3):
        with pytest.raises(KeyError), budget.hold(10):
            raise KeyError


def test_a_large_image_is_not_overtaken_by_small_ones_for_ever() -> None:
    budget = MemoryBudget(100)
    entered: list[str] = []

    def use(name: str, needed: int) -> None:
        with budget.hold(needed):
            entered.append(name)

    large = threading.Thread(target=use, args=("large", 100))
    small = threading.Thread(target=use, args=("small", 1))
    with budget.hold(1):
        large.start()
        while budget._turn.acquire(block=False):  # Until the large one is in line.
            budget._turn.release()
            time.sleep(0.001)
        small.start()
    large.join(60)
    small.join(60)
    assert entered == ["large", "small"]


def test_the_result_does_not_depend_on_the_budget(tmp_path: Path) -> None:
    make_class_folders(tmp_path / "in")
    outputs = {}
    for name, budget in (("one", 1), ("some", 1 << 20), ("default", None)):
        options = ConvertOptions(
            inputs=(str(tmp_path / "in"),),
            output=str(tmp_path / name),
            examples_per_record=4,
            num_workers=2,
            max_memory_bytes=budget,
            profile_images=0,
        )
        Conversion(options).run(quiet=True)
        outputs[name] = digests(tmp_path / name)
    assert outputs["one"] == outputs["some"] == outputs["default"]
    assert len(outputs["one"]) > 3


def test_texts_of_bytes_have_units() -> None:
    sizes = {"1000": 1000, "8G": 8 << 30, "1.5GiB": 3 << 29, "500 MB": 500 << 20, "2k": 2048}
    assert {text: parse_bytes(text) for text in sizes} == sizes
    for text in ("", "G", "-1G", "8X", "0", "1e3", "8 G B"):
        with pytest.raises(ConvertError, match="`max_memory_bytes`; expected"):
            parse_bytes(text)
    with pytest.raises(ConvertError, match="max_memory_bytes"):
        ConvertOptions(inputs=("a",), output="b", max_memory_bytes=0)


def test_the_default_is_a_share_of_the_machine() -> None:
    assert 64 << 20 < default_max_memory_bytes() < 1 << 50
