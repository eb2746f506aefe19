"""*It converges.* From any state, after any crash, the target ends as declared."""

from __future__ import annotations

import time

from tests.e2e.world import World
from undrift.agent import leasing


def test_a_commit_a_drift_a_deletion_and_a_crash(world: World) -> None:
    """Each of them ends with the target as declared."""
    world.declare("site")
    world.files("site", {"/a.txt": "one", "/b.txt": "two"})
    first = world.push()
    world.start()
    world.settled("site", first)
    assert world.tree() == {"/a.txt": "one", "/b.txt": "two"}

    (world.target / "a.txt").write_text("hacked", encoding="utf-8")
    (world.target / "b.txt").unlink()
    world.until(lambda: world.tree() == {"/a.txt": "one", "/b.txt": "two"})

    world.kill()
    (world.target / "a.txt").unlink()
    world.files("site", {"/a.txt": "three", "/c.txt": "four"})
    second = world.push()
    world.start()
    world.settled("site", second)

    assert world.tree() == {"/a.txt": "three", "/c.txt": "four"}


def test_who_died_is_not_waited_for(world: World) -> None:
    """An agent that was killed holds leases for half a minute; the next in its state folder knows that it is dead."""
    world.declare("site")
    world.files("site", {"/a.txt": "one"})
    first = world.push()
    world.start()
    world.settled("site", first)
    world.kill()
    world.files("site", {"/a.txt": "two"})
    second = world.push()
    begun = time.monotonic()
    world.start()
    world.settled("site", second)

    assert time.monotonic() - begun < leasing.SECONDS / 2


def test_stopping_in_order(world: World) -> None:
    """SIGTERM ends the agent with success, the socket is gone, and a new one starts."""
    world.declare("site")
    world.files("site", {"/a.txt": "one"})
    commit = world.push()
    world.start()
    world.settled("site", commit)

    assert world.stop() == 0
    assert not (world.state / "agent.sock").exists()

    world.start()
    world.settled("site", commit)


def test_two_agents_cannot_share_a_state_folder(world: World) -> None:
    """The second one says so and ends."""
    world.declare("site")
    world.files("site", {"/a.txt": "one"})
    commit = world.push()
    world.start()
    world.settled("site", commit)
    second = world.cli(*world.command()[3:])

    assert second.returncode == 1
    assert "another agent" in second.stderr
