"""An OCI registry: tags, manifests and blobs over HTTP, signing in as the registry asks us to."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import hashlib
import json
import random
import re
from collections.abc import Mapping
from typing import Any
from urllib import parse

from undrift import errors, interfaces
from undrift.lib import backoff, words
from undrift.model import source
from undrift.sources import connecting

MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
_NAME = re.compile(r"^[a-z0-9]+([._/-]+[a-z0-9]+)*$")
_DIGEST = re.compile(r"^sha(256:[0-9a-f]{64}|512:[0-9a-f]{128})$")
_MANIFEST_SIZE = 4 * 2**20
_PAGES = 200
_BUSY = frozenset({429, 502, 503, 504})
_BACKOFF = backoff.Backoff(first=0.5, cap=30.0)


@dataclasses.dataclass(frozen=True, slots=True)
class Address:
    """Where an artifact is: `oci://host/name`."""

    url: str
    host: str
    name: str
    scheme: str


def parse_url(url: str, *, insecure: bool) -> Address:
    """Understand `oci://host[:port]/name`. Raises `ConfigInvalid`."""
    parts = parse.urlsplit(url)
    name = parts.path.strip("/")
    if parts.scheme != "oci" or not parts.hostname or not _NAME.match(name) or "@" in parts.netloc:
        raise errors.ConfigInvalid(
            f"{url.rpartition('@')[2]} is not the address of an OCI artifact",
            why="it has to be oci://host/name, without a tag, a digest or a credential",
            hint="name tag, semver or digest under reference, credentials under authentication",
        )
    here = parts.hostname in {"localhost", "127.0.0.1", "::1"}
    return Address(url, parts.netloc, name, "http" if insecure and here else "https")


class Registry:
    """One artifact's place in one registry. `patience` is seconds that a busy registry is waited for, over all requests."""

    def __init__(
        self,
        declared: source.Source,
        secrets: interfaces.SecretResolver,
        web: connecting.Web,
        patience: float = 0.0,
    ) -> None:
        self.address = parse_url(declared.url, insecure=declared.insecure)
        self._declared = declared
        self._secrets = secrets
        self._web = web
        self._patience = patience
        self._authorization = ""

    async def digest(self, tag: str) -> str:
        """The digest of the manifest that a tag names. Raises `ReferenceMissing`."""
        answer = await self._ask("HEAD", f"manifests/{tag}", accept=MANIFESTS, limit=_MANIFEST_SIZE)
        if answer.status == 404:  # noqa: PLR2004 - not found
            raise await self._no_tag(tag)
        self._refuse(answer)
        digest = answer.headers.get("Docker-Content-Digest", "")
        if _DIGEST.match(digest):
            return digest
        return _digest(await self._manifest(tag), "sha256")

    async def _no_tag(self, tag: str) -> errors.ReferenceMissing:
        try:
            known = await self.tags()
        except errors.SourceError:
            known = []
        return errors.ReferenceMissing(
            f"{self.address.url} has no tag {tag}",
            why="; ".join(
                part for part in ["it was deleted or never pushed", words.suggestion(tag, known[:20])] if part
            ),
            hint="push the tag, or correct the reference of the source; what was applied last stays",
        )

    async def tags(self) -> list[str]:
        """All tags. Raises `ReferenceMissing` when there is no such artifact."""
        found: list[str] = []
        path = "tags/list?n=1000"
        for _ in range(_PAGES):
            answer = await self._ask("GET", path, limit=_MANIFEST_SIZE)
            if answer.status == 404:  # noqa: PLR2004 - not found
                raise errors.ReferenceMissing(
                    f"{self.address.url} does not exist",
                    why="the registry knows no artifact of that name, or shows it to others only",
                    hint="check the url and the credentials of the source",
                )
            self._refuse(answer)
            found += _json(answer.body, self.address.url).get("tags") or []
            link = re.match(r"<([^>]+)>", answer.headers.get("Link", ""))
            if not link:
                break
            path = link[1].partition(f"/{self.address.name}/")[2] or link[1]
        return found

    async def manifest(self, digest: str) -> Mapping[str, Any]:
        """The manifest of a digest, checked. Raises `ReferenceMissing`, `ArtifactRefused`."""
        body = await self._manifest(digest)
        _check(body, digest, f"the manifest {digest[:19]}")
        return _json(body, self.address.url)

    async def _manifest(self, name: str) -> bytes:
        answer = await self._ask("GET", f"manifests/{name}", accept=MANIFESTS, limit=_MANIFEST_SIZE)
        if answer.status == 404:  # noqa: PLR2004 - not found
            raise errors.ReferenceMissing(
                f"{self.address.url} has no {name[:19]}",
                hint="push it again, or correct the reference of the source",
            )
        self._refuse(answer)
        return answer.body

    async def blob(self, digest: str, limit: int) -> bytes:
        """A layer or config, checked against its digest. Raises `ArtifactRefused`, `ReferenceMissing`."""
        answer = await self._ask("GET", f"blobs/{digest}", limit=limit)
        if answer.status == 404:  # noqa: PLR2004 - not found
            raise errors.ReferenceMissing(
                f"{self.address.url} lacks its layer {digest[:19]}", hint="push it again"
            )
        self._refuse(answer)
        _check(answer.body, digest, f"the layer {digest[:19]}")
        return answer.body

    async def _ask(
        self, method: str, path: str, *, limit: int, accept: tuple[str, ...] = ()
    ) -> connecting.Answer:
        url = f"{self.address.scheme}://{self.address.host}/v2/{self.address.name}/{path}"
        answer = await self._send(method, url, limit, accept)
        if answer.status == 401:  # noqa: PLR2004 - sign in, or sign in again
            self._authorization = await self._sign_in(answer.headers.get("WWW-Authenticate", ""))
            answer = await self._send(method, url, limit, accept)
        return answer

    async def _send(self, method: str, url: str, limit: int, accept: tuple[str, ...]) -> connecting.Answer:
        attempt = 0
        while True:
            attempt += 1
            answer = await self._send_once(method, url, limit, accept)
            if answer.status not in _BUSY or not await self._waited(answer, attempt):
                return answer

    async def _waited(self, answer: connecting.Answer, attempt: int) -> bool:
        """Wait as long as a busy registry asks us to; False where that is longer than our patience."""
        said = answer.headers.get("Retry-After", "").strip()
        chance = random.random()  # noqa: S311 - spreads retries, hides nothing
        pause = float(said) if said.isdecimal() else _BACKOFF.delay(attempt, chance)
        if pause > self._patience:
            return False
        self._patience -= pause
        await asyncio.sleep(pause)
        return True

    async def _send_once(
        self, method: str, url: str, limit: int, accept: tuple[str, ...]
    ) -> connecting.Answer:
        headers = {"Accept": ", ".join(accept) or "*/*"}
        if self._authorization:
            headers["Authorization"] = self._authorization
        try:
            return await self._web.ask(
                connecting.Ask(
                    method=method,
                    url=url,
                    headers=headers,
                    context=await self._context(),
                    timeout=self._declared.timeout,
                    limit=limit,
                    redirects=True,
                )
            )
        except connecting.TooLarge:
            raise errors.ArtifactRefused(
                "the content is too large",
                why=f"a part of {self.address.url} has more than {limit / 2**20:.3g} MiB",
                hint="push a smaller artifact, or raise the limit of the agent",
            ) from None

    async def _sign_in(self, challenge: str) -> str:
        """What the registry asks for: our name and password, or a token that its token server gives for them."""
        basic = await self._basic()
        scheme, _, rest = challenge.partition(" ")
        if scheme.lower() != "bearer":
            return basic
        asked = dict(_CHALLENGE.findall(rest))
        realm = asked.pop("realm", "")
        self._check_realm(realm)
        asked.setdefault("scope", f"repository:{self.address.name}:pull")
        url = f"{realm}{'&' if '?' in realm else '?'}{parse.urlencode(asked)}"
        answer = await self._web.ask(
            connecting.Ask(
                method="GET",
                url=url,
                headers={"Authorization": basic} if basic else {},
                context=await self._context(),
                timeout=self._declared.timeout,
                limit=_MANIFEST_SIZE,
            )
        )
        self._refuse(answer)
        body = _json(answer.body, realm)
        return f"Bearer {body.get('token') or body.get('access_token') or ''}"

    def _check_realm(self, realm: str) -> None:
        """Our password goes to the token server, so a registry must not name one that anybody can listen to."""
        parts = parse.urlsplit(realm)
        if parts.scheme == "https" or (parts.scheme == "http" and self.address.scheme == "http"):
            return
        raise errors.SourceDenied(
            f"{self.address.url} wants us to sign in where it is not safe",
            why=f"its token server is {parts.scheme or 'no'}://{parts.netloc}",
            hint="correct the registry's configuration",
        )

    async def _basic(self) -> str:
        found = self._declared.authentication
        user = await self._secrets.resolve(found.username) if found.username else ""
        credential = found.password or found.token
        if credential is None:
            return ""
        password = (await self._secrets.resolve(credential)).strip()
        return "Basic " + base64.b64encode(f"{user or 'token'}:{password}".encode()).decode()

    async def _context(self) -> Any:
        ca = self._declared.authentication.ca
        authority = await self._secrets.resolve(ca) if ca else ""
        insecure = self._declared.insecure and self.address.scheme == "https"
        return self._web.context(authority, insecure=insecure)

    def _refuse(self, answer: connecting.Answer) -> None:
        if answer.status in {200, 206}:
            return
        if answer.status in {401, 403}:
            named = any((self._declared.authentication.password, self._declared.authentication.token))
            raise errors.SourceDenied(
                f"{self.address.url} refuses us",
                why=f"the registry answers {answer.status}"
                + ("" if named else "; the source names no credentials"),
                hint="check the credentials under authentication of the source",
            )
        raise errors.SourceUnavailable(
            f"{self.address.url} does not answer", why=f"the registry answers {answer.status}"
        )


def _digest(body: bytes, algorithm: str) -> str:
    return f"{algorithm}:{hashlib.new(algorithm, body).hexdigest()}"


def _check(body: bytes, digest: str, what: str) -> None:
    if not _DIGEST.match(digest) or _digest(body, digest.partition(":")[0]) != digest:
        raise errors.ArtifactRefused(
            f"{what} is not what its digest says",
            why="it was changed or damaged on its way or in the registry",
            hint="push the artifact again, and find out who changed it",
        )


def _json(body: bytes, where: str) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise errors.SourceUnavailable(
            f"{where} answers with something else than JSON", hint="check the address"
        )
    return found
