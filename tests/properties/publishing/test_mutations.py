"""The laws can fail: each is broken once on purpose in the code of publishing, and the law has to say so.

Each story is told twice: as the code is, where the law holds, and with the code broken, where it must not.
"""

from __future__ import annotations

import dataclasses
import itertools
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.properties.publishing import laws
from tests.properties.publishing import world as worlds
from undrift import errors
from undrift.model import publication
from undrift.publishing import deciding, describing, looking, messages, reviewing, running
from undrift.sources.git import grafting, planting, trees

ONE = {"a.yaml": b"x: 1\n", "b.yaml": b"x: 1\n"}
TWO = {"a.yaml": b"x: 2\n"}
THREE = {"a.yaml": b"x: 3\n"}
Patch = pytest.MonkeyPatch


def published(world: worlds.World, files: Mapping[str, bytes]) -> str:
    sha = world.commit(files)
    done = world.publish(sha)
    assert isinstance(done, running.Done), done
    return sha


# --- stories: what is done, and the law that is held up to it -----------------------------------------------


def a_file_goes(world: worlds.World) -> None:
    published(world, ONE)
    laws.p1_exact(world, "main", "staging", published(world, TWO))


def another_application_is_beside(world: worlds.World) -> None:
    published(world, ONE)
    laws.p2_frame(world, world.tip())


def the_same_again(world: worlds.World) -> None:
    sha = published(world, ONE)
    before = laws.seen(world)
    world.publish(sha)
    laws.p3_idempotent(world, before)


def one_after_another(world: worlds.World) -> None:
    published(world, ONE)
    published(world, TWO)
    laws.p4_no_mixture(world, world.tip())


def an_old_build_comes_late(world: worlds.World) -> None:
    old = published(world, ONE)
    published(world, TWO)
    world.publish(old)
    laws.p5_monotone(world)


def a_build_after_a_rollback(world: worlds.World) -> None:
    published(world, ONE)
    published(world, TWO)
    back = world.finish(world.start_rollback("staging"))
    assert isinstance(back, running.Done), back
    published(world, THREE)
    laws.p5_rolled_back(world)


def a_newer_build(world: worlds.World) -> None:
    published(world, ONE)
    laws.p1_exact(world, "main", "staging", published(world, TWO))


def two_builds_push_at_once(world: worlds.World) -> None:
    published(world, ONE)
    jobs = [world.start(world.commit(TWO)), world.start(world.commit(THREE))]
    for job in jobs:
        while job.at != "push":
            world.step(job)
    world.finish(jobs[1])
    tip = world.tip()
    world.finish(jobs[0])
    laws.p7_fast_forward(world, tip)


def checks_fail(world: worlds.World) -> None:
    before = laws.seen(world)
    findings = publication.Findings(failed=(errors.SecretInPlain("Secret/db is plain text"),))
    world.finish(world.start(world.commit(ONE), findings=findings))
    laws.p8_nothing(world, before)


def one_branch_is_protected(world: worlds.World) -> None:
    world.protect("undrift/pet/prod-us")
    world.publish(world.commit(ONE))
    laws.p9_together()


def two_revisions_are_proposed(world: worlds.World) -> None:
    published(world, ONE)
    published(world, TWO)
    laws.p10_one_open(world)


def the_forge_has_a_fault(world: worlds.World) -> None:
    world.forge.broken.add("create")
    sha = published(world, ONE)
    world.forge.broken.clear()
    world.publish(sha)
    laws.p11_healed(world)


def a_branch_is_made_again(world: worlds.World) -> None:
    published(world, ONE)
    published(world, TWO)
    laws.p12_one_commit(world, worlds.REVIEWED[0])


def a_person_closes(world: worlds.World) -> None:
    sha = published(world, ONE)
    closed = set()
    for one in world.forge.opened():
        marker = describing.parse_marker(one.body)
        assert marker is not None
        closed.add((marker.stage, marker.tree))
        world.forge.close_by(one.number)
    world.publish(sha)
    laws.p13_stays_closed(world, closed)


def it_is_proposed(world: worlds.World) -> None:
    published(world, ONE)
    laws.p17_fidelity(world)


# --- breaks: one each -------------------------------------------------------------------------------------


def files_are_only_added(patch: Patch) -> None:
    """What is there stays, as `cp -r` leaves it."""
    folder = looking.Looker.folder

    async def keep(self: Any, forest: Any, stage: Any) -> looking.Folder:
        found = await folder(self, forest, stage)
        return dataclasses.replace(found, kept=found.ours)

    patch.setattr(looking.Looker, "folder", keep)


def neighbours_are_dropped(patch: Patch) -> None:
    """A folder is put into a root that holds nothing else."""

    def alone(nursery: planting.Nursery, folder: str, tree: str, known: Any) -> str:
        for name in reversed(folder.split("/")):
            tree = nursery.tree({name: trees.Entry(trees.TREE, tree)})
        return tree

    patch.setattr(planting, "graft", alone)


def nothing_is_the_same(patch: Patch) -> None:
    patch.setattr(deciding, "is_same", lambda old, new: False)


def another_revision_is_recorded(patch: Patch) -> None:
    first: list[publication.AppRevision] = []
    provenance = messages.provenance

    def wrong(found: publication.Provenance) -> bytes:
        first.append(found.revision)
        return provenance(dataclasses.replace(found, revision=first[0]))

    patch.setattr(messages, "provenance", wrong)


