"""Whether every name server answers with what was changed: the health of records."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

import dns.asyncquery
import dns.exception
import dns.inet
import dns.message
import dns.rcode
import dns.rdatatype

from undrift.model import resource
from undrift.providers.dns import kinds, opening, rfc2136

_PATIENCE: Final = 2.0
_AT_ONCE: Final = 50
_MOST: Final = 100
"""So many changed records are asked for; after more, a sample of them."""
_Server = tuple[str, int]


async def lagging(place: opening.Opened) -> Mapping[resource.ResourceId, str]:
    """Which changed records some name server does not answer with yet, and which servers those are."""
    if len(place.expected) > _MOST:
        place.expected = dict(list(place.expected.items())[:: len(place.expected) // _MOST])
    gate = asyncio.Semaphore(_AT_ONCE)

    async def ask(
        rid: resource.ResourceId, wanted: resource.Fields | None
    ) -> tuple[resource.ResourceId, str]:
        async with gate:
            servers = _servers(place, kinds.zone_of(rid))
            late = [told for one in servers if (told := await _late(one, rid, wanted))]
            return rid, "; ".join(late)

    told = dict(await asyncio.gather(*(ask(rid, wanted) for rid, wanted in place.expected.items())))
    for rid, reason in told.items():
        if not reason:
            place.expected.pop(rid, None)
    return {rid: reason for rid, reason in told.items() if reason}


def _servers(place: opening.Opened, zone: str) -> tuple[_Server, ...]:
    """Those that the settings name; without any, the one that is changed, where it is a name server."""
    named = place.settings.of(zone).nameservers
    if named is not None:
        return named
    own = place.server
    return ((own.host, own.port),) if isinstance(own, rfc2136.Rfc2136Server) else ()


async def _late(server: _Server, rid: resource.ResourceId, wanted: resource.Fields | None) -> str:
    """What a server says that is not as wanted; "" when it is."""
    name = rid.namespace if rid.name == kinds.APEX else f"{rid.name}.{rid.namespace}"
    shown = f"{server[0]}:{server[1]}"
    if "values" not in (wanted or {"values": ()}):
        return ""
    values = set(wanted["values"]) if wanted is not None else set()
    try:
        host = await _address(server[0])
        query = dns.message.make_query(name, rid.kind, flags=0)
        answer, _ = await dns.asyncquery.udp_with_fallback(query, host, _PATIENCE, server[1])
    except (dns.exception.DNSException, OSError, EOFError) as error:
        return f"{shown} does not answer for {name} {rid.kind} ({type(error).__name__})"
    if answer.rcode() not in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
        return f"{shown} answers {dns.rcode.to_text(answer.rcode())} for {name} {rid.kind}"
    kind = dns.rdatatype.from_text(rid.kind)
    sections = answer.answer if rid.kind != "NS" else [*answer.answer, *answer.authority]
    found = {
        str(rdata)
        for rrset in sections
        if rrset.rdtype == kind and str(rrset.name).lower() == name
        for rdata in rrset
    }
    if {text.lower() for text in found} == {text.lower() for text in values}:
        return ""
    return f"{shown} still answers {', '.join(sorted(found)) or 'nothing'} for {name} {rid.kind}"


async def _address(host: str) -> str:
    if dns.inet.is_address(host):
        return host
    found = await asyncio.get_running_loop().getaddrinfo(host, None)
    return str(found[0][4][0])
