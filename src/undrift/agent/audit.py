"""An append-only file of what people ordered: it survives the database.

One JSON object a line, fsynced before the order takes effect. When the database is new, approvals and holds are
found again here.
"""

from __future__ import annotations

import asyncio
import json
import os
import pathlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from undrift import errors
from undrift.model import record


class Audit:
    """The file `audit.jsonl` of a state folder."""

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        self._one_at_a_time = asyncio.Lock()

    async def write(self, order: str, by: str, at: float, details: Mapping[str, Any]) -> None:
        """Append one order. Raises `DatabaseUnavailable` when it cannot be made durable: then nothing happens."""
        line = json.dumps({"order": order, "by": by, "at": at, **details}, sort_keys=True).encode() + b"\n"
        async with self._one_at_a_time:
            try:
                await asyncio.to_thread(self._append, line)
            except OSError as error:
                raise errors.DatabaseUnavailable(
                    "the audit log cannot be written",
                    why=error.strerror or "",
                    hint=f"look at {self._path}; nothing was ordered",
                ) from error

    def _append(self, line: bytes) -> None:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, line)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def read(self) -> list[dict[str, Any]]:
        """Every order so far; a line that a power cut left half is passed over."""
        if not self._path.exists():
            return []
        found: list[dict[str, Any]] = []
        for line in self._path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
        return found


def approvals(orders: Iterable[Mapping[str, Any]]) -> Iterator[record.Approval]:
    """The approvals among orders, the oldest first."""
    for one in orders:
        if one.get("order") == "approve":
            yield record.Approval(
                str(one.get("application", "")),
                str(one.get("digest", "")),
                str(one.get("by", "")),
                float(one.get("at", 0)),
            )


def holds(orders: Iterable[Mapping[str, Any]], now: float) -> Iterator[record.Hold]:
    """The holds that are in force after all the orders: not lifted since, and not over."""
    found: dict[str, record.Hold] = {}
    for one in orders:
        name = str(one.get("application", ""))
        if one.get("order") == "resume":
            found.pop(name, None)
        elif one.get("order") == "hold":
            until = float(one.get("until", 0))
            found[name] = record.Hold(name, until, str(one.get("by", "")), str(one.get("reason", "")))
    yield from (held for held in found.values() if held.until > now)
