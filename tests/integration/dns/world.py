"""A name server, applications made from dicts of files, and reconciles of them by the engine."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

from tests import nameservers
from undrift import errors, interfaces
from undrift.engine import reconciling, rendering, settling
from undrift.lib import canonical
from undrift.model import application, inventory, record, resource, source, target, view
from undrift.providers.dns import provider
from undrift.renderers import plain
from undrift.testing import memory

KEY = b"k" * 32
UNLIMITED = application.DeletionLimit(100_000, 100)
Files = Mapping[str, str]


class Commits:
    """A source that remembers each of its commits, dicts of files."""

    def __init__(self) -> None:
        self.commits: list[dict[str, source.File]] = []

    def commit(self, files: Files) -> None:
        """A new commit that has exactly these files."""
        self.commits.append({name: source.File(content.encode()) for name, content in files.items()})

    async def resolve(self) -> source.Revision:
        """The newest commit."""
        return source.Revision("main", f"sha1:{len(self.commits):040x}", author="Ada <ada@example.org>")

    async def digests(self, revision: source.Revision, paths: Sequence[str]) -> Mapping[str, str]:
        """One digest a commit."""
        return dict.fromkeys(paths, canonical.digest(revision.digest))

    async def fetch(self, revision: source.Revision, path: str) -> source.Artifact:
        """The files of a commit."""
        number = int(revision.digest.partition(":")[2], 16)
        if not 0 < number <= len(self.commits):
            raise errors.ReferenceMissing(f"there is no commit {revision}")
        return source.Artifact(revision, path, canonical.digest(revision.digest), self.commits[number - 1])

    async def close(self) -> None:
        """Nothing to give back."""


@dataclasses.dataclass
class Secrets:
    """`DNS_KEY` is the server's key."""

    key: str

    async def resolve(self, credential: source.Credential) -> str:
        """See `interfaces.SecretResolver`."""
        if credential.env != "DNS_KEY":
            raise errors.CredentialMissing("none here")
        return self.key


@dataclasses.dataclass
class World:
    """Applications on one name server."""

    server: nameservers.NameServer
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    database: memory.MemoryDatabase = dataclasses.field(default_factory=memory.MemoryDatabase)
    provider: provider.DnsProvider = dataclasses.field(default_factory=provider.DnsProvider)
    sources: dict[str, Commits] = dataclasses.field(default_factory=dict)
    caches: dict[str, rendering.Cache] = dataclasses.field(default_factory=dict)
    sessions: dict[str, interfaces.Session] = dataclasses.field(default_factory=dict)
    agent: str = "agent"

    @property
    def place(self) -> target.Target:
        """The Target."""
        return target.Target("names", "dns", settings={**self.server.settings, **self.settings})

    def commit(self, files: Files, name: str = "web") -> None:
        """A commit of one application."""
        self.sources.setdefault(name, Commits()).commit(files)

    def forget(self) -> None:
        """A new process, with a database that knows nothing."""
        self.database = memory.MemoryDatabase()
        self.provider = provider.DnsProvider()
        self.sessions = {}

    async def session(self, name: str = "web") -> interfaces.Session:
        """The session of one application."""
        if name not in self.sessions:
            self.sessions[name] = await self.provider.connect(self.place, Secrets(self.server.key))
        return self.sessions[name]

    async def claims(self, name: str) -> inventory.Claims:
        """What the other applications declare now."""
        found: dict[resource.ResourceId, tuple[str, ...]] = {}
        for other, commits in self.sources.items():
            if other != name:
                artifact = await commits.fetch(await commits.resolve(), other)
                recipe = interfaces.Recipe(other)
                rendered = await plain.PlainRenderer().render(artifact, recipe, target.NO_FACTS)
                for rid in self.provider.load(rendered, target.NO_FACTS, self.place).resources:
                    found[rid] = (*found.get(rid, ()), other)
        return found

    async def reconcile(
        self,
        name: str = "web",
        *,
        dry: bool = False,
        session: interfaces.Session | None = None,
        **declared: Any,
    ) -> record.Reconciliation:
        """Reconcile once; the policy takes over nothing and waits 10 s for health unless it is told so."""
        policy = application.Policy(**{"health_timeout": 10.0, **declared.pop("policy", {})})
        subject = reconciling.Subject(
            application=application.Application(
                name, application.SourceReference("config", name), "names", policy=policy, **declared
            ),
            config_digest=canonical.digest([name, repr(declared), repr(policy)]),
            memory=await self.database.recall(name),
            surroundings=view.Surroundings(claims=await self.claims(name)),
            dry=dry,
        )
        lease = (await self.database.acquire([name], "agent", 60))[name]
        around = reconciling.World(
            agent=self.agent,
            source=self.sources[name],
            renderer=plain.PlainRenderer(),
            provider=self.provider,
            target=self.place,
            session=session or await self.session(name),
            database=self.database,
            lease=lease,
            cache=self.caches.setdefault(name, {}),
            key=KEY,
            version="1",
        )
        told = await reconciling.reconcile(subject, around, "r1")
        if told.failure is not None and isinstance(told.failure.error, errors.InternalError):
            raise told.failure.error from told.failure.error.__cause__
        if not dry:
            await self.database.settle(lease, name, functools.partial(settling.settle, told))
        return told


def codes(told: record.Reconciliation) -> list[str]:
    """The codes of what stopped a plan, or made it fail."""
    failed = [part.code for part in told.failure.error.parts] if told.failure is not None else []
    return failed or [stop.code for stop in told.verdict.stops] if told.verdict is not None else failed


def changes(told: record.Reconciliation) -> list[str]:
    """What a plan would do, as text."""
    assert told.plan is not None, told.failure
    return [f"{change.action} {change.id}" for change in told.plan.changes]