def everything_is_newer(patch: Patch) -> None:
    patch.setattr(deciding, "order", lambda *_: deciding.Order.NEWER)


def rollbacks_are_forgotten(patch: Patch) -> None:
    patch.setattr(deciding, "_held", lambda *_: "")


def everything_is_older(patch: Patch) -> None:
    patch.setattr(deciding, "order", lambda *_: deciding.Order.OLDER)


def pushes_are_forced(patch: Patch) -> None:
    """Nothing is compared with what was seen."""
    run = grafting.Workbench._run

    async def forced(self: Any, *arguments: str, **more: Any) -> Any:
        if arguments[0] == "push":
            kept = [one for one in arguments if not one.startswith("--force-with-lease")]
            arguments = tuple(f"+{one}" if ":refs/" in one else one for one in kept)
        return await run(self, *arguments, **more)

    patch.setattr(grafting.Workbench, "_run", forced)


def checks_are_not_heeded(patch: Patch) -> None:
    async def publish(prepared: Any, how: running.How) -> running.Done:
        return await running.Run(prepared, how).publish()

    patch.setattr(running, "publish", publish)


def refs_move_one_by_one(patch: Patch) -> None:
    run = grafting.Workbench._run

    async def loose(self: Any, *arguments: str, **more: Any) -> Any:
        return await run(self, *(one for one in arguments if one != "--atomic"), **more)

    patch.setattr(grafting.Workbench, "_run", loose)


def branches_have_new_names(patch: Patch) -> None:
    """Every run has a branch of its own."""
    publish, numbers = running.Run.publish, itertools.count()

    async def counted(self: Any) -> running.Done:
        next(numbers)
        return await publish(self)

    patch.setattr(running.Run, "publish", counted)
    patch.setattr(looking, "branch", lambda _, stage: f"undrift/pet/{stage}-{str(numbers)[6:-1]}")


def only_what_was_pushed_is_proposed(patch: Patch) -> None:
    """Nothing to push, nothing to do: what an earlier run left half done stays so."""
    decide = deciding.decide

    def forgetful(found: Any, options: Any) -> deciding.Decision:
        decided = decide(found, options)
        if decided.step is deciding.Step.LEAVE:
            return dataclasses.replace(decided, outcome=publication.Outcome.HELD)
        return decided

    patch.setattr(deciding, "decide", forgetful)


def branches_grow(patch: Patch) -> None:
    """A branch goes on from where it was."""
    commit = grafting.Workbench.commit

    async def grown(self: Any, forest: Any, parents: Any, message: str, author: Any = None) -> str:
        stage = next((one.name for one in worlds.REVIEWED if f"Undrift-Stage: {one.name}" in message), "")
        done = await self._run("rev-parse", "--verify", "--quiet", f"refs/heads/undrift/pet/{stage}")
        before = done.output.decode().strip()
        return await commit(self, forest, [before] if before else parents, message, author)

    patch.setattr(grafting.Workbench, "commit", grown)


def nobody_closed_anything(patch: Patch) -> None:
    async def none(*_: Any) -> Mapping[str, str]:
        return {}

    patch.setattr(reviewing.Reviewer, "closed", none)


def another_tree_is_told(patch: Patch) -> None:
    pull_request = describing.pull_request

    def wrong(found: Any, limits: Any) -> tuple[str, str]:
        return pull_request(dataclasses.replace(found, tree="0" * 40), limits)

    patch.setattr(describing, "pull_request", wrong)


CASES: tuple[tuple[str, Callable[[worlds.World], None], Callable[[Patch], None]], ...] = (
    ("P1", a_file_goes, files_are_only_added),
    ("P2", another_application_is_beside, neighbours_are_dropped),
    ("P3", the_same_again, nothing_is_the_same),
    ("P4", one_after_another, another_revision_is_recorded),
    ("P5", an_old_build_comes_late, everything_is_newer),
    ("P5", a_build_after_a_rollback, rollbacks_are_forgotten),
    ("P1", a_newer_build, everything_is_older),
    ("P7", two_builds_push_at_once, pushes_are_forced),
    ("P8", checks_fail, checks_are_not_heeded),
    ("P9", one_branch_is_protected, refs_move_one_by_one),
    ("P10", two_revisions_are_proposed, branches_have_new_names),
    ("P11", the_forge_has_a_fault, only_what_was_pushed_is_proposed),
    ("P12", a_branch_is_made_again, branches_grow),
    ("P13", a_person_closes, nobody_closed_anything),
    ("P17", it_is_proposed, another_tree_is_told),
)
"""P6 is P1 of the newest after any order of jobs: there, too, a job that is not heeded shows as P1."""


@pytest.mark.parametrize("law, story, broken", CASES, ids=lambda one: getattr(one, "__name__", one))
def test_a_broken_law_is_noticed(
    law: str,
    story: Callable[[worlds.World], None],
    broken: Callable[[Patch], None],
    tmp_path: pathlib.Path,
    monkeypatch: Patch,
) -> None:
    with worlds.opened(tmp_path / "sound") as world:
        story(world)

    broken(monkeypatch)
    with worlds.opened(tmp_path / "broken") as world, pytest.raises(AssertionError, match=f"^{law}: "):
        story(world)
