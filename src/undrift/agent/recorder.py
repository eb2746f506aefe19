"""From the value that a reconcile returned, once: history, events, messages and log lines.

A reconcile that found everything as it was is not written down: history tells what happened, not that the
agent looked. Events are raised when a state begins and when it ends, never while it lasts.
"""

from __future__ import annotations

import asyncio
import dataclasses
import fnmatch
from collections.abc import Iterator, Mapping
from typing import Any

import structlog

from undrift import errors
from undrift.agent import shapes
from undrift.db import database
from undrift.engine import settling
from undrift.lib import canonical
from undrift.model import event, health, notifier, plan, record

_log = structlog.get_logger("undrift")
_PAUSE = 0.2
_KEPT = 10_000


@dataclasses.dataclass(frozen=True, slots=True)
class Summary:
    """What of a reconcile is news when it changes; the drift as ids. Kept by history, so that a restart is no news."""

    revision: str = ""
    ending: str = ""
    health: str = ""
    code: str = ""
    digest: str = ""
    stops: tuple[str, ...] = ()
    drift: frozenset[str] = frozenset()
    outputs: str = ""
    newest: str = ""


class Recorder:
    """Collects what happened and writes it in batches; `listeners` hear of events at once."""

    def __init__(self, db: database.SqlDatabase) -> None:
        self._db = db
        self._reconciles: list[dict[str, Any]] = []
        self._events: list[dict[str, Any]] = []
        self._some = asyncio.Event()
        self.listeners: set[asyncio.Queue[dict[str, Any]]] = set()
        self.notifiers: Mapping[str, notifier.Notifier] = {}
        self._messages: list[dict[str, Any]] = []

    def record(self, before: Summary | None, told: record.Reconciliation, now: float) -> None:
        """Write down one reconcile, if it says anything new."""
        for happened in _events(before, told, now):
            self.tell(happened)
        if _is_news(before, told):
            self._reconciles.append(
                {
                    "application": told.application,
                    "started": told.started,
                    "ending": told.ending.value,
                    "document": shapes.reconciliation(told),
                }
            )
            self._some.set()
        _write(told, news=_is_news(before, told))

    def tell(self, happened: event.Event) -> None:
        """Write down one event, and queue its messages."""
        kind = type(happened).__name__
        document = {
            key: value
            for key, value in dataclasses.asdict(happened).items()
            if key not in ("application", "at")
        }
        row = {"application": happened.application, "at": happened.at, "kind": kind, "document": document}
        self._events.append(row)
        for listener in self.listeners:
            if not listener.full():
                listener.put_nowait(
                    {**document, "application": happened.application, "at": happened.at, "kind": kind}
                )
        for one in self.notifiers.values():
            if _wanted(one, kind, happened.application):
                key = canonical.digest([one.name, row])
                self._messages.append({"key": key, "notifier": one.name, "document": row})
        self._some.set()

    async def run(self) -> None:
        """Flush for ever."""
        while True:
            await self._some.wait()
            await asyncio.sleep(_PAUSE)
            try:
                await self.flush()
            except errors.DatabaseError as error:
                _log.warning("history cannot be written", **shapes.error(error))
                await asyncio.sleep(5)

    async def flush(self) -> None:
        """Write what has collected, in one transaction; what cannot be written stays for the next time."""
        self._some.clear()
        reconciles, events, messages = self._reconciles, self._events, self._messages
        self._reconciles, self._events, self._messages = [], [], []
        try:
            if reconciles or events or messages:
                await self._db.remember(reconciles, events, messages)
        except errors.DatabaseError:
            self._reconciles = _newest([*reconciles, *self._reconciles])
            self._events = _newest([*events, *self._events])
            self._messages = _newest([*messages, *self._messages])
            self._some.set()
            raise


