"""*Rollback is a commit.* It is made in Git, as the person who gives the order; the agent applies it like any other."""

from __future__ import annotations

import json

import pytest

from tests.e2e.world import World

AUTHOR = "Ada Example <ada@example.org>"


@pytest.fixture
def broken(world: World, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """Two applications in sync, then a commit that changes both; the site is not well with it. Both commits."""
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.delenv(f"GIT_{role}_NAME", raising=False)
        monkeypatch.delenv(f"GIT_{role}_EMAIL", raising=False)
    for name in ("site", "other"):
        world.declare(name)
        world.files(name, {f"/{name}": "one", f"/{name}-more": "x"})
    good = world.push("Good")
    world.start()
    for name in ("site", "other"):
        world.settled(name, good)
    world.files("site", {"/site": "two", "/site-new/deep": "x"})
    world.files("other", {"/other": "two"})
    bad = world.push("A step too far")
    for name in ("site", "other"):
        world.settled(name, bad)
    for role in ("user.name", "user.email"):
        world.git("config", role, {"user.name": "Grace Example", "user.email": "grace@example.org"}[role])
    return good, bad


def tip(world: World) -> str:
    """The commit that the repository is at."""
    return world.git("rev-parse", "main", where=world.repository).strip()


def test_an_application_goes_back_and_nothing_else_does(world: World, broken: tuple[str, str]) -> None:
    """A new commit on top, by the person, that restores the folder of one application only."""
    good, bad = broken

    done = world.cli("rollback", "site", "--repository", str(world.checkout), "--output", "json")

    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)["commit"]
    assert tip(world) == made
    assert world.git("log", "-1", "--format=%P|%an <%ae>", made, where=world.repository).strip() == (
        f"{bad}|Grace Example <grace@example.org>"
    )
    assert world.git("diff", "--stat", good, made, "--", "site", where=world.repository) == ""
    assert world.git("diff", "--name-only", bad, made, where=world.repository).split() == ["site/host.yaml"]
    world.settled("site", made)
    assert world.tree() == {"/site": "one", "/site-more": "x", "/other": "two"}
    shown = world.cli("history", "site")
    assert f"main@{made[:8]}" in shown.stdout


def test_a_rollback_may_be_a_pull_request(world: World, broken: tuple[str, str]) -> None:
    """Then nothing is applied before it is merged."""
    good, bad = broken

    done = world.cli(
        "rollback", "site", "--to", good[:10], "--branch", "back", "--repository", str(world.checkout)
    )

    assert done.returncode == 0, done.stderr
    assert "pull request" in done.stdout
    assert tip(world) == bad
    assert world.tree()["/site"] == "two"
    world.git("fetch", "-q", "origin")
    world.git("merge", "-q", "--no-ff", "-m", "Merge the way back", "origin/back")
    world.git("push", "-q", "origin", "main")
    world.settled("site", tip(world))
    assert world.tree()["/site"] == "one"


def test_a_rollback_of_a_rollback_goes_forward_again(world: World, broken: tuple[str, str]) -> None:
    """Each is a commit of its own, so that nothing is ever lost."""
    _, bad = broken
    assert world.cli("rollback", "site", "--repository", str(world.checkout)).returncode == 0
    world.settled("site", tip(world))

    assert world.cli("rollback", "site", "--to", bad, "--repository", str(world.checkout)).returncode == 0

    world.settled("site", tip(world))
    assert world.tree()["/site"] == "two"


@pytest.mark.parametrize(
    "arguments, code, said",
    [
        (("site", "--to", "0123456789"), "UD804", "no revision of site"),
        (("sites",), "UD802", "site"),
    ],
    ids=["a revision that never was", "an application that is none"],
)
def test_what_cannot_be_gone_back_to(
    world: World, broken: tuple[str, str], arguments: tuple[str, ...], code: str, said: str
) -> None:
    """Nothing is pushed, and it is said what to look at."""
    done = world.cli("rollback", *arguments, "--repository", str(world.checkout))

    assert done.returncode == 1
    assert code in done.stderr
    assert said in done.stderr
    assert "next:" in done.stderr
    assert tip(world) == broken[1]
