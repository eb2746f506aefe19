"""Who may import whom. The layers stand in pyproject.toml (`lint-imports`); here is which library has which room."""

import pathlib
import re
import subprocess
import sys

import pytest

from tests.architecture import reading

# A library that is imported in one room can be replaced there. Rooms are modules or packages of undrift.
ROOMS = {
    "aiohttp": {"sources", "forges", "providers", "notifiers", "client", "api", "lib", "testing"},
    "aiosqlite": {"db"},
    "alembic": {"db"},
    "apprise": {"notifiers"},
    "asyncpg": {"db", "providers"},
    "asyncssh": {"providers"},
    "click": {"cli"},
    "hypothesis": {"testing"},
    "jinja2": {"config", "providers", "renderers", "web"},
    "octodns": {"providers"},
    "octodns_bind": {"providers"},
    "pydantic": {"config", "api", "providers"},  # at the border: our documents, requests, native files
    "pyrage": {"renderers", "config"},
    "pytest": {"testing"},
    "regex": {"lib"},
    "sqlalchemy": {"db"},
    "starlette": {"api", "web", "testing"},
    "structlog": {"agent", "cli"},
    "uvicorn": {"agent", "api", "testing", "web"},
    "uvloop": {"agent", "cli"},
    "watchfiles": {"providers", "sources"},
}

# GPL programs are run, never imported.
NEVER = {"ansible", "ansible_runner", "podman_compose"}

# Whatever takes long to import is imported by the command that needs it.
HEAVY = [
    "aiohttp", "aiosqlite", "alembic", "apprise", "asyncssh", "cryptography", "hypothesis", "jinja2", "octodns", "pydantic", "pyrage",
    "pytest", "sqlalchemy", "starlette", "structlog", "supervisor", "uvicorn", "watchfiles", "yaml",
]  # fmt: skip


def test_layers_hold() -> None:
    lint = pathlib.Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [lint, "--no-logo", "--no-cache"], cwd=reading.ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("library", sorted(ROOMS))
def test_a_library_stays_in_its_rooms(library: str) -> None:
    strays = [
        f"{module.path}:{line}"
        for module in reading.modules("src")
        if module.room not in ROOMS[library]
        for name, line in reading.imports(module)
        if name.split(".")[0] == library
    ]

    assert not strays, f"{library} is imported in {sorted(ROOMS[library])} only, not in {strays}"


def test_no_program_under_the_gpl_is_imported() -> None:
    found = [
        f"{module.path}:{line}: {name}"
        for module in reading.modules("src")
        for name, line in reading.imports(module)
        if name.split(".")[0] in NEVER
    ]

    assert not found


def test_providers_do_not_know_each_other() -> None:
    """lint-imports cannot say this while there are none, or one."""
    found = [
        f"{module.path}:{line}: {name}"
        for module in reading.modules("src")
        if (own := re.match(r"undrift\.providers\.\w+", module.name))
        for name, line in reading.imports(module)
        if name.startswith("undrift.providers.") and not f"{name}.".startswith(f"{own.group()}.")
    ]

    assert not found


def test_the_command_line_starts_without_heavy_modules() -> None:
    code = "import sys, undrift.cli.main; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}

    assert loaded.isdisjoint(HEAVY), f"import these inside the command: {sorted(loaded & set(HEAVY))}"
