"""Requests to one forge: JSON over HTTPS, with patience, and what went wrong in our words.

    client = requesting.Client("https://forge.example/api/v1", access, needs="write repository + pull requests")
    found = await client.get("repos/acme/shop")                       # JSON; 404 is ForgeDenied
    maybe = await client.find("repos/acme/shop/pulls/main/topic")     # None on 404
    made = await client.send("POST", "repos/acme/shop/pulls", {...})  # JSON
    answer = await client.ask(requesting.Ask("POST", "…", body={...}, also=(409,)))   # answer.status may be 409
    async for one in client.pages(requesting.Ask("GET", "repos/acme/shop/pulls")):    # to the last page

Paths are relative to the base address (or whole URLs of the same server) and are quoted by the caller
(`requesting.quote`). What may be sent twice without harm is tried again: GET, PUT, PATCH, DELETE, and what says `again`.
Faults (5xx, resets, silence) are tried again a few times, with jitter; a forge that asks us to wait (429, a rate limit)
is waited for as long as `Settings.patience` lasts. Raises:

    ForgeDenied       401, 403, 404: token, rights, or nothing there that we may see
    ForgeRefused      any other 4xx, with the forge's own words
    ForgeUnavailable  no answer, 5xx, or more waiting than we have patience for

The token is in no message, no `repr` and no URL.
"""

from __future__ import annotations

import asyncio
import dataclasses
import io
import random
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Protocol
from urllib import parse

import aiohttp
import orjson

from undrift import errors
from undrift.forges import answering
from undrift.lib import backoff, proxies

_HARMLESS = frozenset({"GET", "HEAD", "PUT", "PATCH", "DELETE"})
_REDIRECTS = frozenset({301, 302, 307, 308})
_JSON = {"Accept": "application/json"}
_MOST_REDIRECTS = 3
_MOST_PAGES = 1000
_MOST_FAULTS = 5
_FAULTS = backoff.Backoff(first=0.5, cap=10.0)

Params = Mapping[str, str | int]
Answer = answering.Answer


