"""The composition root: builds everything, runs it in one task group, and ends it in order."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import functools
import gc
import os
import pathlib
import secrets
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

import structlog

import undrift
from undrift import errors, interfaces, plugins
from undrift.agent import (
    audit,
    fleet,
    hearing,
    joining,
    leasing,
    outbox,
    polling,
    queue,
    recorder,
    reporting,
    reviewing,
    sessions,
    shapes,
    worker,
    world,
)
from undrift.config import configuration, reading, settings
from undrift.db import database
from undrift.lib import atomic, sdnotify, words
from undrift.model import event, record, resource, source
from undrift.sources import credentials, opening

Door = Callable[[world.Shared, worker.Worker], Coroutine[Any, Any, None]]
_log = structlog.get_logger("undrift")
_GRACE = 30.0
_HOUR = 3600.0
_BATCHES = 100
_SEEN = "config"
_AFTER_DEFECT = 5.0
_NAME = 500
_Work = Callable[[], Coroutine[Any, Any, None]]


class SystemClock:
    """The wall clock of this machine."""

    def now(self) -> float:
        """See `interfaces.Clock`."""
        return time.time()


async def run(
    given: settings.Settings,
    decryptor: interfaces.Decryptor | None,
    door: Door,
    *,
    stop: asyncio.Event | None = None,
) -> None:
    """Be an agent until SIGTERM, SIGINT or `stop`. `door` serves whoever wants to see and steer it.

    Raises `ConfigInvalid` when another agent uses the state folder, and what opening the database raises.
    """
    gc.set_threshold(50_000, 20, 50)
    ending = stop or asyncio.Event()
    holder = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
    with _locked(given.state_dir, holder) as former:
        async with _shared(given, decryptor, holder) as shared:
            if former:
                await shared.database.release(former)
            await _Agent(shared, decryptor, door, ending).run()


@contextlib.contextmanager
def _locked(folder: pathlib.Path, holder: str) -> Iterator[str]:
    """One agent a state folder: the lock goes with the process, however it ends.

    Gives the name of the holder before us. It is dead, so that nobody need wait for its leases to run out.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise errors.ConfigInvalid(
            f"the state folder {folder} cannot be used",
            why=error.strerror or "",
            hint="choose another with --state-dir",
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise errors.ConfigInvalid(
            f"another agent uses the state folder {folder}",
            hint="stop it, or choose another with --state-dir",
        ) from error
    try:
        former = os.pread(descriptor, _NAME, 0).decode("utf-8", "replace")
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, holder.encode(), 0)
        yield former
    finally:
        os.close(descriptor)


@contextlib.asynccontextmanager
async def _shared(
    given: settings.Settings, decryptor: interfaces.Decryptor | None, holder: str
) -> AsyncIterator[world.Shared]:
    clock = SystemClock()
    secret_places = credentials.EnvironmentSecrets()
    pool = opening.SourcePool(given.state_dir / "sources", secret_places)
    async with database.opened(given.database) as db:
        shared = world.Shared(
            settings=given,
            database=db,
            registry=plugins.Registry(decryptor),
            sources=pool,
            secrets=secret_places,
            clock=clock,
            queue=queue.Queue(),
            recorder=recorder.Recorder(db),
            audit=audit.Audit(given.state_dir / "audit.jsonl"),
            holder=holder,
            key=_key(given.state_dir / "secret.key"),
            version=undrift.__version__,
            started=clock.now(),
        )
        try:
            yield shared
        finally:
            shared.queue.close()
            for place in shared.places.values():
                await place.drop()
            await pool.close()


