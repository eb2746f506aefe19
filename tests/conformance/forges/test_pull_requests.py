"""Every adapter says and does the same about pull requests, whatever the forge behind it calls them."""

from __future__ import annotations

import asyncio

import pytest

from tests.conformance.forges import stand as stands
from undrift import errors
from undrift.model import forge

HEAD = "undrift/shop/production"


def spec(**parts: object) -> forge.PullRequestSpec:
    given = {"head": HEAD, "base": "main", "title": "shop 1.4.1 → 1.5.0", "body": "First line\n\n* ümlaut\n"}
    return forge.PullRequestSpec(**given | parts)  # type: ignore[arg-type]  # a test's own words


async def test_what_is_opened_is_what_people_see(stand: stands.Stand) -> None:
    sha = await stand.branch(HEAD)

    made = await stand.forge.create(spec())

    seen = await stand.seen(made.number)
    assert (seen.title, seen.body.strip(), seen.state) == (spec().title, spec().body.strip(), "open")
    assert (seen.head, seen.base, seen.draft) == (HEAD, "main", False)
    assert (made.title, made.body.strip(), made.state) == (
        seen.title,
        seen.body.strip(),
        forge.PullRequestState.OPEN,
    )
    assert (made.head, made.base, made.sha) == (HEAD, "main", sha)
    assert made.author == stand.bot
    assert str(made.number) in made.url
    assert made.created > 1_600_000_000


async def test_it_is_found_again_by_its_branches(stand: stands.Stand) -> None:
    await stand.branch(HEAD)
    made = await stand.forge.create(spec())

    assert await stand.forge.find_open(HEAD, "main") == made
    assert await stand.forge.pull_request(made.number) == made
    assert await stand.forge.find_open(HEAD + "x", "main") is None
    assert await stand.forge.find_open(HEAD, "other") is None


async def test_one_that_is_open_already_is_taken(stand: stands.Stand) -> None:
    await stand.branch(HEAD)
    first = await stand.forge.create(spec())

    second = await stand.forge.create(spec(title="another"))

    assert second == first


async def test_many_at_once_open_one(stand: stands.Stand) -> None:
    await stand.branch(HEAD)

    made = await asyncio.gather(*(stand.forge.create(spec()) for _ in range(6)))

    found = await stand.forge.find_open(HEAD, "main")
    assert found is not None
    assert {one.number for one in made} == {found.number}


async def test_the_one_meant_is_found_among_more_than_a_page(stand: stands.Stand) -> None:
    await stand.branch(HEAD)
    made = await stand.forge.create(spec())
    for number in range(11):
        await stand.branch(f"other-{number}")
        await stand.opened(f"other-{number}", "main", f"other {number}")

    assert await stand.forge.find_open(HEAD, "main") == made
    late = await stand.forge.find_open("other-10", "main")
    assert late is not None
    assert late.title == "other 10"
    assert late.author == stand.fellow


async def test_only_what_differs_is_changed(stand: stands.Stand) -> None:
    await stand.branch(HEAD)
    made = await stand.forge.create(spec())
    before = len(stand.relay.writes)

    assert await stand.forge.update(made, title=made.title, body="First line\r\n\r\n* ümlaut") == made
    assert len(stand.relay.writes) == before

    changed = await stand.forge.update(made, body="Second")
    assert (changed.title, changed.body.strip()) == (made.title, "Second")
    assert len(stand.relay.writes) == before + 1
    again = await stand.forge.update(changed, title="Another title")

    seen = await stand.seen(made.number)
    assert (again.title, again.body.strip()) == (seen.title, seen.body.strip()) == ("Another title", "Second")


async def test_long_and_strange_text_stays_as_it_is(stand: stands.Stand) -> None:
    await stand.branch(HEAD)
    marked = "<!-- undrift:v1 app=shop tree=1a2b -->\n<details><summary>a & b</summary>\n\n```diff\n- ä\n+ 😀\n```\n</details>\n"
    body = marked + "x" * (stand.forge.limits.body - len(marked) - 16)

    made = await stand.forge.create(spec(title="T" * 400, body=body))

    seen = await stand.seen(made.number)
    assert seen.body.strip() == body
    assert made.body.strip() == body
    assert seen.title == made.title
    assert len(seen.title) <= stand.forge.limits.title
    assert seen.title.endswith("T…")
    assert await stand.forge.update(made, title="T" * 400, body=body) == made


async def test_a_draft(stand: stands.Stand) -> None:
    if not stand.forge.limits.drafts:
        pytest.skip("this forge declares that it knows no drafts")
    await stand.branch(HEAD)

    made = await stand.forge.create(spec(draft=True))

    assert made.draft
    assert made.title == spec().title
    changed = await stand.forge.update(made, title="Another title")
    seen = await stand.seen(made.number)
    assert (seen.draft, seen.title) == (True, "Another title")
    assert changed.draft
    assert await stand.forge.find_open(HEAD, "main") == changed


async def test_labels_are_added_and_made_where_nobody_has_them(stand: stands.Stand) -> None:
    if not stand.forge.limits.labels:
        pytest.skip("this forge declares that it knows no labels")
    await stand.branch(HEAD)
    made = await stand.forge.create(spec(labels=("gitops", "stage production")))
    assert sorted(made.labels) == ["gitops", "stage production"]

    changed = await stand.forge.update(made, labels=["gitops", "urgent"])

    assert (await stand.seen(made.number)).labels == ("gitops", "stage production", "urgent")
    assert sorted(changed.labels) == ["gitops", "stage production", "urgent"]
    before = len(stand.relay.writes)
    await stand.forge.update(changed, labels=["urgent"])
    assert len(stand.relay.writes) == before


