"""The page that adds a layer, done as it says: a package of its own, held to the laws, and used by an agent."""

from __future__ import annotations

import os
import pathlib
import re
import sqlite3
import subprocess
import sys
import tomllib
import types
from collections.abc import Mapping

import pytest

from tests.docs import pages
from tests.e2e import world
from undrift.testing.conformance import suite

PAGE = "how-to/add-a-layer.md"
_TITLED = re.compile(r"^```\w+ title=\"([^\"]+)\"\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def files() -> Mapping[str, str]:
    """The files of the page."""
    return dict(_TITLED.findall(pages.text(PAGE)))


@pytest.fixture(scope="module")
def package(files: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The page's package as an installer leaves it: its modules, and what its project file says of it."""
    folder = tmp_path_factory.mktemp("package")
    for name in ("pyproject.toml", "undrift_settings.py", "test_laws.py"):
        (folder / name).write_text(files[name])
    project = tomllib.loads(files["pyproject.toml"])["project"]
    metadata = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    rows = [
        f"[{group}]\n" + "".join(f"{name} = {where}\n" for name, where in entries.items())
        for group, entries in project["entry-points"].items()
    ]
    (metadata / "entry_points.txt").write_text("\n".join(rows))
    return folder


def laws(package: pathlib.Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The page's own tests, run in its folder."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rs", *arguments, "test_laws.py"],
        cwd=package,
        env={**os.environ, "PYTHONPATH": str(package), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_the_provider_of_the_page_keeps_every_law(package: pathlib.Path) -> None:
    done = laws(package)

    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^\d{2,} passed in", done.stdout, re.MULTILINE), done.stdout


# What a careless provider does, and the law that it breaks.
BROKEN = {
    "a-failed-look-is-no-absence": (
        'raise errors.TargetUnavailable(f"{self.path} cannot be used", why=str(error)) from error',
        'yield sqlite3.connect(":memory:").execute("CREATE TABLE settings (name, value, mark)").connection',
    ),
    "secrets-are-seen-nowhere": ("secret.Secret(value) if document.secret else value", "value"),
    "what-moved-since-the-look-is-not-overwritten": ("!= change.live:", "is change:"),
    "marks-outlive-the-database": ("(one.mark is not None and owner.owns(one.mark))", "False"),
    "the-second-plan-is-empty": ("if written:", "if False:"),
    "what-was-there-is-adopted-only-when-asked": (
        "    if written:\n",
        "    written = written or json.dumps(['agent', 'first', name, '', '', False])\n    if written:\n",
    ),
    "it-converges": ("INSERT OR REPLACE INTO", "INSERT OR IGNORE INTO"),
    "leaving-as-an-orphan-keeps-everything": ("plan.Action.RELEASE:", "plan.Action.MOVE:"),
}


@pytest.mark.parametrize("law", BROKEN)
async def test_a_careless_provider_breaks_a_law(
    law: str, files: Mapping[str, str], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The laws find what they are there for."""
    before, after = BROKEN[law]
    assert files["undrift_settings.py"].count(before) == 1
    provider, tests = types.ModuleType("undrift_settings"), types.ModuleType("test_laws")
    monkeypatch.setitem(sys.modules, "undrift_settings", provider)
    for module, text in (
        (provider, files["undrift_settings.py"].replace(before, after)),
        (tests, files["test_laws.py"]),
    ):
        exec(compile(text, module.__name__, "exec"), vars(module))

    with pytest.raises(AssertionError):
        await suite.hold(
            next(one for one in suite.LAWS if str(one) == law), vars(tests)["SettingsStand"](tmp_path)
        )


def test_an_agent_uses_it(
    files: Mapping[str, str], package: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planned from a checkout, applied, and healed at the application's interval."""
    monkeypatch.setenv("PYTHONPATH", str(package))
    database = tmp_path / "settings.db"
    people = sqlite3.connect(database)
    people.execute("CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT)")
    people.commit()
    configuration = files["undrift/settings.yaml"].replace("/var/lib/program/settings.db", str(database))
    with world.world(tmp_path / "w") as made:
        made.write("undrift/agent.yaml", configuration.replace("interval: 1m", "interval: 1s"))
        made.write("program/all.yaml", files["program/all.yaml"])
        commit = made.push("Set up")
        planned = made.cli("plan", str(made.checkout))
        assert planned.returncode == 3, planned.stdout + planned.stderr
        assert "Setting/colour" in planned.stdout
        made.start()
        made.settled("program", commit)
        rows = dict(people.execute("SELECT name, value FROM settings"))
        assert rows == {"colour": "green", "size": "large"}

        people.execute("UPDATE settings SET value = 'red' WHERE name = 'colour'")
        people.commit()
        made.until(
            lambda: (
                people.execute("SELECT value FROM settings WHERE name = 'colour'").fetchone() == ("green",)
            )
        )
    people.close()
