"""One repository as all its sources share it: one store, one reader, one poll per reference, one fetch at a time.

A damaged store is thrown away and fetched again here, so nobody above ever hears of it unless that fails too.
"""

from __future__ import annotations

import asyncio
import collections
import functools
import pathlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from undrift import errors
from undrift.sources import limits, sharing
from undrift.sources.git import command, polling, prefetching, reading, references, remote, store, trees

_T = TypeVar("_T")
Check = Callable[[Mapping[str, int]], None]
_CACHED_ENTRIES = 20_000
_CACHED_COMMITS = 1_000
_READ_AHEAD_AFTER = 3
_READ_AHEAD_OBJECTS = 50_000


class Repository:
    """One repository with one set of credentials."""

    def __init__(self, place: remote.Remote, folder: pathlib.Path, bounds: limits.Limits) -> None:
        self.place = place
        self.limits = bounds
        self.store = store.Store(folder)
        self.reader = reading.Reader(self.store.reading_environment)
        self._poller = polling.poller(place)
        self._polls: sharing.Shared[references.Refs] = sharing.Shared()
        self._fetches: sharing.Shared[None] = sharing.Shared()
        self._prefetcher = prefetching.Prefetcher(self._fetch_blobs)
        self._asked: dict[tuple[str, ...], tuple[float, references.Refs]] = {}
        self._epoch = 0
        self._wanted: dict[str, str] = {}
        self._commits: dict[str, trees.Commit] = {}
        self._trees: collections.OrderedDict[str, trees.Tree] = collections.OrderedDict()
        self._entries = 0
        self._misses: collections.Counter[str] = collections.Counter()
        self._read_ahead = True
        self._healing = asyncio.Lock()
        self._generation = 0

    @property
    def shown(self) -> str:
        """The address, for people."""
        return self.place.address.shown

    async def refs(self, prefixes: tuple[str, ...]) -> references.Refs:
        """The refs that begin so, at most `limits.freshness` seconds old; concurrent calls share one request."""
        if not prefixes:
            return {}
        known = self._asked.get(prefixes)
        now = asyncio.get_running_loop().time()
        if known and now - known[0] < self.limits.freshness:
            return known[1]
        return await self._polls.do((self._epoch, prefixes), lambda: self._poll(self._epoch, prefixes))

    async def _poll(self, epoch: int, prefixes: tuple[str, ...]) -> references.Refs:
        asked = asyncio.get_running_loop().time()
        found = await self._poller.refs(prefixes)
        if epoch == self._epoch:
            self._asked[prefixes] = (asked, found)
        return found

    def expect(self) -> None:
        """Something may be new: the next `refs` asks the server, whatever was heard or asked a moment ago."""
        self._epoch += 1
        self._asked.clear()

    async def obtain(self, selected: references.Selected) -> None:
        """Make sure that a commit (and the tag that names it) is in the store; many who ask share one fetch."""
        names = [name for name in (selected.commit, selected.tag) if name]
        self._wanted[selected.ref or selected.commit] = selected.commit
        if self.store.exists() and None not in await self.heal(lambda: self.reader.info(names)):
            return
        await self._fetches.do(selected, lambda: self._obtain(selected, names))

    def knows(self, commit: str) -> bool:
        """Whether a commit was read before, so that it is in the store."""
        return commit in self._commits

    async def _obtain(self, selected: references.Selected, names: Sequence[str]) -> None:
        await self.heal(lambda: self._fetch(_refspecs(selected), selected.commit))
        if None not in await self.reader.info(names):
            return
        # The ref moved on between poll and fetch; the server may still give what it named before.
        bare = references.Selected("", selected.shown, selected.commit)
        await self._fetch(_refspecs(bare), selected.commit)
        if None in await self.reader.info([selected.commit]):
            raise errors.SourceUnavailable(
                f"{self.shown} gives no commit {selected.commit[:12]}",
                why=f"{selected.shown} names it, but fetching did not bring it",
                hint="it is tried again by itself",
            )

    async def _fetch(self, refspecs: Sequence[str], example: str) -> None:
        kind = "sha256" if len(example) == 64 else "sha1"  # noqa: PLR2004 - hexadecimal digits
        timeout = max(self.limits.clone, self.place.timeout) if not self.store.exists() else None
        async with self.place.access() as access:
            try:
                await self.store.fetch(
                    access, refspecs, object_format=kind, timeout=timeout or max(300.0, self.place.timeout)
                )
            except errors.SourceDenied:
                self.place.forget_tokens()
                raise

    async def heal(self, work: Callable[[], Awaitable[_T]]) -> _T:
        """Do the work; when the store turns out to be damaged, make it anew and do the work again."""
        seen = self._generation
        try:
            return await work()
        except command.Corruption as damage:
            async with self._healing:
                # Of all who stumble over one damage the first one mends it.
                if seen == self._generation:
                    await self._renew(str(damage))
                    self._generation += 1
        try:
            return await work()
        except command.Corruption as damage:
            raise errors.StoreBroken(
                f"the local store of {self.shown} is damaged again",
                why=command.shorten(str(damage)),
                hint="check the disk of this machine; it is fetched anew at the next try",
            ) from None

    async def _renew(self, why: str) -> None:
        await self.reader.close()
        await self.store.renew()
        self._commits.clear()
        self._trees.clear()
        self._entries = 0
        for ref, commit in tuple(self._wanted.items()):
            refspec = f"+{ref}:{ref}" if ref.startswith("refs/") else f"+{commit}:refs/undrift/{commit}"
            await self._refetch(refspec, commit, why)

    async def _refetch(self, refspec: str, commit: str, why: str) -> None:
        try:
            await self._fetch([refspec], commit)
        except errors.ReferenceMissing:
            return  # gone meanwhile: whoever still wants it will be told
        except command.Corruption as damage:
            raise errors.StoreBroken(
                f"the local store of {self.shown} cannot be made anew", why=f"{why}; then {damage}"
            ) from None

    async def commit(self, commit: str) -> trees.Commit:
        """The commit of an id. Raises `ReferenceMissing` when it is not in the store."""
        known = self._commits.get(commit)
        if known is None:
            found = (await self.heal(lambda: self.reader.contents([commit])))[0]
            if found is None or found.kind != "commit":
                raise errors.ReferenceMissing(
                    f"{self.shown} has no commit {commit[:12]}",
                    hint="it may have been removed by a forced push",
                )
            if len(self._commits) > _CACHED_COMMITS:
                self._commits.clear()
            known = self._commits[commit] = trees.parse_commit(found.content)
        return known

    async def locate(self, commit: str, paths: Iterable[str]) -> dict[str, trees.Entry]:
        """The entry of each path that exists. A path into a submodule ends at the submodule's entry."""
        root = trees.Entry(trees.TREE, (await self.commit(commit)).tree)
        found: dict[str, trees.Entry] = {}
        waiting = {path: (root, trees.split(path)) for path in paths}
        known: Mapping[str, trees.Tree] = self._trees
        while waiting:
            below: dict[str, tuple[trees.Entry, list[str]]] = {}
            for path, (entry, parts) in waiting.items():
                reached = trees.descend(entry, parts, known)
                if reached and reached[1] and reached[0].mode == trees.TREE:
                    below[path] = reached
                elif reached and (not reached[1] or reached[0].mode == trees.SUBMODULE):
                    found[path] = reached[0]
            known = await self.read_trees({entry.object_id for entry, _ in below.values()})
            waiting = below
        return found

    async def read_trees(self, ids: Iterable[str]) -> dict[str, trees.Tree]:
        """The entries of trees by their ids."""
        found: dict[str, trees.Tree] = {}
        missing: list[str] = []
        for one in ids:
            if one in self._trees:
                self._trees.move_to_end(one)
                found[one] = self._trees[one]
            else:
                missing.append(one)
        for one, read in zip(missing, await self.objects(missing, "tree"), strict=True):
            found[one] = self._remember(one, trees.parse_tree(read, len(one) // 2))
        return found

    def _remember(self, one: str, entries: trees.Tree) -> trees.Tree:
        self._trees[one] = entries
        self._entries += len(entries) + 1
        while self._entries > _CACHED_ENTRIES and len(self._trees) > 1:
            self._entries -= len(self._trees.popitem(last=False)[1]) + 1
        return entries

    async def git(self, arguments: Sequence[str], *, timeout: float = 30.0) -> command.Finished:
        """Run a reading `git` command on the store, which is mended if need be. Raises `StoreBroken`."""

        async def read() -> command.Finished:
            done = await self.store.read(arguments, timeout=timeout)
            if done.status > 1:
                command.explain(arguments[0], done)  # raises where the store is damaged
            return done

        try:
            return await self.heal(read)
        except TimeoutError:
            raise errors.StoreBroken(
                f"the local store of {self.shown} cannot be read",
                why=f"git {arguments[0]} said nothing for {timeout:g} s",
            ) from None

    async def write(
        self, arguments: Sequence[str], *, timeout: float, extra: Mapping[str, str] | None = None
    ) -> command.Finished:
        """Run a `git` command that makes objects in the store. Raises `SourceUnavailable`."""
        try:
            async with self.place.access() as access:
                return await self.store.write(access, arguments, timeout=timeout, extra=extra or {})
        except TimeoutError:
            raise errors.SourceUnavailable(
                f"git {arguments[0]} in the store of {self.shown} took longer than {timeout:g} s",
                hint="it is tried again by itself",
            ) from None

    async def objects(self, ids: Sequence[str], kind: str) -> list[bytes]:
        """The content of objects that have to be in the store: what is missing is damage."""
        return await self.heal(functools.partial(self._objects, ids, kind))

    async def _objects(self, ids: Sequence[str], kind: str) -> list[bytes]:
        found = await self.reader.contents(ids)
        lost = [one for one, item in zip(ids, found, strict=True) if item is None or item.kind != kind]
        if lost:
            raise command.Corruption(f"missing {kind} {lost[0]}")
        return [item.content for item in found if item]

    async def blobs(self, commit: str, ids: Iterable[str], check: Check | None = None) -> dict[str, bytes]:
        """The content of blobs by id, fetched in one go where they are missing. `commit` is where they were found.

        `check` gets the size of each before anything is read, and may raise.
        """
        wanted = sorted(set(ids))

        async def read() -> list[bytes]:
            sizes = await self.provide(commit, wanted)
            if check:
                check(sizes)
            return await self._objects(wanted, "blob")

        return dict(zip(wanted, await self.heal(read), strict=True))

    async def provide(self, commit: str, wanted: Sequence[str]) -> dict[str, int]:
        """Make sure that blobs are in the store; their sizes by id."""
        for attempt in range(3):
            infos = await self.heal(lambda: self.reader.info(wanted))
            missing = frozenset(one for one, info in zip(wanted, infos, strict=True) if info is None)
            if not missing:
                return {info.object_id: info.size for info in infos if info}
            if attempt == 0 and await self._ahead(commit):
                continue
            await self.heal(functools.partial(self._prefetcher.want, missing))
        raise errors.SourceUnavailable(
            f"{self.shown} does not give {len(missing)} files of {commit[:12]}",
            why=f"the first is blob {min(missing)}",
            hint="check the repository on its server with `git fsck`",
        )

    async def _ahead(self, commit: str) -> bool:
        """After a few single misses at a commit fetch all that it lacks, unless that proved to be much."""
        if len(self._misses) > _CACHED_COMMITS:
            self._misses.clear()
        self._misses[commit] += 1
        if not self._read_ahead or self._misses[commit] < _READ_AHEAD_AFTER:
            return False
        await self._fetches.do(("ahead", commit), lambda: self._fetch_ahead(commit))
        return self._read_ahead

    async def _fetch_ahead(self, commit: str) -> None:
        if self._misses[commit] > _READ_AHEAD_OBJECTS:
            return
        self._misses[commit] = _READ_AHEAD_OBJECTS + 1
        listing = await self.store.read(
            ["rev-list", "--objects", "--missing=print", "--no-object-names", "--no-walk", commit],
            timeout=120,
        )
        missing = [line[1:] for line in listing.output.decode().splitlines() if line.startswith("?")]
        if listing.status or len(missing) > _READ_AHEAD_OBJECTS:
            self._read_ahead = False
            return
        try:
            await self._prefetcher.want(frozenset(missing))
        except errors.ArtifactRefused:
            self._read_ahead = False

    async def _fetch_blobs(self, ids: frozenset[str]) -> None:
        limit, timeout = self.limits.total, max(300.0, self.place.timeout)
        async with self.place.access() as access:
            try:
                await self.store.fetch_objects(access, ids, limit=limit, timeout=timeout)
            except errors.ReferenceMissing:
                # A server that gives no single objects: take everything.
                specs = [f"+{ref}:{ref}" for ref in self._wanted if ref.startswith("refs/")]
                await self.store.fetch_all(access, specs, timeout=max(self.limits.clone, timeout))

    async def close(self) -> None:
        """End processes and what is under way."""
        await self._polls.close()
        await self._fetches.close()
        await self._prefetcher.close()
        await self.reader.close()
        await self.place.close()


def _refspecs(selected: references.Selected) -> list[str]:
    if selected.ref:
        return [f"+{selected.ref}:{selected.ref}"]
    return [f"+{selected.commit}:refs/undrift/{selected.commit}"]
