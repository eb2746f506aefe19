"""Former content of what a service depends on: kept on the host until the service runs well with the new one.

It is written in the same batch as the new content, ahead of it, into the state folder (mode 0700), and removed when
the service is healthy. So it outlives an agent that dies between the two; it is never overwritten by content that
has not proven itself.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import posixpath
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from undrift import errors
from undrift.model import inventory, resource
from undrift.providers.hosts import book, kinds, marks, transport

_LARGEST: Final = 8 << 20
_ACCESS: Final = transport.Attributes(0o600)


@dataclasses.dataclass(frozen=True, slots=True)
class Kept:
    """What was there before: None = nothing. `record` is the mark that it bore."""

    id: resource.ResourceId
    seen: transport.Seen | None
    record: marks.Record | None


class Keepsakes:
    """The former contents on one host. `folder` begins at the root; None: there is no place for them."""

    def __init__(self, host: transport.Transport, own: book.Book, folder: str | None) -> None:
        self._host = host
        self._book = own
        self._folder = folder

    async def steps(
        self, rid: resource.ResourceId, seen: transport.Seen | None, owner: inventory.Owner
    ) -> Sequence[transport.Step]:
        """The step that keeps what is there now; none where something older is kept that is still needed."""
        if self._folder is None or (seen is not None and (seen.content is None or seen.size > _LARGEST)):
            return []
        path = self._path(rid)
        if seen is not None and path in await self._host.look({path: transport.Need.NOTHING}):
            return []
        content = _write(Kept(rid, seen, self._book.record(owner, rid)))
        return [transport.Write(path, content, _ACCESS, replace=True)]

    def is_own(self, path: str) -> bool:
        """Whether a folder was made for these alone."""
        return self._folder is not None and path == self._folder

    async def held(self, rids: Collection[resource.ResourceId]) -> Sequence[Kept]:
        """What is kept of these resources."""
        if self._folder is None or not rids:
            return []
        paths = {self._path(rid): rid for rid in rids}
        seen = await self._host.look(dict.fromkeys(paths, transport.Need.CONTENT))
        found = [_read(rid, seen[path].content) for path, rid in paths.items() if path in seen]
        return [one for one in found if one is not None]

    async def restore(self, kept: Sequence[Kept], owner: inventory.Owner) -> None:
        """Put it back, with the mark that it bore. It is kept no longer."""
        steps: list[transport.Step] = []
        for one in kept:
            path = kinds.path_of(one.id)
            if one.seen is None:
                steps.append(transport.Remove(path, transport.Sort.FILE))
            else:
                access = transport.Attributes(one.seen.mode, one.seen.owner, one.seen.group)
                steps.append(transport.Write(path, one.seen.content or b"", access, replace=True))
        await self._host.change(steps)
        for one in kept:
            if one.record is None:
                self._book.drop(owner, one.id)
            else:
                self._book.stage(one.record)
        await self.forget([one.id for one in kept])

    async def forget(self, rids: Collection[resource.ResourceId]) -> None:
        """It is needed no longer."""
        if self._folder is None or not rids:
            return
        seen = await self._host.look(dict.fromkeys(map(self._path, rids), transport.Need.NOTHING))
        if seen:
            await self._host.change([transport.Remove(path, transport.Sort.FILE) for path in seen])

    def _path(self, rid: resource.ResourceId) -> str:
        name = hashlib.sha256(str(rid).encode()).hexdigest()[:40]
        return posixpath.join(self._folder or "/", name)


def folder(state: str, root: str) -> str | None:
    """Where they are kept, from the root: in the state folder, if that can be reached from there."""
    if root == "/":
        return posixpath.join(state, "former")
    return posixpath.join(state.removeprefix(root), "former") if state.startswith(f"{root}/") else None


def _write(one: Kept) -> bytes:
    seen = one.seen
    was: Mapping[str, Any] | None = None
    if seen is not None:
        content = base64.b64encode(seen.content or b"").decode()
        was = {"mode": seen.mode, "owner": seen.owner, "group": seen.group, "content": content}
    record: Mapping[str, Any] | None = None
    if one.record is not None and one.record.made is not None:
        key = (one.record.agent, one.record.application)
        written = marks.write(key, marks.File({one.id: dataclasses.replace(one.record, intent=None)}))
        record = {"key": list(key), "file": written.decode()}
    return json.dumps({"id": list(one.id), "was": was, "record": record}).encode()


def _read(rid: resource.ResourceId, content: bytes | None) -> Kept | None:
    try:
        told = json.loads(content or b"")
        was, record = told["was"], told["record"]
        seen = None
        if was is not None:
            raw = base64.b64decode(was["content"])
            seen = transport.Seen(
                transport.Sort.FILE, was["mode"], was["owner"], was["group"], len(raw), content=raw
            )
        if record is None:
            return Kept(rid, seen, None)
        agent, application = record["key"]
        return Kept(
            rid, seen, marks.read((agent, application), record["file"].encode(), str(rid)).records[rid]
        )
    except (ValueError, KeyError, TypeError, errors.TargetDenied):
        return None