def _key(path: pathlib.Path) -> bytes:
    """The key that fingerprints secrets: made once, for our own eyes."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        made = secrets.token_bytes(32)
        atomic.write(path, made, 0o600)
        return made


class _Agent:
    """One run."""

    def __init__(
        self,
        shared: world.Shared,
        decryptor: interfaces.Decryptor | None,
        door: Door,
        ending: asyncio.Event,
    ) -> None:
        self._shared = shared
        self._door = door
        self._ending = ending
        self._fleet = fleet.Fleet(shared, self._run_what_is_served)
        self._leasing = leasing.Leasing(shared)
        self._worker = worker.Worker(shared, self._fleet)
        self._reporting = reporting.Reporting(shared)
        shared.heard = self._reporting.note
        self._reviewing = reviewing.Reviewing(shared, decryptor, _Directories)
        self._reader = reading.Reader(decryptor, _Directories(shared))
        self._workers: list[asyncio.Task[None]] = []
        self._reading = asyncio.Lock()
        self._tasks: dict[str, tuple[object, asyncio.Task[None]]] = {}
        self._config_digest = ""

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled)
        await self._recall_orders()
        try:
            async with asyncio.TaskGroup() as group:
                background = [group.create_task(work) for work in self._background(group)]
                await self._ending.wait()
                sdnotify.notify("STOPPING=1")
                await self._finish()
                for task in (*background, *(task for _, task in self._tasks.values())):
                    task.cancel()
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)
            with contextlib.suppress(errors.DatabaseError):
                await self._shared.recorder.flush()
                await self._shared.database.release(self._shared.holder)
        _log.info("stopped")

    def _background(self, group: asyncio.TaskGroup) -> list[Coroutine[Any, Any, None]]:
        shared = self._shared
        poll = polling.Poll(shared.settings.source, shared.sources.open(shared.settings.source))
        shared.polls[fleet.CONFIG] = poll
        self._group = group
        return [
            self._serve(),
            _endless("config", lambda: poll.run(self._config_changed)),
            _endless("recorder", shared.recorder.run),
            _endless("outbox", outbox.Outbox(shared).run),
            _endless("leases", self._leasing.run),
            _endless("reports", self._reporting.run),
            _endless("reviews", self._reviewing.run),
            _endless("hearing", hearing.Hearing(shared).run),
            _endless("retention", self._retain),
            self._watchdog(),
        ]

    def _signalled(self) -> None:
        """The first signal asks for an end in order, the second for an end."""
        if self._ending.is_set():
            os._exit(130)
        _log.info("stopping")
        self._ending.set()

    async def _serve(self) -> None:
        await self._door(self._shared, self._worker)

    async def _finish(self) -> None:
        """Let running reconciles end; whoever takes too long is cleanly abandoned (the journal knows)."""
        self._worker.stopping = True
        idle = [task for task in self._workers if not task.done()]
        busy = [name for name in self._shared.tenants if self._shared.queue.busy(name)]
        if busy:
            _log.info("finishing", applications=",".join(sorted(busy)))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_GRACE):
                    await self._shared.queue.idle()
        for task in idle:
            task.cancel()
        await asyncio.gather(*idle, return_exceptions=True)

    async def _config_changed(self, poll: polling.Poll) -> None:
        """A new commit in the config repository, or it cannot be read."""
        self._tell_source(poll)
        if poll.revision is None or poll.error is not None:
            await self._start_from_memory(poll)
            return
        try:
            await self._read(poll, poll.revision)
            await self._shared.database.see(_SEEN, poll.revision.digest)
        except errors.UndriftError as error:
            _log.error("configuration cannot be used", **shapes.error(error))
            self._tell_failed("config", record.Phase.LOAD, error, str(poll.revision))
        except Exception:  # noqa: BLE001 - a defect here must not end the agent
            _log.exception("a defect while reading the configuration")
        await self._source_changed(poll)

    async def _start_from_memory(self, poll: polling.Poll) -> None:
        """Git is away and we have only just started: the configuration read last is still in our store."""
        if self._shared.agent:
            return
        try:
            known = await self._shared.database.seen(_SEEN)
            if known is not None:
                await self._read(poll, source.Revision("", known))
                self._config_digest = ""
        except errors.UndriftError as error:
            _log.warning("the last configuration cannot be read either", **shapes.error(error))

    async def _read(self, poll: polling.Poll, revision: source.Revision) -> None:
        async with self._reading:
            path = self._shared.settings.path
            digest = (await poll.digests(revision, [path])).get(path, "")
            if digest == self._config_digest and not self._generates():
                return
            artifact = await poll.fetch(revision, path)
            found = await self._reader.read(artifact)
            if await self._fleet.open_for_generators(found):
                found = await self._reader.read(artifact)
            await self._adopt(found)
            self._config_digest = digest

    async def _adopt(self, found: configuration.Configuration) -> None:
        for error in found.errors:
            _log.error("configuration", **shapes.error(error))
        first = not self._shared.agent
        await self._fleet.adopt(found)
        await self._leasing.turn()
        self._leasing.wake()
        if first:
            self._ready(found.agents[self._shared.agent].workers)

    def _run_what_is_served(self) -> None:
        """A task for each source and target that is used; of those no longer used, or replaced, it ends."""
        wanted: dict[str, tuple[object, _Work]] = {}
        for name, poll in self._shared.polls.items():
            if name != fleet.CONFIG:
                wanted[f"source {name}"] = poll, functools.partial(poll.run, self._source_changed)
        for name, place in self._shared.places.items():
            wanted[f"target {name}"] = place, functools.partial(self._watch, place)
        for name, (served, task) in list(self._tasks.items()):
            if name not in wanted or wanted[name][0] is not served:
                task.cancel()
                del self._tasks[name]
        for name, (served, work) in wanted.items():
            if name not in self._tasks:
                self._tasks[name] = served, self._group.create_task(_endless(name, work))

    def _generates(self) -> bool:
        """Whether applications are made from folders or files that may lie outside of the configuration."""
        found = self._shared.configuration
        return found is None or bool(found.looked_into)

    def _ready(self, workers: int) -> None:
        self._workers = [
            self._group.create_task(_endless("worker", self._worker.run)) for _ in range(workers)
        ]
        gc.collect()
        gc.freeze()
        sdnotify.notify("READY=1", f"STATUS=serving {len(self._shared.tenants)} applications")
        _log.info("ready", agent=self._shared.agent, applications=len(self._shared.tenants))

    async def _source_changed(self, poll: polling.Poll) -> None:
        """A new revision: only applications whose own files changed are looked at."""
        name = poll.declared.name
        if name != fleet.CONFIG:
            self._tell_source(poll)
        if poll.revision is None or poll.error is not None:
            return
        await self._generate_anew(poll)
        using = [
            one
            for one in self._shared.tenants.values()
            if joining.uses(one, name) and not one.application.decommissioned
        ]
        try:
            wanted = {path for one in using for path in joining.paths(one, name)}
            digests = await poll.digests(poll.revision, sorted(wanted))
        except errors.UndriftError as error:
            _log.warning("source cannot be read", source=poll.declared.name, **shapes.error(error))
            return
        for one in using:
            digest = " ".join(digests.get(path, "") for path in joining.paths(one, name))
            if digest != one.source_digests.get(name):
                one.source_digests[name] = digest
                self._shared.queue.put(one.name, queue.Urgency.CHANGE)

    async def _generate_anew(self, poll: polling.Poll) -> None:
        """Read the configuration once more where its generators look into a source that has changed."""
        found, config = self._shared.configuration, self._shared.polls[fleet.CONFIG]
        if poll is config or config.revision is None or found is None:
            return
        if poll.declared.name in found.looked_into:
            try:
                await self._read(config, config.revision)
            except errors.UndriftError as error:
                _log.error("configuration cannot be used", **shapes.error(error))
                self._tell_failed("config", record.Phase.LOAD, error, str(config.revision))

    def _tell_source(self, poll: polling.Poll) -> None:
        """A source that fails, or is well again, is told once."""
        name, now = f"source/{poll.declared.name}", self._shared.clock.now()
        if poll.error is not None:
            _log.warning("source fails", source=poll.declared.name, **shapes.error(poll.error))
            self._tell_failed(name, record.Phase.RESOLVE, poll.error, "")
        elif poll.revision is not None:
            _log.info("source", source=poll.declared.name, revision=poll.revision.short)
            self._shared.recorder.tell(
                event.RevisionSeen(name, now, str(poll.revision), poll.revision.author, poll.revision.message)
            )

    def _tell_failed(self, name: str, phase: record.Phase, error: errors.UndriftError, revision: str) -> None:
        now = self._shared.clock.now()
        self._shared.recorder.tell(event.Failed(name, now, phase.value, error.code, revision, str(error)))

    async def _watch(self, place: sessions.Place) -> None:
        """Hints of a target that can tell when something changed; it is opened again when it breaks.

        What it would have told in the meantime is anything.
        """
        if not place.provider.capabilities(place.declared).watch:
            return
        missed = False
        while True:
            try:
                session = await place.connect()
                try:
                    if missed:
                        self._hint(place.declared.name, frozenset())
                    async for ids in session.watch():
                        self._hint(place.declared.name, ids)
                finally:
                    await session.close()
            except errors.UndriftError as error:
                _log.warning("target cannot be watched", target=place.declared.name, **shapes.error(error))
            missed = True
            await asyncio.sleep(10)

    def _hint(self, target: str, ids: frozenset[resource.ResourceId]) -> None:
        """Those that declare what a hint is of; where it does not say, all of a target."""
        names = {name for rid in ids for name in self._shared.claims.holders(target, rid)}
        for name in names if ids else set(self._shared.tenants):
            known = self._shared.tenants.get(name)
            if known is None or known.application.target != target:
                continue
            fought_for = known.heals.contested(self._shared.clock.now())
            if not ids or not ids <= fought_for:
                self._shared.queue.put(name, queue.Urgency.DRIFT)

    async def _recall_orders(self) -> None:
        """A new database finds approvals and holds again in the audit log."""
        if not self._shared.database.fresh:
            return
        orders = await asyncio.to_thread(self._shared.audit.read)
        for approval in audit.approvals(orders):
            await self._shared.database.approve(approval)
        for held in audit.holds(orders, self._shared.clock.now()):
            await self._shared.database.hold(held, held.application)

    async def _retain(self) -> None:
        while True:
            await asyncio.sleep(_HOUR)
            found = self._shared.configuration
            declared = found.agents.get(self._shared.agent) if found else None
            with contextlib.suppress(errors.DatabaseError):
                for _ in range(_BATCHES if declared else 0):
                    if declared and not await self._shared.database.retain(declared.retention):
                        break

    async def _watchdog(self) -> None:
        """A sign of life to systemd, from the loop itself: when the loop hangs it stays away."""
        interval = sdnotify.watchdog_interval()
        while True:
            await asyncio.sleep(interval or _HOUR)
            if interval:
                sdnotify.notify("WATCHDOG=1")


class _Directories:
    """What generators look at outside the path of the configuration."""

    def __init__(self, shared: world.Shared) -> None:
        self._shared = shared
        self._kept: dict[tuple[str, str], source.Artifact] = {}

    async def fetch(self, name: str, path: str) -> source.Artifact:
        """See `config.elements.Directories`; what did not change is not read again."""
        poll = self._shared.polls.get(name)
        if poll is None:
            known = [one for one in self._shared.polls if one != fleet.CONFIG]
            raise errors.ReferenceUnknown(
                f"Source {name} is not declared", hint=words.suggestion(name, known)
            )
        revision = poll.revision or await poll.resolve()
        kept = self._kept.get((name, path))
        digests = await poll.digests(revision, [path])
        if kept is None or kept.digest != digests.get(path):
            kept = self._kept[name, path] = await poll.fetch(revision, path)
        return kept


async def _endless(name: str, work: _Work) -> None:
    """A task that must not take the agent down with it: after a defect it is begun anew."""
    while True:
        try:
            await work()
        except Exception:  # noqa: BLE001 - whatever it is, it is told and the others go on
            _log.exception("a defect", task=name)
        else:
            return
        await asyncio.sleep(_AFTER_DEFECT)
