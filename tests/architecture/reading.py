"""The code, read as data: its modules, functions, names and imports. `python -m tests.architecture.reading`
(or `make sizes`) prints what is largest.
"""

import ast
import dataclasses
import functools
import pathlib
from collections.abc import Iterable, Iterator

ROOT = pathlib.Path(__file__).parents[2]
SRC = ROOT / "src"

type_of_function = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclasses.dataclass(frozen=True, slots=True)
class Module:
    """One file of code."""

    path: str  # from the root of the repository
    name: str  # undrift.model.plan; a package goes by its own name
    lines: int
    tree: ast.Module

    @property
    def is_package(self) -> bool:
        return self.path.endswith("/__init__.py")

    @property
    def room(self) -> str:
        """The part of the house it belongs to: `model`, `errors`, `providers` …"""
        return [*self.name.split("."), "undrift"][1]


@dataclasses.dataclass(frozen=True, slots=True)
class Function:
    """One function or method."""

    where: str
    name: str
    lines: int
    parameters: int


@functools.cache
def modules(*folders: str) -> tuple[Module, ...]:
    """All modules below the folders, by path."""
    paths = sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return tuple(_read(path) for path in paths)


def _read(path: pathlib.Path) -> Module:
    text = path.read_text(encoding="utf-8")
    relative = path.relative_to(ROOT).as_posix()
    dotted = relative.removeprefix("src/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    return Module(relative, dotted, text.count("\n"), ast.parse(text))


def functions(of: Iterable[Module]) -> Iterator[Function]:
    """All functions and methods, nested ones too; sizes include docstrings, not decorators."""
    for module in of:
        for node in ast.walk(module.tree):
            if isinstance(node, type_of_function):
                size = (node.end_lineno or node.lineno) - node.lineno + 1
                yield Function(f"{module.path}:{node.lineno}", node.name, size, _parameters(node.args))


def _parameters(arguments: ast.arguments) -> int:
    named = [argument.arg for argument in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]]
    return len([name for name in named if name not in {"self", "cls"}])


def imports(module: Module, *, at_start: bool = False) -> Iterator[tuple[str, int]]:
    """What a module imports, dotted, with its line; `at_start` leaves out what functions import."""
    for node in _statements(module.tree) if at_start else ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, type_of_function):
            yield child
            yield from _statements(child)


def _report() -> None:
    code = modules("src")
    for title, rows in (
        ("files", sorted(((module.lines, module.path) for module in code), reverse=True)),
        ("functions", sorted(((f.lines, f"{f.where} {f.name}") for f in functions(code)), reverse=True)),
    ):
        sizes = [size for size, _ in rows]
        print(f"{len(rows)} {title}: median {sizes[len(sizes) // 2]}, p90 {sizes[len(sizes) // 10]}")  # noqa: T201 - a report
        for size, name in rows[:12]:
            print(f"{size:6} {name}")  # noqa: T201 - a report


if __name__ == "__main__":
    _report()
