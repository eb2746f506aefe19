"""Zone files (RFC 1035, section 5) → entries, each with the line it stands on. dnspython reads them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Final

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.tokenizer
import dns.zonefile

from undrift import errors
from undrift.providers.dns import entry

SOA: Final = "SOA"
_Key = tuple[str, str]


@dataclasses.dataclass(frozen=True, slots=True)
class Read:
    """What a file holds: its record sets, and everything that is wrong with it. `soa` says whether it has one."""

    entries: tuple[entry.Entry, ...]
    wrong: tuple[errors.UndriftError, ...] = ()
    soa: bool = False


def read(content: bytes, zone: str, place: str) -> Read:
    """The record sets of one file; `place` is its path in Git. Never raises."""
    taken = _Taken(zone)
    text = content.decode("utf-8", "replace")
    tokens = dns.tokenizer.Tokenizer(text, place)
    reader = _Reader(tokens, taken, place)
    try:
        reader.read()
    except (dns.exception.DNSException, ValueError, AttributeError) as error:
        reader.note(error)
    found = tuple(
        entry.Entry(zone, name, kind, one.ttl, tuple(one.values), one.places[0], places=tuple(one.places))
        for (name, kind), one in taken.found.items()
    )
    return Read(found, tuple(reader.wrong), taken.soa)


@dataclasses.dataclass(slots=True)
class _Set:
    """A record set in the making."""

    ttl: int
    values: list[str] = dataclasses.field(default_factory=list)
    places: list[errors.Origin] = dataclasses.field(default_factory=list)


class _Taken:
    """What dnspython's reader takes for a transaction: it only notes what it is told, and where."""

    def __init__(self, zone: str) -> None:
        self.found: dict[_Key, _Set] = {}
        self.soa = False
        self.where = errors.Origin("")
        self.manager = self
        self._zone = dns.name.from_text(zone)

    def origin_information(self) -> tuple[dns.name.Name, bool, dns.name.Name]:
        """The zone's name; names are not made relative."""
        return self._zone, False, self._zone

    def check_put_rdataset(self, check: Callable[..., Any]) -> None:
        """What stands beside a CNAME is told by our own checks, with both lines."""

    def _set_origin(self, origin: dns.name.Name) -> None:
        """`$ORIGIN`: the reader knows it itself."""

    def add_unicode(self, directive: str) -> None:
        """`$UNICODE`: names are read as they stand."""

    def add(self, name: dns.name.Name, ttl: int, rdata: dns.rdata.Rdata) -> None:
        """One record."""
        kind = dns.rdatatype.to_text(rdata.rdtype)
        if kind == SOA:
            self.soa = True
            return
        relative = "" if name == self._zone else name.relativize(self._zone).to_text().lower()
        found = self.found.setdefault((relative, kind), _Set(ttl))
        text = rdata.to_text()
        if text not in found.values:
            found.values.append(text)
            found.places.append(self.where)


class _Reader(dns.zonefile.Reader):
    """Goes on after a line that is wrong, and knows on which line a record begins."""

    def __init__(self, tokens: dns.tokenizer.Tokenizer, taken: _Taken, place: str) -> None:
        super().__init__(tokens, dns.rdataclass.IN, taken)  # type: ignore[arg-type]  # see `_Taken`
        self._taken = taken
        self._place = place
        self.wrong: list[errors.UndriftError] = []

    def note(self, error: Exception, line: int = 0) -> None:
        """Something is wrong here."""
        detail = str(error) or type(error).__name__
        said = detail.partition(f"{self._place}:")[2].partition(": ")[2] if self._place in detail else detail
        self.wrong.append(
            errors.ResourceInvalid(
                f"the zone {self._zone_name()} cannot be read",
                origin=errors.Origin(self._place, line or self.tok.where()[1]),
                why=said or detail,
                hint="correct the zone",
            )
        )

    def _zone_name(self) -> str:
        return self._taken.origin_information()[0].to_text()

    def _generate_line(self) -> None:
        self._taken.where = errors.Origin(self._place, self.tok.where()[1])
        super()._generate_line()  # type: ignore[no-untyped-call]  # dnspython gives it no types

    def _rr_line(self) -> None:
        line = self.tok.where()[1]
        self._taken.where = errors.Origin(self._place, line)
        try:
            super()._rr_line()
        except (dns.exception.DNSException, ValueError) as error:
            if self.tok.multiline:
                raise
            self.note(error, line)
            if self.tok.where()[1] == line:
                self._eat_line()  # type: ignore[no-untyped-call]  # dnspython gives it no types
