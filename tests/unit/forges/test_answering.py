"""What is read from an answer: pages, waiting, messages; and text as forges keep it."""

import json
import time
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies

from undrift.forges import answering, commenting, wording
from undrift.model import forge


def answer(status: int, data: Any = None, **headers: str) -> answering.Answer:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return answering.Answer(status, named, data)


@pytest.mark.parametrize(
    "header, following",
    [
        ("", ""),
        ('<https://f/x?page=2>; rel="next", <https://f/x?page=9>; rel="last"', "https://f/x?page=2"),
        (
            '<https://f/x?page=1>; rel="prev", <https://f/x?a=1,2&page=3>; rel="next"',
            "https://f/x?a=1,2&page=3",
        ),
        ('<https://f/x?page=1>; rel="first"', ""),
        ("<https://f/x>; rel=next", "https://f/x"),
        ('<https://f/x>; title="a, b"; rel="next"', "https://f/x"),
    ],
)
def test_the_next_page(header: str, following: str) -> None:
    assert answering.next_link(header) == following


@pytest.mark.parametrize(
    "given, seconds",
    [
        (answer(200), None),
        (answer(403, {"message": "no"}), None),
        (answer(429), 60.0),
        (answer(429, Retry_After="12"), 12.0),
        (answer(403, Retry_After="3"), 3.0),
        (answer(503), None),
        (answer(503, Retry_After="3"), 3.0),
        (answer(403, {"message": "You have exceeded a secondary rate limit"}), 60.0),
        (
            answer(429, Retry_After="Wed, 21 Oct 2026 07:28:10 GMT", Date="Wed, 21 Oct 2026 07:28:00 GMT"),
            10.0,
        ),
        (answer(429, RateLimit_Reset="1000000000", Date="Sun, 09 Sep 2001 01:46:30 GMT"), 10.0),
    ],
)
def test_how_long_a_forge_asks_us_to_wait(given: answering.Answer, seconds: float | None) -> None:
    assert answering.waiting(given) == seconds


def test_a_limit_that_is_lifted_already() -> None:
    given = answer(403, X_RateLimit_Remaining="0", X_RateLimit_Reset=str(int(time.time()) - 60))

    assert answering.waiting(given) == 0.0


@pytest.mark.parametrize(
    "data, said",
    [
        ({"message": "Not Found"}, "Not Found"),
        ({"message": "Validation Failed", "errors": [{"message": "exists"}]}, "Validation Failed; exists"),
        (
            {"message": "Validation Failed", "errors": [{"resource": "PullRequest", "field": "head", "code": "invalid"}]},
            "Validation Failed; resource PullRequest, field head, code invalid",
        ),
        ({"message": {"title": ["is too long"]}}, "title is too long"),
        ({"message": ["one", "two", "one"]}, "one; two"),
        ({"error": {"message": "bad", "detail": "worse"}}, "bad; worse"),
        ({"errors": [{"context": None, "message": "no such\n  project"}]}, "no such project"),
        (["x"], "x"),
        (None, ""),
        (answering.UNREADABLE, ""),
        ({"message": "x" * 2000}, "x" * 500),
    ],
)  # fmt: skip
def test_the_words_of_a_forge(data: Any, said: str) -> None:
    assert answering.message(answer(400, data)) == said


@hypothesis.given(
    strategies.recursive(
        strategies.none() | strategies.integers() | strategies.text(),
        lambda inner: strategies.lists(inner) | strategies.dictionaries(strategies.sampled_from(["message", "error", "x"]), inner),
    )
)  # fmt: skip
def test_whatever_a_forge_says_there_is_one_line(data: Any) -> None:
    said = answering.message(answering.read(400, {}, json.dumps(data).encode()))

    assert "\n" not in said
    assert len(said) <= 500


def test_content_that_is_not_json() -> None:
    assert answering.read(200, {}, b"<html>").data is answering.UNREADABLE
    assert answering.read(204, {}, b" ").data is None
    assert answering.read(203, {}, b"<html>Sign in</html>").status == 401


@hypothesis.given(strategies.text(), strategies.integers(min_value=10, max_value=300))
def test_what_is_cut_is_short_enough_and_cut_once(text: str, longest: int) -> None:
    short = wording.cut(text, longest)

    assert len(short) <= longest
    assert wording.cut(short, longest) == short


def test_text_is_cut_between_words() -> None:
    assert wording.cut("3 changed, 1 added, 1 removed", 20) == "3 changed, 1 added…"
    assert wording.cut("x" * 30, 20) == "x" * 19 + "…"
    assert wording.cut("two\nlines", 20) == "two lines"


def test_times() -> None:
    assert wording.seconds("2026-10-21T07:28:10Z") == wording.seconds("2026-10-21T09:28:10+02:00") > 0
    assert wording.seconds(None) == wording.seconds("soon") == 0.0


def test_reviewers_are_people_and_teams() -> None:
    assert wording.people(["ada", "team:ops", "bob"]) == (["ada", "bob"], ["ops"])


async def test_a_comment_that_says_the_same_is_left() -> None:
    async def never(*_: object) -> forge.Comment:
        raise AssertionError

    known = [forge.Comment("1", "other"), forge.Comment("2", "mark\r\ntext\n"), forge.Comment("3", "mark")]

    assert await commenting.upsert(known, "mark", "mark\ntext", never, never) is known[1]


def test_whose_comments_are_ours() -> None:
    known = [forge.Comment("1", "x", "ada"), forge.Comment("2", "x", "bot")]

    assert list(commenting.written_by(known, "bot")) == known[1:]
    assert list(commenting.written_by(known, "")) == known
