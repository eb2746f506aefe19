"""SIGKILL at any statement loses nothing: a real agent dies at lines drawn at random, and is started again.

`UNDRIFT_SOAK=400` kills that often, `UNDRIFT_SEED=…` draws the same lines again.
"""

from __future__ import annotations

import functools
import json
import os
import pathlib
import random
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator

import pytest

from tests.e2e import world as worlds
from undrift import errors

KILLS = int(os.environ.get("UNDRIFT_SOAK", "40"))
PARTS = 4
SEED = int(os.environ.get("UNDRIFT_SEED", secrets.randbelow(1_000_000)))

# Python imports it at its start. Lines are counted from the first reconcile on, in all threads.
TRACER = """
import os, signal, sys, threading

PARTS = tuple(f"/undrift/{part}/" for part in ("agent", "db", "engine", "lib", "providers"))
FATAL = int(os.environ["CRASH_AT"])
COUNT = os.environ["CRASH_COUNT"]
lines = 0
begun = False


def on_line(frame, event, argument):
    global lines
    if event == "line":
        lines += 1
        if lines == FATAL:
            os.kill(os.getpid(), signal.SIGKILL)
        if not FATAL and not lines % 100:
            beside = f"{COUNT}.{threading.get_ident()}"
            with open(beside, "w") as file:
                file.write(str(lines))
            os.replace(beside, COUNT)
    return on_line


def on_call(frame, event, argument):
    global begun
    name = frame.f_code.co_filename
    if not begun:
        if not name.endswith("/undrift/engine/reconciling.py") or frame.f_code.co_name != "reconcile":
            return None
        begun = True
    return on_line if any(part in name for part in PARTS) else None


if sys.argv[1:2] == ["agent"] or "agent" in sys.orig_argv:
    threading.settrace(on_call)
    sys.settrace(on_call)
"""


class Crashes:
    """A world in which each round changes everything, and the agent dies on the way."""

    def __init__(self, world: worlds.World, chance: random.Random) -> None:
        self.world = world
        self.chance = chance
        self.number = 0
        self.declared: dict[str, set[str]] = {}
        self.tree: dict[str, str] = {}
        self._tracer = world.root / "tracer"
        self._count = world.root / "lines"

    def begin(self) -> None:
        self._tracer.mkdir()
        (self._tracer / "sitecustomize.py").write_text(TRACER, encoding="utf-8")
        (self.world.target / "etc").mkdir()
        (self.world.target / "etc/motd").write_text("Welcome.\n", encoding="utf-8")
        (self.world.target / "etc/foreign").write_text("not ours", encoding="utf-8")
        for name, other in (("one", "two"), ("two", "one")):
            self.world.declare(
                name, f"takesFrom: [{other}], policy: {{deletionLimit: {{count: 100, percent: 100}}}}"
            )

    def change(self) -> str:
        """A commit that creates, updates, deletes and moves things between applications."""
        self.number += 1
        version = str(self.number)
        old, new = ("one", "two") if self.number % 2 else ("two", "one")
        own = {
            name: {f"/srv/{name}/version": version, f"/srv/{name}/only-{version}/x": "x"}
            for name in (old, new)
        }
        own[new]["/srv/handed/over"] = version
        more = (
            f"  links:\n    - {{path: /srv/link, to: {new}/version}}\n"
            "  blocks:\n    - {path: /etc/motd, name: version, comment: '#', "
            f"content: {json.dumps(f'This is {version}.')}}}\n"
        )
        self.world.files(old, own[old])
        self.world.files(new, own[new], more)
        self.declared = {
            old: {f"File/{path}" for path in own[old]},
            new: {*(f"File/{path}" for path in own[new]), "Link//srv/link", "Block//etc/motd#version"},
        }
        self.tree = {path: text for files in own.values() for path, text in files.items()} | {
            "/srv/link": version,
            "/etc/foreign": "not ours",
        }
        return self.world.push()

    def drift(self) -> None:
        """A hand in the dark."""
        files = sorted((self.world.target / "srv").rglob("*"))
        if files and self.chance.random() < 0.5:
            path = self.chance.choice(files)
            if path.is_file() and not path.is_symlink():
                path.unlink()

    def lines(self) -> int:
        """How many lines a round takes, with nobody dying."""
        self.run(0, self.change())
        self.world.kill()
        return int(self._count.read_text(encoding="ascii"))

    def run(self, fatal: int, commit: str) -> None:
        """Start a traced agent: until it has died, or all is in sync."""
        self.world.environment = {
            "PYTHONPATH": str(self._tracer), "CRASH_AT": str(fatal), "CRASH_COUNT": str(self._count)
        }  # fmt: skip
        self.world.start()
        self.world.environment = {}
        process = self.world.process
        assert process is not None
        if not fatal:
            self.settle(commit)
            return
        try:
            process.wait(self.chance.uniform(8, 10))
        except subprocess.TimeoutExpired:
            self.world.kill()

    def settle(self, commit: str) -> None:
        for name in ("one", "two"):
            self.world.settled(name, commit)

    def verify(self) -> None:
        """The target is as declared, nobody's things are as they were, and the marks say so too."""
        motd = (self.world.target / "etc/motd").read_text(encoding="utf-8")
        found = {path: text for path, text in self.world.tree().items() if path != "/etc/motd"}
        assert found == self.tree
        assert motd.startswith("Welcome.\n")
        assert motd.count("This is") == 1
        assert f"This is {self.number}." in motd
        assert self.marks() == self.declared
        assert sorted(path for path in self.world.target.rglob(".*") if path.name != ".undrift") == []
        for name, wanted in self.declared.items():
            self.world.until(functools.partial(self._owns, name, len(wanted)))
            one = self.world.client.application(name)
            assert {each["id"] for each in one["resources"]} == wanted
            assert one["failure"] is None

    def _owns(self, name: str, count: int) -> bool:
        return bool(self.world.client.application(name)["owned"] == count)

    def marks(self) -> dict[str, set[str]]:
        """Application → what its marks on the target name."""
        found: dict[str, set[str]] = {}
        for path in (self.world.target / ".undrift/@main").glob("[!.]*.json"):
            document = json.loads(path.read_text(encoding="utf-8"))
            ids = {f"{one['id'][0]}/{one['id'][2]}" for one in document["resources"]}
            found[document["application"]] = ids
        return found


@pytest.fixture
def crashes(request: pytest.FixtureRequest) -> Iterator[Crashes]:
    root = pathlib.Path(tempfile.mkdtemp(prefix="undrift-e2e-"))
    with worlds.world(root) as world:
        made = Crashes(world, random.Random(SEED + request.param))
        made.begin()
        yield made
    shutil.rmtree(root, ignore_errors=True)


@pytest.mark.timeout(KILLS * 20)
@pytest.mark.parametrize("crashes", range(PARTS), indirect=True)
def test_an_agent_that_dies_anywhere_loses_nothing(crashes: Crashes) -> None:
    most = crashes.lines()
    for _ in range(KILLS // PARTS):
        fatal = crashes.chance.randint(1, most)
        commit = crashes.change()
        crashes.drift()
        crashes.run(fatal, commit)
        crashes.world.start()
        try:
            crashes.settle(commit)
            crashes.world.until(lambda: crashes.world.client.agent()["errors"] == [])
            crashes.verify()
        except (AssertionError, errors.UndriftError) as error:
            error.add_note(f"UNDRIFT_SEED={SEED}, killed at line {fatal} of {most}, round {crashes.number}")
            raise
        crashes.world.kill()
