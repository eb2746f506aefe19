"""The properties of publishing, each as a function that raises when it does not hold. Numbers as in the specification.

Of whole commands P8 is seen in tests/integration/publishing/test_publish_command.py, too. Not of jobs and their order,
and therefore elsewhere: P14 (determinism) and P18 (local is remote) in test_rendering.py and test_local.py of
tests/integration/publishing, P15 (no token anywhere) in tests/e2e/test_publishing_keeps_secrets.py, P16 (containment)
in tests/unit/sources/test_planting.py.
"""

from __future__ import annotations

from tests.properties.publishing import world as worlds
from undrift.lib import globs
from undrift.model import delivery, publication
from undrift.publishing import describing, looking, running


def p1_exact(world: worlds.World, commit: str, stage: str, sha: str) -> None:
    """The folder is what was rendered, byte for byte, absences included."""
    files, _ = world.folder(commit, stage)
    assert files == world.commits[sha][stage], f"P1: {stage} at {commit[:8]} is not what {sha[:8]} renders to"


def p2_frame(world: worlds.World, commit: str) -> None:
    """Nothing outside of the folder is touched by a commit of ours."""
    stage = world.is_ours(commit)
    changed = world.gitops.git("diff-tree", "-r", "--name-only", "--root", f"{commit}^", commit).splitlines()
    place = f"{stage}/pet/"
    outside = [name for name in changed if not name.startswith(place)]
    assert not outside, f"P2: {commit[:8]} for {stage} touches {outside}"
    kept = [name for name in changed if globs.matches(name.removeprefix(place), worlds.KEEP)]
    assert not kept, f"P2: {commit[:8]} for {stage} touches what is somebody else's: {kept}"


def p3_idempotent(world: worlds.World, before: tuple[str, int]) -> None:
    """Publishing the same again changes nothing; `before` is what was `seen`."""
    assert seen(world) == before, "P3: publishing the same again changed something"


def p4_no_mixture(world: worlds.World, commit: str) -> None:
    """A commit of ours holds exactly what the revision renders to that it records."""
    stage = world.is_ours(commit)
    files, provenance = world.folder(commit, stage)
    assert provenance is not None, f"P4: {commit[:8]} does not say where it comes from"
    found = world.commits[provenance.revision.sha][stage]
    assert files == found, f"P4: {commit[:8]} mixes revisions"


def p5_monotone(world: worlds.World) -> None:
    """Recorded revisions never move to an ancestor, nor numbers of builds back, unless by a rollback."""
    for stage in worlds.STAGES:
        before: publication.AppRevision | None = None
        for commit in world.main():
            _, provenance = world.folder(commit, stage.name)
            if provenance is None:
                continue
            after = provenance.revision
            if before is not None and after.sha != before.sha and provenance.rollback is None:
                back = world.is_ancestor(after.sha, before.sha, world.application)
                assert not back, (
                    f"P5: {stage.name} went back from {before.short} to {after.short} at {commit[:8]}"
                )
                ahead = world.is_ancestor(before.sha, after.sha, world.application)
                numbered = before.sequence and after.sequence and not ahead
                assert not numbered or after.sequence > before.sequence, (
                    f"P5: {stage.name} went back from build {before.sequence} to {after.sequence}"
                )
            before = after


def p5_rolled_back(world: worlds.World) -> None:
    """Where a person took a stage back, nothing goes on by itself. (Holds while nobody resumes.)"""
    for stage in worlds.STAGES:
        back = False
        for commit in world.main():
            _, provenance = world.folder(commit, stage.name)
            if provenance is not None:
                assert not back or provenance.rollback is not None, (
                    f"P5: {stage.name} went on by itself at {commit[:8]} after a rollback"
                )
                back = provenance.rollback is not None


def p6_outcome(done: running.Done) -> None:
    """A job that ends well says one of a few things of every stage."""
    told = {one.stage: one.outcome for one in done.results}
    assert set(told) <= {stage.name for stage in worlds.STAGES}, f"P6: {told}"
    assert set(told.values()) <= set(publication.Outcome), f"P6: {told}"


