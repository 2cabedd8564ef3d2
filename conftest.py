"""Runs the examples in the docstrings as users would: in a folder that holds `photos.pcr`."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

if importlib.util.find_spec("apache_beam") is None:
    collect_ignore = ["pcr_tf/convert/beam.py"]


@pytest.fixture(scope="session")
def _folder_with_photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.small_dataset import make_dataset

    folder = tmp_path_factory.mktemp("examples")
    make_dataset(folder / "photos.pcr", num_examples=12, examples_per_record=1)
    manifest = {"manifest_version": 1, "class_names": ["ant", "bee", "cat"]}
    (folder / "photos.pcr" / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture(autouse=True)
def _example_surroundings(
    request: pytest.FixtureRequest,
    doctest_namespace: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = request.node.path.as_posix()
    if isinstance(request.node, pytest.DoctestItem) and any(
        f"pcr_tf/{part}/" in path for part in ("data", "format", "image")
    ):
        import tensorflow as tf

        import pcr_tf

        doctest_namespace.update(pcr_tf=pcr_tf, tf=tf)
        monkeypatch.chdir(request.getfixturevalue("_folder_with_photos"))
