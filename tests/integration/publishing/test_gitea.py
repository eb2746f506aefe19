"""The whole `undrift publish` against a real Gitea: pull requests, merges by every method, protection, bad days."""

from __future__ import annotations

import asyncio
import json
import re

import pytest

from tests.conformance.forges import relay
from tests.integration.publishing import gitea_world
from undrift.testing import gitea_server


async def published(
    world: gitea_world.World, application: gitea_world.Application, *more: str
) -> gitea_world.Ended:
    ended = await world.undrift(application.folder, "publish", *more)
    gitea_world.settled([ended])
    return ended


async def test_a_stage_directly_and_one_by_pull_request(forge_world: gitea_world.World) -> None:
    world, pet = forge_world, forge_world.application("pet")
    sha = pet.commit({"a.yaml": gitea_world.config_map("pet", 1)}, "Sell cat food #42")

    ended = await published(world, pet, "--output", "json")

    told = {one["stage"]: one for one in json.loads(ended.output)["stages"]}
    assert (told["staging"]["outcome"], told["production"]["outcome"]) == ("published", "published")
    assert world.files("staging/pet") == {"a.yaml": gitea_world.config_map("pet", 1)}
    assert world.files("production/pet") == {}
    [one] = world.opened()
    assert one["html_url"] == told["production"]["pull_request"]
    assert (one["head"]["ref"], one["base"]["ref"]) == ("undrift/pet/production", "main")
    assert one["user"]["login"] == gitea_world.BOT
    assert world.files("production/pet", one["head"]["sha"]) == {"a.yaml": gitea_world.config_map("pet", 1)}
    assert told["production"]["tree"] in one["body"]
    assert sha[:7] in one["body"]
    assert world.git("log", "-1", "--format=%an %cn", "main") == "Ada Author Undrift"
    states = world.call("GET", f"commits/{one['head']['sha']}/status")["statuses"]
    assert {state["context"]: state["status"] for state in states}["undrift/render"] == "success"


async def test_the_same_again_writes_nothing(forge_world: gitea_world.World) -> None:
    """P3, as the forge sees it."""
    world = forge_world
    async with relay.before(world.server.url) as door:
        pet = world.application("pet", url=f"{door.url}/{world.repository}.git")
        await published(world, pet)
        refs, before = world.git("for-each-ref"), [(one["number"], one["body"]) for one in world.opened()]
        door.asked.clear()

        await published(world, pet)

    writes = [one for one in door.writes if not one.address.endswith("git-upload-pack")]
    assert not [(one.method, one.address) for one in writes]
    assert world.git("for-each-ref") == refs
    assert [(one["number"], one["body"]) for one in world.opened()] == before


@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
@pytest.mark.parametrize("keep", [True, False])
async def test_after_a_merge_the_next_build_is_clean(
    forge_world: gitea_world.World, method: str, keep: bool
) -> None:
    """P12, and the reference's stale branch: the next pull request holds the next change and nothing else."""
    world, pet = forge_world, forge_world.application("pet")
    pet.commit({"a.yaml": gitea_world.config_map("pet", 1), "b.yaml": gitea_world.config_map("pet-b", 1)})
    await published(world, pet)
    [first] = world.opened()
    world.server.merge(world.repository, first["number"], method)
    if not keep:
        world.call("DELETE", "branches/undrift%2Fpet%2Fproduction")
    assert world.files("production/pet") == world.files("staging/pet")

    await published(world, pet)
    assert world.opened() == []

    pet.commit({"a.yaml": gitea_world.config_map("pet", 2)})
    await published(world, pet)

    [second] = world.opened()
    assert second["number"] != first["number"]
    head = second["head"]["sha"]
    assert world.git("rev-parse", f"{head}^") == world.git("rev-parse", "main")
    assert sorted(world.git("diff", "--name-only", "main", head).splitlines()) == [
        "production/pet/a.yaml",
        "production/pet/b.yaml",
        "production/pet/hydrator.metadata",
    ]
    world.server.merge(world.repository, second["number"], method)
    assert world.files("production/pet") == {"a.yaml": gitea_world.config_map("pet", 2)}


async def test_a_newer_revision_takes_over_the_open_one(forge_world: gitea_world.World) -> None:
    world, pet = forge_world, forge_world.application("pet")
    old = pet.git("rev-parse", "HEAD")
    await published(world, pet)
    [first] = world.opened()
    pet.commit({"a.yaml": gitea_world.config_map("pet", 1)})
    await published(world, pet)
    late = await published(world, pet, "--revision", old)

    [second] = world.opened()
    assert second["number"] == first["number"]
    assert world.files("production/pet", second["head"]["sha"]) == {
        "a.yaml": gitea_world.config_map("pet", 1)
    }
    assert late.told.count("superseded") == 2


async def test_what_a_person_closed_stays_closed(forge_world: gitea_world.World) -> None:
    """P13."""
    world, pet = forge_world, forge_world.application("pet")
    await published(world, pet)
    [first] = world.opened()
    world.call("PATCH", f"pulls/{first['number']}", {"state": "closed"})

    ended = await published(world, pet)

    assert world.opened() == []
    assert re.search(r"production held .*a person closed", ended.told)
    pet.commit({"a.yaml": gitea_world.config_map("pet", 1)})
    await published(world, pet)
    assert len(world.opened()) == 1


