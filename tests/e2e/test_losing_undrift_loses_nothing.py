"""*Losing Undrift loses nothing that matters.* The database can be deleted; nothing changes unseen afterwards."""

from __future__ import annotations

import shutil

from tests.e2e.world import World


def test_a_deleted_database_is_learnt_again(world: World) -> None:
    """What is in sync goes on; what is not waits to be resumed; ownership is known from the marks."""
    for name in ("calm", "moved"):
        world.declare(name)
        world.files(name, {f"/{name}.txt": "one", f"/{name}-old.txt": "x"})
    first = world.push()
    world.start()
    world.settled("calm", first)
    world.settled("moved", first)
    world.stop()
    shutil.rmtree(world.state)
    world.files("moved", {"/moved.txt": "two"})
    second = world.push()
    world.start()
    world.settled("calm", second)
    world.until(lambda: world.codes("moved") == ["UD612"])
    assert (world.target / "moved.txt").read_text(encoding="utf-8") == "one"

    resumed = world.cli("resume", "moved")

    assert resumed.returncode == 0, resumed.stderr
    world.settled("moved", second)
    assert world.tree() == {"/calm-old.txt": "x", "/calm.txt": "one", "/moved.txt": "two"}


def test_approvals_and_holds_are_found_again_in_the_audit_log(world: World) -> None:
    """A hold survives the database."""
    world.declare("site")
    world.files("site", {"/a.txt": "one"})
    first = world.push()
    world.start()
    world.settled("site", first)
    held = world.cli("suspend", "site", "--for", "2h")
    assert held.returncode == 0, held.stderr
    world.stop()
    for path in world.state.glob("undrift.db*"):
        path.unlink()
    world.files("site", {"/a.txt": "two"})
    world.push()
    world.start()
    world.until(lambda: "UD605" in world.codes("site"))

    assert world.tree() == {"/a.txt": "one"}
