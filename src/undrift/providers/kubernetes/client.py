"""A thin client of the Kubernetes API: JSON over aiohttp, deadlines, patience with a busy server, nothing generated."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import io
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from typing import Any, Final
from urllib import parse, request

import aiohttp
import multidict
import orjson

from undrift import errors
from undrift.providers.kubernetes import failing, kubeconfig, signing_in

APPLY: Final = "application/apply-patch+yaml"
JSON: Final = "application/json"
_DEADLINE: Final = 30.0
_CONNECT: Final = 10.0
_QUIET: Final = 90.0
_TOO_MANY, _UNSIGNED, _MISSING, _OK_BELOW = 429, 401, 404, 300
_RETRIED: Final = frozenset({500, 502, 503, 504})
_LONGEST_PAUSE: Final = 10.0
_BAD_MOMENTS: Final = 3
_CHUNK: Final = 1 << 16
_LARGE: Final = 1 << 19


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """One request: `doing` says for people what it is for, `deadline` is seconds for all of it.

    `account` is as whom it is made; "" is as the connection says.
    """

    method: str
    path: str
    doing: str
    params: Mapping[str, str] | None = None
    body: bytes | None = dataclasses.field(default=None, repr=False)
    content: str = JSON
    accept: str = JSON
    deadline: float = _DEADLINE
    account: str = ""


class Client:
    """Requests to one cluster. `counts` are the requests that were sent, by verb, for metrics.

    `refused` is called whenever the server does not accept our credentials, not even new ones.
    """

    def __init__(
        self,
        connection: kubeconfig.Connection,
        connections: int = 16,
        refused: Callable[[], None] | None = None,
    ) -> None:
        self._refused = refused
        self._connection = connection
        self._identity = signing_in.Identity(connection)
        self._gate = asyncio.Semaphore(connections)
        self._proxy = connection.proxy or _usual_proxy(connection.server)
        self._http: aiohttp.ClientSession | None = None
        self.counts: collections.Counter[str] = collections.Counter()

    async def close(self) -> None:
        """Give the connections back."""
        if self._http is not None:
            await self._http.close()
            self._http = None
            # What was hung up is gone with the next turn of the loop.
            await asyncio.sleep(0)

    async def get(self, path: str, params: Mapping[str, str] | None = None, *, accept: str = JSON) -> Any:
        """The data at a path (JSON, else text). Raises a `TargetError`."""
        return await self.send(Request("GET", path, f"reading {path}", params=params, accept=accept))

    async def find(self, path: str, *, accept: str = JSON) -> Any | None:
        """The data at a path, or None when there is nothing. Any other failure is raised: it is no absence."""
        return await self._send_or_miss(Request("GET", path, f"reading {path}", accept=accept))

    async def forget(self, path: str, options: Any, doing: str, account: str = "") -> Any | None:
        """Delete what is at a path; None when nothing was. Raises a `TargetError`."""
        body = orjson.dumps(options)
        return await self._send_or_miss(Request("DELETE", path, doing, body=body, account=account))

    async def send(self, asked: Request) -> Any:
        """One request and its answer. Raises a `TargetError`.

        A busy server (429, Retry-After) is asked again until the deadline; so is one that has a bad moment,
        when it is only read.
        """
        code, answer = await self._answered(asked)
        if code >= _OK_BELOW:
            raise failing.explain(code, answer, asked.doing)
        return answer

    async def _send_or_miss(self, asked: Request) -> Any | None:
        code, answer = await self._answered(asked)
        if code == _MISSING:
            return None
        if code >= _OK_BELOW:
            raise failing.explain(code, answer, asked.doing)
        return answer

    async def _answered(self, asked: Request) -> tuple[int, Any]:
        loop = asyncio.get_running_loop()
        end = loop.time() + asked.deadline
        attempt, bad, renewed = 0, 0, False
        while True:
            attempt += 1
            async with self._gate, self._explained(asked.method, asked.doing):
                async with asyncio.timeout_at(end):
                    code, headers, answer = await self._once(asked)
            if code == _UNSIGNED and not renewed:
                self._identity.forget()
                renewed = True
                continue
            if code == _UNSIGNED and self._refused is not None:
                self._refused()
            bad += code in _RETRIED
            patient = code == _TOO_MANY or (asked.method == "GET" and bad < _BAD_MOMENTS)
            pause = _pause(code, headers, attempt) if patient else None
            if pause is None or loop.time() + pause >= end:
                return code, answer
            await asyncio.sleep(pause)

    async def _once(self, asked: Request) -> tuple[int, Mapping[str, str], Any]:
        self.counts[asked.method] += 1
        content = asked.content if asked.body is not None else ""
        async with self._session().request(
            asked.method,
            self._connection.server + asked.path,
            params=asked.params,
            data=_body(asked.body),
            headers=await self._headers(asked.accept, content, asked.account),
            ssl=self._identity.trust(),
            server_hostname=self._connection.server_name or None,
            proxy=self._proxy,
        ) as answer:
            return answer.status, answer.headers, _decode(await answer.read())

    async def watch(self, path: str, params: Mapping[str, str]) -> AsyncGenerator[bytes, None]:
        """The lines of a watch, until the server ends it; an empty one first, when it has begun. Raises a `TargetError`.

        A watch that is quiet for longer than its bookmarks come is taken for dead.
        """
        self.counts["WATCH"] += 1
        doing = f"watching {path}"
        headers = await self._headers(JSON, "")
        quiet = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT, sock_read=_QUIET)
        async with (
            self._explained("GET", doing),
            self._session().get(
                self._connection.server + path,
                params={**params, "watch": "true"},
                headers=headers,
                timeout=quiet,
                ssl=self._identity.trust(),
                server_hostname=self._connection.server_name or None,
                proxy=self._proxy,
            ) as answer,
        ):
            if answer.status >= _OK_BELOW:
                if answer.status == _UNSIGNED:
                    self._identity.forget()
                raise failing.explain(answer.status, _decode(await answer.read()), doing)
            yield b""
            try:
                async for line in _lines(answer.content):
                    yield line
            finally:
                _hang_up(answer)

    async def _headers(self, accept: str, content: str, account: str = "") -> multidict.CIMultiDict[str]:
        made = multidict.CIMultiDict(await self._identity.headers())
        made["Accept"] = accept
        made["Accept-Encoding"] = "identity"
        if content:
            made["Content-Type"] = content
        if account:
            made["Impersonate-User"] = account
            return made
        for group in self._identity.groups:
            made.add("Impersonate-Group", group)
        return made

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            self._http = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT),
                headers={"User-Agent": "undrift"},
                auto_decompress=False,
                read_bufsize=_CHUNK * 16,
            )
        return self._http

    @contextlib.asynccontextmanager
    async def _explained(self, method: str, doing: str) -> AsyncIterator[None]:
        """What goes wrong on the way, in words; whether a write was made is unknown unless it never left."""
        server = self._connection.server
        try:
            yield
        except aiohttp.ClientConnectorCertificateError as error:
            raise errors.TargetDenied(
                f"{server} cannot be trusted",
                why=str(error.certificate_error),
                hint="is the certificate-authority of the kubeconfig the cluster's own?",
            ) from error
        except (aiohttp.ClientConnectorError, aiohttp.ClientProxyConnectionError) as error:
            raise errors.TargetUnavailable(
                f"{server} cannot be reached", why=_system(error), hint="it is tried again"
            ) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            why = "it does not answer in time" if isinstance(error, TimeoutError) else type(error).__name__
            kind = errors.TargetUnavailable if method == "GET" else errors.OutcomeUnknown
            raise kind(f"{doing} failed", why=f"{server}: {why}", hint="it is tried again") from error


def _body(content: bytes | None) -> bytes | io.BytesIO | None:
    """What is large is sent piece by piece."""
    return io.BytesIO(content) if content is not None and len(content) > _LARGE else content


def _hang_up(answer: aiohttp.ClientResponse) -> None:
    """End a stream that nobody reads to its end, at once: a goodbye by TLS would outlive whoever closes us."""
    connection = answer.connection
    if connection is not None and connection.transport is not None:
        connection.transport.abort()


def _usual_proxy(server: str) -> str | None:
    """The proxy that this machine's environment has for a server; asked once, not for each request."""
    parts = parse.urlsplit(server)
    if request.proxy_bypass(parts.hostname or ""):
        return None
    return request.getproxies().get(parts.scheme)


def _pause(code: int, headers: Mapping[str, str], attempt: int) -> float | None:
    """How long to wait before asking again, seconds; None when that would not help."""
    if code != _TOO_MANY and code not in _RETRIED:
        return None
    try:
        asked = float(headers.get("Retry-After", ""))
    except ValueError:
        asked = min(_LONGEST_PAUSE, 0.1 * 2**attempt)
    return asked + random.uniform(0, 0.2)  # noqa: S311 - spreads load


def _decode(content: bytes) -> Any:
    if content[:1] in {b"{", b"["}:
        try:
            return orjson.loads(content)
        except orjson.JSONDecodeError:
            return None
    return content.decode("utf-8", "replace")


async def _lines(stream: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    rest = b""
    async for chunk in stream.iter_any():
        *lines, rest = (rest + chunk).split(b"\n") if rest else chunk.split(b"\n")
        for line in lines:
            if line:
                yield line


def _system(error: Exception) -> str:
    inner = getattr(error, "os_error", None)
    said = getattr(inner, "strerror", None) or (str(inner) if inner else "")
    return said or type(error).__name__
