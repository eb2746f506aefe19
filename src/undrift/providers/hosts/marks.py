"""Ownership marks of one target: a small file for each application in the target's state folder.

A mark is written ahead of a change (an intent) and confirmed after it. An intent alone proves ownership only when
what is there is exactly what was intended. Files are written whole or not at all, under a lock, resource by
resource: two agents on one machine do not lose each other's marks.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import pathlib
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib import parse

from undrift import errors
from undrift.lib import atomic, canonical
from undrift.model import inventory, resource, secret
from undrift.providers.hosts import failing

_VERSION: Final = 1
_Key = tuple[str, str]
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
    def secret(self) -> bool:
        """Whether its content came from an encrypted file."""
        return any(one is not None and one.secret for one in (self.made, self.intent))

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


@dataclasses.dataclass(slots=True)
class _File:
    """One application's file as it was read last; `folders` are parents that we made."""

    stamp: tuple[int, int, int] = (0, 0, 0)
    records: dict[resource.ResourceId, Record] = dataclasses.field(default_factory=dict)
    folders: set[str] = dataclasses.field(default_factory=set)


class Book:
    """All marks in a state folder. What is staged counts at once in this book, and on disk after `flush`.

    Its methods do blocking I/O on small files; they belong in a thread. Raises `TargetError`s.
    """

    def __init__(self, state: str) -> None:
        self._folder = pathlib.Path(state)
        self._files: dict[_Key, _File] = {}
        self._staged: dict[_Key, dict[resource.ResourceId, Record | None]] = {}
        self._made_folders: dict[_Key, set[str]] = {}
        self._gone_folders: dict[_Key, set[str]] = {}

    def refresh(self) -> None:
        """Read what changed on disk since the last time."""
        with _explained(self._folder, "reading marks in"):
            present = dict(self._present())
        for key in [key for key in self._files if key not in present]:
            del self._files[key]
        for key, (path, stamp) in present.items():
            known = self._files.get(key)
            if known is None or known.stamp != stamp:
                self._files[key] = self._overlaid(key, _read(path, key, stamp))

    def records(self, rid: resource.ResourceId) -> list[Record]:
        """Every application's record of a resource, the latest owner first."""
        found = [file.records[rid] for file in self._files.values() if rid in file.records]
        return sorted(found, key=lambda record: record.since, reverse=True) if len(found) > 1 else found

    def record(self, owner: inventory.Owner, rid: resource.ResourceId) -> Record | None:
        """The owner's own record, under its present or a former name."""
        for key in _keys(owner):
            file = self._files.get(key)
            if file is not None and rid in file.records:
                return file.records[rid]
        return None

    def owned(self, owner: inventory.Owner) -> set[resource.ResourceId]:
        """What the owner's files name, whether it is there or not."""
        return {rid for key in _keys(owner) if key in self._files for rid in self._files[key].records}

    def every(self, agent: str | None = None) -> set[resource.ResourceId]:
        """What all files (of an agent) name."""
        return {
            rid
            for key, file in self._files.items()
            if agent is None or key[0] == agent
            for rid in file.records
        }

    def folders(self, owner: inventory.Owner) -> set[str]:
        """Parent folders that were made on the way for this owner."""
        return {path for key in _keys(owner) if key in self._files for path in self._files[key].folders}

    def stage(self, record: Record) -> None:
        """Keep a record from now on."""
        self._edit((record.agent, record.application), record.id, record)

    def take(self, record: Record) -> None:
        """Keep a record and drop everybody else's of the same resource."""
        own = (record.agent, record.application)
        for key, file in self._files.items():
            if key != own and record.id in file.records:
                self._edit(key, record.id, None)
        self.stage(record)

    def drop(self, owner: inventory.Owner, rid: resource.ResourceId) -> None:
        """Forget the owner's record of a resource."""
        for key in _keys(owner):
            if key in self._files and rid in self._files[key].records:
                self._edit(key, rid, None)

    def note_folders(self, owner: inventory.Owner, made: set[str], gone: set[str]) -> None:
        """Remember parent folders that were made, forget those that were removed."""
        own = (owner.agent, owner.application)
        self._files.setdefault(own, _File()).folders.update(made)
        self._made_folders.setdefault(own, set()).update(made)
        for key in _keys(owner):
            if key in self._files and gone & self._files[key].folders:
                self._files[key].folders -= gone
                self._gone_folders.setdefault(key, set()).update(gone)

    def flush(self) -> None:
        """Write what is staged. Raises `TargetFull` and its like; then it stays staged."""
        keys = {
            *self._staged,
            *(key for key, paths in self._made_folders.items() if paths),
            *(key for key, paths in self._gone_folders.items() if paths),
        }
        if not keys:
            return
        with _explained(self._folder, "writing marks in"), self._locked():
            for key in keys:
                self._write(key)

    def try_to_flush(self) -> None:
        """Write what is staged if that is possible now; what was announced before is on disk in any case."""
        with contextlib.suppress(errors.TargetError):
            self.flush()

    def _edit(self, key: _Key, rid: resource.ResourceId, record: Record | None) -> None:
        records = self._files.setdefault(key, _File()).records
        if record is None:
            records.pop(rid, None)
        else:
            records[rid] = record
        self._staged.setdefault(key, {})[rid] = record

    def _overlaid(self, key: _Key, file: _File) -> _File:
        for rid, record in self._staged.get(key, {}).items():
            if record is None:
                file.records.pop(rid, None)
            else:
                file.records[rid] = record
        file.folders |= self._made_folders.get(key, set())
        file.folders -= self._gone_folders.get(key, set())
        return file

    def _write(self, key: _Key) -> None:
        path = self._path(key)
        file = self._overlaid(key, _read(path, key, (0, 0, 0)) if path.exists() else _File())
        if file.records or file.folders:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            atomic.write(path, json.dumps(_document(key, file)).encode())
            file.stamp = _stamp(path.stat())
            self._files[key] = file
        else:
            path.unlink(missing_ok=True)
            self._files.pop(key, None)
        for staged in (self._staged, self._made_folders, self._gone_folders):
            staged.pop(key, None)

    def _path(self, key: _Key) -> pathlib.Path:
        return self._folder / f"@{_quote(key[0])}" / f"{_quote(key[1])}.json"

    def _present(self) -> Iterator[tuple[_Key, tuple[pathlib.Path, tuple[int, int, int]]]]:
        for agent in os.scandir(self._folder):
            if not agent.name.startswith("@"):
                continue
            for entry in os.scandir(agent.path):
                if entry.name.endswith(".json") and not entry.name.startswith("."):
                    key = (parse.unquote(agent.name[1:]), parse.unquote(entry.name.removesuffix(".json")))
                    yield key, (pathlib.Path(entry.path), _stamp(entry.stat()))

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def now() -> int:
    """Nanoseconds, for `Record.since`."""
    return time.time_ns()


