"""What every test may use: photographs, if there are any, and settings of the property tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Deadlines, and the health check, measure the machine.
settings.register_profile(
    "dev", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow]
)
# On CI the same examples are tried every time.
settings.register_profile("ci", settings.get_profile("dev"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


@pytest.fixture(scope="session")
def test_images() -> Path:
    """The folder of photographs that PCR_TEST_IMAGES names, or skips the test."""
    folder = os.environ.get("PCR_TEST_IMAGES", "")
    if not folder:
        pytest.skip("needs photographs: set PCR_TEST_IMAGES to a folder of them")
    path = Path(folder)
    if not path.is_dir():
        pytest.fail(f"PCR_TEST_IMAGES: expected a folder, got {folder!r}")
    return path
