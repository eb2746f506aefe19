"""Every adapter keeps one comment, sets statuses and reads reviews in the same way."""

from __future__ import annotations

import pytest

from tests.conformance.forges import stand as stands
from undrift.model import forge

HEAD = "undrift/shop/production"
MARKER = "<!-- undrift:report app=shop stage=production -->"
SPEC = forge.PullRequestSpec(HEAD, "main", "title", "body")


@pytest.fixture
async def number(stand: stands.Stand) -> int:
    """An open pull request."""
    await stand.branch(HEAD)
    return (await stand.forge.create(SPEC)).number


async def test_the_comment_is_made_once_and_then_edited_in_place(stand: stands.Stand, number: int) -> None:
    first = await stand.forge.upsert_comment(number, MARKER, f"{MARKER}\nfirst report")
    second = await stand.forge.upsert_comment(number, MARKER, f"{MARKER}\nsecond report")

    assert await stand.comments(number) == [f"{MARKER}\nsecond report"]
    assert second.key == first.key
    assert second.body.strip() == f"{MARKER}\nsecond report"
    before = len(stand.relay.writes)
    await stand.forge.upsert_comment(number, MARKER, f"{MARKER}\nsecond report\n")
    assert len(stand.relay.writes) == before


async def test_a_comment_of_somebody_who_quotes_us_is_left(stand: stands.Stand, number: int) -> None:
    await stand.say(number, f"I saw {MARKER}")

    await stand.forge.upsert_comment(number, MARKER, f"{MARKER}\nreport")
    await stand.forge.upsert_comment(number, MARKER, f"{MARKER}\nnew report")

    assert await stand.comments(number) == [f"I saw {MARKER}", f"{MARKER}\nnew report"]


async def test_the_comment_is_found_behind_more_than_a_page(stand: stands.Stand, number: int) -> None:
    for count in range(12):
        await stand.say(number, f"word {count}")
    await stand.forge.upsert_comment(number, MARKER, f"{MARKER}\nreport")
    await stand.forge.upsert_comment(number, MARKER, f"{MARKER}\nnew report")

    found = await stand.forge.comments(number)

    assert [one.body.strip() for one in found] == [*(f"word {n}" for n in range(12)), f"{MARKER}\nnew report"]
    assert {one.author for one in found[:12]} == {stand.fellow}
    assert found[-1].author == stand.bot


async def test_a_comment_as_long_as_the_forge_takes(stand: stands.Stand, number: int) -> None:
    text = f"{MARKER}\nä" + "x" * (stand.forge.limits.comment - len(MARKER) - 16)

    await stand.forge.upsert_comment(number, MARKER, text)

    assert await stand.comments(number) == [text]


async def test_statuses_are_set_and_read(stand: stands.Stand) -> None:
    if not stand.forge.limits.statuses:
        pytest.skip("this forge declares that it knows no statuses")
    sha = await stand.branch(HEAD)
    page = "https://ci.example/run/7"

    await stand.forge.set_status(
        sha, forge.Status("undrift/render", forge.StatusState.PENDING, "at work", page)
    )
    await stand.forge.set_status(
        sha, forge.Status("undrift/validate", forge.StatusState.FAILURE, "2 errors", page)
    )
    await stand.forge.set_status(
        sha, forge.Status("undrift/render", forge.StatusState.SUCCESS, "3 files", page)
    )

    assert await stand.statuses(sha) == {
        "undrift/render": ("success", "3 files"),
        "undrift/validate": ("failure", "2 errors"),
    }
    found = {one.context: one for one in await stand.forge.statuses(sha)}
    assert set(found) == {"undrift/render", "undrift/validate"}
    assert found["undrift/render"].state is forge.StatusState.SUCCESS
    assert found["undrift/render"].description == "3 files"
    assert found["undrift/render"].url == page
    assert found["undrift/render"].updated > 1_600_000_000
    assert found["undrift/validate"].state is forge.StatusState.FAILURE


async def test_a_status_that_says_the_same_is_left(stand: stands.Stand) -> None:
    if not stand.forge.limits.statuses:
        pytest.skip("this forge declares that it knows no statuses")
    sha = await stand.branch(HEAD)
    long = forge.Status(
        "undrift/plan", forge.StatusState.SUCCESS, "so many words " * 60, "https://ci.example/7"
    )
    await stand.forge.set_status(sha, long)
    before = len(stand.relay.writes)

    await stand.forge.set_status(sha, long)

    assert len(stand.relay.writes) == before
    (_, description) = (await stand.statuses(sha))["undrift/plan"]
    assert len(description) <= stand.forge.limits.description
    assert description.endswith("…")
    assert description.startswith("so many words so many")


async def test_more_statuses_than_a_page(stand: stands.Stand) -> None:
    if not stand.forge.limits.statuses:
        pytest.skip("this forge declares that it knows no statuses")
    sha = await stand.branch(HEAD)
    for count in range(12):
        await stand.forge.set_status(
            sha, forge.Status(f"undrift/{count}", forge.StatusState.SUCCESS, "x", "https://ci.example/7")
        )

    assert len(await stand.forge.statuses(sha)) == 12


async def test_reviews_are_the_newest_word_of_each(stand: stands.Stand, number: int) -> None:
    assert list(await stand.forge.reviews(number)) == []
    sha = (await stand.forge.pull_request(number)).sha
    await stand.review(number, approve=True)

    (review,) = await stand.forge.reviews(number)
    assert (review.login, review.approved, review.stale) == (stand.fellow, True, False)
    assert review.sha in {sha, ""}

    await stand.review(number, approve=False)
    assert not any(one.approved for one in await stand.forge.reviews(number))

    await stand.review(number, approve=True)
    assert [one.approved for one in await stand.forge.reviews(number)] == [True]


async def test_a_word_that_was_taken_back_approves_nothing(stand: stands.Stand, number: int) -> None:
    await stand.review(number, approve=True)
    if not await stand.take_back(number):
        pytest.skip("this forge knows no way to take a word back")

    assert not any(one.approved for one in await stand.forge.reviews(number))


async def test_a_word_about_an_older_commit_is_stale(stand: stands.Stand, number: int) -> None:
    await stand.review(number, approve=True)
    await stand.push(HEAD)

    found = await stand.forge.reviews(number)

    # A forge may drop what was said of older commits by itself.
    assert all(one.stale for one in found)
