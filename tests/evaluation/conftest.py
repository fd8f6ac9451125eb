"""A results folder of the lab; it is measured once for a test run."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def results(clip_path: Path, make_once: Callable[[str, Callable[[Path], None]], Path]) -> Path:
    """12 frames of the clip through Tinct and the anchor at three QPs; nobody writes in it."""
    from lab_results import write_results

    folder = make_once("results", lambda folder: write_results(clip_path, folder / "results"))
    return folder / "results"


@pytest.fixture
def copy(results: Path, tmp_path: Path) -> Path:
    """A copy of the results folder for one test."""
    return shutil.copytree(results, tmp_path / "copy")
