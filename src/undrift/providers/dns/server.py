"""What the provider expects of a kind of server. Calls block; whoever makes them does so in a thread."""

from __future__ import annotations

import dataclasses
from typing import Any, Protocol

from octodns.provider.base import BaseProvider
from octodns.record import Record

from undrift.model import plan
from undrift.providers.dns import seeing


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One change as records: what is there (None: nothing), and what will be."""

    change: plan.Change
    old: Record | None
    new: Record | None
    octodns: Any = dataclasses.field(default=None, repr=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Batch:
    """Changes that go out as one. `marks` are the values of our TXT record before and after."""

    seen: seeing.Seen
    steps: tuple[Step, ...]
    marks: tuple[tuple[str, ...], tuple[str, ...]]
    meta: Any = None


class Server(Protocol):
    """One server (or account) as it is configured in a Target."""

    provider: BaseProvider
    """What plans: octoDNS' provider, fed with what was seen."""
    tells_serials: bool
    """Whether a change can be told without transferring a zone."""
    makes_zones: bool
    """Whether zones can be made and removed."""

    def serial(self, zone: str) -> int | None:
        """The serial of a zone; None where it is not there (or has none). Raises a `TargetError`."""
        ...

    def look(self, zone: str, known: seeing.Seen | None, *, whole: bool) -> seeing.Seen:
        """The zone. `known` is an earlier look; `whole` transfers everything. Raises a `TargetError`."""
        ...

    def send(self, batch: Batch) -> None:
        """Make changes, all or none where the server can. Raises `ChangeConflict` and other `TargetError`s."""
        ...

    def weigh(self, steps: tuple[Step, ...]) -> tuple[tuple[Step, ...], ...]:
        """Changes in portions that fit into one message each; those of one name stay together."""
        ...

    def create(self, zone: str) -> None:
        """Make a zone. Raises a `TargetError`."""
        ...

    def delete(self, zone: str) -> None:
        """Remove a zone and all that is in it. Raises a `TargetError`."""
        ...
