"""What no name server should be given, told before any is asked. Pure; needs dnspython alone: CI asks the same.

Errors are what cannot work (RFC 1034, 1912, 2181); warnings what is legal and rarely meant.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import dns.exception
import dns.name
import dns.reversename

from undrift import errors
from undrift.providers.dns import entry, kinds, mail

_Zones = Mapping[str, Sequence[entry.Entry]]
_Found = Iterator[errors.UndriftError]
_BESIDE: Final = frozenset({"RRSIG", "NSEC", "KEY", "DNSKEY"})
_ADDRESSES: Final = ("A", "AAAA")
_POINTS: Final[Mapping[str, int]] = {"CNAME": 0, "NS": 0, "MX": 1, "SRV": 3, "DNAME": 0}
"""Types whose values name another record: which word of the value it is."""
_SHORT: Final = 30
_LONG: Final = 604_800


@dataclasses.dataclass(frozen=True, slots=True)
class Judged:
    """What was found."""

    wrong: tuple[errors.UndriftError, ...]
    warnings: tuple[errors.UndriftError, ...]


def check(zones: _Zones) -> Judged:
    """All zones of one application, beside one another."""
    index = _Index(zones)
    wrong: list[errors.UndriftError] = []
    warnings: list[errors.UndriftError] = []
    for zone, entries in zones.items():
        wrong += _cnames(entries)
        wrong += _targets(entries, index)
        wrong += _glue(zone, entries, index)
        wrong += _below(zone, entries, zones)
        warnings += _ttls(entries)
        told = list(mail.check(entries))
        wrong += [one for one, fatal in told if fatal]
        warnings += [one for one, fatal in told if not fatal]
    warnings += _pointers(index)
    return Judged(tuple(wrong), tuple(warnings))


class _Index:
    """Entries of all zones by their whole names."""

    def __init__(self, zones: _Zones) -> None:
        self.zones = zones
        self.names: dict[str, dict[str, entry.Entry]] = collections.defaultdict(dict)
        for entries in zones.values():
            for one in entries:
                self.names[one.fqdn][one.kind] = one
        self._inner: set[str] = set()
        for fqdn in self.names:
            above = fqdn.partition(".")[2]
            while above and above not in self._inner:
                self._inner.add(above)
                above = above.partition(".")[2]

    def zone_of(self, fqdn: str) -> str:
        """The declared zone that a name lies in; "" for none."""
        while fqdn:
            if fqdn in self.zones:
                return fqdn
            fqdn = fqdn.partition(".")[2]
        return ""

    def kinds(self, fqdn: str, zone: str) -> Mapping[str, entry.Entry]:
        """What there is at a name, wildcards counted."""
        found = self.names.get(fqdn)
        if found:
            return found
        above = fqdn.partition(".")[2]
        while above and fqdn not in self._inner:
            wild = self.names.get(f"*.{above}")
            if wild:
                return wild
            if above == zone or above in self.names or above in self._inner:
                return {}
            above = above.partition(".")[2]
        return {}

    def delegated(self, fqdn: str, zone: str) -> bool:
        """Whether a name lies below a name of the zone that is somebody else's."""
        while fqdn and fqdn != zone:
            if "NS" in self.names.get(fqdn, {}):
                return True
            fqdn = fqdn.partition(".")[2]
        return False


def _cnames(entries: Sequence[entry.Entry]) -> _Found:
    at: dict[str, list[entry.Entry]] = collections.defaultdict(list)
    for one in entries:
        at[one.name].append(one)
    for name, here in at.items():
        cname = next((one for one in here if one.kind == "CNAME"), None)
        if cname is None:
            continue
        others = [one for one in here if one is not cname and one.kind not in _BESIDE]
        if not name:
            yield _invalid(
                "@ cannot be a CNAME", cname, "the zone itself has others", "write an ALIAS, or addresses"
            )
        elif others:
            why = f"it has {', '.join(one.kind for one in here)}: {', '.join(str(one.origin) for one in others)}"
            yield _invalid(f"{name} cannot be a CNAME", cname, why)
        if len(cname.values) > 1:
            yield _invalid(f"{name} cannot be a CNAME", cname, "it has several values")


def _targets(entries: Sequence[entry.Entry], index: _Index) -> _Found:
    """Names of other records that are not there although their zone is ours."""
    for one in entries:
        word = _POINTS.get(one.kind)
        if word is None:
            continue
        for number, value in enumerate(one.values):
            target = value.split()[word].lower()
            zone = index.zone_of(target)
            if target == "." or not zone or (one.kind == "NS" and one.name and zone != one.zone):
                continue
            told = _dangling(one, target, zone, index)
            if told:
                what = f"{one.name or kinds.APEX} {one.kind} points to {target}, {told}"
                hint = "declare it, or correct the name (a name without a dot at its end is below the zone)"
                yield errors.ResourceInvalid(what, origin=one.place(number), hint=hint)


