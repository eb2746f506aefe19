"""An application that is given up leaves the GitOps repository: its stages, its previews, its branches."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from typing import Any

import pytest

from tests.integration.publishing import places
from undrift.model import delivery, publication
from undrift.publishing import preparing, running, withdrawing
from undrift.testing import forge, git_server


@pytest.fixture
def place(tmp_path: pathlib.Path) -> places.Place:
    made = places.delivered(tmp_path)
    published(made)
    return made


def published(place: places.Place) -> None:
    done = place.undrift("publish", "--image", f"application={places.IMAGE}")
    assert done.returncode == 0, done.stderr


def files(place: places.Place) -> set[str]:
    return set(place.git("ls-tree", "-r", "--name-only", "main", cwd=place.gitops).split())


def withdrawn(place: places.Place, *arguments: str) -> dict[str, Any]:
    done = place.undrift("publish", "--withdraw", "nobody uses it", "-o", "json", *arguments)
    assert done.returncode == 0, done.stderr + done.stdout
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def outcomes(found: dict[str, Any]) -> dict[str, str]:
    return {one["stage"]: one["outcome"] for one in found["stages"]}


def test_all_stages_go_with_one_commit_each_and_again_does_nothing(place: places.Place) -> None:
    tip = place.tip()
    would = place.undrift("publish", "--withdraw", "nobody uses it", "--dry-run", "--detailed-exitcode")
    assert (would.returncode, would.stdout.count("would be removed"), place.tip()) == (2, 2, tip)

    found = withdrawn(place)

    assert outcomes(found) == {"staging": "removed", "production": "removed"}
    assert files(place) == set()
    subjects = place.git("log", "--format=%s", f"{tip}..main", cwd=place.gitops).splitlines()
    assert subjects == [
        "[production] Remove petclinic: nobody uses it",
        "[staging] Remove petclinic: nobody uses it",
    ]
    tip = place.tip()
    assert outcomes(withdrawn(place)) == {"staging": "unchanged", "production": "unchanged"}
    assert place.tip() == tip


def test_one_stage_goes_and_can_come_back(place: places.Place) -> None:
    assert outcomes(withdrawn(place, "--stage", "production")) == {"production": "removed"}
    assert {name.partition("/")[0] for name in files(place)} == {"staging"}

    published(place)
    assert {name.partition("/")[0] for name in files(place)} == {"staging", "production"}


def test_previews_go_too(place: places.Place) -> None:
    file = place.application / "undrift.yaml"
    file.write_text(file.read_text() + "  preview: {stage: staging, namespace: petclinic-staging}\n")
    place.git("commit", "-qam", "Preview")
    made = place.undrift("preview", "create", "--number", "7", "--image", f"application={places.IMAGE}")
    assert made.returncode == 0, made.stderr
    assert any(name.startswith("preview-7/") for name in files(place))

    assert outcomes(withdrawn(place))["preview-7"] == "removed"
    assert files(place) == set()


def test_what_somebody_edited_is_left_to_a_person(place: places.Place, tmp_path: pathlib.Path) -> None:
    clone = tmp_path / "clone"
    place.git("clone", "-q", str(place.gitops), str(clone))
    (clone / "staging" / "petclinic" / "mine.yaml").write_text("a: 1\n")
    place.git("add", "-A", cwd=clone)
    place.git("commit", "-qm", "By hand", cwd=clone)
    place.git("push", "-q", cwd=clone)
    tip = place.tip()

    done = place.undrift("publish", "--withdraw", "over")

    assert (done.returncode, "UD917" in done.stderr, place.tip()) == (10, True, tip)
    assert outcomes(withdrawn(place, "--overwrite"))["staging"] == "removed"


async def test_a_stage_with_pull_requests_gets_one_that_removes_it(place: places.Place) -> None:
    host = forge.FakeForge(git_server.GitRepository(place.gitops, ""))
    opened = await preparing.open_delivery(preparing.Request(folder=place.application, lenient=True))
    stages = tuple(
        dataclasses.replace(one, way=delivery.Way.PULL_REQUEST) if one.name == "production" else one
        for one in opened.stages
    )
    how = running.How(environ=places.environment(place.root), forge=host)
    manner = withdrawing.Manner(reason="nobody uses it")

    first = await withdrawing.give_up(opened.declared, stages, manner, how)
    again = await withdrawing.give_up(opened.declared, stages, manner, how)

    assert {one.outcome for one in first.results} == {publication.Outcome.PUBLISHED}
    assert [one.outcome.value for one in again.results] == ["unchanged", "published"]
    assert {name.partition("/")[0] for name in files(place)} == {"production"}
    branch = "undrift/petclinic/production"
    assert place.git("ls-tree", "-r", "--name-only", branch, cwd=place.gitops) == ""
    assert place.git("rev-list", "--count", f"main..{branch}", cwd=place.gitops).strip() == "1"
    found = await host.find_open(branch, "main")
    assert found is not None
    assert found.title == "[production] Remove petclinic: nobody uses it"
    assert [one.pull_request and one.pull_request.number for one in again.results] == [None, found.number]