async def test_commits_of_people_on_our_branch_are_left_alone(forge_world: gitea_world.World) -> None:
    world, pet = forge_world, forge_world.application("pet")
    await published(world, pet)
    theirs = world.server.commit(
        world.repository, "undrift/pet/production", "production/pet/b.yaml", "b: 1\n"
    )
    pet.commit({"a.yaml": gitea_world.config_map("pet", 1)})
    main = world.git("rev-parse", "main")

    ended = await world.undrift(pet.folder, "publish")

    assert ended.code == 10
    assert re.search(r"UD919.*production.*commits of somebody else", ended.told)
    assert world.git("rev-parse", "undrift/pet/production") == theirs
    assert world.git("rev-parse", "main") == main, "P9: the other stage moved"


async def test_a_protected_branch_is_said(forge_world: gitea_world.World) -> None:
    world, pet = forge_world, forge_world.application("pet")
    world.server.protect(world.repository, "main", enable_push=False)
    refs = world.git("for-each-ref")

    ended = await world.undrift(pet.folder, "publish")

    assert ended.code == 6
    assert re.search(r"UD912.*branch main of .* is protected.*publish: pull-request", ended.told)
    assert world.git("for-each-ref") == refs
    assert world.opened() == []


async def test_by_pull_request_a_protected_branch_is_fine(forge_world: gitea_world.World) -> None:
    world = forge_world
    pet = world.application("pet", gitea_world.PRODUCTION)
    world.server.protect(world.repository, "main", enable_push=False, required_approvals=1)

    await published(world, pet)

    [one] = world.opened()
    world.call("POST", f"pulls/{one['number']}/reviews", {"event": "APPROVED", "body": "fine"})
    world.server.merge(world.repository, one["number"])
    assert world.files("production/pet") == {"a.yaml": gitea_world.config_map("pet", 0)}


async def test_row_19_a_forge_that_fails_after_the_push_is_healed_by_running_again(
    forge_world: gitea_world.World,
) -> None:
    """P11 and exit code 8."""
    world = forge_world
    async with relay.before(world.server.url) as door:
        pet = world.application("pet", url=f"{door.url}/{world.repository}.git")
        door.trouble(method="POST", path="/pulls", status=501, times=100)
        failed = await world.undrift(pet.folder, "publish")
        assert world.opened() == []
        door.troubles.clear()
        healed = await world.undrift(pet.folder, "publish")

    assert failed.code == 8
    assert re.search(
        r"UD91[45].*branch undrift/pet/production was pushed, its pull request is not up to date.*run it again",
        failed.told,
    )
    assert "production published" in failed.told
    assert healed.code == 0
    assert len(world.opened()) == 1


async def test_a_token_that_may_only_read_changes_nothing(forge_world: gitea_world.World) -> None:
    world, pet = forge_world, forge_world.application("pet")
    reader = world.server.person("reader")
    refs = world.git("for-each-ref")

    ended = await world.undrift(pet.folder, "publish", UNDRIFT_TOKEN=reader.token, UNDRIFT_USERNAME="reader")

    assert ended.code == 6
    assert re.search(r"UD202.*\$UNDRIFT_TOKEN, user reader needs", ended.told)
    assert reader.token not in ended.told
    assert world.git("for-each-ref") == refs


async def test_a_rollback_is_a_pull_request_too_and_automation_stays_away(
    forge_world: gitea_world.World,
) -> None:
    world, pet = forge_world, forge_world.application("pet")
    for number in (1, 2):
        pet.commit({"a.yaml": gitea_world.config_map("pet", number)})
        await published(world, pet)
        world.server.merge(world.repository, world.opened()[0]["number"])

    back = await world.undrift(pet.folder, "rollback", "pet", "--stage", "production", "--reason", "It bites")
    gitea_world.settled([back])
    [one] = world.opened()
    assert "Roll back" in one["title"]
    world.server.merge(world.repository, one["number"])
    assert world.files("production/pet") == {"a.yaml": gitea_world.config_map("pet", 1)}

    pet.commit({"a.yaml": gitea_world.config_map("pet", 3)})
    held = await published(world, pet)
    assert re.search(r"production held .*it was rolled back from \w+ by .*It bites.*--resume", held.told)
    assert world.opened() == []
    await published(world, pet, "--resume")
    world.server.merge(world.repository, world.opened()[0]["number"])
    assert world.files("production/pet") == {"a.yaml": gitea_world.config_map("pet", 3)}


async def test_a_renamed_default_branch_is_followed(
    gitea: gitea_server.GiteaServer, forge_world: gitea_world.World
) -> None:
    world, pet = forge_world, forge_world.application("pet")
    await published(world, pet)
    await asyncio.to_thread(
        world.call, "POST", "branches", {"new_branch_name": "trunk", "old_branch_name": "main"}
    )
    text = (pet.folder / "undrift.yaml").read_text("utf-8")
    changed = text.replace("forge: gitea", "forge: gitea, branch: trunk")
    (pet.folder / "undrift.yaml").write_text(changed, "utf-8")
    pet.commit({"a.yaml": gitea_world.config_map("pet", 1)})

    await published(world, pet)

    assert world.files("staging/pet", "trunk") == {"a.yaml": gitea_world.config_map("pet", 1)}
    assert {one["base"]["ref"] for one in world.opened()} >= {"trunk"}
