"""What only GitLab has: tokens of jobs, groups that cannot be asked, statuses that may not be told twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import cast

import pytest

from tests.conformance.forges.servers import gitlab
from tests.conformance.forges.stands import gitlab as stands
from undrift import errors
from undrift.forges import connecting
from undrift.model import forge

HEAD = "undrift/shop/production"
SPEC = forge.PullRequestSpec(HEAD, "main", "title", "body")


@pytest.fixture
async def stand() -> AsyncIterator[stands.GitLabStand]:
    async with stands.opened(None) as made:
        yield made
        await made.forge.close_session()


def server(stand: stands.GitLabStand) -> gitlab.GitLab:
    return cast("gitlab.GitLab", stand.server)


async def test_a_job_signs_in_with_its_own_token(stand: stands.GitLabStand) -> None:
    server(stand).is_job = True
    environ = {"CI_JOB_TOKEN": stand.secrets[0], "CI_SERVER_URL": stand.relay.url}
    found = connecting.connect(stand.passed(stand.server.clone_url), "gitlab", "", environ)
    assert found is not None
    await stand.branch(HEAD)

    made = await found.create(SPEC)
    await found.upsert_comment(made.number, "<!-- m -->", "<!-- m -->\none")
    await found.upsert_comment(made.number, "<!-- m -->", "<!-- m -->\ntwo")

    assert await stand.comments(made.number) == ["<!-- m -->\ntwo"]
    assert {name for one in stand.relay.asked for name in one.headers} >= {"JOB-TOKEN"}
    await found.close_session()


async def test_the_members_of_a_group_are_asked_each_once(stand: stands.GitLabStand) -> None:
    await stand.branch(HEAD)

    made = await stand.forge.create(
        forge.PullRequestSpec(HEAD, "main", "title", "body", reviewers=("ada", "team:ops/reviewers"))
    )

    assert sorted((await stand.seen(made.number)).reviewers) == ["ada", "bob"]


async def test_a_second_pending_is_borne(stand: stands.GitLabStand) -> None:
    sha = await stand.branch(HEAD)
    await stand.forge.set_status(sha, forge.Status("undrift/render", forge.StatusState.PENDING, "one"))

    await stand.forge.set_status(sha, forge.Status("undrift/render", forge.StatusState.PENDING, "two"))
    await stand.forge.set_status(sha, forge.Status("undrift/render", forge.StatusState.SUCCESS, "three"))

    assert await stand.statuses(sha) == {"undrift/render": ("success", "three")}


async def test_an_error_is_told_and_read_as_one(stand: stands.GitLabStand) -> None:
    sha = await stand.branch(HEAD)

    await stand.forge.set_status(sha, forge.Status("undrift/render", forge.StatusState.ERROR, "one"))

    assert [one.state for one in await stand.forge.statuses(sha)] == [forge.StatusState.ERROR]


async def test_other_refusals_of_a_status_are_said(stand: stands.GitLabStand) -> None:
    sha = await stand.branch(HEAD)
    stand.relay.trouble(method="POST", status=400, body='{"message": "name is too long"}')

    with pytest.raises(errors.ForgeRefused, match="name is too long"):
        await stand.forge.set_status(sha, forge.Status("undrift/render", forge.StatusState.PENDING, "one"))


async def test_nothing_to_wait_for_is_no_auto_merge(stand: stands.GitLabStand) -> None:
    """Asked to merge when a pipeline has succeeded, GitLab says 405 where there is none: we do not merge ourselves."""
    await stand.branch(HEAD)
    made = await stand.forge.create(SPEC)
    server(stand).waits = False

    assert not await stand.forge.enable_auto_merge(made, "merge")

    assert (await stand.forge.pull_request(made.number)).state is forge.PullRequestState.OPEN


async def test_who_closed_it_is_told(stand: stands.GitLabStand) -> None:
    await stand.branch(HEAD)
    made = await stand.forge.create(SPEC)
    await stand.shut(made.number)

    assert [one.closed_by for one in await stand.forge.find_closed(HEAD, "main")] == [stand.fellow]
