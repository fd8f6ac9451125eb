"""The shape of the code: no module, function or call grows beyond what one reads at a glance."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent.parent / "tinct"
FILES = sorted(PACKAGE.rglob("*.py"))
MODULE_LINES, FUNCTION_LINES, POSITIONAL = 400, 60, 3
TREES = {path: ast.parse(path.read_text()) for path in FILES}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
# Names that functions of libraries have too.
LIBRARY = {"update", "write", "read", "encode", "decode", "pad", "copy", "run", "open", "add"}
OWN = {
    node.name
    for tree in TREES.values()
    for node in ast.walk(tree)
    if isinstance(node, (*FUNCTIONS, ast.ClassDef))
} - LIBRARY


def name_of(call: ast.Call) -> str:
    """Return the last part of what is called."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def long_calls(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and name_of(node) in OWN:
            given = [arg for arg in node.args if not isinstance(arg, ast.Starred)]
            if len(given) > POSITIONAL:
                yield f"line {node.lineno}: {name_of(node)} with {len(given)} positional arguments"


def is_dataclass(node: ast.ClassDef) -> bool:
    return any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_is_small_and_its_calls_are_named(path: Path) -> None:
    tree = TREES[path]
    assert len(path.read_text().splitlines()) <= MODULE_LINES
    lines = {
        node.name: (node.end_lineno or 0) - node.lineno + 1
        for node in ast.walk(tree)
        if isinstance(node, FUNCTIONS)
    }
    assert {name: count for name, count in lines.items() if count > FUNCTION_LINES} == {}
    assert list(long_calls(tree)) == []


def test_no_two_test_modules_have_one_name() -> None:
    """pytest imports a test module by its file's name alone: of two, the second is not run."""
    names = [path.name for path in Path(__file__).parent.parent.rglob("test_*.py")]
    assert len(names) > 50
    assert sorted(set(names)) == sorted(names)


def test_a_module_says_what_it_owns() -> None:
    for path, tree in TREES.items():
        assert path.name == "__init__.py" or ast.get_docstring(tree), path
