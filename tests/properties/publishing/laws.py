"""The properties of publishing, each as a function that raises when it does not hold. Numbers as in the specification.

What one file shows another does not: P14 (determinism) and P16 (containment) are in test_rendering.py and
test_planting.py, P15 (no token anywhere) in test_secrets.py, P18 (local is remote) in test_local.py.
"""

from __future__ import annotations

from tests.properties.publishing import world as worlds
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
    outside = [name for name in changed if not name.startswith(f"{stage}/pet/")]
    assert not outside, f"P2: {commit[:8]} for {stage} touches {outside}"


def p4_no_mixture(world: worlds.World, commit: str) -> None:
    """A commit of ours holds exactly what the revision renders to that it records."""
    stage = world.is_ours(commit)
    files, provenance = world.folder(commit, stage)
    assert provenance is not None, f"P4: {commit[:8]} does not say where it comes from"
    found = world.commits[provenance.revision.sha][stage]
    assert files == found, f"P4: {commit[:8]} mixes revisions"


def p5_monotone(world: worlds.World) -> None:
    """Recorded revisions never move to an ancestor, unless by a rollback."""
    for stage in worlds.STAGES:
        before = ""
        for commit in world.main():
            _, provenance = world.folder(commit, stage.name)
            if provenance is None:
                continue
            after = provenance.revision.sha
            if before and after != before and provenance.rollback is None:
                back = world.is_ancestor(after, before, world.application)
                assert not back, (
                    f"P5: {stage.name} went back from {before[:8]} to {after[:8]} at {commit[:8]}"
                )
            before = after


def p7_fast_forward(world: worlds.World, before: str) -> None:
    """The main branch only grows."""
    after = world.tip()
    assert world.is_ancestor(before, after, world.gitops), f"P7: {before[:8]} is lost from the main branch"


def p10_one_open(world: worlds.World) -> None:
    """At most one pull request is open for a stage."""
    heads = [one.head for one in world.forge.opened()]
    assert len(heads) == len(set(heads)), f"P10: several pull requests are open: {heads}"


def p12_one_commit(world: worlds.World, stage: delivery.Stage) -> None:
    """The branch of a pull request is a commit of the main branch and exactly one more."""
    tip = world.tip(looking.branch("pet", stage.name))
    if tip:
        parents = world.gitops.git("log", "-1", "--format=%P", tip).split()
        assert len(parents) == 1, f"P12: {tip[:8]} has {len(parents)} parents"
        assert parents[0] in world.gitops.git("rev-list", "main").split(), (
            f"P12: {tip[:8]} is not made on main"
        )


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
