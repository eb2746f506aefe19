"""Outgoing HTTP for every source: proxies, own certificate authorities, limits, and what went wrong in our words."""

from __future__ import annotations

import asyncio
import dataclasses
import ssl
from collections.abc import Mapping
from urllib import parse

import aiohttp

from undrift import errors
from undrift.lib import proxies

_CONNECTIONS = 100
_PER_HOST = 16


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What a server said. `body` is whole, never more than the limit that was asked for."""

    status: int
    headers: Mapping[str, str]
    body: bytes = dataclasses.field(repr=False)
    url: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request. `headers` may hold credentials, so they are not shown; `limit` is bytes, `timeout` seconds."""

    method: str
    url: str
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)
    data: bytes | None = dataclasses.field(default=None, repr=False)
    context: ssl.SSLContext | None = None
    timeout: float = 60.0
    limit: int = 64 * 1024 * 1024
    redirects: bool = False


class TooLarge(Exception):
    """An answer is larger than its limit; the caller knows what that means."""


class Web:
    """One pool of connections for all sources of an agent."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._contexts: dict[tuple[str, bool], ssl.SSLContext | None] = {}

    def context(self, authority: str, *, insecure: bool) -> ssl.SSLContext | None:
        """As `context_for`, remembered: making one costs milliseconds, and connections are kept by it."""
        wanted = (authority, insecure)
        if wanted not in self._contexts:
            self._contexts[wanted] = context_for(authority, insecure=insecure)
        return self._contexts[wanted]

    async def ask(self, ask: Ask) -> Answer:
        """Send a request and read the answer, whatever its status.

        Raises `SourceUnavailable`, `HostKeyRefused` (the certificate is not the one expected) and `TooLarge`.
        """
        host = parse.urlsplit(ask.url).netloc.rpartition("@")[2]
        try:
            return await self._ask(ask)
        except aiohttp.ClientConnectorCertificateError as error:
            raise errors.HostKeyRefused(
                f"the certificate of {host} is refused",
                why=str(error.certificate_error),
                hint="name the certificate authority of the server in the source's authentication (ca)",
            ) from None
        except (aiohttp.ClientError, TimeoutError, OSError, ssl.SSLError) as error:
            raise errors.SourceUnavailable(
                f"{host} does not answer",
                why=_reason(error, ask.timeout),
                hint="check the address, the network and the proxy settings; it is tried again by itself",
            ) from None

    async def _ask(self, ask: Ask) -> Answer:
        async with self._open().request(
            ask.method,
            ask.url,
            headers=ask.headers,
            data=ask.data,
            ssl=ask.context or True,
            proxy=proxies.proxy_for(ask.url),
            allow_redirects=ask.redirects,
            timeout=aiohttp.ClientTimeout(total=ask.timeout, sock_connect=min(ask.timeout, 20.0)),
        ) as answer:
            body = bytearray()
            async for chunk in answer.content.iter_chunked(256 * 1024):
                body += chunk
                if len(body) > ask.limit:
                    raise TooLarge
            return Answer(answer.status, answer.headers, bytes(body), str(answer.url))

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            connector = aiohttp.TCPConnector(limit=_CONNECTIONS, limit_per_host=_PER_HOST)
            self._session = aiohttp.ClientSession(
                connector=connector, auto_decompress=True, headers={"User-Agent": "undrift"}
            )
        return self._session

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            # Transports of TLS connections are only gone after the loop has gone round.
            await asyncio.sleep(0)


def context_for(authority: str, *, insecure: bool) -> ssl.SSLContext | None:
    """TLS that trusts a certificate authority (PEM text) besides the machine's; None: only the machine's.

    `insecure` takes any certificate: asked for by name in the source. Raises `CredentialMissing` when the
    text is no certificate.
    """
    if insecure:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    if not authority:
        return None
    try:
        context = ssl.create_default_context()
        context.load_verify_locations(cadata=authority)
    except (ssl.SSLError, ValueError) as error:
        raise errors.CredentialMissing(
            "the certificate authority of the source cannot be read",
            why=str(error),
            hint="it has to be one or more certificates as PEM text",
        ) from None
    return context


def _reason(error: BaseException, timeout: float) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {timeout:g} s"
    return str(error) or type(error).__name__
