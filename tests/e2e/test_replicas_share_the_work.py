"""Two agents of one name on one database: each works on its share, and they know of one another."""

from __future__ import annotations

import contextlib
import functools
import os
import pathlib
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.e2e.world import PATIENCE, World
from undrift import client, errors
from undrift.providers.hosts import access

COUNT = 8
LEASE = 30.0


class Second:
    """Another agent on the database of the first."""

    def __init__(self, world: World) -> None:
        self.state = world.root / "second"
        self.client = client.Client(self.state / "agent.sock")
        self._command = [
            str(self.state) if word == str(world.state) else word for word in shared(world, world.command())
        ]
        self._log = world.root / "second.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=os.environ
            )

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(40)


def shared(world: World, command: list[str]) -> list[str]:
    """The same command, on a database that others may use."""
    return [*command, "--database", f"sqlite:///{world.root / 'shared.db'}"]


@pytest.fixture
def second(world: World) -> Iterator[Second]:
    made = Second(world)
    yield made
    made.stop()


def served(place: client.Client) -> set[str]:
    """What an agent works on itself, of what is in sync."""
    with contextlib.suppress(errors.AgentUnavailable):
        return {one["name"] for one in place.status() if one["state"] == "in sync" and not one["holder"]}
    return set()


def shows_all_in_sync(place: client.Client) -> bool:
    """Whether it says so of its own applications and of the other's."""
    return {one["state"] for one in place.status()} == {"in sync"}


def test_a_dependency_that_the_other_one_works_on(world: World, second: Second) -> None:
    """Half of all pairs are split between the two; whoever waits hears of the other one, and of what it publishes, by the database.

    Each of them shows the whole, and says who works on what is not its own.
    """
    for number in range(COUNT):
        world.declare(f"base-{number}", "outputs: {host: {fact: hostname}}")
        given = f"{{kind: plain, substitute: {{WORD: '${{outputs.base-{number}.host}}'}}}}"
        world.declare(f"site-{number}", f"dependsOn: [base-{number}], renderer: {given}")
        world.files(f"base-{number}", {f"/base/{number}": "1"})
        world.files(f"site-{number}", {f"/site/{number}": "${WORD}"})
    world.push()
    world.start(shared(world, world.command()))
    second.start()
    names = {f"{kind}-{number}" for kind in ("base", "site") for number in range(COUNT)}
    wanted = {f"/base/{number}": "1" for number in range(COUNT)}
    wanted |= {f"/site/{number}": socket.gethostname() for number in range(COUNT)}

    world.until(lambda: world.tree() == wanted)
    world.until(lambda: served(world.client) | served(second.client) >= names)
    ours, theirs = served(world.client), served(second.client)

    assert ours
    assert theirs
    assert not ours & theirs
    assert any((f"base-{number}" in ours) != (f"site-{number}" in ours) for number in range(COUNT))
    for place in (world.client, second.client):
        world.until(functools.partial(shows_all_in_sync, place))
    other = min(theirs)
    assert world.client.application(other)["holder"] == second.client.agent()["holder"]
    with pytest.raises(errors.OrderError, match=str(second.client.agent()["holder"])):
        world.client.reconcile(other)


def test_what_one_did_the_other_goes_on_with(world: World, second: Second) -> None:
    """One ends in order: the other has everything at once, and touches nothing that is as it should be."""
    world.declare("site")
    world.files("site", {"/a": "1"})
    first = world.push()
    world.start(shared(world, world.command()))
    world.settled("site", first)
    second.start()
    before = (world.target / "a").stat().st_ino
    assert world.stop() == 0
    world.process = None

    world.until(lambda: served(second.client) == {"site"})
    (world.target / "a").write_text("hacked", encoding="utf-8")
    world.until(lambda: world.tree() == {"/a": "1"})

    assert before
    assert pathlib.Path(world.target / "a").stat().st_ino != before


SLOW = """\
apiVersion: undrift.dev/hosts/v1
kind: Host
spec:
  files: [{path: /version, content: "%s"}]
  commands:
    - {name: a, command: [sh, -c, "sleep 1; echo a >> log"], directory: /, runAgain: "%s"}
    - {name: b, command: [sh, -c, "sleep 1; echo b >> log"], directory: /, runAgain: "%s", dependsOn: [Command/a]}
    - {name: c, command: [sh, -c, "sleep 1; echo c >> log"], directory: /, runAgain: "%s", dependsOn: [Command/b]}
    - {name: d, command: [sh, -c, "sleep 1; echo d >> log"], directory: /, runAgain: "%s", dependsOn: [Command/c]}
"""


def stop_between_transactions(process: subprocess.Popen[bytes], database: pathlib.Path) -> None:
    """SIGSTOP, but not while it has the lock of the SQLite file: nobody could take over until it goes on."""
    while True:
        process.send_signal(signal.SIGSTOP)
        other = sqlite3.connect(database, timeout=0.5, isolation_level=None)
        with contextlib.closing(other), contextlib.suppress(sqlite3.OperationalError):
            other.execute("BEGIN IMMEDIATE")
            other.execute("ROLLBACK")
            return
        process.send_signal(signal.SIGCONT)
        time.sleep(0.01)


def test_who_was_paused_past_its_lease_yields(world: World, second: Second) -> None:
    """One is stopped in the middle of a plan, the other takes over; the first makes at most one late change.

    It may well be stopped with the lock of the target's marks in its hand: that is taken from it.
    """
    world.declare("site")
    world.write("site/host.yaml", SLOW % (1, 1, 1, 1, 1))
    world.push()
    world.start(shared(world, world.command()))
    log = world.target / "log"
    world.until(lambda: log.exists() and log.read_text(encoding="ascii").startswith("a\n"))
    paused = world.process
    assert paused is not None
    stop_between_transactions(paused, world.root / "shared.db")
    try:
        second.start()
        world.write("site/host.yaml", SLOW % (2, 2, 2, 2, 2))
        world.push()
        world.process = None
        world.until(lambda: served(second.client) == {"site"}, LEASE + access.PATIENCE + PATIENCE)
        world.until(lambda: (world.target / "version").read_text(encoding="ascii") == "2")
        world.until(lambda: served(second.client) == {"site"})
        done = log.read_text(encoding="ascii").splitlines()
    finally:
        world.process = paused
        paused.send_signal(signal.SIGCONT)

    world.until(lambda: world.glance("site").get("holder") == second.client.agent()["holder"])
    second.client.reconcile("site", wait=PATIENCE)
    world.until(lambda: served(second.client) == {"site"})
    assert len(log.read_text(encoding="ascii").splitlines()) <= len(done) + 1
    assert (world.target / "version").read_text(encoding="ascii") == "2"
    assert done[-4:] == ["a", "b", "c", "d"]
    assert "lease" in world.log.read_text(encoding="utf-8")