def _dangling(one: entry.Entry, target: str, zone: str, index: _Index) -> str:
    """What is wrong with the name that a record points to; "" for nothing."""
    here = index.kinds(target, zone)
    if one.kind in {"CNAME", "DNAME"}:
        return "" if here or index.delegated(target, zone) or target == zone else "which does not exist"
    if "CNAME" in here:
        return "which is a CNAME, and may not be one (RFC 2181, section 10.3)"
    if any(kind in here for kind in (*_ADDRESSES, "ALIAS")) or index.delegated(target, zone):
        return ""
    return "which has no address"


def _glue(zone: str, entries: Sequence[entry.Entry], index: _Index) -> _Found:
    """Name servers of a delegation that lie below it need their addresses in this zone, the same as below."""
    here = {(one.fqdn, one.kind) for one in entries}
    for one in entries:
        if one.kind != "NS" or not one.name:
            continue
        for number, value in enumerate(one.values):
            target = value.lower()
            if target != one.fqdn and not target.endswith(f".{one.fqdn}"):
                continue
            if not any((target, kind) in here for kind in _ADDRESSES):
                what = f"{one.name} NS points to {target}, whose address is not in {zone}"
                why = "nobody can ask for it: it lies below what it serves (glue)"
                yield errors.ResourceInvalid(
                    what, origin=one.place(number), why=why, hint=f"declare its address in {zone}, too"
                )
    for inner in index.zones:
        if kinds.below(zone, inner):
            yield from _parents(zone, inner, index)


def _parents(zone: str, inner: str, index: _Index) -> _Found:
    """What the zone above says of one below it has to be what that one says."""
    if index.zone_of(inner.partition(".")[2]) != zone:
        return
    own = next((one for one in index.zones[inner] if one.kind == "NS" and not one.name), None)
    told = next((one for one in index.zones[zone] if one.kind == "NS" and one.fqdn == inner), None)
    if told is None and own is not None:
        what = f"{zone} does not say who serves {inner}"
        yield errors.ResourceInvalid(
            what, origin=own.origin, why="both are declared here", hint=f"declare its NS records in {zone}"
        )
    elif told is not None and own is not None and set(told.values) != set(own.values):
        what = f"{zone} names other servers of {inner} than that zone does"
        why = f"{', '.join(sorted(told.values))}; at {own.origin}: {', '.join(sorted(own.values))}"
        yield errors.ResourceInvalid(what, origin=told.origin, why=why, hint="make both the same")


def _below(zone: str, entries: Sequence[entry.Entry], zones: _Zones) -> _Found:
    """Records that belong into another declared zone."""
    inner = [other for other in zones if kinds.below(zone, other)]
    addresses = {value.lower() for one in entries if one.kind == "NS" for value in one.values}
    for one in entries:
        other = next((name for name in inner if one.fqdn == name or one.fqdn.endswith(f".{name}")), "")
        glue = one.kind in _ADDRESSES and one.fqdn in addresses
        if other and not glue and (one.kind not in {"NS", "DS"} or one.fqdn != other):
            yield _invalid(
                f"{one.name} {one.kind} is never seen",
                one,
                f"it lies in the zone {other}",
                f"declare it in {other}",
            )


def _ttls(entries: Sequence[entry.Entry]) -> _Found:
    for one in entries:
        if one.ttl < _SHORT or one.ttl > _LONG:
            size = "short" if one.ttl < _SHORT else "long"
            what = f"{one.name or kinds.APEX} {one.kind} has a {size} ttl: {one.ttl} seconds"
            why = (
                "everybody asks all the time"
                if one.ttl < _SHORT
                else "a mistake stays for longer than a week"
            )
            yield errors.RecordSurprising(what, origin=one.origin, why=why, hint="from 30 to 604800 is usual")


def _pointers(index: _Index) -> _Found:
    """Where the zone of addresses is declared beside: each name's address should lead back, and the other way round."""
    reverse = [zone for zone in index.zones if zone.endswith((".in-addr.arpa.", ".ip6.arpa."))]
    for zone in reverse:
        for one in index.zones[zone]:
            if one.kind != "PTR":
                continue
            for number, value in enumerate(one.values):
                forward = value.lower()
                home = index.zone_of(forward)
                if not home or index.delegated(forward, home):
                    continue
                addresses = {
                    text
                    for kind in _ADDRESSES
                    if (found := index.kinds(forward, home).get(kind))
                    for text in found.values
                }
                if _address(one.fqdn) not in addresses:
                    what = f"{one.fqdn} PTR points to {forward}, which has another address"
                    why = f"it has {', '.join(sorted(addresses)) or 'none'}, not {_address(one.fqdn)}"
                    yield errors.RecordSurprising(
                        what, origin=one.place(number), why=why, hint="make both agree"
                    )


def _address(fqdn: str) -> str:
    try:
        return dns.reversename.to_address(dns.name.from_text(fqdn))
    except (dns.exception.DNSException, ValueError):
        return ""


def _invalid(what: str, one: entry.Entry, why: str, hint: str = "correct the zone") -> errors.UndriftError:
    return errors.ResourceInvalid(what, origin=one.origin, why=why, hint=hint)
