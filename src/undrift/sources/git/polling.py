"""Asks a repository for its refs, as cheaply as its kind allows.

Over HTTP one request of our own on a kept connection (protocol version 2; `git` where the server speaks an
older one), for a local repository a look at its files, over SSH `git ls-remote`.
"""

from __future__ import annotations

import asyncio
import os
import pathlib
import re
from collections.abc import Sequence
from typing import Protocol
from urllib import parse

from undrift import errors
from undrift.sources import connecting
from undrift.sources.git import addresses, command, protocol, references, remote

_LIMIT = 64 * 1024 * 1024
_OK = 200
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CLEAR = frozenset({401, 403, 404, 410, 429, 502, 503, 504})
_RETRY = 3600.0
_ID = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64})\n?")


class Poller(Protocol):
    """Tells which refs a repository has now."""

    async def refs(self, prefixes: Sequence[str]) -> references.Refs:
        """The refs whose names begin with one of `prefixes`.

        Raises `SourceUnavailable`, `SourceDenied` or `HostKeyRefused`.
        """
        ...


def poller(place: remote.Remote) -> Poller:
    """The cheapest way to poll a repository."""
    if place.address.scheme == "file":
        return LocalPoller(place)
    return HttpPoller(place) if place.address.scheme in {"http", "https"} else CommandPoller(place)


class CommandPoller:
    """`git ls-remote`: a process, for every kind of repository."""

    def __init__(self, place: remote.Remote) -> None:
        self._place = place

    async def refs(self, prefixes: Sequence[str]) -> references.Refs:
        """As `Poller.refs`."""
        patterns = [pattern for prefix in prefixes for pattern in _patterns(prefix)]
        address = self._place.address
        async with self._place.access() as access:
            try:
                done = await command.run(
                    ["ls-remote", "--quiet", "origin", *patterns],
                    access.environment,
                    timeout=self._place.timeout,
                )
            except TimeoutError:
                raise errors.SourceUnavailable(
                    f"{address.shown} does not answer", why=f"no answer within {self._place.timeout:g} s"
                ) from None
        if done.status:
            raise _say(address, done, access.secrets)
        return protocol.read_listing(done.output)


def _say(address: addresses.Address, done: command.Finished, secrets: Sequence[str]) -> errors.SourceError:
    try:
        return command.explain(f"{address.shown} cannot be read", done, secrets)
    except command.Corruption as damage:
        return errors.SourceUnavailable(f"{address.shown} cannot be read", why=command.shorten(str(damage)))


def _patterns(prefix: str) -> tuple[str, ...]:
    return (prefix + "*",) if prefix.endswith("/") else (prefix, prefix + "^{}")


class HttpPoller:
    """One POST on a kept connection; finds out by itself where a server moved the repository to."""

    def __init__(self, place: remote.Remote) -> None:
        self._place = place
        self._base = place.address.url.rstrip("/")
        self._command = CommandPoller(place)
        self._command_until = 0.0

    async def refs(self, prefixes: Sequence[str]) -> references.Refs:
        """As `Poller.refs`."""
        now = asyncio.get_running_loop().time()
        if now < self._command_until:
            return await self._command.refs(prefixes)
        answer = await self._post(prefixes)
        if answer.status in _REDIRECTS:
            await self._follow()
            answer = await self._post(prefixes)
        if answer.status in {401, 403}:
            self._place.forget_tokens()
        if answer.status in _CLEAR:
            refuse(self._place.address.shown, answer.status, named=self._place.names_credentials)
        try:
            if answer.status == _OK:
                return protocol.read_refs(answer.body)
        except ValueError:
            pass
        # An old server, ids of another kind, or trouble: git knows how to talk to it, or what to say of it.
        found = await self._command.refs(prefixes)
        self._command_until = now + _RETRY
        return found

    async def _post(self, prefixes: Sequence[str]) -> connecting.Answer:
        headers = {
            "Git-Protocol": "version=2",
            "Content-Type": "application/x-git-upload-pack-request",
            "Accept": "application/x-git-upload-pack-result",
        }
        return await self._ask("POST", f"{self._base}/git-upload-pack", headers, protocol.ask_refs(prefixes))

    async def _follow(self) -> None:
        """A server may add `.git`, or have renamed a project: ask where, but stay on the same host."""
        answer = await self._ask(
            "GET", f"{self._base}/info/refs?service=git-upload-pack", {"Git-Protocol": "version=2"}, None
        )
        if answer.status in _REDIRECTS:
            target = parse.urljoin(answer.url, answer.headers.get("Location", ""))
            base = target.partition("/info/refs")[0]
            if parse.urlsplit(target)[:2] == parse.urlsplit(self._base)[:2] and base != self._base:
                self._base = base
                return
            raise errors.SourceUnavailable(
                f"{self._place.address.shown} has moved",
                why=f"the server sends us to {parse.urlsplit(target).netloc}{parse.urlsplit(target).path}",
                hint="write the new address as url of the source, if you trust it",
            )

    async def _ask(
        self, method: str, url: str, headers: dict[str, str], data: bytes | None
    ) -> connecting.Answer:
        authorization = await self._place.authorization()
        if authorization:
            headers["Authorization"] = authorization
        try:
            return await self._place.web.ask(
                connecting.Ask(
                    method=method,
                    url=url,
                    headers=headers,
                    data=data,
                    context=await self._place.context(),
                    timeout=self._place.timeout,
                    limit=_LIMIT,
                )
            )
        except connecting.TooLarge:
            raise errors.SourceUnavailable(
                f"{url} answers with too much", why="more than 64 MiB of refs"
            ) from None


