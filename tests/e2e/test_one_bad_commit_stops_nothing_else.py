"""*One bad commit stops nothing else.* It is held back, the last good state stays, other applications go on."""

from __future__ import annotations

import pytest

from tests.e2e.world import World


@pytest.mark.parametrize(
    "reason,content",
    [
        ("bad YAML", "a: [\n"),
        ("a binary file as manifest", b"\x00\x01\x02\xff"),
        ("an unknown field", "apiVersion: undrift.dev/hosts/v1\nkind: Host\nspec: {flies: []}\n"),
    ],
)
def test_a_bad_commit_of_one_application(world: World, reason: str, content: str | bytes) -> None:
    """Its drift goes on being repaired, too."""
    for name in ("site", "shop"):
        world.declare(name)
        world.files(name, {f"/{name}.txt": "one"})
    first = world.push()
    world.start()
    world.settled("site", first)
    world.settled("shop", first)
    world.write("site/host.yaml", content)
    world.files("shop", {"/shop.txt": "two"})
    second = world.push()
    world.settled("shop", second)
    world.until(lambda: world.state_of("site") == "failing")
    (world.target / "site.txt").write_text("hacked", encoding="utf-8")
    world.until(lambda: world.tree() == {"/shop.txt": "two", "/site.txt": "one"})

    assert "site/host.yaml" in world.glance("site")["failure"]["where"], reason

    world.files("site", {"/site.txt": "three"})
    world.settled("site", world.push())


def test_bad_configuration_of_one_application(world: World) -> None:
    """Undrift's own documents: the application stays as it was, the others change."""
    for name in ("site", "shop"):
        world.declare(name)
        world.files(name, {f"/{name}.txt": "one"})
    first = world.push()
    world.start()
    world.settled("site", first)
    world.settled("shop", first)
    world.declare("site", "polciy: {mode: observe}")
    world.files("shop", {"/shop.txt": "two"})
    second = world.push()
    world.settled("shop", second)
    world.until(lambda: world.state_of("site") == "failing")

    failure = world.glance("site")["failure"]
    assert failure["code"] == "UD102"
    assert "policy" in failure["hint"]
    assert world.tree() == {"/shop.txt": "two", "/site.txt": "one"}
