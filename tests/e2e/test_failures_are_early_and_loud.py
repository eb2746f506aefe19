"""*Failures are early and loud.* Phase, resource, file and line, commit and author, reason, next step."""

from __future__ import annotations

from tests.e2e.world import World


def test_an_error_says_what_where_why_and_what_next(world: World) -> None:
    """In `status`, in history and as an event, once."""
    world.declare("site")
    world.files("site", {"/a.txt": "one"})
    first = world.push()
    world.start()
    world.settled("site", first)
    world.write(
        "site/host.yaml",
        "apiVersion: undrift.dev/hosts/v1\nkind: Host\nspec:\n  files:\n    - {path: /a.txt, source: files/nothing.txt}\n",
    )
    bad = world.push("Break it", "Bob Builder <bob@example.org>")
    world.until(lambda: world.state_of("site") == "failing")
    failure = world.glance("site")["failure"]

    assert failure["code"].startswith("UD4")
    assert failure["where"].startswith("site/host.yaml:5")
    assert failure["author"] == "Bob Builder <bob@example.org>"
    assert bad in failure["revision"]
    assert failure["hint"]

    shown = world.cli("status", "site")
    assert shown.returncode == 3
    assert "site/host.yaml:5" in shown.stdout
    failed = [
        one for one in world.client.events("site") if one["kind"] == "Failed" and bad in one["revision"]
    ]
    assert len(failed) == 1


def test_git_that_goes_away_is_told_once_and_its_end_too(world: World) -> None:
    """Meanwhile drift goes on being repaired, from the last good revision."""
    world.declare("site")
    world.files("site", {"/a.txt": "one"})
    commit = world.push()
    world.start()
    world.settled("site", commit)
    away = world.repository.rename(world.root / "away.git")
    world.until(lambda: any(one["error"] for one in world.client.agent()["sources"]))
    (world.target / "a.txt").write_text("hacked", encoding="utf-8")
    world.until(lambda: world.tree() == {"/a.txt": "one"})
    away.rename(world.repository)
    world.files("site", {"/a.txt": "two"})
    world.settled("site", world.push())

    told = [one for one in world.client.events("source/config") if one["kind"] == "Failed"]
    assert len(told) == 1


def test_a_cycle_of_dependencies_is_spelled_out(world: World) -> None:
    """As an error of the configuration."""
    world.declare("one", "dependsOn: [two]")
    world.declare("two", "dependsOn: [one]")
    world.declare("site")
    for name in ("one", "two", "site"):
        world.files(name, {f"/{name}.txt": "x"})
    commit = world.push()
    world.start()
    world.settled("site", commit)

    codes = {error["code"] for error in world.client.agent()["errors"]}
    assert "UD104" in codes
    assert world.tree() == {"/site.txt": "x"}
