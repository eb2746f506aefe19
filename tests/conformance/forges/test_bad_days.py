"""Every adapter bears faults, waits when it is asked to, says what is wrong in our words, and keeps its token."""

from __future__ import annotations

import base64
import itertools
import logging
import time
import traceback
from collections.abc import Awaitable, Callable, Iterator
from urllib import parse

import pytest

from tests.conformance.forges import stand as stands
from undrift import errors
from undrift.forges import requesting
from undrift.model import forge

HEAD = "undrift/shop/production"
SPEC = forge.PullRequestSpec(HEAD, "main", "title", "body")


@pytest.fixture(autouse=True)
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the client would have waited, each time."""
    times: list[float] = []

    async def note(seconds: float) -> None:
        times.append(seconds)

    monkeypatch.setattr(requesting, "_sleep", note)
    return times


async def test_a_fault_or_two_are_borne(stand: stands.Stand, waited: list[float]) -> None:
    stand.relay.trouble(method="GET", status=502, times=2)

    assert await stand.forge.default_branch() == "main"

    assert len(waited) == 2
    assert 0 < waited[0] < waited[1] * 2


async def test_a_connection_that_breaks_is_made_anew(stand: stands.Stand, waited: list[float]) -> None:
    stand.relay.trouble(method="GET", status=0, times=2)

    assert await stand.forge.default_branch() == "main"

    assert len(waited) >= 1


async def test_a_fault_that_stays_is_said(stand: stands.Stand, waited: list[float]) -> None:
    stand.relay.trouble(status=503, times=99)

    with pytest.raises(errors.ForgeUnavailable, match="503") as caught:
        await stand.forge.default_branch()

    assert errors.waiting_helps(caught.value)
    assert len(waited) == 4
    assert "run again" in caught.value.hint


@pytest.mark.parametrize("late", [False, True])
async def test_an_answer_that_is_lost_opens_no_second_one(stand: stands.Stand, *, late: bool) -> None:
    await stand.branch(HEAD)
    stand.relay.trouble(method="POST", status=0, late=late)

    made = await stand.forge.create(SPEC)

    found = await stand.forge.find_open(HEAD, "main")
    assert found is not None
    assert found.number == made.number
    assert len(await stand.forge.find_closed(HEAD, "main")) == 0


async def test_a_forge_that_asks_to_wait_is_waited_for(stand: stands.Stand, waited: list[float]) -> None:
    stand.relay.trouble(status=429, headers={"Retry-After": "7"}, times=2)

    assert await stand.forge.default_branch() == "main"

    assert [int(one) for one in waited] == [7, 7]


async def test_a_limit_tells_when_it_is_lifted(stand: stands.Stand, waited: list[float]) -> None:
    reset = str(int(time.time()) + 30)
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}
    stand.relay.trouble(status=403, headers=headers, body='{"message": "API rate limit exceeded"}')

    assert await stand.forge.default_branch() == "main"

    (pause,) = waited
    assert 25 <= pause <= 32


async def test_a_secondary_limit_is_waited_for_a_minute(stand: stands.Stand, waited: list[float]) -> None:
    said = '{"message": "You have exceeded a secondary rate limit. Please wait a few minutes."}'
    stand.relay.trouble(status=403, body=said)

    assert await stand.forge.default_branch() == "main"

    (pause,) = waited
    assert 60 <= pause <= 61


async def test_more_waiting_than_patience_is_said_at_once(stand: stands.Stand, waited: list[float]) -> None:
    stand.relay.trouble(status=429, headers={"Retry-After": "3600"}, times=99)

    with pytest.raises(errors.ForgeUnavailable, match="3600 s"):
        await stand.forge.default_branch()

    assert waited == []


async def test_what_is_asked_of_nobody_twice_is_not_repeated(
    stand: stands.Stand, waited: list[float]
) -> None:
    """A comment whose answer is lost may be there already."""
    await stand.branch(HEAD)
    made = await stand.forge.create(SPEC)
    stand.relay.trouble(method="POST", status=502, late=True)

    with pytest.raises(errors.ForgeUnavailable):
        await stand.forge.upsert_comment(made.number, "<!-- m -->", "<!-- m -->\nreport")

    assert waited == []
    await stand.forge.upsert_comment(made.number, "<!-- m -->", "<!-- m -->\nreport")
    assert await stand.comments(made.number) == ["<!-- m -->\nreport"]


@pytest.mark.parametrize("status", [401, 403])
async def test_a_token_that_is_not_enough_says_where_it_came_from(stand: stands.Stand, status: int) -> None:
    stand.relay.trouble(status=status, body='{"message": "no such rights"}', times=9)

    with pytest.raises(errors.ForgeDenied) as caught:
        await stand.forge.default_branch()

    error = caught.value
    assert f"answered {status} to GET " in error.what
    assert "token from $UNDRIFT_TOKEN" in error.why
    assert "the token needs: " in error.hint


async def test_a_forge_that_refuses_is_quoted(stand: stands.Stand) -> None:
    await stand.branch(HEAD)
    made = await stand.forge.create(SPEC)
    stand.relay.trouble(status=418, body='{"message": "I am a teapot"}', times=9)

    with pytest.raises(errors.ForgeRefused, match="418") as caught:
        await stand.forge.close(made)

    assert "I am a teapot" in str(caught.value)


async def test_a_page_in_place_of_json_is_no_answer(stand: stands.Stand) -> None:
    stand.relay.trouble(status=200, body="<html>Sign in</html>")

    with pytest.raises(errors.ForgeRefused, match="not JSON"):
        await stand.forge.default_branch()


async def test_a_redirect_to_another_server_gets_no_token(stand: stands.Stand) -> None:
    stand.relay.trouble(status=302, headers={"Location": "http://127.0.0.1:9/elsewhere?x=1"})

    with pytest.raises(errors.ForgeRefused, match="redirects"):
        await stand.forge.default_branch()


async def test_the_token_is_in_no_address_error_or_log(
    stand: stands.Stand, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await stand.branch(HEAD)
    made = await stand.forge.create(SPEC)
    quoted = f'{{"message": "bad token {stand.secrets[0]} of http://bot:{stand.secrets[0]}@forge.example"}}'
    told: list[str] = []
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: stand.forge.update(made, title="another"),
        lambda: stand.forge.upsert_comment(made.number, "m", "m"),
        lambda: stand.forge.pull_request(made.number),
        lambda: stand.forge.create(SPEC),
    ]
    for call, status in itertools.product(calls, (401, 403, 404, 400, 503)):
        stand.relay.troubles.clear()
        stand.relay.trouble(status=status, body=quoted, times=9)
        with pytest.raises(errors.UndriftError) as caught:
            await call()
        told += traceback.format_exception(caught.value)
        told += [repr(caught.value), repr(vars(caught.value)), caught.value.hint, caught.value.why]
    told += [repr(stand.forge), repr(vars(stand.forge)), caplog.text, repr(made)]
    told += [one.address for one in stand.relay.asked]
    told += [one.body.decode() for one in stand.relay.asked]

    for form in forms(stand.secrets):
        assert not [text for text in told if form in text]
    assert any(form in str(one.headers) for one in stand.relay.asked for form in forms(stand.secrets))


def forms(secrets: tuple[str, ...]) -> Iterator[str]:
    """A token as it is, quoted, and as a basic sign-in holds it."""
    for secret in secrets:
        yield secret
        yield parse.quote(secret, safe="")
        for user in ("", "undrift-bot", "bot"):
            yield base64.b64encode(f"{user}:{secret}".encode()).decode()
