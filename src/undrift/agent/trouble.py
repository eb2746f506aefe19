"""Something beside the main work that fails for a while: told once, and once more when it is over."""

from __future__ import annotations

import random

import structlog

from undrift import errors
from undrift.agent import shapes, world
from undrift.lib import backoff
from undrift.model import event

_log = structlog.get_logger("undrift")


class Trouble:
    """`name` is what events are about (`reports/config`), `what` what fails, in words; `pause` is the first rest."""

    def __init__(self, shared: world.Shared, name: str, what: str, pause: float) -> None:
        self._shared = shared
        self._name = name
        self._what = what
        self._backoff = backoff.Backoff(pause, max(300.0, pause))
        self._failures = 0
        self._told = ""

    def began(self, error: errors.UndriftError) -> float:
        """It failed, perhaps again; how many seconds to rest now."""
        self._failures += 1
        if self._told != error.code:
            self._told = error.code
            _log.warning(f"{self._what} fails", about=self._name, **shapes.error(error))
            now = self._shared.clock.now()
            self._shared.recorder.tell(
                event.Failed(self._name, now, "report", error.code, "", f"{self._what} fails: {error}")
            )
        return self._backoff.delay(self._failures, random.random())  # noqa: S311 - spreads load

    def over(self) -> None:
        """It worked."""
        self._failures = 0
        if self._told:
            told, self._told = self._told, ""
            _log.info(f"{self._what} works again", about=self._name)
            now = self._shared.clock.now()
            self._shared.recorder.tell(event.Recovered(self._name, now, f"{told} is over"))
