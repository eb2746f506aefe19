"""Images in their registries: which tags there are, what a tag stands for, and when it was built.

An image is named as containers' tools name it: `registry.example/team/app`, `nginx`, `localhost:5000/app`. Nothing but
loopback is spoken to without TLS.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import json
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from typing import Any, Final
from urllib import parse

from undrift import errors
from undrift.model import secret, source
from undrift.sources import connecting, credentials
from undrift.sources.oci import logins, registry

_HUB: Final = "registry-1.docker.io"
_HUB_NAMES: Final = frozenset({"docker.io", "index.docker.io"})
_CONFIG: Final = 8 << 20
_AT_ONCE: Final = 8
_TIMEOUT: Final = 30.0
_MACHINE: Final = ("linux", "amd64")


class Images:
    """All registries that one run asks. What a digest stands for is asked once, however long it lives.

    `patience` is seconds that a busy registry is waited for, for each image.
    """

    def __init__(self, environ: Mapping[str, str], patience: float = 90.0) -> None:
        self._environ = environ
        self._patience = patience
        self._web = connecting.Web()
        self._made: dict[str, registry.Registry] = {}
        self._born: dict[tuple[str, str], float] = {}
        self._turns = asyncio.Semaphore(_AT_ONCE)

    def begin(self) -> None:
        """A new round: sign in anew, and be patient again."""
        self._made.clear()

    async def tags(self, image: str) -> list[str]:
        """All tags. Raises `ReferenceMissing`, `SourceDenied`, `SourceUnavailable` and other `SourceError`s."""
        async with self._asking(image) as asked:
            return await asked.tags()

    async def digest(self, image: str, tag: str) -> str:
        """The digest that a tag stands for now: of the list, where there are images for several machines."""
        async with self._asking(image) as asked:
            return await asked.digest(tag)

    async def built(self, image: str, tags: Iterable[str]) -> dict[str, float]:
        """When each was built, in seconds since the epoch; those that do not say so are left out."""
        names = list(tags)
        times = await asyncio.gather(*(self._built(image, tag) for tag in names))
        return {tag: time for tag, time in zip(names, times, strict=True) if time}

    async def _built(self, image: str, tag: str) -> float:
        async with self._turns, self._asking(image) as asked:
            with contextlib.suppress(
                errors.ReferenceMissing
            ):  # deleted since it was listed, or of an old form
                digest = await asked.digest(tag)
                if (image, digest) not in self._born:
                    self._born[image, digest] = await _born(asked, digest)
                return self._born[image, digest]
        return 0.0

    @contextlib.asynccontextmanager
    async def _asking(self, image: str) -> AsyncIterator[registry.Registry]:
        """The place of an image. What goes wrong is told with the image's name, and what helps."""
        try:
            yield await self._open(image)
        except errors.SourceDenied as error:
            host = _parted(image)[0]
            raise errors.SourceDenied(
                f"the registry of {image} refuses us",
                why=error.why.partition(";")[0],
                hint=f"sign in with docker login {host}, or set UNDRIFT_REGISTRY={host}, UNDRIFT_REGISTRY_USERNAME and UNDRIFT_REGISTRY_PASSWORD",
            ) from None
        except errors.ReferenceMissing as error:
            raise errors.ReferenceMissing(
                error.what.replace("oci://", ""),
                why=error.why,
                hint="correct updates in the Delivery, or push the image",
            ) from None
        except errors.SourceUnavailable as error:
            raise errors.SourceUnavailable(
                f"the registry of {image} does not answer",
                why=error.why or error.what,
                hint="other images are looked at; it is tried again the next time",
            ) from None

    async def _open(self, image: str) -> registry.Registry:
        if image not in self._made:
            host, name = _parted(image)
            login = await logins.find(host, self._environ)
            authority = self._authority()
            here = _is_loopback(host)
            declared = source.Source(
                name=image,
                url=f"oci://{host}/{name}",
                kind=source.SourceKind.OCI,
                authentication=_authentication(login, authority),
                insecure=here and authority is None,
                timeout=_TIMEOUT,
            )
            made = registry.Registry(
                declared, credentials.EnvironmentSecrets(), self._web, patience=self._patience
            )
            self._made.setdefault(image, made)
        return self._made[image]

    def _authority(self) -> source.Credential | None:
        """The certificate authority that registries have besides the machine's."""
        if self._environ.get("UNDRIFT_REGISTRY_CA"):
            return source.Credential(value=secret.Secret(self._environ["UNDRIFT_REGISTRY_CA"]))
        file = self._environ.get("UNDRIFT_REGISTRY_CA_FILE", "")
        return source.Credential(file=file) if file else None

    async def close(self) -> None:
        """Close the connections."""
        await self._web.close()


def _authentication(login: logins.Login | None, authority: source.Credential | None) -> source.Authentication:
    if login is None:
        return source.Authentication(ca=authority)
    return source.Authentication(
        username=source.Credential(value=secret.Secret(login.user)) if login.user else None,
        password=source.Credential(value=secret.Secret(login.password)),
        ca=authority,
    )


def _parted(image: str) -> tuple[str, str]:
    """Host and name of an image, as containers' tools complete it."""
    first, slash, rest = image.partition("/")
    if not slash or not ("." in first or ":" in first or first == "localhost"):
        first, rest = "docker.io", image
    if first in _HUB_NAMES:
        return _HUB, rest if "/" in rest else f"library/{rest}"
    return first, rest


def _is_loopback(host: str) -> bool:
    name = parse.urlsplit(f"//{host}").hostname or ""
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


async def _born(asked: registry.Registry, digest: str) -> float:
    """When the image of a digest was built, as its config says (OCI image-spec, config.md: `created`); 0: it does not.

    Of images for several machines that of linux/amd64 counts, or the first.
    """
    manifest = await asked.manifest(digest)
    below = [one for one in _list(manifest.get("manifests")) if one.get("digest")]
    if below:
        manifest = await asked.manifest(str(max(below, key=_is_usual)["digest"]))
    config = manifest.get("config")
    if not isinstance(config, Mapping) or not config.get("digest"):
        return 0.0
    content = await asked.blob(str(config["digest"]), _CONFIG)
    with contextlib.suppress(ValueError):
        found = json.loads(content)
        text = str(found.get("created") or "") if isinstance(found, Mapping) else ""
        # Reproducible builds say that they are from 1970: that is no time.
        return max(0.0, datetime.datetime.fromisoformat(text).timestamp())
    return 0.0


def _is_usual(one: Mapping[str, Any]) -> bool:
    platform = one.get("platform")
    about = platform if isinstance(platform, Mapping) else {}
    return (about.get("os"), about.get("architecture")) == _MACHINE


def _list(found: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(found, list):
        yield from (one for one in found if isinstance(one, Mapping))
