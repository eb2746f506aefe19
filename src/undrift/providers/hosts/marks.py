"""Ownership marks, and the form in which the files of marks keep them.

A mark is written ahead of a change (an intent) and confirmed after it. An intent alone proves ownership only when
what is there is exactly what was intended.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

from undrift import errors
from undrift.lib import canonical
from undrift.model import inventory, resource, secret

_VERSION: Final = 1
Key = tuple[str, str]
"""Agent and application: whose file."""


@dataclasses.dataclass(frozen=True, slots=True)
class Look:
    """What fields looked like: their names, and a digest of their values."""

    names: tuple[str, ...] = ()
    digest: str = ""

    def fits(self, fields: resource.Fields) -> bool:
        """Whether `fields` have the same values under these names."""
        return all(name in fields for name in self.names) and self.digest == _digest(fields, self.names)


def look(fields: resource.Fields) -> Look:
    """The look of fields."""
    names = tuple(sorted(fields))
    return Look(names, _digest(fields, names))


def _digest(fields: resource.Fields, names: tuple[str, ...]) -> str:
    return canonical.digest({name: _plain(fields[name]) for name in names})


def _plain(value: Any) -> Any:
    if isinstance(value, secret.Secret):
        return value.reveal()
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A change that was announced: what it makes, or (`deletes`) that it takes away."""

    deletes: bool = False
    revision: str = ""
    fingerprint: str = ""
    look: Look = Look()
    protected: bool = False
    secret: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One resource in a file of marks.

    `made` is what was confirmed (None: nothing yet), `intent` what was announced after it. `since` (ns) tells
    who owned last when two files name a resource. `notes` are the provider's own (what a command ran with).
    """

    id: resource.ResourceId
    agent: str
    application: str
    made: Intent | None = None
    intent: Intent | None = None
    since: int = 0
    notes: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def deleting(self) -> bool:
        """Whether it was announced that the resource goes."""
        return self.intent is not None and self.intent.deletes

    @property
    def secret(self) -> bool:
        """Whether its content came from an encrypted file."""
        return any(one is not None and one.secret for one in (self.made, self.intent))

    def overtaken(self, others: Iterable[Record]) -> bool:
        """Whether another application took the resource over later: this record proves nothing any more."""
        return any(
            other.made is not None
            and other.since > self.since
            and (other.agent, other.application) != (self.agent, self.application)
            for other in others
        )

    def mark(self, fields: resource.Fields) -> inventory.Mark | None:
        """The mark on what is there with these fields, or None when this record proves nothing about it."""
        made, intent = self.made, self.intent
        if intent is None:
            return self._mark(made, pending=False) if made is not None else None
        if intent.deletes:
            return self._mark(made, pending=False) if made is not None and made.look.fits(fields) else None
        if intent.look.fits(fields):
            return self._mark(intent, pending=True)
        return self._mark(made, pending=False) if made is not None else None

    def _mark(self, by: Intent, *, pending: bool) -> inventory.Mark:
        return inventory.Mark(
            self.agent,
            self.application,
            self.id,
            by.revision,
            by.fingerprint,
            protected=by.protected,
            pending=pending,
        )


@dataclasses.dataclass(frozen=True, slots=True)
class File:
    """One application's marks on a target; `folders` are parents that we made on the way to something."""

    records: Mapping[resource.ResourceId, Record] = dataclasses.field(default_factory=dict)
    folders: frozenset[str] = frozenset()


def now() -> int:
    """Nanoseconds, for `Record.since`."""
    return time.time_ns()


def write(key: Key, file: File) -> bytes:
    """The content of a file of marks."""
    document = {
        "version": _VERSION,
        "agent": key[0],
        "application": key[1],
        "folders": sorted(file.folders),
        "resources": [_encode(file.records[rid]) for rid in sorted(file.records)],
    }
    return json.dumps(document).encode()


def read(key: Key, content: bytes, name: str) -> File:
    """What `write` made; `name` is for people. Raises `TargetDenied` for anything else."""
    try:
        found = json.loads(content)
        if found["version"] != _VERSION:
            raise _broken(name, f"version {found['version']} was written by a newer Undrift")
        records = [_decode(each, key) for each in found["resources"]]
        return File({record.id: record for record in records}, frozenset(found["folders"]))
    except (ValueError, KeyError, TypeError) as error:
        raise _broken(name, type(error).__name__) from error


def _broken(name: str, why: str) -> errors.TargetDenied:
    return errors.TargetDenied(
        f"the ownership marks in {name} cannot be read",
        why=why,
        hint="restore the file from a backup; without it, remove it and adopt what is on the target (policy.adopt)",
    )


def alike(one: Record | None, other: Record | None) -> bool:
    """Whether two records are written in the same way."""
    if one is None or other is None or one == other:
        return one == other
    return json.dumps(_encode(one)) == json.dumps(_encode(other))


def _encode(record: Record) -> dict[str, Any]:
    return {
        "id": list(record.id),
        "since": record.since,
        "made": None if record.made is None else dataclasses.asdict(record.made),
        "intent": None if record.intent is None else dataclasses.asdict(record.intent),
        "notes": dict(record.notes),
    }


def _decode(each: Mapping[str, Any], key: Key) -> Record:
    kind, namespace, name = each["id"]
    return Record(
        id=resource.ResourceId(kind, namespace, name),
        agent=key[0],
        application=key[1],
        made=_intent(each["made"]),
        intent=_intent(each["intent"]),
        since=each["since"],
        notes=each["notes"],
    )


def _intent(found: Mapping[str, Any] | None) -> Intent | None:
    if found is None:
        return None
    shown = found["look"]
    return Intent(**{**found, "look": Look(tuple(shown["names"]), shown["digest"])})
