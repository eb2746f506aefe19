"""*What was approved is what is applied.* Approving names a digest; if anything moved, it is planned anew."""

from __future__ import annotations

from tests.e2e.world import World


def test_a_digest_that_moved_is_not_applied(world: World) -> None:
    """An old digest is refused; an approval does not cover the next commit."""
    world.declare("site", "policy: {mode: approval}")
    world.files("site", {"/a.txt": "one"})
    world.push()
    world.start()
    world.until(lambda: world.codes("site") == ["UD606"])
    old = world.client.plan("site")["digest"]
    world.files("site", {"/a.txt": "two"})
    second = world.push()
    world.until(lambda: (world.glance("site")["revision"] or {}).get("name", "").endswith(second))
    refused = world.cli("approve", "site", old)

    assert refused.returncode == 1
    assert "UD803" in refused.stderr
    assert world.tree() == {}

    new = world.client.plan("site")["digest"]
    approved = world.cli("approve", "site", new[7:20])
    assert approved.returncode == 0, approved.stderr
    world.settled("site", second)
    assert world.tree() == {"/a.txt": "two"}

    history = world.client.history("site")
    assert any(one["digest"] == new and one["results"] for one in history)
    assert (world.state / "audit.jsonl").read_text(encoding="utf-8").count(new) == 1


def test_a_hand_edit_between_plan_and_approval_moves_the_digest(world: World) -> None:
    """The before-values of the touched fields are covered."""
    world.declare("site")
    world.files("site", {"/a.txt": "one"})
    first = world.push()
    world.start()
    world.settled("site", first)
    world.declare("site", "policy: {mode: approval}")
    world.files("site", {"/a.txt": "two"})
    world.push()
    world.until(lambda: world.codes("site") == ["UD606"])
    before = world.client.plan("site")["digest"]
    (world.target / "a.txt").write_text("hacked", encoding="utf-8")

    assert world.client.plan("site")["digest"] != before
    assert world.cli("approve", "site", before).returncode == 1
