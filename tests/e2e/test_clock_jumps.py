"""The clock of the machine jumps, far ahead and far back: everything goes on, and order stays order."""

from __future__ import annotations

import functools
import pathlib

import pytest

from tests import peers
from tests.e2e.world import World

DAY = 86400


class Clock:
    """The agent's clock, ahead of ours by so many seconds."""

    def __init__(self, world: World, library: pathlib.Path) -> None:
        self._file = world.root / "clock"
        self.jump(0)
        world.environment |= {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def jump(self, seconds: int) -> None:
        """From now on it is so many seconds ahead."""
        beside = self._file.with_suffix(".new")
        beside.write_text(f"{seconds:+d}\n", encoding="ascii")
        beside.rename(self._file)


@pytest.fixture
def clock(world: World) -> Clock:
    return Clock(world, peers.require_peer("libfaketime"))


def owns(world: World, name: str, count: int) -> bool:
    return bool(world.client.application(name)["owned"] == count)


def test_the_clock_jumps_ahead_and_back(world: World, clock: Clock) -> None:
    """A commit, a drift and a handing over after each jump; what is recorded is in the order in which it was."""
    for name, other in (("site", "shop"), ("shop", "site")):
        world.declare(name, f"takesFrom: [{other}]")
        world.files(name, {f"/{name}": "one"})
    world.files("site", {"/site": "one", "/shared": "x"})
    commit = world.push()
    world.start()
    for name in ("site", "shop"):
        world.settled(name, commit)
    revisions = [commit]
    holder = "site"
    for number, ahead in enumerate((30 * DAY, -30 * DAY, 0)):
        clock.jump(ahead)
        (world.target / "site").write_text("by hand", encoding="utf-8")
        world.until(lambda: (world.target / "site").read_text(encoding="utf-8") == "one")
        giver, holder = holder, "shop" if holder == "site" else "site"
        world.files(giver, {f"/{giver}": "one"})
        world.files(holder, {f"/{holder}": "one", "/shared": "x", "/number": str(number)})
        commit = world.push(f"Change {number}")
        revisions.append(commit)
        for name in ("site", "shop"):
            world.settled(name, commit)
        world.until(functools.partial(owns, world, holder, 3))

    seen = [one["revision"]["name"] for one in reversed(world.client.history(None, 100)) if one["results"]]
    order = [next(n for n, known in enumerate(revisions) if name.endswith(known)) for name in seen]
    assert order == sorted(order)
    assert set(order) == {0, 1, 2, 3}
    assert world.cli("status").returncode == 0


def test_a_hold_ends_by_the_clock(world: World, clock: Clock) -> None:
    """Whoever sets the clock ahead ends it; nobody has to."""
    world.declare("site")
    world.files("site", {"/site": "one"})
    world.start()
    world.settled("site", world.push())
    assert world.cli("suspend", "site", "--for", "2h").returncode == 0
    world.files("site", {"/site": "two"})
    commit = world.push()
    world.until(lambda: "UD605" in world.codes("site"))

    clock.jump(3 * 3600)
    world.cli("reconcile", "site")

    world.settled("site", commit)
