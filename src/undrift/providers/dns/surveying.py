"""A live zone as octoDNS' YAML: what it could be declared with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dns.rdatatype
import orjson
from octodns.record import Record

from undrift import errors
from undrift.lib import canonical
from undrift.model import finding
from undrift.providers.dns import naming, opening, owners, records, seeing

_KEPT_BY_THE_SERVER = "its server keeps it"
_BY_SERVERS = frozenset(
    {"SOA", "RRSIG", "NSEC", "NSEC3", "NSEC3PARAM", "DNSKEY", "CDS", "CDNSKEY", "ZONEMD", "TYPE65534"}
)


async def survey(place: opening.Opened, scope: str) -> finding.Survey:
    """See `interfaces.Surveyor`: a zone. Raises a `TargetError`."""
    try:
        zone = naming.ascii_name(f"{scope.rstrip('.')}.")
    except ValueError as error:
        raise errors.UsageInvalid(
            f"{scope} is no zone", why=str(error), hint="write it as example.org"
        ) from error
    found = await place.look(zone, whole=True)
    if not found.exists:
        raise errors.ChangeRefused(f"there is no zone {zone}", hint="is it the right name server?")
    document = _document(found)
    name = f"{naming.shown(zone).rstrip('.')}.yaml"
    some = (finding.Found("", name, document),) if document else ()
    return finding.Survey(some, tuple(sorted(_left_out(found))))


def _document(found: seeing.Seen) -> dict[str, Any]:
    """Names in their order, each with one record or several."""
    names: dict[str, list[dict[str, Any]]] = {}
    for name, kind in sorted(found.records, key=lambda key: (key[0].split(".")[::-1], key[1])):
        record = found.records[name, kind]
        if not owners.is_owners(record):
            names.setdefault(naming.shown(name), []).append(_declared(record))
    return {name: some[0] if len(some) == 1 else some for name, some in names.items()}


def _declared(record: Record) -> dict[str, Any]:
    plain: dict[str, Any] = orjson.loads(canonical.dumps(record.data))
    return {"type": records.kind_of(record), **plain}


def _left_out(found: seeing.Seen) -> Iterator[tuple[str, str]]:
    """What is in the zone and cannot be declared; only a transfer tells."""
    known = {kind for _, kind in found.records}
    nodes = found.source.nodes if found.source is not None else {}
    kinds_there = {dns.rdatatype.to_text(one.rdtype) for node in nodes.values() for one in node.rdatasets}
    for kind in kinds_there - known:
        yield kind, _KEPT_BY_THE_SERVER if kind in _BY_SERVERS else "octoDNS does not know the type"
    for record in found.records.values():
        if owners.is_owners(record):
            yield record.fqdn, "it says whose another record is"
