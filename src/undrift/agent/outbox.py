"""Sending messages, at least once: what is not delivered is tried again, later and later."""

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
_BACKOFF = backoff.Backoff(2.0, 3600.0)


class Outbox:
    """Reads the database's outbox and sends."""

    def __init__(self, shared: world.Shared) -> None:
        self._shared = shared

    async def run(self) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(_PAUSE)
            found = self._shared.configuration
            if found is None or not found.notifiers:
                continue
            try:
                for message in await self._shared.database.due():
                    await self._send(message)
            except errors.DatabaseError as error:
                _log.warning("messages cannot be read", code=error.code, error=str(error))

    async def _send(self, message: dict[str, object]) -> None:
        found = self._shared.configuration
        name, key = str(message["notifier"]), str(message["key"])
        declared = found.notifiers.get(name) if found else None
        if declared is None:
            await self._shared.database.delivered(key, name)
            return
        document = message["document"]
        row = document if isinstance(document, dict) else {}
        happened = event.Event(str(row.get("application", "")), float(row.get("at", 0.0)))
        try:
            async with asyncio.timeout(_TIMEOUT):
                url = await self._shared.secrets.resolve(declared.url)
                notifier = self._shared.registry.notifier(declared.kind, url)
                await notifier.send(happened, _text(row), key)
        except (errors.UndriftError, TimeoutError, OSError) as error:
            attempts = int(str(message["attempts"])) + 1
            _log.warning(
                "a message was not delivered", notifier=name, attempts=attempts, why=type(error).__name__
            )
            await self._shared.database.postpone(key, name, _BACKOFF.delay(attempts, random.random()))  # noqa: S311 - spreads load
            return
        await self._shared.database.delivered(key, name)


def _text(row: dict[str, object]) -> str:
    document = row.get("document")
    details = document if isinstance(document, dict) else {}
    said = details.get("text") or details.get("message") or ""
    return f"{row.get('kind')} {row.get('application')}: {said}".strip()