def refuse(shown: str, status: int, *, named: bool) -> None:
    """Raise what a status means for a repository; `named`: whether the source names credentials."""
    if status in {401, 403}:
        raise errors.SourceDenied(
            f"{shown} refuses us",
            why=f"the server answers {status}" + ("" if named else "; the source names no credentials"),
            hint="check the credentials under authentication: a token that ran out, was revoked, or may not read",
        )
    if status in {404, 410}:
        raise errors.SourceDenied(
            f"{shown} is not there",
            why=f"the server answers {status}, as it also does for what our credentials may not see",
            hint="check the url of the source, and what its credentials may read",
        )
    raise errors.SourceUnavailable(
        f"{shown} does not answer", why=f"the server answers {status}", hint="it is tried again by itself"
    )


class LocalPoller:
    """Reads the files of a local repository; asks `git` only where they tell too little and have changed."""

    def __init__(self, place: remote.Remote) -> None:
        self._place = place
        self._command = CommandPoller(place)
        self._folder = pathlib.Path(place.address.path)
        self._known: dict[tuple[str, ...], tuple[object, references.Refs]] = {}

    async def refs(self, prefixes: Sequence[str]) -> references.Refs:
        """As `Poller.refs`."""
        try:
            folder = await asyncio.to_thread(_find, self._folder)
            if folder is None or references.HEADS in prefixes:
                return await self._command.refs(prefixes)
            if all(prefix.startswith(references.HEADS) for prefix in prefixes):
                found = await asyncio.to_thread(_read_branches, folder, prefixes)
                return found if found is not None else await self._command.refs(prefixes)
            return await self._watched(folder, tuple(prefixes))
        except OSError as error:
            raise errors.SourceUnavailable(
                f"{self._place.address.shown} cannot be read",
                why=str(error),
                hint="check that the repository is there and readable by the user of the agent",
            ) from None

    async def _watched(self, folder: pathlib.Path, prefixes: tuple[str, ...]) -> references.Refs:
        """Tags need git to look behind them: only when a file has changed since."""
        seen = await asyncio.to_thread(_fingerprint, folder)
        if self._known.get(prefixes, (None, {}))[0] != seen:
            self._known[prefixes] = (seen, await self._command.refs(prefixes))
        return self._known[prefixes][1]


def _find(path: pathlib.Path) -> pathlib.Path | None:
    """The folder with the refs, where they are plain files; None: let git find them."""
    folder = path / ".git" if (path / ".git").exists() else path
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    plain = (
        (folder / "refs").is_dir() and (folder / "objects").is_dir() and not (folder / "reftable").exists()
    )
    return folder if plain else None


def _read_branches(folder: pathlib.Path, names: Sequence[str]) -> references.Refs | None:
    """Loose refs win over packed ones, and are read first: packing writes there before it deletes here."""
    found: dict[str, references.Ref] = {}
    for name in names:
        try:
            text = (folder / name).read_text("ascii")
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            text = _packed(folder, name)
        if text and not _ID.fullmatch(text):
            return None
        if text:
            found[name] = references.Ref(text.strip())
    return found


def _packed(folder: pathlib.Path, name: str) -> str:
    try:
        with (folder / "packed-refs").open("rb") as file:
            ending = b" " + os.fsencode(name)
            return next(
                (line.split(b" ")[0].decode() for line in file if line.rstrip(b"\n").endswith(ending)), ""
            )
    except FileNotFoundError:
        return ""


def _fingerprint(folder: pathlib.Path) -> object:
    """What changes whenever a tag does."""
    stats: list[object] = []
    places = [str(folder / "packed-refs")]
    for top, folders, files in os.walk(folder / "refs" / "tags"):
        places += [top, *(os.path.join(top, name) for name in (*sorted(folders), *sorted(files)))]  # noqa: PTH118 - see below
    for place in places:
        try:
            stat = os.stat(place)  # noqa: PTH116 - thousands of them, and Path is slow
        except FileNotFoundError:
            continue
        stats.append((place, stat.st_ino, stat.st_mtime_ns, stat.st_size))
    return stats
