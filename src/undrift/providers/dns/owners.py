"""octoDNS' own way of owning: a TXT record beside each record (`octodns.processor.ownership`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Final

from octodns.processor.ownership import OwnershipProcessor
from octodns.record import Record

from undrift.model import inventory, resource
from undrift.providers.dns import kinds, records, seeing

_NAME: Final = "_owner"
_WILD: Final = "_wildcard"


def processor(owner: inventory.Owner) -> OwnershipProcessor:
    """What adds and reads the records for one owner."""
    return OwnershipProcessor("undrift", txt_name=_NAME, txt_value=_value(owner))


def is_owners(record: Record) -> bool:
    """Whether a record is one that says whose another is."""
    return records.kind_of(record) == "TXT" and record.name.startswith(f"{_NAME}.")


def marked(
    seen: seeing.Seen, asked: frozenset[resource.ResourceId], owner: inventory.Owner
) -> Iterator[tuple[resource.ResourceId, resource.LiveResource]]:
    """Records that were asked for or that are the owner's, with the mark that stands beside them."""
    whose = {_means(record, seen.zone): record for record in seen.records.values() if is_owners(record)}
    for rid, live in seen.live.items():
        told = whose.get(rid)
        mark = _mark(told, rid) if told is not None else None
        if rid in asked or (mark is not None and owner.owns(mark)):
            yield rid, dataclasses.replace(live, mark=mark)


def _value(owner: inventory.Owner) -> str:
    return f"undrift agent={owner.agent} application={owner.application}"


def _means(record: Record, zone: str) -> resource.ResourceId:
    _, kind, *rest = record.name.split(".", 2)
    name = rest[0].replace(_WILD, "*") if rest else ""
    return kinds.record_id(kind.upper(), zone, name)


def _mark(record: Record, rid: resource.ResourceId) -> inventory.Mark:
    parts = dict(word.partition("=")[::2] for word in str(record.values[0]).split(" ") if "=" in word)
    return inventory.Mark(parts.get("agent", "?"), parts.get("application", str(record.values[0])), rid)
