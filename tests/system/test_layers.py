"""Who may import whom, who may print, and what the quick commands must not load."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent.parent / "tinct"

# A folder imports from the lines above its own, and from itself; the ground is single modules.
LAYERS = (
    (
        *("errors", "interrupt", "limits", "declaration", "psnr", "frames", "colour"),
        *("files", "workers", "text", "moments", "phases"),
    ),
    ("media", "motion", "page"),
    ("networks",),
    ("bitstream",),
    ("config",),
    ("presets",),
    ("decoder",),
    ("adapt",),
    ("encoder", "colouring", "training", "filepage"),
    ("evaluation",),
    ("cli",),
    ("__init__", "__main__"),
)
GROUND = LAYERS[0]
PLACES = [place for layer in LAYERS for place in layer]
# Upward imports on purpose: `Frame.rgb`, which users call, imports when it is called.
ALLOWED = {("frames", "colour")}
TORCH = (
    "networks/trainable/",
    "adapt/",
    "training/",
    "colouring/adaptation.py",
    "evaluation/metrics.py",
    "frames.py",  # where a frame becomes a tensor
)
PYAV = ("media/", "bitstream/", "decoder/", "evaluation/")
WITHOUT_PYAV = ("bitstream/manifest.py", "bitstream/qp.py")
FILES = sorted(PACKAGE.rglob("*.py"))


def place_of(path: Path) -> str:
    """Return the folder of a module, or the module's own name where it lies in no folder."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def is_for_types(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
    )


def imported_modules(path: Path) -> set[str]:
    """Return the full names of all that a file imports, wherever, but for type checkers."""
    tree = ast.parse(path.read_text())
    found: set[str] = set()
    for node in ast.walk(tree):
        if is_for_types(node):
            node.body = []  # type: ignore[attr-defined]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def imported_places(path: Path) -> set[str]:
    """Return the folders and ground modules of the package that a file imports from."""
    names = {name.split(".")[1] for name in imported_modules(path) if name.startswith("tinct.")}
    return {name if name in PLACES else "__init__" for name in names}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_folder_imports_only_from_layers_above_it(path: Path) -> None:
    place = place_of(path)
    if place == "__init__":
        return  # the lazy table of the public names
    layer = next(number for number, places in enumerate(LAYERS) if place in places)
    allowed = {place, *(name for places in LAYERS[:layer] for name in places)}
    if layer <= 1:
        allowed |= set(
            LAYERS[layer]
        )  # the ground is checked for circles below; media and motion are one storey
    allowed -= {"media"} if place == "motion" else set()
    assert imported_places(path) <= allowed


def test_every_module_has_its_layer() -> None:
    assert {place_of(path) for path in FILES} == set(PLACES)


def test_modules_import_each_other_in_no_circle() -> None:
    modules = {
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(
            ".__init__"
        ): path
        for path in FILES
    }
    edges = {}
    for name, path in modules.items():
        wanted = {
            n if n in modules else n.rpartition(".")[0]
            for n in imported_modules(path)
            if n.startswith("tinct")
        }
        edges[name] = {
            other for other in wanted if other in modules and other not in (name, "tinct")
        }
    edges["tinct"] = set()  # the lazy table of the public names
    edges["tinct.frames"] -= {"tinct.colour"}
    while True:
        leaves = {name for name, others in edges.items() if not others}
        if not leaves:
            break
        edges = {name: others - leaves for name, others in edges.items() if name not in leaves}
    assert edges == {}


def test_libraries_are_loaded_only_where_they_belong() -> None:
    for path in FILES:
        name = path.relative_to(PACKAGE).as_posix()
        roots = {module.split(".")[0] for module in imported_modules(path)}
        assert "torch" not in roots or name.startswith(TORCH), name
        assert "av" not in roots or (name.startswith(PYAV) and name not in WITHOUT_PYAV), name


def test_init_files_are_empty() -> None:
    """But for those of packages that are an API of their own."""
    for path in PACKAGE.rglob("__init__.py"):
        if place_of(path) not in ("__init__", "colouring", "evaluation", "page"):
            assert path.read_text() == "", path


@pytest.mark.slow
def test_only_the_command_line_prints() -> None:
    for path in FILES:
        calls = [
            node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)
        ]
        prints = any(isinstance(call.func, ast.Name) and call.func.id == "print" for call in calls)
        # The output of `usage` is read by the process that starts it
        assert not prints or place_of(path) == "cli" or path.name == "usage.py", path


def test_no_module_hears_the_log_of_ffmpeg() -> None:
    """Its threads would wait for Python's lock, which who closes a decoder holds."""
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            named = ast.unparse(node) if isinstance(node, ast.Attribute | ast.ImportFrom) else ""
            assert "av.logging" not in named, path


REPORT = """
import sys
try:
    {code}
except SystemExit:
    pass
print(*sys.modules, file=sys.stderr)
"""


def loaded(code: str) -> set[str]:
    """Modules in a fresh interpreter after `code`."""
    report = REPORT.format(code=code)
    done = subprocess.run(
        [sys.executable, "-c", report], capture_output=True, check=True, text=True
    )
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize(
    "code",
    [
        "import tinct",
        "import tinct.cli.app; tinct.cli.app.main(['--help'])",
        "import tinct; tinct.EncodeConfig",
    ],
)
def test_help_loads_no_video_library(code: str) -> None:
    assert not loaded(code) & {"av", "cv2", "torch", "rich"}


@pytest.mark.slow
@pytest.mark.parametrize("command", ["info", "decode", "verify"])
def test_reading_loads_no_network(tinct_path: Path, tmp_path: Path, command: str) -> None:
    arguments = [command, str(tinct_path)] + (
        [str(tmp_path / "a.mkv")] if command == "decode" else []
    )
    names = loaded(f"import tinct.cli.app; tinct.cli.app.main({arguments})")
    assert "av" in names
    assert "torch" not in names
    assert "tinct.encoder.api" not in names
