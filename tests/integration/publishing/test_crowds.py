"""Thirty-two jobs of CI at once on a real Gitea: none fails, nothing is lost, nothing goes back."""

from __future__ import annotations

import asyncio
import json
import random

import pytest

from tests.integration.publishing import gitea_world

JOBS = 32
AT_ONCE = ("--deadline", "5m")


def recorded(world: gitea_world.World, folder: str) -> list[str]:
    """The revisions that a folder recorded along the main branch, oldest first."""
    commits = world.git("rev-list", "--reverse", "--first-parent", "main", "--", folder).split()
    notes = [json.loads(world.git("show", f"{one}:{folder}/hydrator.metadata")) for one in commits]
    return [note["drySha"] for note in notes]


@pytest.mark.timeout(500)
async def test_thirty_two_applications(forge_world: gitea_world.World) -> None:
    """P1, P2, P6 and P7 for disjoint folders."""
    world = forge_world
    applications = [world.application(f"app-{number}", gitea_world.STAGING) for number in range(JOBS)]
    before = int(world.git("rev-list", "--count", "main"))

    ended = await asyncio.gather(*(world.undrift(one.folder, "publish", *AT_ONCE) for one in applications))

    gitea_world.settled(ended)
    for one in applications:
        assert world.files(f"staging/{one.name}") == {"a.yaml": gitea_world.config_map(one.name, 0)}
        assert recorded(world, f"staging/{one.name}") == [one.git("rev-parse", "HEAD")]
    assert int(world.git("rev-list", "--count", "main")) == before + JOBS
    world.git("fsck", "--strict")


@pytest.mark.timeout(500)
async def test_thirty_two_builds_of_one_application(forge_world: gitea_world.World) -> None:
    """P1, P5, P6, P7 and P10 for one folder: whatever comes first, the newest is what is there in the end."""
    world, pet = forge_world, forge_world.application("pet")
    made = [
        pet.commit(
            {
                "a.yaml": gitea_world.config_map("pet", number),
                f"only-{number}.yaml": gitea_world.config_map("x", number),
            }
        )
        for number in range(1, JOBS + 1)
    ]
    order = random.Random(7).sample(made, JOBS)

    ended = await asyncio.gather(
        *(world.undrift(pet.folder, "publish", "--revision", sha, *AT_ONCE) for sha in order)
    )

    gitea_world.settled(ended)
    newest = {
        "a.yaml": gitea_world.config_map("pet", JOBS),
        f"only-{JOBS}.yaml": gitea_world.config_map("x", JOBS),
    }
    assert world.files("staging/pet") == newest
    along = [made.index(sha) for sha in recorded(world, "staging/pet")]
    assert along == sorted(set(along)), "something went backwards"
    assert along[-1] == JOBS - 1
    [one] = world.opened()
    assert world.files("production/pet", one["head"]["sha"]) == newest
    assert world.git("rev-list", "--count", f"main..{one['head']['sha']}") == "1"
