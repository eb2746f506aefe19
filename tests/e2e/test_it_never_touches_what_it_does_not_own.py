"""*It never touches what it does not own.* Adoption is asked for; a failed look is never taken for absence."""

from __future__ import annotations

from tests.e2e.world import World


def test_what_was_there_before_stays_until_adoption_is_asked_for(world: World) -> None:
    """The plan stops, says whose it is and how to adopt."""
    (world.target / "motd").write_text("mine\n", encoding="utf-8")
    world.declare("site")
    world.files("site", {"/motd": "ours\n"})
    world.push()
    world.start()
    world.until(lambda: world.codes("site") == ["UD609"])

    assert (world.target / "motd").read_text(encoding="utf-8") == "mine\n"

    world.declare("site", "policy: {adopt: [File//motd]}")
    world.settled("site", world.push())

    assert (world.target / "motd").read_text(encoding="utf-8") == "ours\n"


def test_two_applications_claim_one_file(world: World) -> None:
    """The owner goes on; the other one is told."""
    world.declare("site")
    world.files("site", {"/a.txt": "site"})
    first = world.push()
    world.start()
    world.settled("site", first)
    world.declare("shop")
    world.files("shop", {"/a.txt": "shop", "/b.txt": "shop"})
    world.push()
    world.until(lambda: world.codes("shop") == ["UD610"])
    world.client.reconcile("site", wait=30)

    assert world.tree() == {"/a.txt": "site"}


def test_a_link_does_not_lead_out_of_the_root(world: World) -> None:
    """What is outside stays as it was."""
    outside = world.root / "outside"
    outside.mkdir()
    (world.target / "etc").symlink_to(outside)
    world.declare("site")
    world.files("site", {"/etc/passwd": "ours"})
    world.push()
    world.start()
    world.until(lambda: world.codes("site"))

    assert "UD509" in world.codes("site")
    assert world.glance("site")["failure"]["where"].startswith("site/host.yaml:")
    assert list(outside.iterdir()) == []