def p7_fast_forward(world: worlds.World, before: str) -> None:
    """The main branch only grows."""
    after = world.tip()
    assert world.is_ancestor(before, after, world.gitops), f"P7: {before[:8]} is lost from the main branch"


def p7_nothing_lost(world: worlds.World, done: running.Done) -> None:
    """What a job says it published on the main branch is there."""
    for one in done.results:
        if one.way is delivery.Way.DIRECT and one.outcome is publication.Outcome.PUBLISHED:
            assert one.commit in world.main(), (
                f"P7: {one.commit[:8]} of {one.stage} is not on the main branch"
            )


def p7_people(world: worlds.World, commits: set[str]) -> None:
    """What people committed to branches of ours is still at their tips."""
    tips = {world.tip(looking.branch("pet", stage.name)) for stage in worlds.REVIEWED}
    assert commits <= tips, f"P7: commits of people are lost: {commits - tips}"


def p9_together() -> None:
    """All refs of a push moved, or none did."""
    halves = [one for one in worlds.pushes if one.moved not in (0, one.wanted)]
    assert not halves, f"P9: {halves[0].moved} of {halves[0].wanted} refs moved"


def p10_one_open(world: worlds.World) -> None:
    """At most one pull request is open for a stage, whatever its branch is called."""
    markers = [describing.parse_marker(one.body) for one in world.forge.opened()]
    about = [(one.application, one.stage) for one in markers if one is not None]
    assert len(about) == len(set(about)), f"P10: several pull requests are open: {sorted(about)}"


def p11_healed(world: worlds.World) -> None:
    """What is proposed by a branch of ours has a pull request."""
    for stage in worlds.REVIEWED:
        branch = looking.branch("pet", stage.name)
        if world.tip(branch):
            assert world.forge.opened(branch), f"P11: nothing is open for what is proposed to {stage.name}"


def p12_one_commit(world: worlds.World, stage: delivery.Stage) -> None:
    """The branch of a pull request is a commit of the main branch and exactly one more."""
    tip = world.tip(looking.branch("pet", stage.name))
    if tip:
        parents = world.gitops.git("log", "-1", "--format=%P", tip).split()
        assert len(parents) == 1, f"P12: {tip[:8]} has {len(parents)} parents"
        assert parents[0] in world.gitops.git("rev-list", "main").split(), (
            f"P12: {tip[:8]} is not made on main"
        )


def p12_merged(world: worlds.World, stage: str, before: str, branch: str, sha: str) -> None:
    """What was merged is the stage as it was proposed, where nobody changed the folder below it."""
    place = f"{stage}/pet"
    base = world.gitops.git("log", "-1", "--format=%P", branch).split()[0]
    if world.tree_of(base, place) == world.tree_of(before, place):
        p1_exact(world, "main", stage, sha)


def p13_stays_closed(world: worlds.World, closed: set[tuple[str, str]]) -> None:
    """What a person closed is not open again; `closed` are stages and trees."""
    for one in world.forge.opened():
        marker = describing.parse_marker(one.body)
        again = marker is not None and (marker.stage, marker.tree) in closed
        assert not again, f"P13: #{one.number} has what a person closed"


def p17_fidelity(world: worlds.World) -> None:
    """The text of a pull request names the tree that is at its head."""
    for one in world.forge.opened():
        marker = describing.parse_marker(one.body)
        assert marker is not None, f"P17: #{one.number} does not say what it holds"
        _, provenance = world.folder(one.sha, marker.stage)
        if provenance is not None:
            assert marker.tree == provenance.tree, f"P17: #{one.number} shows another tree than it holds"


def results(done: running.Done) -> dict[str, publication.StageResult]:
    """Results by stage."""
    return {one.stage: one for one in done.results}


def p8_nothing(world: worlds.World, before: tuple[str, int]) -> None:
    """Neither a ref nor anything on the forge is another one than `before` (see `seen`)."""
    assert seen(world) == before, "P8: something was changed though checks failed"


def seen(world: worlds.World) -> tuple[str, int]:
    """All refs, and how often something was written on the forge."""
    return world.gitops.git("for-each-ref"), len(world.forge.writes)