@contextlib.contextmanager
def _explained(folder: pathlib.Path, doing: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise failing.explain(error, str(folder), doing) from error


def _keys(owner: inventory.Owner) -> list[_Key]:
    return [(owner.agent, name) for name in (owner.application, *sorted(owner.former))]


def _quote(name: str) -> str:
    return parse.quote(name, safe="").replace(".", "%2E")


def _stamp(status: os.stat_result) -> tuple[int, int, int]:
    return (status.st_ino, status.st_size, status.st_mtime_ns)


def _document(key: _Key, file: _File) -> dict[str, Any]:
    return {
        "version": _VERSION,
        "agent": key[0],
        "application": key[1],
        "folders": sorted(file.folders),
        "resources": [_encode(file.records[rid]) for rid in sorted(file.records)],
    }


def _encode(record: Record) -> dict[str, Any]:
    return {
        "id": list(record.id),
        "since": record.since,
        "made": None if record.made is None else dataclasses.asdict(record.made),
        "intent": None if record.intent is None else dataclasses.asdict(record.intent),
        "notes": dict(record.notes),
    }


def _read(path: pathlib.Path, key: _Key, stamp: tuple[int, int, int]) -> _File:
    with _explained(path, "reading the marks in"):
        content = path.read_bytes()
    try:
        found = json.loads(content)
        if found["version"] != _VERSION:
            raise _broken(path, f"version {found['version']} was written by a newer Undrift")
        records = [_decode(each, key) for each in found["resources"]]
        return _File(stamp, {record.id: record for record in records}, set(found["folders"]))
    except (ValueError, KeyError, TypeError) as error:
        raise _broken(path, type(error).__name__) from error


def _broken(path: pathlib.Path, why: str) -> errors.TargetDenied:
    return errors.TargetDenied(
        f"the ownership marks in {path} cannot be read",
        why=why,
        hint="restore the file from a backup; without it, remove it and adopt what is on the target (policy.adopt)",
    )


def _decode(each: Mapping[str, Any], key: _Key) -> Record:
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
