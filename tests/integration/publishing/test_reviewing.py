"""Pull requests as they should be, while others are at work on the same ones; each step by itself."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest

from tests import peers
from tests.properties.publishing import laws
from tests.properties.publishing import world as worlds
from undrift import errors
from undrift.model import forge, publication
from undrift.publishing import describing, looking, running

ONE, TWO = {"a.yaml": b"x: 1\n"}, {"a.yaml": b"x: 2\n"}
BRANCH = looking.branch("pet", "prod-eu")


@pytest.fixture
def world(tmp_path: pathlib.Path) -> Iterator[worlds.World]:
    peers.require_peer("git")
    with worlds.opened(tmp_path / "world") as made:
        yield made


def published(world: worlds.World, files: dict[str, bytes]) -> str:
    sha = world.commit(files)
    done = world.publish(sha)
    assert isinstance(done, running.Done), done
    assert not done.trouble, done.trouble
    return sha


def test_what_is_merged_by_hand_is_withdrawn(world: worlds.World) -> None:
    """The same content came in some other way: nothing is left to merge."""
    sha = published(world, ONE)
    files = {f"prod-eu/pet/{name}": world.gitops.read(f"prod-eu/pet/{name}", BRANCH)
             for name in ("a.yaml", "stage.yaml", "hydrator.metadata")}  # fmt: skip
    world.gitops.commit(files, "By hand")

    world.publish(sha)

    assert world.tip(BRANCH) == ""
    [known] = [one for one in world.forge.pulls.values() if one.head == BRANCH]
    assert known.state is forge.PullRequestState.CLOSED
    published(world, TWO)
    world.forge.merge(world.forge.opened(BRANCH)[0].number)
    back = world.commit(ONE)
    world.publish(back)
    assert world.forge.opened(BRANCH), "what closed by itself was not closed by a person"


def test_a_crash_while_withdrawing_is_taken_for_no_persons_doing(world: worlds.World) -> None:
    """The forge closes what loses its branch; whose doing that is was said before."""
    sha = published(world, ONE)
    names = ("a.yaml", "stage.yaml", "hydrator.metadata")
    world.gitops.commit(
        {f"prod-eu/pet/{name}": world.gitops.read(f"prod-eu/pet/{name}", BRANCH) for name in names}, "By hand"
    )
    tidy = world.start(sha)
    while world.tip(BRANCH):
        world.step(tidy)
    assert not tidy.done
    world.crash(tidy)

    published(world, TWO)
    world.forge.merge(world.forge.opened(BRANCH)[0].number)
    world.publish(world.commit(ONE))

    assert world.forge.opened(BRANCH), "no person closed what has the same content"


def test_who_withdraws_does_not_close_what_somebody_newer_proposes(world: worlds.World) -> None:
    """One job sees that all is merged and tidies up; meanwhile another proposes the next revision."""
    sha = published(world, ONE)
    for one in world.forge.opened():
        world.forge.merge(one.number, "squash", keep_branch=True)
    tidy = world.start(sha)
    while tidy.at != "push":  # it is about to delete the branch that it saw
        world.step(tidy)
    published(world, TWO)
    newer = world.tip(BRANCH)

    assert isinstance(world.finish(tidy), running.Done)

    assert world.tip(BRANCH) == newer
    assert len(world.forge.opened(BRANCH)) == 1
    laws.p17_fidelity(world)
    laws.p11_healed(world)


@pytest.mark.parametrize(
    "call", ["find_open", "create", "comments", "upsert_comment", "statuses", "set_status"]
)
def test_a_call_that_fails_is_told_and_healed_by_running_again(world: worlds.World, call: str) -> None:
    sha = world.commit(ONE)
    world.forge.broken.add(call)
    failed = world.publish(sha)
    world.forge.broken.clear()
    healed = world.publish(sha)
    writes = len(world.forge.writes)
    again = world.publish(sha)

    assert isinstance(failed, running.Done)
    assert {type(one) for one in failed.trouble} == {errors.ForgeUnavailable}
    assert laws.results(failed)["staging"].outcome is publication.Outcome.PUBLISHED
    assert isinstance(healed, running.Done)
    assert not healed.trouble
    assert isinstance(again, running.Done)
    assert len(world.forge.writes) == writes
    for stage in worlds.REVIEWED:
        [one] = world.forge.opened(looking.branch("pet", stage.name))
        assert describing.parse_marker(one.body) is not None
        assert len(world.forge.said[one.number]) == 1
        assert world.forge.marks[one.sha]


def test_one_that_fails_does_not_keep_the_others_from_being_opened(world: worlds.World) -> None:
    create = world.forge.create

    async def picky(spec: forge.PullRequestSpec) -> forge.PullRequest:
        if spec.head == BRANCH:
            raise errors.ForgeRefused("no")
        return await create(spec)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.forge, "create", picky)
        done = world.publish(world.commit(ONE))

    assert isinstance(done, running.Done)
    [trouble] = done.trouble
    assert trouble.what == f"branch {BRANCH} was pushed, its pull request is not up to date"
    assert [one.head for one in world.forge.opened()] == [looking.branch("pet", "prod-us")]


def test_a_fault_before_anything_is_pushed_changes_nothing(world: worlds.World) -> None:
    world.forge.broken.add("find_closed")
    before = laws.seen(world)

    assert isinstance(world.publish(world.commit(ONE)), errors.ForgeUnavailable)

    assert laws.seen(world) == before


def test_an_edit_by_hand_is_shown_where_it_is_overwritten(world: worlds.World) -> None:
    published(world, ONE)
    for one in world.forge.opened():
        world.forge.merge(one.number)
    world.edit("prod-eu")

    published(world, TWO)

    [one] = world.forge.opened(BRANCH)
    assert "Edit by hand" in one.body
