"""What the benchmarks share: where results go, the command line, and the versions in a result."""

import argparse
import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
RESULTS = ROOT / "lab" / "results"
PICTURES = ROOT / "docs" / "pictures"
CLIPS = Path("../shared/clips")  # with the folders train/ and val/


def make_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser whose help is a benchmark's docstring, line by line."""
    return argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def find_clip(folder: Path, name: str) -> Path:
    """Return the video of that name, whatever its suffix."""
    return next(folder.glob(f"{name}.*"))


def read_versions(*packages: str) -> dict[str, str]:
    """Return the versions of packages and of Python."""
    return {**{name: version(name) for name in packages}, "python": platform.python_version()}


def write_document(path: Path, document: dict[str, Any]) -> None:
    """Write a benchmark's result as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n")
