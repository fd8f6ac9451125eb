"""Who may import whom, who may print, and what the quick commands must not load."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "tinct"

# a module imports only modules above it
LAYERS = (
    "__init__", "errors", "interrupt", "limits", "paths", "torchrun", "config", "frames", "psnr", "colour", "planes", "ebml",
    "demux", "timing", "video", "extras", "matroska", "sink", "base", "propagate", "references", "keyframes", "losses", "weights",
    "allocation", "rounding", "colouriser", "container", "inband", "restore", "decoder", "samples", "rehearsal", "choices", "plan",
    "checkpoint", "objectives", "rivals", "adapt", "update", "tuning", "ratecontrol", "tracks", "encoder", "inspection", "engine",
    "batch", "page", "colouring", "evaluation", "training", "cli", "__main__",
)  # fmt: skip
DECODING = LAYERS[: LAYERS.index("decoder") + 1]
REACHES_UP = {"frames": {"colour"}}  # `Frame.rgb` is there for users; it imports when called


def sources(name: str) -> list[Path]:
    folder = PACKAGE / name
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [PACKAGE / f"{name}.py"]


def imports(path: Path) -> set[str]:
    """Modules of the package that a file names in imports anywhere, those for type checkers left out."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = []
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names} if node.module == "tinct" else {str(node.module)}
    return {name.split(".")[1] for name in found if name.startswith("tinct.")}


@pytest.mark.parametrize("name", LAYERS)
def test_a_module_imports_only_what_is_above_it(name: str) -> None:
    above = {*LAYERS[: LAYERS.index(name)], name, *REACHES_UP.get(name, ())}
    for path in sources(name):
        assert imports(path) <= above, path.name


def test_every_module_has_its_layer() -> None:
    found = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert found == set(LAYERS)


def test_the_decoder_stands_on_nothing_of_the_encoder() -> None:
    for name in DECODING:
        for path in sources(name):
            assert not imports(path) & {"encoder", "rehearsal", "plan", "adapt", "evaluation", "training"}, path.name


def test_only_the_command_line_prints() -> None:
    for name in LAYERS:
        for path in sources(name):
            calls = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)]
            program = name == "cli" or path.name == "usage.py"  # whose output is read by the process that starts it
            assert program or not any(call.func.id == "print" for call in calls), path.name  # type: ignore[attr-defined]


def loaded(code: str) -> set[str]:
    """Modules in a fresh interpreter after `code`."""
    report = f"import sys\ntry:\n    {code}\nexcept SystemExit:\n    pass\nprint(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", report], capture_output=True, check=True, text=True)
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize(
    "code", ["import tinct", "import tinct.cli; tinct.cli.main(['--help'])", "import tinct; tinct.EncodeConfig"]
)
def test_help_loads_no_video_library(code: str) -> None:
    assert not loaded(code) & {"av", "cv2", "torch", "rich"}


@pytest.mark.parametrize("command", ["info", "decode", "verify"])
def test_reading_loads_no_network(tinct_path: Path, tmp_path: Path, command: str) -> None:
    arguments = [command, str(tinct_path)] + ([str(tmp_path / "a.mkv")] if command == "decode" else [])
    names = loaded(f"import tinct.cli; tinct.cli.main({arguments})")
    assert "av" in names
    assert "torch" not in names
    assert "tinct.encoder" not in names
