"""Sending messages, at least once: what is not delivered is tried again, later and later.

Each receiver has a queue of its own, so that one that hangs holds up no other. A message is one agent's at a
time; if that one dies another sends it.
"""

from __future__ import annotations

import asyncio
import random

import structlog

from undrift import errors
from undrift.agent import world
from undrift.lib import backoff
from undrift.model import event

_log = structlog.get_logger("undrift")
_PAUSE = 1.0
_TIMEOUT = 20.0
_OURS = 60.0
"""Seconds for which a message that is being sent is nobody else's."""
_BACKOFF = backoff.Backoff(2.0, 3600.0)
_REST = backoff.Backoff(1.0, 60.0)
_ATTEMPTS = 180
"""At one an hour in the end that is a week: nobody wants to hear of it any more."""


class Outbox:
    """Reads the database's outbox and sends."""

    def __init__(self, shared: world.Shared) -> None:
        self._shared = shared
        self._busy: set[str] = set()

    async def run(self) -> None:
        """For ever."""
        async with asyncio.TaskGroup() as group:
            while True:
                await asyncio.sleep(_PAUSE)
                found = self._shared.configuration
                if found is None or not found.notifiers:
                    continue
                try:
                    waiting = await self._shared.database.receivers()
                except errors.DatabaseError as error:
                    _log.warning("messages cannot be read", code=error.code, error=str(error))
                    continue
                for name in waiting - self._busy:
                    self._busy.add(name)
                    group.create_task(self._serve(name))

    async def _serve(self, name: str) -> None:
        """Send all that waits for one receiver, and rest where it cannot be reached."""
        failures = 0
        try:
            while (message := await self._shared.database.take(name, _OURS)) is not None:
                failures = 0 if await self._send(message) else failures + 1
                if failures:
                    await asyncio.sleep(_REST.delay(failures, random.random()))  # noqa: S311 - spreads load
        except errors.DatabaseError as error:
            _log.warning("messages cannot be read", code=error.code, error=str(error))
        finally:
            self._busy.discard(name)

    async def _send(self, message: dict[str, object]) -> bool:
        """Whether the receiver could be reached."""
        found = self._shared.configuration
        name, key = str(message["notifier"]), str(message["key"])
        declared = found.notifiers.get(name) if found else None
        if declared is None:
            await self._shared.database.delivered(key, name)
            return True
        document = message["document"]
        row = document if isinstance(document, dict) else {}
        happened = event.Event(str(row.get("application", "")), float(row.get("at", 0.0)))
        try:
            async with asyncio.timeout(_TIMEOUT):
                url = await self._shared.secrets.resolve(declared.url)
                notifier = self._shared.registry.notifier(declared.kind, url)
                await notifier.send(happened, _text(row), key)
        except (errors.UndriftError, TimeoutError, OSError) as error:
            await self._keep(message, type(error).__name__)
            return False
        await self._shared.database.delivered(key, name)
        return True

    async def _keep(self, message: dict[str, object], why: str) -> None:
        name, key, attempts = str(message["notifier"]), str(message["key"]), int(str(message["attempts"])) + 1
        given_up = attempts >= _ATTEMPTS
        said = "a message is given up" if given_up else "a message was not delivered"
        _log.warning(said, notifier=name, attempts=attempts, why=why)
        if given_up:
            await self._shared.database.delivered(key, name)
        else:
            await self._shared.database.postpone(key, name, _BACKOFF.delay(attempts, random.random()))  # noqa: S311 - spreads load


def _text(row: dict[str, object]) -> str:
    document = row.get("document")
    details = document if isinstance(document, dict) else {}
    said = details.get("text") or details.get("message") or ""
    return f"{row.get('kind')} {row.get('application')}: {said}".strip()
