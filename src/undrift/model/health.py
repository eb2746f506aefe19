"""Health of a resource and of an application: Argo CD's words, kstatus's rules."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterable


class Status(enum.StrEnum):
    """How well something does."""

    HEALTHY = "Healthy"
    PROGRESSING = "Progressing"
    DEGRADED = "Degraded"
    SUSPENDED = "Suspended"
    MISSING = "Missing"
    UNKNOWN = "Unknown"


_WORST_FIRST = (
    Status.DEGRADED,
    Status.MISSING,
    Status.UNKNOWN,
    Status.PROGRESSING,
    Status.SUSPENDED,
    Status.HEALTHY,
)


@dataclasses.dataclass(frozen=True, slots=True)
class Health:
    """A status and, in plain words, why it is not better.

    `field` is the path of the declared field that the cause is in, as plans write it; "" where none is known.
    """

    status: Status
    reason: str = ""
    field: str = ""


HEALTHY = Health(Status.HEALTHY)
MISSING = Health(Status.MISSING, "does not exist")
UNKNOWN = Health(Status.UNKNOWN, "not looked at yet")


def worst(healths: Iterable[Health]) -> Health:
    """The health of a whole: that of its worst part; Healthy when there are no parts."""
    found = {health.status: health for health in healths}
    for status in _WORST_FIRST:
        if status in found:
            return found[status]
    return HEALTHY