def _newest(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is kept while the database is away: memory is bounded, however long that lasts."""
    if len(rows) > _KEPT:
        _log.warning("history is lost: the database is away", rows=len(rows) - _KEPT)
    return rows[-_KEPT:]


def _wanted(one: notifier.Notifier, kind: str, name: str) -> bool:
    return any(fnmatch.fnmatchcase(kind, pattern) for pattern in one.events) and any(
        fnmatch.fnmatchcase(name, pattern) for pattern in one.applications
    )


def summarize(told: record.Reconciliation) -> Summary:
    """The summary of a reconcile."""
    return Summary(
        revision=str(told.revision or ""),
        ending=told.ending.value,
        health=settling.health_of(told).status.value,
        code=told.failure.error.code if told.failure is not None else "",
        digest=told.plan.digest if told.plan is not None else "",
        stops=_stops(told),
        drift=frozenset(str(one.id) for one in shapes.drifted(told)),
        outputs=canonical.digest(shapes.outputs(told.outputs)) if told.outputs else "",
        newest=_inputs(told.newest.inputs) if told.newest else "",
    )


def remembered(document: Mapping[str, Any]) -> Summary:
    """The summary of a reconcile as history keeps it (`shapes.reconciliation`)."""
    failure, how = document["failure"], document["health"]["status"]
    healthy = how == health.Status.HEALTHY.value
    return Summary(
        revision=document["revision"]["name"] if document["revision"] else "",
        ending=document["ending"],
        health=health.Status.DEGRADED.value if failure and healthy else how,
        code=failure["code"] if failure else "",
        digest=document["digest"],
        stops=tuple(stop["code"] for stop in document["stops"]),
        drift=frozenset(document.get("drift", ())),
        outputs=canonical.digest(document["outputs"]) if document.get("outputs") else "",
        newest=_inputs(document["newest"]) if document.get("newest") else "",
    )


def _inputs(found: Mapping[str, str]) -> str:
    """Facts may change without anything else doing so: that alone is no news."""
    return canonical.digest({name: digest for name, digest in found.items() if name != "facts"})


def _is_news(before: Summary | None, told: record.Reconciliation) -> bool:
    if before is None or told.results:
        return True
    now = summarize(told)
    if told.plan is not None and told.plan.waves and before.digest != now.digest:
        return True
    return dataclasses.replace(now, digest=before.digest, drift=before.drift) != before


def _events(before: Summary | None, told: record.Reconciliation, at: float) -> Iterator[event.Event]:
    name, now, was = told.application, summarize(told), before or Summary()
    if told.revision is not None and was.revision != now.revision:
        yield event.RevisionSeen(name, at, now.revision, told.revision.author, told.revision.message)
    yield from _drift(was, told, at)
    if told.results:
        done = sum(1 for one in told.results if one.outcome is plan.Outcome.APPLIED)
        applied = str(told.applied_revision or "")
        yield event.PlanApplied(name, at, applied, now.digest, done, len(told.results) - done)
    if set(now.stops) - {errors.RolloutWaiting.code} and (was.stops != now.stops or was.digest != now.digest):
        text = "\n".join(str(stop) for stop in told.verdict.stops) if told.verdict else ""
        yield event.PlanStopped(name, at, now.digest, now.stops, text)
    if told.failure is not None and (was.code != now.code or was.revision != now.revision):
        phase, error = told.failure.phase.value, told.failure.error
        yield event.Failed(name, at, phase, now.code, now.revision, str(error))
    if was.code and not now.code:
        yield event.Recovered(name, at, f"{was.code} is over")
    if before is not None and was.health != now.health:
        reason = settling.health_of(told).reason
        yield event.HealthChanged(name, at, was.health, now.health, reason)


def _drift(was: Summary, told: record.Reconciliation, at: float) -> Iterator[event.Event]:
    found = shapes.drifted(told)
    if found and (told.results or {str(one.id) for one in found} != was.drift):
        text = "\n".join(one.text or f"{one.action} {one.id}" for one in found)
        yield event.DriftFound(told.application, at, tuple(str(one.id) for one in found), text)


def _stops(told: record.Reconciliation) -> tuple[str, ...]:
    return tuple(stop.code for stop in told.verdict.stops) if told.verdict else ()


def _write(told: record.Reconciliation, *, news: bool) -> None:
    say = _log.info if news else _log.debug
    parts: dict[str, Any] = {
        "ending": told.ending.value,
        "revision": told.revision.short if told.revision else "",
    }
    if told.results:
        parts["applied"] = sum(1 for one in told.results if one.outcome is plan.Outcome.APPLIED)
        parts["changes"] = len(told.results)
    if _stops(told):
        parts["stops"] = ",".join(_stops(told))
    if told.failure is not None:
        say = _log.warning if news else _log.debug
        error = told.failure.error
        parts |= {"phase": told.failure.phase.value, "code": error.code, "error": str(error)}
    say("reconciled", application=told.application, reconcile=told.id, **parts)
    if told.failure is not None and isinstance(told.failure.error, errors.InternalError) and news:
        cause = told.failure.error.__cause__
        _log.error("a defect", application=told.application, reconcile=told.id, exc_info=cause)
