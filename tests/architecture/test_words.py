"""One word a thing. What has a name in the glossary is called by it, in every name that another module can see:
modules, classes, functions, parameters and fields. `docs/explanation/glossary.md` says what the words mean.
"""

import ast
import dataclasses
import re
from collections.abc import Iterator

import pytest

from tests.architecture import reading

EVERYWHERE = frozenset({""})
CORE = frozenset({"model", "engine", "interfaces", "publishing"})


@dataclasses.dataclass(frozen=True)
class Ban:
    """A word, what we say instead, where that holds, and in which modules the word means something else."""

    word: str  # words joined by _, as in names
    say: str
    rooms: frozenset[str] = EVERYWHERE
    but_in: tuple[str, ...] = ()


BANS = (
    Ban("actual", "live"),
    Ban("current", "live"),
    Ban("expected", "desired"),
    Ban("repo", "source, or repository for the Git one"),
    Ban("repos", "sources, or repositories for the Git ones"),
    Ban("bundle", "artifact, or chain for certificates"),
    Ban("deploy", "apply"),
    Ban("deployment", "application", but_in=("undrift.providers.kubernetes",)),  # a kind of theirs
    Ban("entity", "resource"),
    Ban("object", "resource", CORE),
    Ban("objects", "resources", CORE),
    Ban("garbage", "prune"),
    Ban("sync", "apply, or plan", but_in=("undrift.lib",)),  # of a disk
    Ban("cluster", "target", but_in=("undrift.providers",)),
    Ban("driver", "provider", but_in=("undrift.db", "undrift.providers.network")),  # of a database, a device
    Ban("environment", "stage", CORE),  # elsewhere it is that of a process
    Ban("state_store", "database"),
    Ban("statestore", "database"),
)

# Names that hold a banned word and are right all the same.
EXCEPTIONS = {
    "in_sync": "the state without drift, as a user says it",
    "fsync": "the system call",
}

# Names of modules that tell nothing: what is in them has a better place.
EMPTY_NAMES = {
    "base", "common", "core", "helper", "helpers", "misc", "shared", "stuff", "tools", "util", "utils",
}  # fmt: skip

# The engine does things, so its modules are gerunds.
ENGINE_NOUNS = {"windows": "the arithmetic of time windows, which guarding asks"}

# Modules are imported, not names, so that each use tells where a thing comes from.
NAMES_IMPORTED = {
    "undrift.__version__": "the package holds nothing else",
    "undrift.model.identity.ResourceId": "said as resource.ResourceId; identity.py only keeps a circle open",
}


def words(name: str) -> str:
    """`ManyWords` and `many_words` as `_many_words_`."""
    parts = re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", name)
    return "_" + "_".join(part.lower() for part in parts) + "_"


def names(module: reading.Module) -> Iterator[tuple[str, int]]:
    """The names that others can see, with their lines."""
    yield module.name.rsplit(".", 1)[-1], 1
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        if isinstance(node, ast.ClassDef):
            yield from ((name, line) for statement in node.body for name, line in _fields(statement))


def _fields(statement: ast.stmt) -> Iterator[tuple[str, int]]:
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    yield from ((target.id, target.lineno) for target in targets if isinstance(target, ast.Name))


def complaints(module: reading.Module, ban: Ban) -> Iterator[str]:
    if (ban.rooms != EVERYWHERE and module.room not in ban.rooms) or module.name.startswith(
        ban.but_in or "!"
    ):
        return
    for name, line in names(module):
        spoken = words(name)
        for exception in EXCEPTIONS:
            spoken = spoken.replace(f"_{exception}_", "_")
        if f"_{ban.word}_" in spoken:
            yield f"{module.path}:{line}: {name}"


@pytest.mark.parametrize("ban", BANS, ids=lambda ban: ban.word)
def test_a_thing_is_called_by_its_word(ban: Ban) -> None:
    found = [complaint for module in reading.modules("src") for complaint in complaints(module, ban)]

    assert not found, f"'{ban.word}' is not one of our words, say {ban.say}:\n" + "\n".join(found)


def test_the_test_of_words_finds_them() -> None:
    code = "class CurrentState:\n    repo_url: str\n    def f(self, expected): ...\n    IN_SYNC = 1\n"
    module = reading.Module("src/undrift/model/example.py", "undrift.model.example", 4, ast.parse(code))
    found = {complaint for ban in BANS for complaint in complaints(module, ban)}

    assert {complaint.rpartition(" ")[2] for complaint in found} == {"CurrentState", "repo_url", "expected"}


def test_module_names_say_something() -> None:
    code = reading.modules("src", "tests", "benchmarks")
    empty = [module.path for module in code if module.name.rpartition(".")[2] in EMPTY_NAMES]

    assert not empty, f"call these by what they do: {empty}"


def test_modules_of_the_engine_are_gerunds() -> None:
    nouns = {
        module.name.rpartition(".")[2]
        for module in reading.modules("src/undrift/engine")
        if not module.is_package and not module.name.endswith("ing")
    }

    assert nouns <= set(ENGINE_NOUNS), "the engine's modules are gerunds (planning, ordering …)"


def test_modules_of_the_model_are_singular() -> None:
    plural = [module.path for module in reading.modules("src/undrift/model") if module.name.endswith("s")]

    assert not plural, "what holds data is a singular noun"


def test_modules_are_imported_not_names() -> None:
    known = {module.name for module in reading.modules("src")}
    found = [
        f"{module.path}:{line}: {name}"
        for module in reading.modules("src")
        for name, line in reading.imports(module)
        if name.startswith("undrift.") and name not in known and name not in NAMES_IMPORTED
    ]

    assert not found, "import the module and say module.Name (or the module does not exist):\n" + "\n".join(
        found
    )


def test_every_module_says_what_belongs_in_it() -> None:
    """The docstring of a package is its rule of admission."""
    silent = [
        module.path for module in reading.modules("src", "benchmarks") if not ast.get_docstring(module.tree)
    ]

    assert not silent, f"modules without a docstring: {silent}"
