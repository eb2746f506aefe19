"""The files of marks in a target's state folder: one for each application, shared by all sessions of this process.

Files are written whole or not at all, under a lock, resource by resource: two agents on one machine do not lose
each other's marks. Every writer leaves a new token in the lock file, before and after, so that everybody else sees
by one small read whether anything has to be read again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import secrets
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Final
from urllib import parse

from undrift.lib import atomic, process
from undrift.model import resource
from undrift.providers.hosts import access, failing, marks, transport

_TRUST: Final = 30.0
"""Seconds after which all files are looked at again: somebody may have edited one by hand."""
_NOTHING: Final = marks.File()
_Stamp = tuple[int, int, int]


@dataclasses.dataclass(frozen=True, slots=True)
class Edit:
    """What changes in a file: records by id (None: it goes), parent folders that were made or are gone.

    `before` are the records that those are to replace, as whoever made the edit knew them.
    """

    records: Mapping[resource.ResourceId, marks.Record | None]
    made: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()
    before: Mapping[resource.ResourceId, marks.Record | None] = dataclasses.field(default_factory=dict)

    def on(self, file: marks.File) -> marks.File:
        """The file with the edit in it."""
        records = dict(file.records)
        for rid, record in self.records.items():
            if record is None:
                records.pop(rid, None)
            else:
                records[rid] = record
        return marks.File(records, (file.folders | self.made) - self.gone)

    def unknown(self, file: marks.File) -> frozenset[resource.ResourceId]:
        """What is neither as it was known before nor as it is wanted."""
        return frozenset(
            rid
            for rid, record in self.records.items()
            if rid in self.before
            and not any(marks.alike(file.records.get(rid), one) for one in (self.before[rid], record))
        )


_NO_EDIT: Final = Edit({})


class Shelf:
    """All files of marks as they are on disk. `refresh` and `write` block; they belong in a thread.

    Raises `TargetError`s.
    """

    def __init__(self, state: str, patience: float = access.PATIENCE) -> None:
        self.state = state
        self._folder = pathlib.Path(state)
        self._files: dict[marks.Key, marks.File] = {}
        self._stamps: dict[marks.Key, _Stamp] = {}
        self._keys: dict[resource.ResourceId, tuple[marks.Key, ...]] = {}
        self._token: bytes | None = None
        self._scanned = 0.0
        self._lock = threading.Lock()
        self._access = access.Access(state, self._taken, self._left, patience)

    def question(self) -> transport.Question | None:
        """What to ask the machine along with a look, where it is told so what others have written."""
        return None

    def learn(self, done: process.Completed) -> bool:
        """Take in the answer to `question`; whether it said anything new."""
        return False

    def refresh(self, keys: Iterable[marks.Key] = ()) -> None:
        """Read what was changed by others since the last time; of `keys`, even what was changed by hand."""
        with self._lock, _explained(self.state, "reading marks in"):
            token = self._access.token()
            trusted = token == self._token and time.monotonic() - self._scanned < _TRUST
            if trusted and all(self._is_fresh(key) for key in keys):
                return
            self._scan()
            self._token, self._scanned = token, time.monotonic()

    def file(self, key: marks.Key) -> marks.File:
        """The marks of an application; of one without any, an empty file."""
        return self._files.get(key, _NOTHING)

    def keys(self, rid: resource.ResourceId) -> tuple[marks.Key, ...]:
        """Whose files name a resource."""
        return self._keys.get(rid, ())

    def every(self) -> frozenset[resource.ResourceId]:
        """What all files name."""
        with self._lock:
            return frozenset(self._keys)

    def agents(self) -> frozenset[str]:
        """The folders that the files of agents lie in."""
        with _explained(self.state, "reading marks in"):
            return frozenset(entry.path for entry in os.scandir(self.state) if entry.name.startswith("@"))

    def write(self, edits: Mapping[marks.Key, Edit]) -> frozenset[resource.ResourceId]:
        """Bring edits to disk. Raises `TargetFull` and its like; then some may be there and others not.

        Returns what was not written: resources whose record is another than was known `before`, since another
        process went on with the application meanwhile. It knows better.
        """
        late: set[resource.ResourceId] = set()
        with _explained(self.state, "writing marks in"), self._access.to(edits):
            for key, edit in edits.items():
                file, unknown = self.after(key, edit, edits)
                late |= unknown
                self._write(key, file)
        return frozenset(late)

    def after(
        self, key: marks.Key, edit: Edit, edits: Mapping[marks.Key, Edit]
    ) -> tuple[marks.File, frozenset[resource.ResourceId]]:
        """The file with one of several edits in it, and what is left out: others know better about it."""
        wanted, file = self._without_overtaken(edit, edits), self.file(key)
        unknown = wanted.unknown(file)
        kept = {rid: record for rid, record in wanted.records.items() if rid not in unknown}
        return dataclasses.replace(wanted, records=kept).on(file), unknown

    def _without_overtaken(self, edit: Edit, edits: Mapping[marks.Key, Edit]) -> Edit:
        """The edit, with what somebody took over meanwhile given up."""
        records = dict(edit.records)
        for rid, record in edit.records.items():
            if record is not None:
                others = (key for key in self.keys(rid) if rid not in edits.get(key, _NO_EDIT).records)
                if record.overtaken(self.file(key).records[rid] for key in others):
                    records[rid] = None
        return dataclasses.replace(edit, records=records)

    def _write(self, key: marks.Key, file: marks.File) -> None:
        path = self._path(key)
        if not (file.records or file.folders):
            self._access.confirm()
            path.unlink(missing_ok=True)
            with self._lock:
                self._forget(key)
            return
        path.parent.mkdir(mode=0o700, exist_ok=True)
        atomic.write(path, marks.write(key, file), suffix=self._access.suffix, ready=self._access.confirm)
        stamp = _stamp(path.stat())
        with self._lock:
            self._keep(key, file, stamp)

    def _is_fresh(self, key: marks.Key) -> bool:
        try:
            return _stamp(self._path(key).stat()) == self._stamps.get(key)
        except FileNotFoundError:
            return key not in self._stamps

    def _scan(self) -> None:
        present = dict(self._present())
        for key in [key for key in self._files if key not in present]:
            self._forget(key)
        for key, (path, stamp) in present.items():
            if self._stamps.get(key) != stamp:
                with _explained(path, "reading the marks in"):
                    content = pathlib.Path(path).read_bytes()
                self._keep(key, marks.read(key, content, path), stamp)

    def _keep(self, key: marks.Key, file: marks.File, stamp: _Stamp) -> None:
        before = self.file(key).records
        for rid in before.keys() - file.records.keys():
            self._unname(key, rid)
        for rid in file.records.keys() - before.keys():
            self._keys[rid] = (*self._keys.get(rid, ()), key)
        self._files[key], self._stamps[key] = file, stamp

    def _forget(self, key: marks.Key) -> None:
        for rid in self.file(key).records:
            self._unname(key, rid)
        self._files.pop(key, None)
        self._stamps.pop(key, None)

    def _unname(self, key: marks.Key, rid: resource.ResourceId) -> None:
        left = tuple(other for other in self._keys.get(rid, ()) if other != key)
        if left:
            self._keys[rid] = left
        else:
            self._keys.pop(rid, None)

    def _present(self) -> Iterator[tuple[marks.Key, tuple[str, _Stamp]]]:
        for agent in os.scandir(self.state):
            if not agent.name.startswith("@"):
                continue
            for entry in os.scandir(agent.path):
                if entry.name.endswith(".json") and not entry.name.startswith("."):
                    key = (parse.unquote(agent.name[1:]), parse.unquote(entry.name.removesuffix(".json")))
                    yield key, (entry.path, _stamp(entry.stat()))

    def _path(self, key: marks.Key) -> pathlib.Path:
        return self._folder / f"@{_quote(key[0])}" / f"{_quote(key[1])}.json"

    def _taken(self, descriptor: int) -> None:
        """The lock is this process's now: from here on nobody else changes what we know."""
        self.refresh()
        self._left(descriptor)

    def _left(self, descriptor: int) -> None:
        with self._lock:
            self._token = secrets.token_bytes(access.TOKEN)
            os.pwrite(descriptor, self._token, 0)


@contextlib.contextmanager
def _explained(folder: str, doing: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise failing.explain(error, folder, doing) from error


def _quote(name: str) -> str:
    return parse.quote(name, safe="").replace(".", "%2E")


def _stamp(status: os.stat_result) -> _Stamp:
    return (status.st_ino, status.st_size, status.st_mtime_ns)
