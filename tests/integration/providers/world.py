"""One host in a temporary folder, an application made from a dict of files, and reconciles of it by the engine."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from undrift import errors, interfaces
from undrift.engine import reconciling, rendering, settling
from undrift.lib import canonical
from undrift.model import application, record, resource, source, target, view
from undrift.providers.hosts import provider
from undrift.renderers import plain
from undrift.testing import memory

KEY = b"k" * 32


class Files:
    """A source whose commits are dicts of files."""

    def __init__(self) -> None:
        self.files: dict[str, source.File] = {}
        self.count = 0

    def commit(self, files: Mapping[str, str | bytes | source.File]) -> None:
        """A new commit that has exactly these files."""
        self.count += 1
        self.files = {
            name: content
            if isinstance(content, source.File)
            else source.File(content.encode() if isinstance(content, str) else content)
            for name, content in files.items()
        }

    async def resolve(self) -> source.Revision:
        return source.Revision("main", f"sha1:{self.count:040x}", author="Ada <ada@example.org>")

    async def digests(self, revision: source.Revision, paths: Sequence[str]) -> Mapping[str, str]:
        return dict.fromkeys(paths, canonical.digest(revision.digest))

    async def fetch(self, revision: source.Revision, path: str) -> source.Artifact:
        return source.Artifact(revision, path, canonical.digest(revision.digest), self.files)

    async def close(self) -> None:
        return None


class Secrets:
    """Credentials in files."""

    async def resolve(self, credential: source.Credential) -> str:
        if not credential.file:
            raise errors.CredentialMissing("none here")
        return await asyncio.to_thread(pathlib.Path(credential.file).read_text)


@dataclasses.dataclass
class World:
    """Applications on one host. `session` is made when it is first needed."""

    root: pathlib.Path
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    database: memory.MemoryDatabase = dataclasses.field(default_factory=memory.MemoryDatabase)
    provider: provider.HostsProvider = dataclasses.field(default_factory=provider.HostsProvider)
    session: interfaces.Session | None = None
    sources: dict[str, Files] = dataclasses.field(default_factory=dict)

    @property
    def place(self) -> target.Target:
        return target.Target("here", "hosts", settings={"root": str(self.root), **self.settings})

    async def connect(self) -> interfaces.Session:
        if self.session is None:
            self.session = await self.provider.connect(self.place, Secrets())
        return self.session

    async def close(self) -> None:
        if self.session is not None:
            await self.session.close()
            self.session = None

    async def abandon(self) -> None:
        """As when the agent dies: nothing is written any more, and nothing of it is kept."""
        left, self.session, self.provider = self.session, None, provider.HostsProvider()
        if isinstance(left, provider.FarSession):
            await left.far.hang_up()

    def commit(self, files: Mapping[str, str | bytes | source.File], name: str = "site") -> None:
        self.sources.setdefault(name, Files()).commit(files)

    async def reconcile(
        self,
        name: str = "site",
        *,
        dry: bool = False,
        renderer: interfaces.Renderer | None = None,
        **declared: Any,
    ) -> record.Reconciliation:
        policy = application.Policy(**{"health_timeout": 10.0, **declared.pop("policy", {})})
        subject = reconciling.Subject(
            application=application.Application(
                name,
                application.SourceReference("config", name),
                "here",
                policy=policy,
                **declared,
            ),
            config_digest=canonical.digest([name, repr(declared), repr(policy)]),
            memory=await self.database.recall(name),
            surroundings=view.Surroundings(),
            dry=dry,
        )
        lease = (await self.database.acquire([name], "agent", 60))[name]
        cache: rendering.Cache = {}
        around = reconciling.World(
            agent="agent",
            source=self.sources[name],
            renderer=renderer or plain.PlainRenderer(),
            provider=self.provider,
            target=self.place,
            session=await self.connect(),
            database=self.database,
            lease=lease,
            cache=cache,
            key=KEY,
            version="1",
        )
        told = await reconciling.reconcile(subject, around, "r1")
        if told.failure is not None and isinstance(told.failure.error, errors.InternalError):
            raise told.failure.error from told.failure.error.__cause__
        if not dry:
            await self.database.settle(lease, name, functools.partial(settling.settle, told))
        return told


def rid(text: str) -> resource.ResourceId:
    """An id from its written form."""
    kind, _, name = text.partition("/")
    return resource.ResourceId.of(kind, name)


def manifest(spec: str) -> str:
    """A manifest around its spec."""
    return f"apiVersion: undrift.dev/hosts/v1\nkind: Host\nspec:\n{spec}"


UNLIMITED = application.DeletionLimit(1000, 100)
