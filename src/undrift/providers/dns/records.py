"""octoDNS' records ↔ fields of resources.

`ttl`, and `values` as zone files write them, sorted; what has no such form (pools, records of one provider alone) has
`data` as octoDNS writes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson
from octodns import idna
from octodns.record import Record
from octodns.record.exception import RecordException, ValidationError
from octodns.record.rr import Rrset
from octodns.zone import Zone

from undrift import errors
from undrift.lib import canonical
from undrift.model import resource
from undrift.providers.dns import entry, kinds

if not Record.validators.configured:
    Record.enable_validators({"legacy"})  # what it does by itself, but for the warning
RECORD: Final = "record"
"""Where a resource's settings hold its record."""
_PLAIN: Final = frozenset({"A", "AAAA", "NS", "PTR"})
_TEXTS: Final = frozenset({"TXT", "SPF"})
Key = tuple[str, str]
"""Name within the zone and type."""


def key(record: Record) -> Key:
    """How a record is told from others of its zone."""
    return record.name, record._type  # noqa: SLF001 - octoDNS has no public name for it


def kind_of(record: Record) -> str:
    """Its type."""
    return str(record._type)  # noqa: SLF001 - see above


def rid_of(record: Record, zone: str) -> resource.ResourceId:
    """Its id."""
    return kinds.record_id(kind_of(record), zone, record.name)


def fields(record: Record) -> Mapping[str, Any]:
    """What is compared of a record."""
    kind = kind_of(record)
    if getattr(record, "dynamic", None) or getattr(record, "geo", None) or "/" in kind:
        data = {name: value for name, value in record.data.items() if name != "ttl"}
        return {"ttl": record.ttl, "data": orjson.loads(canonical.dumps(data))}
    values = record.values if kind in _PLAIN else record.to_rrset().rdatas
    return {"ttl": record.ttl, "values": tuple(sorted(map(str, values)))}


def declared(one: entry.Entry, zone: Zone, *, escaped: bool) -> Record:
    """The record of an entry. Raises `ResourceInvalid`."""
    try:
        if one.data is None:
            return Record.from_rrset(zone, Rrset(one.fqdn, one.kind, one.ttl, one.values))
        return Record.new(zone, one.name, _data(one, escaped=escaped))
    except ValidationError as error:
        why = "; ".join(str(reason) for reason in error.reasons)
        raise _invalid(one, why) from error
    except (RecordException, idna.IdnaError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise _invalid(one, str(error) or type(error).__name__) from error


def again(zone: Zone, name: str, kind: str, found: resource.Fields, old: Record | None) -> Record:
    """The record that has these fields; `old` is one that has some of them."""
    if old is not None and fields(old) == found:
        return old
    if "values" in found:
        fqdn = f"{name}.{zone.name}" if name else zone.name
        made = Record.from_rrset(zone, Rrset(fqdn, kind, found["ttl"], found["values"]), lenient=True)
        if old is not None:
            made.octodns = old.octodns
        return made
    data = {**found["data"], "ttl": found["ttl"], "type": kind}
    return Record.new(zone, name, data, lenient=True)


def _data(one: entry.Entry, *, escaped: bool) -> dict[str, Any]:
    data = dict(one.data or {})
    if one.kind in _TEXTS and not escaped:
        for name in ("value", "values"):
            data |= {name: _escaped(data[name])} if name in data else {}
    return data


def _escaped(value: Any) -> Any:
    if isinstance(value, list):
        return [_escaped(one) for one in value]
    return value.replace(";", "\\;") if isinstance(value, str) else value


def _invalid(one: entry.Entry, why: str) -> errors.ResourceInvalid:
    return errors.ResourceInvalid(
        f"{one.name or kinds.APEX} {one.kind} cannot be a record",
        origin=one.origin,
        why=why,
        hint="correct the zone",
    )
