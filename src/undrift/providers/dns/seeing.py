"""What a server has of a zone, as one look found it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from octodns.record import Record
from octodns.zone import Zone

from undrift.model import resource
from undrift.providers.dns import kinds, records


@dataclasses.dataclass(frozen=True, slots=True)
class Seen:
    """One zone. `serial` is None where the server has no use for it; `marks` are the texts of our TXT record.

    `live` are the records as resources. `source` is the server's own, `at` when all of it was transferred last
    (seconds of the monotonic clock).
    """

    zone: str
    exists: bool
    serial: int | None = None
    records: Mapping[records.Key, Record] = dataclasses.field(default_factory=dict, repr=False)
    live: Mapping[resource.ResourceId, resource.LiveResource] = dataclasses.field(
        default_factory=dict, repr=False
    )
    marks: tuple[str, ...] = ()
    source: Any = dataclasses.field(default=None, repr=False)
    at: float = 0.0

    def record(self, rid: resource.ResourceId) -> Record | None:
        """The record of an id."""
        name = "" if rid.name == kinds.APEX else rid.name
        return self.records.get((name, rid.kind)) or next(
            (
                one
                for (other, kind), one in self.records.items()
                if other == name and kinds.record_id(kind, self.zone, name) == rid
            )
            if "." in rid.kind
            else iter(()),
            None,
        )


def live(record: Record, zone: str) -> resource.LiveResource:
    """A record as a resource."""
    return resource.LiveResource(records.rid_of(record, zone), records.fields(record))


def seen(zone: str, found: Iterable[Record], **more: Any) -> Seen:
    """A look that found these records; those of our mark are told apart."""
    kept: dict[records.Key, Record] = {}
    marks: tuple[str, ...] = tuple(more.pop("marks", ()))
    for record in found:
        if kinds.is_mark(record.name):
            marks += tuple(record.values) if records.kind_of(record) == "TXT" else ()
        else:
            kept[records.key(record)] = record
    shown = {one.id: one for one in (live(record, zone) for record in kept.values())}
    return Seen(zone, exists=True, records=kept, live=shown, marks=marks, **more)


def nothing(zone: str) -> Seen:
    """A zone that the server says it does not have."""
    return Seen(zone, exists=False)


def octodns(zone: str, some: Iterable[Record]) -> Zone:
    """Records as a zone of octoDNS."""
    made = Zone(zone, [])
    nodes = made._records  # noqa: SLF001 - adding one by one takes as long as planning
    for record in some:
        nodes[record.name].add(record)
        if not record.name and records.kind_of(record) == "NS":
            made._root_ns = record  # noqa: SLF001 - see above
    return made
