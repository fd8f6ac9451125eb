"""What is installed: the files of the wheel, and the versions of `constraints.txt`."""

import tomllib
from itertools import chain
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "tinct"
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOGS = PACKAGE / "training" / "logs"


def data_files() -> set[Path]:
    """Return the files beside the modules that a wheel holds, as pyproject.toml names them."""
    rows = SETTINGS["tool"]["setuptools"]["package-data"].items()
    folders = {ROOT.joinpath(*package.split(".")): patterns for package, patterns in rows}
    return {
        path for folder, patterns in folders.items() for p in patterns for path in folder.glob(p)
    }


def test_the_wheel_holds_every_file_but_logs() -> None:
    beside = {
        path
        for path in PACKAGE.rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc") and LOGS not in path.parents
    }
    assert data_files() == beside
    assert PACKAGE / "py.typed" in beside


def test_pinned_versions_are_within_the_bounds() -> None:
    project = SETTINGS["project"]
    texts = chain(project["dependencies"], *project["optional-dependencies"].values())
    wanted = {canonicalize_name(Requirement(text).name): Requirement(text) for text in texts}
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = dict(line.split("==") for line in lines if "==" in line)
    versions = {canonicalize_name(name): version for name, version in pinned.items()}
    del wanted["tinct"]  # the extra `dev` takes in the others
    for name, requirement in wanted.items():
        assert requirement.specifier.contains(versions[name]), name
        assert any(bound.operator == "<" for bound in requirement.specifier), name
