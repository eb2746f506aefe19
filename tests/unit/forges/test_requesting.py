"""What the client does with answers, on a clock that is turned and without a network."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import aiohttp
import pytest

from undrift import errors
from undrift.forges import answering, credentials, requesting

ACCESS = credentials.TokenAccess(credentials.Token("tok-secret", "bot", "$UNDRIFT_TOKEN"), credentials.bearer)
Outcome = answering.Answer | Exception


def said(status: int, data: Any = None, headers: Mapping[str, str] | None = None) -> answering.Answer:
    return answering.Answer(status, headers or {}, data)


class Scripted(requesting.Client):
    """A client whose answers are told beforehand; remembers what it asked and when."""

    def __init__(self, *outcomes: Outcome, access: requesting.Access = ACCESS) -> None:
        settings = requesting.Settings(patience=100.0)
        super().__init__("https://forge.example/api/v1", access, "write repository", settings)
        self.outcomes = list(outcomes)
        self.asked: list[tuple[str, str, dict[str, Any]]] = []

    async def _exchange(self, ask: requesting.Ask) -> answering.Answer:
        self.asked.append((ask.method, self._url(ask), dict(ask.params)))
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


class Renewable:
    """A token that can be had anew once."""

    whence = "the App"
    user = ""
    forgotten = 0

    async def headers(self) -> Mapping[str, str]:
        return {}

    def forget(self) -> bool:
        self.forgotten += 1
        return True

    def secrets(self) -> tuple[str, ...]:
        return ()


@pytest.mark.looptime
async def test_faults_are_tried_again_with_longer_and_longer_pauses() -> None:
    client = Scripted(said(500), said(502), said(200, {"ok": 1}))
    loop = asyncio.get_running_loop()
    begun = loop.time()

    assert await client.get("version") == {"ok": 1}

    assert 0.75 <= loop.time() - begun <= 1.5


@pytest.mark.looptime
@pytest.mark.parametrize("method, tries", [("GET", 5), ("PUT", 5), ("PATCH", 5), ("DELETE", 5), ("POST", 1)])
async def test_only_what_does_no_harm_is_sent_twice(method: str, tries: int) -> None:
    client = Scripted(*[said(500)] * 5)

    with pytest.raises(errors.ForgeUnavailable):
        await client.send(method, "thing", {})

    assert len(client.asked) == tries


@pytest.mark.looptime
async def test_what_never_arrived_is_sent_again_whatever_it_is() -> None:
    key: Any = aiohttp.client_reqrep.ConnectionKey("forge.example", 443, True, True, None, None, None)
    client = Scripted(aiohttp.ClientConnectorError(key, OSError(111, "refused")), said(201, {"id": 1}))

    assert await client.send("POST", "thing", {}) == {"id": 1}


@pytest.mark.looptime
async def test_waiting_ends_with_patience_not_with_attempts() -> None:
    client = Scripted(*[said(429, None, {"Retry-After": "9"})] * 20)
    loop = asyncio.get_running_loop()
    begun = loop.time()

    with pytest.raises(errors.ForgeUnavailable, match="asks us to wait 9 s"):
        await client.send("POST", "thing", {})

    assert 8 <= len(client.asked) <= 12
    assert loop.time() - begun <= 100


@pytest.mark.looptime
async def test_silence_is_said() -> None:
    client = Scripted(*[TimeoutError()] * 5)

    with pytest.raises(errors.ForgeUnavailable, match="no answer within 30 s"):
        await client.get("version")


async def test_a_token_that_ran_out_is_got_anew_once() -> None:
    access = Renewable()
    client = Scripted(said(401), said(200, {"ok": 1}), access=access)

    assert await client.get("version") == {"ok": 1}
    assert access.forgotten == 1

    with pytest.raises(errors.ForgeDenied):
        await Scripted(said(401), said(401), access=access).get("version")


async def test_denied_says_what_where_whose_and_what_is_needed() -> None:
    client = Scripted(said(403, {"message": "insufficient scope for tok-secret"}))

    with pytest.raises(errors.ForgeDenied) as caught:
        await client.send("POST", "repos/acme/shop/pulls", {})

    assert caught.value.what == "forge.example answered 403 to POST repos/acme/shop/pulls"
    assert caught.value.why == "insufficient scope for ***; token from $UNDRIFT_TOKEN, user bot"
    assert caught.value.hint == "the token needs: write repository"


async def test_without_a_token_it_says_where_one_goes() -> None:
    nobody = credentials.TokenAccess(None, credentials.bearer)

    with pytest.raises(errors.ForgeDenied) as caught:
        await Scripted(said(401), access=nobody).get("user")

    assert caught.value.why == "no token was given"
    assert caught.value.hint == "put a token into UNDRIFT_TOKEN; it needs: write repository"


async def test_missing_is_said_as_what_it_may_be() -> None:
    with pytest.raises(errors.ForgeDenied) as caught:
        await Scripted(said(404)).get("repos/acme/shop")

    assert caught.value.hint.startswith("it is not there, or the token may not see it")
    assert await Scripted(said(404, {"message": "x"})).find("repos/acme/shop") is None


async def test_pages_of_another_host_are_asked_of_ours() -> None:
    """A forge behind a proxy names itself by the address that it knows; our token goes to ours."""
    link = {"Link": '<https://inner.example/api/v1/things?page=2&state=open>; rel="next"'}
    client = Scripted(said(200, [1, 2], link), said(200, [3]))

    found = [one async for one in client.pages(requesting.Ask("GET", "things", {"state": "open"}))]

    assert found == [1, 2, 3]
    assert client.asked[1] == ("GET", "https://forge.example/api/v1/things", {"page": "2", "state": "open"})


async def test_pages_of_our_host_may_have_another_path() -> None:
    link = {"Link": '<https://forge.example/api/v1/repositories/7/things?page=2>; rel="next"'}
    client = Scripted(said(200, [1], link), said(200, [2]))

    assert [one async for one in client.pages(requesting.Ask("GET", "things"))] == [1, 2]
    assert client.asked[1][1] == "https://forge.example/api/v1/repositories/7/things"


async def test_pages_without_end_are_left() -> None:
    link = {"Link": '<https://forge.example/api/v1/things?page=2>; rel="next"'}
    client = Scripted(*[said(200, [1], link)] * 1000)

    with pytest.raises(errors.ForgeUnavailable, match="come to an end"):
        _ = [one async for one in client.pages(requesting.Ask("GET", "things"))]


async def test_a_redirect_on_the_same_server_is_followed() -> None:
    there = {"Location": "https://forge.example/api/v1/repositories/7?a=1"}
    client = Scripted(said(301, None, there), said(200, {"ok": 1}))

    assert await client.get("repos/old/shop") == {"ok": 1}
    assert client.asked[1] == ("GET", "https://forge.example/api/v1/repositories/7", {"a": "1"})


@pytest.mark.parametrize("there", ["https://evil.example/x", "http://forge.example/x", "//evil.example"])
async def test_a_redirect_elsewhere_is_not(there: str) -> None:
    client = Scripted(said(302, None, {"Location": there}), said(200))

    with pytest.raises(errors.ForgeRefused, match="redirects GET version to"):
        await client.get("version")

    assert len(client.asked) == 1


async def test_redirects_in_circles_end() -> None:
    client = Scripted(*[said(302, None, {"Location": "/api/v1/version"})] * 9)

    with pytest.raises(errors.ForgeRefused, match="round in circles"):
        await client.get("version")


async def test_an_answer_that_is_a_page_is_no_answer() -> None:
    with pytest.raises(errors.ForgeRefused, match="not JSON"):
        await Scripted(said(200, answering.UNREADABLE)).get("version")


async def test_what_the_caller_understands_is_given_to_it() -> None:
    answer = await Scripted(said(409, {"message": "there"})).ask(requesting.Ask("POST", "x", also=(409,)))

    assert answer.status == 409


def test_a_request_shows_neither_body_nor_headers() -> None:
    ask = requesting.Ask("POST", "x", body={"a": "tok-secret"}, headers={"Authorization": "tok-secret"})

    assert "tok-secret" not in repr(ask)
    assert requesting.quote("a/b c") == "a%2Fb%20c"
