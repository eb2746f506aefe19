"""One law tried on one stand: commits, reconciles by the real engine, and answers that get lost on the way."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import functools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from undrift import errors, interfaces
from undrift.engine import reconciling, rendering, settling
from undrift.lib import canonical
from undrift.model import application, inventory, plan, record, resource, source, target, view
from undrift.testing import memory
from undrift.testing.conformance import stand

FIRST = "first"
SECOND = "second"
_KEY = b"k" * 32
_SEALED = b"ENC[sealed by the conformance suite]\n"
_UNLIMITED = application.DeletionLimit(1000, 100)


class Died(BaseException):
    """The agent was killed: nothing in it may catch this."""


CarryOut = Callable[[], Awaitable[None]]
Mischief = Callable[[plan.Change, CarryOut], Awaitable[None]]
"""What becomes of a change: given it and what would carry it out."""


async def obey(_: plan.Change, carry_out: CarryOut) -> None:
    """No mischief at all."""
    await carry_out()


class Opener:
    """Opens what `seal` sealed, as SOPS opens what it encrypted."""

    async def decrypt(self, content: bytes, name: str) -> bytes | None:
        """See `interfaces.Decryptor`."""
        if not content.startswith(_SEALED):
            return None
        return base64.b64decode(content.removeprefix(_SEALED))


def seal(content: str) -> bytes:
    """A file that nobody can read in Git."""
    return _SEALED + base64.b64encode(content.encode())


class Commits:
    """A source of one application whose commits are dicts of files; each is remembered."""

    def __init__(self, start: int = 0) -> None:
        self._start = start
        self._commits: list[dict[str, source.File]] = []

    def commit(self, files: Mapping[str, bytes]) -> None:
        """A new commit that has exactly these files."""
        self._commits.append({name: source.File(content) for name, content in files.items()})

    async def resolve(self) -> source.Revision:
        """See `interfaces.Source`: the newest commit."""
        number = self._start + len(self._commits)
        return source.Revision("main", f"sha1:{number:040x}", author="Ada <ada@example.org>")

    async def digests(self, revision: source.Revision, paths: Sequence[str]) -> Mapping[str, str]:
        """See `interfaces.Source`: one digest for everything."""
        content = {name: canonical.digest(file.content.hex()) for name, file in self._at(revision).items()}
        return dict.fromkeys(paths, canonical.digest(content))

    async def fetch(self, revision: source.Revision, path: str) -> source.Artifact:
        """See `interfaces.Source`."""
        digests = await self.digests(revision, [path])
        return source.Artifact(revision, path, digests[path], self._at(revision))

    async def close(self) -> None:
        """Nothing to give back."""

    def _at(self, revision: source.Revision) -> dict[str, source.File]:
        number = int(revision.digest.partition(":")[2], 16) - self._start
        if not 0 < number <= len(self._commits):
            raise errors.ReferenceMissing(f"there is no commit {revision}")
        return self._commits[number - 1]


class _Log(logging.Handler):
    """Keeps everything that is logged."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line, with its traceback."""
        self.lines.append(logging.Formatter("%(name)s %(message)s").format(record))