class Access(Protocol):
    """How one signs in. `whence` says where the token is from (`$UNDRIFT_TOKEN`), `user` whose it is, if known."""

    whence: str
    user: str

    async def headers(self) -> Mapping[str, str]:
        """The headers that let us in; {} for nobody."""
        ...

    def forget(self) -> bool:
        """Do not use the present token again; False when there is no other one to get."""
        ...

    def secrets(self) -> tuple[str, ...]:
        """What has to be masked wherever the forge repeats it."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """Seconds for one answer and for all waiting of one request, bytes of an answer, and whom to trust."""

    timeout: float = 30.0
    patience: float = 120.0
    limit: int = 32 << 20
    context: ssl.SSLContext | None = dataclasses.field(default=None, repr=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Ask:
    """A request. `body` becomes JSON; `also` are statuses besides 2xx that the caller understands.

    `again`: it does no harm to send it twice.
    """

    method: str
    path: str
    params: Params = dataclasses.field(default_factory=dict)
    body: Any = dataclasses.field(default=None, repr=False)
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)
    also: tuple[int, ...] = ()
    again: bool = False


Onward = Callable[[Answer, Ask], "Ask | None"]
"""From a page and what was asked for it: what to ask for the next page; None after the last one."""


def quote(part: str) -> str:
    """A part of a path, quoted whole: a slash in it, too."""
    return parse.quote(part, safe="")


class Client:
    """Talks to one forge. `base` is the address of its API; `needs` says which rights a token has to have.

    `headers` go with every request; an adapter may set them. To be closed by whoever made it.
    """

    def __init__(self, base: str, access: Access, needs: str = "", settings: Settings = Settings()) -> None:
        self.base = base.rstrip("/")
        self.host = parse.urlsplit(base).netloc.rpartition("@")[2]
        self.settings = settings
        self.headers: Mapping[str, str] = {}
        self._access = access
        self._needs = needs
        self._session: aiohttp.ClientSession | None = None

    async def get(self, path: str, params: Params | None = None) -> Any:
        """What is there, as JSON."""
        return (await self.ask(Ask("GET", path, params or {}))).data

    async def find(self, path: str, params: Params | None = None) -> Any | None:
        """What is there, as JSON; None where nothing is."""
        answer = await self.ask(Ask("GET", path, params or {}, also=(404,)))
        return answer.data if answer.status < 400 else None  # noqa: PLR2004 - success

    async def send(self, method: str, path: str, body: Any = None, *, again: bool = False) -> Any:
        """Have something made or changed; the answer as JSON, None where it is empty."""
        return (await self.ask(Ask(method, path, body=body, again=again))).data

    async def pages(
        self, first: Ask, onward: Onward | None = None, items: Callable[[Any], Any] | None = None
    ) -> AsyncIterator[Any]:
        """Every item of a list, to the last page.

        `onward` finds the next page (paging.py; by the Link header unless told), `items` the list in a page.
        """
        ask: Ask | None = first
        for _ in range(_MOST_PAGES):
            if ask is None:
                return
            answer = await self.ask(ask)
            for item in (items(answer.data) if items else answer.data) or ():
                yield item
            ask = onward(answer, ask) if onward else self.by_link(answer, ask)
        raise errors.ForgeUnavailable(
            f"{self.host} does not come to an end of {first.path}", why=f"more than {_MOST_PAGES} pages"
        )

    def by_link(self, answer: Answer, ask: Ask) -> Ask | None:
        """The next page as the header Link (RFC 8288) names it. Only its query counts on another host.

        A forge behind a proxy may name itself by another address than ours, and our token is for ours only.
        """
        following = answering.next_link(answer.headers.get("Link", ""))
        return self.at(following, ask) if following else None

    def at(self, url: str, ask: Ask) -> Ask:
        """The same request at a URL that the forge names: its path if it is of this server, else its query only."""
        parts = parse.urlsplit(parse.urljoin(self._url(ask), url))
        query = dict(parse.parse_qsl(parts.query, keep_blank_values=True))
        path = ask.path
        if parts.netloc == parse.urlsplit(self.base).netloc:
            path = parse.urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
        return dataclasses.replace(ask, path=path, params=query)

    async def ask(self, ask: Ask) -> Answer:
        """Send a request until there is an answer that counts. Raises as the module says."""
        clock = asyncio.get_running_loop().time
        ends = clock() + self.settings.patience
        faults = 0
        while True:
            trouble, sent, answer = await self._attempt(ask)
            faults += 1
            if answer is not None and answer.status == 401 and faults == 1 and self._access.forget():  # noqa: PLR2004 - Unauthorized
                continue
            if answer is not None and not trouble:
                return self._judged(ask, answer)
            wait = answering.waiting(answer) if answer is not None else None
            hopeless = wait is None and (faults >= _MOST_FAULTS or (sent and not _harmless(ask)))
            pause = _FAULTS.delay(faults, random.random()) if wait is None else wait + random.random()  # noqa: S311 - jitter
            if hopeless or clock() + pause > ends:
                raise self._unavailable(ask, trouble, wait)
            await _sleep(pause)

    async def _attempt(self, ask: Ask) -> tuple[str, bool, Answer | None]:
        """What went wrong in transit ("" = nothing), whether the forge may have seen it, and its answer."""
        try:
            answer = await self._once(ask)
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError) as error:
            raise errors.HostKeyRefused(
                f"the certificate of {self.host} is refused",
                why=str(getattr(error, "certificate_error", "") or error),
                hint="name the certificate authority of the forge in UNDRIFT_GIT_CA or SSL_CERT_FILE",
            ) from None
        except aiohttp.ClientConnectorError as error:
            return str(error.os_error.strerror or type(error).__name__), False, None
        except TimeoutError:
            return f"no answer within {self.settings.timeout:g} s", True, None
        except (aiohttp.ClientError, OSError) as error:
            return self._masked(str(error)) or type(error).__name__, True, None
        if answering.waiting(answer) is not None:
            return f"it answered {answer.status} and asks us to wait", False, answer
        fault = answer.status >= 500 and answer.status not in ask.also  # noqa: PLR2004 - a fault of its own
        return (f"it answered {answer.status}" if fault else ""), True, answer

    async def _once(self, ask: Ask) -> Answer:
        for _ in range(_MOST_REDIRECTS + 1):
            answer = await self._exchange(ask)
            if answer.status not in _REDIRECTS:
                return answer
            ask = self._redirected(ask, answer)
        raise errors.ForgeRefused(f"{self.host} sends {ask.method} {self._shown(ask)} round in circles")

    async def _exchange(self, ask: Ask) -> Answer:
        # Of bytes alone aiohttp says that more than a megabyte of them holds up the loop.
        data = None if ask.body is None else io.BytesIO(orjson.dumps(ask.body))
        kind = {} if data is None else {"Content-Type": "application/json"}
        url = self._url(ask)
        async with self._open().request(
            ask.method,
            url,
            params={name: str(value) for name, value in ask.params.items()} or None,
            headers={**_JSON, **self.headers, **kind, **await self._access.headers(), **ask.headers},
            data=data,
            ssl=self.settings.context or True,
            proxy=proxies.proxy_for(url),
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=self.settings.timeout, sock_connect=10.0),
        ) as answer:
            body = bytearray()
            async for chunk in answer.content.iter_chunked(1 << 16):
                body += chunk
                if len(body) > self.settings.limit:
                    raise self._refused(ask, f"the answer is larger than {self.settings.limit} bytes")
            return answering.read(answer.status, answer.headers, bytes(body))

    def _redirected(self, ask: Ask, answer: Answer) -> Ask:
        """Where a redirect of this same server leads. A token goes to no other server."""
        target = parse.urljoin(self._url(ask), answer.headers.get("Location", ""))
        ours, theirs = parse.urlsplit(self.base), parse.urlsplit(target)
        if (ours.scheme, ours.netloc) != (theirs.scheme, theirs.netloc):
            raise errors.ForgeRefused(
                f"{self.host} redirects {ask.method} {self._shown(ask)} to {theirs.scheme}://{theirs.netloc}",
                hint="write the address that it is at now into the Delivery (url, api)",
            )
        return dataclasses.replace(
            ask, path=target.partition("?")[0], params=dict(parse.parse_qsl(theirs.query))
        )

    def _judged(self, ask: Ask, answer: Answer) -> Answer:
        if answer.status < 400 or answer.status in ask.also:  # noqa: PLR2004 - success
            if answer.data is answering.UNREADABLE:
                raise self._refused(ask, "the answer is not JSON: is this the address of its API?")
            return answer
        said = self._masked(answering.message(answer))
        if answer.status not in {401, 403, 404}:
            raise self._refused(
                ask, f"it answered {answer.status}: {said}" if said else f"it answered {answer.status}"
            )
        whose = f", user {self._access.user}" if self._access.user else ""
        token = f"token from {self._access.whence}{whose}" if self._access.whence else "no token was given"
        raise errors.ForgeDenied(
            f"{self.host} answered {answer.status} to {ask.method} {self._shown(ask)}",
            why=f"{said}; {token}" if said else token,
            hint=self._advice(answer.status),
        )

    def _advice(self, status: int) -> str:
        if status == 404:  # noqa: PLR2004 - Not Found
            return f"it is not there, or the token may not see it; the token needs: {self._needs}"
        if not self._access.whence:
            return f"put a token into UNDRIFT_TOKEN; it needs: {self._needs}"
        return f"the token needs: {self._needs}"

    def _refused(self, ask: Ask, why: str) -> errors.ForgeRefused:
        return errors.ForgeRefused(
            f"{self.host} refuses {ask.method} {self._shown(ask)}",
            why=why,
            hint="it will refuse it again: change what it names",
        )

    def _unavailable(self, ask: Ask, trouble: str, wait: float | None) -> errors.ForgeUnavailable:
        longer = f" {wait:.0f} s" if wait is not None else ""
        return errors.ForgeUnavailable(
            f"{self.host} does not do {ask.method} {self._shown(ask)} now",
            why=f"{trouble}{longer}",
            hint="run again later: nothing is done twice",
        )

    def _shown(self, ask: Ask) -> str:
        return ask.path.removeprefix(self.base).strip("/")

    def _masked(self, text: str) -> str:
        return answering.masked(text, self._access.secrets())

    def _url(self, ask: Ask) -> str:
        return ask.path if "://" in ask.path else f"{self.base}/{ask.path.lstrip('/')}"

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit_per_host=8),
                headers={"User-Agent": "undrift"},
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            # Transports of TLS connections are only gone after the loop has gone round.
            await asyncio.sleep(0)


async def _sleep(seconds: float) -> None:
    await asyncio.sleep(seconds)


def _harmless(ask: Ask) -> bool:
    return ask.again or ask.method in _HARMLESS
