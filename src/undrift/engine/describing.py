"""Plans in words: each change as a text for people, where the target knows one; nothing depends on it."""

from __future__ import annotations

import dataclasses

from undrift import interfaces
from undrift.engine import applying
from undrift.model import plan

_MOST = 1000
"""How many changes of one plan are put into words: nobody reads more, and each costs a look at the target."""
_TIMEOUT = 60.0


async def described(found: plan.Plan, session: interfaces.Session) -> plan.Plan:
    """The plan with each change as text for people; neither digest nor order depend on it."""
    texts = {change.id: await _text(change, session) for change in (*found.changes, *found.withheld)[:_MOST]}

    def told(changes: tuple[plan.Change, ...]) -> tuple[plan.Change, ...]:
        return tuple(
            dataclasses.replace(change, text=texts[change.id]) if texts.get(change.id) else change
            for change in changes
        )

    waves = tuple(dataclasses.replace(wave, changes=told(wave.changes)) for wave in found.waves)
    return dataclasses.replace(found, waves=waves, withheld=told(found.withheld))


async def _text(change: plan.Change, session: interfaces.Session) -> str:
    return change.text or await applying.within(_TIMEOUT, session.describe(change), f"describing {change.id}")