async def test_reviewers_are_asked(stand: stands.Stand) -> None:
    if not stand.forge.limits.reviewers:
        pytest.skip("this forge declares that nobody can be asked")
    await stand.branch(HEAD)

    made = await stand.forge.create(spec(reviewers=(stand.fellow,)))

    assert (await stand.seen(made.number)).reviewers == (stand.fellow,)


async def test_a_reviewer_that_nobody_knows_is_said_and_no_second_one_is_opened(stand: stands.Stand) -> None:
    if not stand.forge.limits.reviewers:
        pytest.skip("this forge declares that nobody can be asked")
    await stand.branch(HEAD)

    with pytest.raises(errors.PublishError) as caught:
        await stand.forge.create(spec(reviewers=("nobody-of-that-name",)))

    assert caught.type in {errors.ForgeRefused, errors.ForgeDenied}
    await stand.forge.create(spec())
    found = await stand.forge.find_open(HEAD, "main")
    assert found is not None


async def test_closing_says_why(stand: stands.Stand) -> None:
    await stand.branch(HEAD)
    made = await stand.forge.create(spec())

    await stand.forge.close(made, "superseded by #7")

    assert (await stand.seen(made.number)).state == "closed"
    assert await stand.comments(made.number) == ["superseded by #7"]
    assert await stand.forge.find_open(HEAD, "main") is None
    (closed,) = await stand.forge.find_closed(HEAD, "main")
    assert (closed.number, closed.state) == (made.number, forge.PullRequestState.CLOSED)
    assert closed.closed_by in {stand.bot, ""}


async def test_what_a_person_closed(stand: stands.Stand) -> None:
    await stand.branch(HEAD)
    made = await stand.forge.create(spec())
    await stand.shut(made.number)

    (closed,) = await stand.forge.find_closed(HEAD, "main")

    assert closed.state is forge.PullRequestState.CLOSED
    assert closed.closed_by in {stand.fellow, ""}
    assert closed.merged_sha == ""
    assert closed.body == made.body
    assert (await stand.forge.pull_request(made.number)).state is forge.PullRequestState.CLOSED
    await stand.push(HEAD)
    again = await stand.forge.create(spec())
    assert again.number != made.number


@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
async def test_what_a_person_merged(stand: stands.Stand, method: str) -> None:
    if method not in stand.methods:
        pytest.skip(f"this forge does not merge by {method}")
    sha = await stand.branch(HEAD)
    made = await stand.forge.create(spec())
    await stand.merge(made.number, method)

    (merged,) = await stand.forge.find_closed(HEAD, "main")

    assert (merged.number, merged.state, merged.sha) == (made.number, forge.PullRequestState.MERGED, sha)
    assert len(merged.merged_sha) == 40
    assert merged.closed_by == ""
    assert await stand.forge.find_open(HEAD, "main") is None


async def test_closed_ones_come_newest_first(stand: stands.Stand) -> None:
    assert list(await stand.forge.find_closed(HEAD, "main")) == []
    numbers = []
    for _ in range(11):
        await stand.push(HEAD)
        numbers.append((await stand.forge.create(spec())).number)
        await stand.shut(numbers[-1])
    await stand.push("another")
    await stand.shut(await stand.opened("another", "main", "another"))

    found = await stand.forge.find_closed(HEAD, "main")

    assert [one.number for one in found][:10] == numbers[:0:-1]
    assert {one.head for one in found} == {HEAD}


async def test_nothing_to_merge_is_refused(stand: stands.Stand) -> None:
    with pytest.raises((errors.ForgeRefused, errors.ForgeDenied)):
        await stand.forge.create(spec(head="a-branch-that-is-not-there"))


async def test_a_pull_request_that_is_not_there(stand: stands.Stand) -> None:
    with pytest.raises(errors.ForgeDenied, match="404"):
        await stand.forge.pull_request(4711)


async def test_the_default_branch_is_asked_for_each_time(stand: stands.Stand) -> None:
    assert await stand.forge.default_branch() == "main"

    await stand.rename_default("trunk")

    assert await stand.forge.default_branch() == "trunk"


async def test_auto_merge(stand: stands.Stand) -> None:
    await stand.branch(HEAD)
    made = await stand.forge.create(spec())

    done = await stand.forge.enable_auto_merge(made, stand.methods[0])

    assert done is stand.forge.limits.auto_merge
    if done:
        assert await stand.forge.enable_auto_merge(made, stand.methods[0])


async def test_links_lead_to_the_forge(stand: stands.Stand) -> None:
    links = stand.forge.links()

    assert links.commit.replace("{sha}", "1a2b").startswith("http")
    assert "{sha}" in links.commit
    assert "{number}" in links.pull_request
    for link in (links.compare, links.file):
        assert not link or ("{" in link and link.startswith("http"))
    await stand.branch(HEAD)
    made = await stand.forge.create(spec())
    path = links.pull_request.replace("{number}", str(made.number)).split("/", 3)[3]
    assert made.url.endswith(path)
