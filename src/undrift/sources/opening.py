"""The door: declared source → `interfaces.Source`, sharing what can be shared."""

from __future__ import annotations

import dataclasses
import hashlib
import pathlib

from undrift import interfaces
from undrift.model import source
from undrift.sources import connecting, limits
from undrift.sources.git import addresses, remote, repository, submodules
from undrift.sources.git import source as git_source
from undrift.sources.oci import source as oci_source

Limits = limits.Limits


@dataclasses.dataclass(slots=True)
class _Share:
    repository: repository.Repository
    users: int = 0


class SourcePool:
    """All sources of an agent. `directory` is a cache: it may be deleted whenever nothing runs.

    Sources of one repository that sign in alike share one store, one reader and one poll per reference; sources
    that sign in differently share nothing, lest one sees what only the other may.
    """

    def __init__(
        self, directory: pathlib.Path, secrets: interfaces.SecretResolver, bounds: Limits | None = None
    ) -> None:
        self._directory = directory
        self._secrets = secrets
        self._limits = bounds or Limits()
        self._web = connecting.Web()
        self._shares: dict[str, _Share] = {}
        self._open: set[git_source.GitSource | oci_source.OciSource] = set()

    def open(self, declared: source.Source) -> interfaces.Source:
        """The source of a declaration; to be closed by whoever opened it. Touches neither disk nor network.

        Raises `ConfigInvalid` for an address that is none.
        """
        if declared.kind is source.SourceKind.GIT:
            return self.open_git(declared)

        async def release() -> None:
            self._open.discard(made)

        made = oci_source.OciSource(declared, self._secrets, self._web, self._limits, release)
        self._open.add(made)
        return made

    def open_git(self, declared: source.Source) -> git_source.GitSource:
        """As `open`, for a Git source: with its history (`log`, `commit_of`, `tree_at`) and `expect`."""
        name = self._name(declared)
        owner = self._share(name, declared)
        inner: list[str] = []

        def open_submodule(url: str) -> repository.Repository:
            below = submodules.declare(declared, url)
            below_name = self._name(below)
            known = below_name in inner
            if not known:
                inner.append(below_name)
            return self._share(below_name, below, use=not known)

        async def release() -> None:
            self._open.discard(made)
            for one in (name, *inner):
                await self._give_back(one)

        made = git_source.GitSource(declared, owner, open_submodule, release)
        self._open.add(made)
        return made

    def _share(self, name: str, declared: source.Source, *, use: bool = True) -> repository.Repository:
        share = self._shares.get(name)
        if share is None:
            place = remote.Remote(declared, self._secrets, self._web)
            made = repository.Repository(place, self._directory / "git" / name, self._limits)
            share = self._shares[name] = _Share(made)
        share.users += use
        return share.repository

    async def _give_back(self, name: str) -> None:
        share = self._shares.get(name)
        if share is None:
            return
        share.users -= 1
        if share.users <= 0:
            del self._shares[name]
            await share.repository.close()

    def _name(self, declared: source.Source) -> str:
        """Names what may be shared: address and the places of the credentials, never their values."""
        address = addresses.parse_url(declared.url, insecure=declared.insecure)
        where = address.path if address.scheme == "file" else address.url.rstrip("/").removesuffix(".git")
        text = repr((address.scheme, where, declared.authentication, declared.insecure))
        return hashlib.sha256(text.encode()).hexdigest()[:24]

    async def close(self) -> None:
        """Close every source that is still open."""
        for one in tuple(self._open):
            await one.close()
        for name in tuple(self._shares):
            await self._shares.pop(name).repository.close()
        await self._web.close()
