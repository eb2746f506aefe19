"""What one kind of forge has and the others have not. The servers are those of the stands."""

from __future__ import annotations

import dataclasses
from typing import Any, cast

import aiohttp
import pytest

from tests.conformance.forges import stand as stands
from tests.conformance.forges import world_stand
from tests.conformance.forges.servers import contract, world
from undrift import errors
from undrift.forges import connecting
from undrift.model import forge

HEAD = "undrift/shop/production"
SPEC = forge.PullRequestSpec(HEAD, "main", "title", "body")


def on(*kinds: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("kind", kinds, indirect=True)


@pytest.fixture
def own(stand: stands.Stand) -> world_stand.WorldStand:
    """A stand whose world is in this process."""
    return cast("world_stand.WorldStand", stand)


async def opened(own: world_stand.WorldStand, **parts: Any) -> tuple[forge.PullRequest, world.Change]:
    await own.branch(HEAD)
    made = await own.forge.create(dataclasses.replace(SPEC, **parts))
    return made, own.world.changes[made.number]


# --- the contracts themselves ------------------------------------------------------------------------------

REQUESTS = [
    ("GET", "nothing/of/that/name", None, 404),
    ("DELETE", "pull-requests/ops/gitops/1", None, 404),
    ("GET", "pull-requests/ops/gitops?state=open", None, 400),
    ("POST", "pull-requests/ops/gitops/1/comments", {"text": "x"}, 400),
    ("POST", "pull-requests/ops/gitops/1/comments", None, 400),
    ("POST", "pull-requests/ops/gitops", {"title": "x"}, 415),
]


@on("scm_manager")
@pytest.mark.parametrize("method, path, body, status", REQUESTS)
async def test_a_contract_takes_nothing_else(
    own: world_stand.WorldStand, method: str, path: str, body: object, status: int
) -> None:
    login = {"Authorization": f"Bearer {own.world.bot.token}"}
    async with (
        aiohttp.ClientSession(headers=login) as session,
        session.request(method, f"{own.server.url}/scm/api/v2/{path}", json=body) as answer,
    ):
        assert answer.status == status

    assert len(own.server.complaints) == 1
    own.server.complaints.clear()


@pytest.mark.parametrize(
    "value, complaint",
    [
        ({"title": "x"}, ""),
        ({}, "body lacks ['title!']"),
        ({"title": 1}, "body.title is a int"),
        ({"title": "x", "titel": "x"}, "body has unknown fields ['titel']"),
        ({"title": "x", "who": [{"id": "a"}, {}]}, "body.who[1] lacks ['id!']"),
        ({"title": "x", "who": {}}, "body.who is not a list"),
        ([], "body is not an object"),
    ],
)
def test_a_body_is_checked_to_its_last_field(value: object, complaint: str) -> None:
    assert contract.check(value, {"title!": str, "who": [{"id!": str}]}, "body") == complaint


@on("bitbucket", "bitbucket_server", "azure_devops", "scm_manager")
async def test_a_wrong_token_is_told_as_such(own: world_stand.WorldStand) -> None:
    environ = {"UNDRIFT_TOKEN": "wrong", "UNDRIFT_USERNAME": own.world.bot.login}
    api = own.passed(own.server.api)
    there = connecting.connect(own.passed(own.server.clone_url), own.server.kind, api, environ)
    assert there is not None

    with pytest.raises(errors.ForgeDenied, match="401") as caught:
        await there.default_branch()

    await there.close_session()
    assert "wrong" not in str(caught.value)
    assert "token from $UNDRIFT_TOKEN" in caught.value.why


@on("bitbucket", "bitbucket_server", "azure_devops", "scm_manager")
async def test_what_it_was_merged_as(own: world_stand.WorldStand) -> None:
    made, change = await opened(own)
    for branch in ("main", HEAD, "main"):
        await own.push(branch)
    await own.merge(made.number, "merge")
    await own.push("main")

    assert (await own.forge.pull_request(made.number)).merged_sha == change.merged_sha
    (found,) = await own.forge.find_closed(HEAD, "main")
    assert (found.merged_sha, found.sha) == (change.merged_sha, change.sha)


# --- SCM-Manager -------------------------------------------------------------------------------------------


@on("scm_manager")
@pytest.mark.parametrize(
    "filters, pages, others", [(True, True, 12), (False, True, 230), (False, False, 99), (False, False, 230)]
)
async def test_scm_manager_with_more_open_ones_than_it_lists(
    own: world_stand.WorldStand, *, filters: bool, pages: bool, others: int
) -> None:
    """It lists ten unless told otherwise, and plug-ins of old times filter nothing, or know no pages."""
    made, _ = await opened(own)
    server: Any = own.server
    server.filters, server.pages = filters, pages
    for number in range(others):
        await own.branch(f"other-{number}")
        await own.opened(f"other-{number}", "main", "other")

    assert await own.forge.find_open(HEAD, "main") == made
    assert await own.forge.create(SPEC) == made
    assert await own.forge.find_open("undrift/never/there", "main") is None
    assert len(own.relay.asked) < 20


@on("scm_manager")
async def test_scm_manager_keeps_what_a_change_does_not_name(own: world_stand.WorldStand) -> None:
    made, change = await opened(own, draft=True, labels=("gitops",))
    change.votes = {"ada": world.Vote(world.APPROVED, change.sha), "bob": world.Vote()}
    change.labels.append("by-hand")

    changed = await own.forge.update(made, body="another", labels=["gitops", "urgent"])

    assert sorted(change.votes) == ["ada", "bob"]
    assert change.votes["ada"].word == world.APPROVED
    assert (change.title, change.body, change.draft) == ("title", "another", True)
    assert sorted(change.labels) == sorted(changed.labels) == ["by-hand", "gitops", "urgent"]


@on("scm_manager")
async def test_scm_manager_knows_no_teams(own: world_stand.WorldStand) -> None:
    await own.branch(HEAD)

    with pytest.raises(errors.ForgeRefused, match="team:ops"):
        await own.forge.create(dataclasses.replace(SPEC, reviewers=("ada", "team:ops")))


@on("scm_manager")
async def test_scm_manager_and_a_status_of_somebody_else(own: world_stand.WorldStand) -> None:
    sha = await own.branch(HEAD)
    fields = {"type": "jenkins", "name": "build", "status": "UNSTABLE", "url": "https://ci.example/7"}
    own.world.check(sha, "jenkins\nbuild", {**fields, "displayName": "Build (main)"}, own.world.bot)

    (found,) = await own.forge.statuses(sha)

    assert found == forge.Status(
        "jenkins/build", forge.StatusState.FAILURE, "Build (main)", "https://ci.example/7", 0.0
    )


# --- Bitbucket ---------------------------------------------------------------------------------------------


@on("bitbucket", "bitbucket_server")
async def test_bitbucket_keeps_reviewers_and_what_they_said(own: world_stand.WorldStand) -> None:
    made, change = await opened(own, reviewers=(own.fellow,), draft=True)
    await own.review(made.number, approve=True)

    await own.forge.update(made, body="another")

    assert change.votes["ada"].word == world.APPROVED
    assert (change.title, change.body, change.draft) == ("title", "another", True)


@on("bitbucket", "bitbucket_server")
async def test_bitbucket_shows_no_marks(own: world_stand.WorldStand) -> None:
    mark = "<!-- undrift:v1 app=shop -->"
    made, change = await opened(own, body=f"words\n{mark}\n")
    await own.forge.upsert_comment(made.number, mark, f"{mark}\nreport")

    assert made.body == f"words\n{mark}\n"
    assert "<!--" not in change.body
    assert "<!--" not in change.remarks[0].text
    assert (await own.forge.comments(made.number))[0].body == f"{mark}\nreport"


@on("bitbucket", "bitbucket_server", "scm_manager", "azure_devops")
async def test_a_status_without_a_page_of_its_own(own: world_stand.WorldStand) -> None:
    sha = await own.branch(HEAD)
    wanted = forge.Status("undrift/render", forge.StatusState.SUCCESS, "3 files")
    await own.forge.set_status(sha, wanted)
    before = len(own.relay.writes)

    await own.forge.set_status(sha, wanted)

    (found,) = await own.forge.statuses(sha)
    assert (found.url, found.description) == ("", "3 files")
    assert len(own.relay.writes) == before == 1


@on("bitbucket", "bitbucket_server", "scm_manager", "azure_devops")
async def test_a_status_with_a_long_name_or_a_short_one(own: world_stand.WorldStand) -> None:
    sha = await own.branch(HEAD)
    names = {"undrift", "undrift/petclinic/production-eu-central-1/health/and/soak"}
    for name in names:
        await own.forge.set_status(
            sha, forge.Status(name, forge.StatusState.ERROR, "x", "https://ci.example/7")
        )

    found = await own.forge.statuses(sha)

    assert {one.context for one in found} == names
    assert {one.state for one in found} <= {forge.StatusState.ERROR, forge.StatusState.FAILURE}


@on("bitbucket")
async def test_bitbucket_finds_drafts_that_were_declined(own: world_stand.WorldStand) -> None:
    """Its lists leave drafts out."""
    made, _ = await opened(own, draft=True)
    await own.shut(made.number)

    assert [one.number for one in await own.forge.find_closed(HEAD, "main")] == [made.number]


@on("bitbucket")
async def test_bitbucket_shows_a_status_at_its_pull_request(own: world_stand.WorldStand) -> None:
    made, _ = await opened(own)
    await own.forge.set_status(made.sha, forge.Status("undrift/render", forge.StatusState.SUCCESS))

    assert own.world.checks[made.sha]["undrift/render"].fields["refname"] == HEAD


@on("bitbucket")
async def test_bitbucket_leaves_the_words_of_the_one_that_is_there(own: world_stand.WorldStand) -> None:
    """To ask Bitbucket Cloud for a second one changes the first."""
    await own.branch(HEAD)
    number = await own.opened(HEAD, "main", "by hand")

    assert (await own.forge.create(SPEC)).title == "by hand"
    assert own.world.changes[number].title == "by hand"


@on("bitbucket", "bitbucket_server")
async def test_bitbucket_knows_no_teams(own: world_stand.WorldStand) -> None:
    await own.branch(HEAD)

    with pytest.raises(errors.ForgeRefused) as caught:
        await own.forge.create(dataclasses.replace(SPEC, reviewers=("team:ops",)))

    assert "team:ops" in caught.value.why
    assert await own.forge.find_open(HEAD, "main") is None


@on("bitbucket_server")
async def test_bitbucket_server_when_somebody_was_faster(
    own: world_stand.WorldStand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody changes it between our look and our change: ours is made upon his."""
    made, change = await opened(own)
    read, times = own.server.read, iter(range(9))  # type: ignore[attr-defined]  # this server's own

    def meddled(request: contract.Request) -> contract.Reply:
        reply: contract.Reply = read(request)
        if next(times) < 2:
            change.version += 1
            change.title = "by hand"
        return reply

    monkeypatch.setattr(own.server, "read", meddled)

    changed = await own.forge.update(made, body="another")

    assert (changed.title, changed.body, changed.version) == ("by hand", "another", change.version)


@on("bitbucket_server")
async def test_bitbucket_server_when_others_do_not_stop(
    own: world_stand.WorldStand, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, change = await opened(own)
    read = own.server.read  # type: ignore[attr-defined]  # this server's own

    def meddled(request: contract.Request) -> contract.Reply:
        reply: contract.Reply = read(request)
        change.version += 1
        return reply

    monkeypatch.setattr(own.server, "read", meddled)

    with pytest.raises(errors.ForgeRefused) as caught:
        await own.forge.update(made, body="another")

    assert "out-of-date" in caught.value.why
    assert change.body == "body"


@on("bitbucket_server")
async def test_bitbucket_server_says_that_there_is_nothing_to_merge(own: world_stand.WorldStand) -> None:
    own.world.branches[HEAD] = own.world.branches["main"]

    with pytest.raises(errors.ForgeRefused) as caught:
        await own.forge.create(SPEC)

    assert "already up-to-date" in caught.value.why


@on("bitbucket_server")
async def test_bitbucket_server_reads_answers_to_comments(own: world_stand.WorldStand) -> None:
    made, _ = await opened(own)
    first = own.world.comment(made.number, "why?")
    own.world.comment(made.number, "later", "bob")
    own.world.comment(made.number, "because", "bob", parent=first.number)

    found = await own.forge.comments(made.number)

    assert [(one.author, one.body) for one in found] == [
        ("ada", "why?"),
        ("bob", "later"),
        ("bob", "because"),
    ]


# --- Azure DevOps ------------------------------------------------------------------------------------------


@on("azure_devops")
async def test_azure_devops_takes_four_thousand_characters(own: world_stand.WorldStand) -> None:
    body = "x" * own.forge.limits.body
    made, change = await opened(own, body=body)

    assert change.body == body
    assert await own.forge.find_open(HEAD, "main") == made
    own.world.close(made.number)
    (closed,) = await own.forge.find_closed(HEAD, "main")
    assert closed.body == body
    await own.branch("another")
    with pytest.raises(errors.ForgeRefused) as caught:
        await own.forge.create(dataclasses.replace(SPEC, head="another", body=f"{body}x"))
    assert "must not be longer than 4000 characters" in caught.value.why


@on("azure_devops")
async def test_azure_devops_finds_people_and_teams(own: world_stand.WorldStand) -> None:
    key = own.world.people["bob"].key
    _, change = await opened(own, reviewers=(own.fellow, key, "team:release"))

    assert sorted(change.votes) == ["ada", "bob", "release"]
    change.votes["release"] = world.Vote(world.APPROVED, change.sha)
    assert list(await own.forge.reviews(change.number)) == []


@on("azure_devops")
@pytest.mark.parametrize("by_number", [True, False])
async def test_azure_devops_votes_are_of_a_commit(own: world_stand.WorldStand, *, by_number: bool) -> None:
    own.server.votes_by_number = by_number  # type: ignore[attr-defined]  # this server's own
    made, _ = await opened(own)
    await own.review(made.number, approve=True)

    assert await own.forge.reviews(made.number) == [forge.Review(own.fellow, approved=True, sha=made.sha)]

    later = await own.push(HEAD)
    (review,) = await own.forge.reviews(made.number)
    assert (review.sha, review.stale) == (made.sha, True)
    await own.review(made.number, approve=True)
    assert await own.forge.reviews(made.number) == [forge.Review(own.fellow, approved=True, sha=later)]


@on("azure_devops")
async def test_azure_devops_merges_by_itself_in_our_name(own: world_stand.WorldStand) -> None:
    made, change = await opened(own)

    assert await own.forge.enable_auto_merge(made, "squash")
    assert change.waiting_for == {"id": own.world.bot.key, "strategy": "squash"}
    assert not await own.forge.enable_auto_merge(made, "octopus")


@on("azure_devops")
async def test_azure_devops_leaves_no_open_thread(own: world_stand.WorldStand) -> None:
    """An open one can stand in the way of completing."""
    made, _ = await opened(own)

    await own.forge.upsert_comment(made.number, "<!-- m -->", "<!-- m -->\nreport")

    (asked,) = [one for one in own.relay.writes if one.address.partition("?")[0].endswith("/threads")]
    assert b'"status":"closed"' in asked.body