@dataclasses.dataclass
class Trial:
    """Applications on a stand. `told` is every reconcile so far, `log` every line that was logged."""

    stand: stand.Stand
    agent: str = ""
    database: memory.MemoryDatabase = dataclasses.field(default_factory=memory.MemoryDatabase)
    sources: dict[str, Commits] = dataclasses.field(default_factory=dict)
    told: list[record.Reconciliation] = dataclasses.field(default_factory=list)
    log: list[str] = dataclasses.field(default_factory=list)
    mischief: Mischief = obey
    _provider: interfaces.Provider | None = None
    _sessions: dict[str, interfaces.Session] = dataclasses.field(default_factory=dict)

    @property
    def provider(self) -> interfaces.Provider:
        """The provider of this process."""
        if self._provider is None:
            self._provider = self.stand.provider()
        return self._provider

    @property
    def capabilities(self) -> target.Capabilities:
        """What it says it can."""
        return self.provider.capabilities(self.stand.place)

    def id(self, thing: str, name: str = FIRST) -> resource.ResourceId:
        """The id of a thing."""
        return self.stand.id(thing, name)

    async def read(self, name: str = FIRST) -> dict[str, str]:
        """What is there."""
        return dict(await self.stand.read(name))

    async def put(self, thing: str, value: str, name: str = FIRST) -> None:
        """By hand."""
        await self.stand.put(thing, value, name)

    async def remove(self, thing: str, name: str = FIRST) -> None:
        """By hand."""
        await self.stand.remove(thing, name)

    def declare(self, things: Mapping[str, str], name: str = FIRST, *, sealed: bool = False) -> None:
        """A commit after which an application declares exactly these things."""
        files = self.stand.files(things, name)
        start = sum(ord(letter) for letter in name) << 16
        commits = self.sources.setdefault(name, Commits(start))
        commits.commit({path: seal(text) if sealed else text.encode() for path, text in files.items()})

    async def restart(self, *, lose_database: bool = False) -> None:
        """As a new process."""
        await self.close()
        self._provider = None
        if lose_database:
            self.database = memory.MemoryDatabase()

    async def close(self) -> None:
        """Give the connections back."""
        for name in list(self._sessions):
            await self._sessions.pop(name).close()

    @contextlib.asynccontextmanager
    async def another(self, agent: str) -> AsyncIterator[Trial]:
        """Another agent on the same target, with a database of its own."""
        made = Trial(self.stand, agent, sources=self.sources, told=self.told, log=self.log)
        try:
            yield made
        finally:
            await made.close()

    async def look(self, name: str = FIRST, **declared: Any) -> record.Reconciliation:
        """A plan that is only shown."""
        return await self._reconcile(name, dry=True, declared=declared)

    async def reconcile(self, name: str = FIRST, **declared: Any) -> record.Reconciliation:
        """A whole reconcile, and what it came to remembered."""
        return await self._reconcile(name, dry=False, declared=declared)

    async def applied(self, name: str = FIRST, **declared: Any) -> record.Reconciliation:
        """A reconcile that has to go through and to change something."""
        told = await self.reconcile(name, **declared)
        expect(told.ending is record.Ending.APPLIED, f"it should be applied, but: {spell(told)}")
        return told

    async def in_sync(self, name: str = FIRST, **declared: Any) -> record.Reconciliation:
        """A reconcile that has to find nothing to do."""
        told = await self.reconcile(name, **declared)
        expect(told.ending is record.Ending.IN_SYNC, f"nothing should be left to do, but: {spell(told)}")
        return told

    async def _reconcile(self, name: str, *, dry: bool, declared: dict[str, Any]) -> record.Reconciliation:
        retry = declared.pop("retry", False)
        policy = application.Policy(
            **{"health_timeout": 30.0, "deletion_limit": _UNLIMITED, **declared.pop("policy", {})}
        )
        described = application.Application(
            name,
            application.SourceReference("config", name),
            self.stand.place.name,
            policy=policy,
            namespace=self.stand.namespace,
            **declared,
        )
        subject = reconciling.Subject(
            application=described,
            config_digest=canonical.digest([name, repr(declared), repr(policy)]),
            memory=await self.database.recall(name),
            surroundings=view.Surroundings(claims=self._claims(name)),
            retry=retry,
            dry=dry,
        )
        lease = (await self.database.acquire([name], "agent", 60))[name]
        with self._listening():
            told = await reconciling.reconcile(subject, await self._world(name, lease), f"r{len(self.told)}")
            if not dry:
                await self.database.settle(lease, name, functools.partial(settling.settle, told))
        self.told.append(told)
        if told.failure is not None and isinstance(told.failure.error, errors.InternalError):
            raise told.failure.error from told.failure.error.__cause__
        return told

    def _claims(self, name: str) -> inventory.Claims:
        """What the other applications declared when they were last reconciled."""
        declared = {told.application: told.desired for told in self.told if told.desired is not None}
        found: dict[resource.ResourceId, tuple[str, ...]] = {}
        for other, desired in declared.items():
            for rid in desired.resources if other != name else ():
                found[rid] = (*found.get(rid, ()), other)
        return found

    async def _world(self, name: str, lease: interfaces.Lease) -> reconciling.World:
        if name not in self._sessions:
            self._sessions[name] = await self.provider.connect(self.stand.place, self.stand.secrets)
        cache: rendering.Cache = {}
        return reconciling.World(
            agent=self.agent or self.stand.agent,
            source=self.sources[name],
            renderer=self.stand.renderer(Opener()),
            provider=self.provider,
            target=self.stand.place,
            session=_Wrapped(self._sessions[name], self),
            database=self.database,
            lease=lease,
            cache=cache,
            key=_KEY,
            version="1",
        )

    @contextlib.contextmanager
    def _listening(self) -> Any:
        kept = _Log()
        root = logging.getLogger()
        level = root.level
        root.addHandler(kept)
        root.setLevel(logging.DEBUG)
        try:
            yield
        finally:
            root.setLevel(level)
            root.removeHandler(kept)
            self.log += kept.lines


class _Wrapped:
    """A session whose changes may meet with mischief; all else is the provider's own."""

    def __init__(self, session: interfaces.Session, trial: Trial) -> None:
        self._session = session
        self._trial = trial

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    async def apply(self, change: plan.Change, owner: inventory.Owner, revision: str) -> None:
        await self._trial.mischief(change, lambda: self._session.apply(change, owner, revision))


class Check(Protocol):
    """A function that raises where its law is broken."""

    __name__: str

    async def __call__(self, here: Trial, /) -> None:
        """Try it."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Law:
    """Something that holds for every provider; `excuse` says why one of these capabilities is let off ("" = it is not)."""

    name: str
    check: Check
    excuse: Callable[[target.Capabilities], str]

    def __str__(self) -> str:
        return self.name


def _none(_: target.Capabilities) -> str:
    return ""


def law(check: Check, excuse: Callable[[target.Capabilities], str] = _none) -> Law:
    """A law called as its function is."""
    return Law(check.__name__.replace("_", "-"), check, excuse)


def expect(holds: object, otherwise: str) -> None:
    """Raise an `AssertionError` with the text unless it holds."""
    if not holds:
        raise AssertionError(otherwise)


def spell(told: record.Reconciliation) -> str:
    """What became of a reconcile, in a line."""
    parts = [told.ending.value]
    if told.failure is not None:
        parts.append(f"failed in {told.failure.phase.value}: {told.failure.error}")
    if told.verdict is not None:
        parts += [f"stopped: {stop}" for stop in told.verdict.stops]
    parts.append(", ".join(planned(told)) or "no changes")
    return "; ".join(parts)


def planned(told: record.Reconciliation) -> list[str]:
    """What was planned, as `create File//a`."""
    return [f"{change.action.value} {change.id}" for change in told.plan.changes] if told.plan else []


def changes(told: record.Reconciliation) -> dict[resource.ResourceId, plan.Change]:
    """The planned changes by their ids."""
    return {change.id: change for change in told.plan.changes} if told.plan else {}
