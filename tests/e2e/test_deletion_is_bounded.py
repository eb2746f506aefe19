"""*Deletion is bounded.* Pruning is on; too much of it stops and asks; an empty render is refused."""

from __future__ import annotations

from tests.e2e.world import World

MANY = {f"/f{number:02d}.txt": "x" for number in range(20)}


def test_more_than_the_limit_waits_for_a_person(world: World) -> None:
    """Seven of twenty are more than 30 %; the approved digest is applied."""
    world.declare("site")
    world.files("site", MANY)
    first = world.push()
    world.start()
    world.settled("site", first)
    left = dict(list(MANY.items())[7:])
    world.files("site", left)
    second = world.push()
    world.until(lambda: world.codes("site") == ["UD601"])
    assert len(world.tree()) == 20

    approved = world.cli("approve", "site", world.glance("site")["digest"])

    assert approved.returncode == 0, approved.stderr
    world.settled("site", second)
    assert set(world.tree()) == set(left)


def test_an_empty_render_is_refused(world: World) -> None:
    """A mistake that empties the manifest deletes nothing."""
    world.declare("site")
    world.files("site", {"/a.txt": "x"})
    first = world.push()
    world.start()
    world.settled("site", first)
    world.files("site", {})
    world.push()
    world.until(lambda: world.codes("site") == ["UD602"])

    assert world.tree() == {"/a.txt": "x"}


def test_an_application_that_leaves_git_waits_for_approval(world: World) -> None:
    """Its last documents are kept; approving its plan deletes what it owned, and then it is gone."""
    world.declare("site")
    world.declare("other")
    world.files("site", {"/a.txt": "x"})
    world.files("other", {"/b.txt": "x"})
    first = world.push()
    world.start()
    world.settled("site", first)
    world.settled("other", first)
    world.write("undrift/site.yaml", None)
    world.push()
    world.until(lambda: world.codes("site") == ["UD606"])
    world.kill()
    world.start()
    world.until(lambda: world.codes("site") == ["UD606"])
    assert (world.target / "a.txt").exists()

    world.client.approve("site", world.client.plan("site")["digest"])
    world.until(lambda: not world.glance("site"))

    assert world.tree() == {"/b.txt": "x"}
