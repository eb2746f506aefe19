"""How often each resource of an application was repaired of late: whoever is changed back again and again is fighting."""

from __future__ import annotations

import collections

from undrift.engine import guarding
from undrift.model import plan, record, resource


class Heals:
    """The latest repairs of one application, by the wall clock; kept in this process only."""

    def __init__(self) -> None:
        self._times: dict[resource.ResourceId, collections.deque[float]] = {}

    def note(self, told: record.Reconciliation, now: float) -> None:
        """Remember what a reconcile repaired."""
        for result in told.results:
            if result.change.reason is plan.Reason.DRIFT and result.outcome is plan.Outcome.APPLIED:
                times = self._times.setdefault(result.change.id, collections.deque(maxlen=guarding.HEALS))
                times.append(now)

    def contested(self, now: float) -> frozenset[resource.ResourceId]:
        """What was repaired so often of late that somebody must be fighting for it."""
        if not self._times:
            return frozenset()
        for rid, times in list(self._times.items()):
            while times and times[0] < now - guarding.HEALED_WITHIN:
                times.popleft()
            if not times:
                del self._times[rid]
        return frozenset(rid for rid, times in self._times.items() if len(times) >= guarding.HEALS)
