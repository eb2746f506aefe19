"""octoDNS' YAML → entries: https://github.com/octodns/octodns/blob/main/docs/records.md . Needs dnspython alone."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import dns.exception
import dns.rdata

from undrift import errors
from undrift.lib import words, yaml
from undrift.providers.dns import entry, naming

FORMS: Final[Mapping[str, str]] = {
    "A": "{}",
    "AAAA": "{}",
    "ALIAS": "",
    "CAA": '{flags} {tag} "{value}"',
    "CNAME": "{}",
    "DNAME": "{}",
    "DS": "{key_tag} {algorithm} {digest_type} {digest}",
    "HTTPS": "",
    "LOC": "",
    "MX": "{preference} {exchange}",
    "NAPTR": '{order} {preference} "{flags}" "{service}" "{regexp}" {replacement}',
    "NS": "{}",
    "OPENPGPKEY": "{}",
    "PTR": "{}",
    "SPF": "",
    "SRV": "{priority} {weight} {port} {target}",
    "SSHFP": "{algorithm} {fingerprint_type} {fingerprint}",
    "SVCB": "",
    "TLSA": "{certificate_usage} {selector} {matching_type} {certificate_association_data}",
    "TXT": "",
    "URI": '{priority} {weight} "{target}"',
    "URLFWD": "",
}
"""Types of octoDNS' records, each with its value as a zone file writes it; "" for what is not looked into."""
_OLDER: Final = {"preference": "priority", "exchange": "value"}
_TARGETS: Final = frozenset({"CNAME", "DNAME", "NS", "PTR", "MX", "SRV"})
_ADDRESSES: Final = {"A": ipaddress.IPv4Address, "AAAA": ipaddress.IPv6Address}
_TEXTS: Final = frozenset({"TXT", "SPF"})
_LONGEST_TEXT: Final = 255
_MOST_TTL: Final = 1 << 31
_UNESCAPED: Final = re.compile(r"\w;")
_Found = Iterator[entry.Entry | errors.UndriftError]


def is_zone(data: Any) -> bool:
    """Whether a document holds records, and nothing else."""
    if not isinstance(data, Mapping) or not data or "apiVersion" in data:
        return False
    return all(
        isinstance(one, Mapping) and isinstance(one.get("type"), str) and ("value" in one or "values" in one)
        for records in data.values()
        for one in (records if isinstance(records, list) else [records])
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Declared:
    """One document: its zone, the file it is in and where things stand in it."""

    zone: str
    place: str
    data: Any
    positions: Mapping[yaml.Path, yaml.Place]
    default_ttl: int = 3600
    escaped: bool = True

    def entries(self) -> _Found:
        """Its record sets, and what is wrong with others."""
        if not isinstance(self.data, Mapping):
            if self.data is not None:
                yield _wrong("a zone of octoDNS is a mapping of names", errors.Origin(self.place, 1), "")
            return
        for name, records in self.data.items():
            listed = records if isinstance(records, list) else [records]
            for index, one in enumerate(listed):
                path = (name, index) if isinstance(records, list) else (name,)
                yield from self._record(str(name), one, path)

    def _record(self, written: str, one: Any, path: yaml.Path) -> _Found:
        shown = written or "@"
        if not isinstance(one, Mapping):
            yield _wrong(f"{shown} is no record", self._at(*path), "it has no type and no values")
            return
        kind = str(one.get("type", ""))
        if kind not in FORMS and "/" not in kind:
            hint = words.suggestion(kind, FORMS)
            what = f"{shown} has a type that there is not: {kind or 'none'}"
            yield _wrong(what, self._at(*path, "type"), "", hint)
            return
        ttl = one.get("ttl", self.default_ttl)
        if not isinstance(ttl, int) or isinstance(ttl, bool) or not 0 < ttl < _MOST_TTL:
            why = "it is seconds, more than 0"
            yield _wrong(f"{shown} {kind} has no usable ttl", self._at(*path, "ttl"), why)
            ttl = self.default_ttl
        try:
            name = naming.ascii_name("" if written == "@" else written)
        except ValueError as error:
            yield _wrong(f"{shown} cannot be a name", self._at(*path), str(error))
            return
        yield from self._values(entry.Entry(self.zone, name, kind, ttl, (), self._at(*path), one), path)

    def _values(self, made: entry.Entry, path: yaml.Path) -> _Found:
        one, shown = made.data or {}, made.name or "@"
        key = "values" if "values" in one else "value"
        values = one.get(key)
        if values is None or values == []:
            yield _wrong(f"{shown} {made.kind} has no value", made.origin, "")
            return
        texts: list[str] = []
        places: list[errors.Origin] = []
        for index, value in enumerate(values if isinstance(values, list) else [values]):
            at = self._at(*((*path, key, index) if isinstance(values, list) else (*path, key)))
            try:
                text = _text(made.kind, value, escaped=self.escaped)
            except ValueError as error:
                yield _wrong(f"{shown} {made.kind} has a value that it cannot have", at, str(error))
                continue
            texts += [text] if text else []
            places.append(at)
        data = {**one, "ttl": made.ttl}
        yield dataclasses.replace(made, values=tuple(texts), places=tuple(places), data=data)

    def _at(self, *path: str | int) -> errors.Origin:
        return errors.Origin(self.place, *yaml.nearest(self.positions, path))


def _text(kind: str, value: Any, *, escaped: bool) -> str:
    """A value as a zone file writes it; "" for what is not looked into. Raises `ValueError`."""
    if kind in _TEXTS and isinstance(value, str):
        return _quoted(value, escaped=escaped)
    form = FORMS.get(kind, "")
    if not form:
        return ""
    parts: dict[str, Any] = {}
    if isinstance(value, Mapping):
        older = {new: value[old] for new, old in _OLDER.items() if new not in value and old in value}
        parts = {**value, **older}
    try:
        if kind in _ADDRESSES and isinstance(value, str):
            return str(_ADDRESSES[kind](value))
        text = form.format(str(value)) if form == "{}" else form.format(**parts)
        dns.rdata.from_text("IN", kind, text)
    except KeyError as error:
        raise ValueError(f"it has no {error.args[0]}") from None
    except (dns.exception.DNSException, ValueError) as error:
        raise ValueError(str(error) or type(error).__name__) from None
    if kind in _TARGETS and not text.endswith("."):
        raise ValueError("a name of another record ends with a dot")
    return text


def _quoted(value: str, *, escaped: bool) -> str:
    plain = value.replace("\\;", ";") if escaped else value
    if escaped and _UNESCAPED.search(value):
        raise ValueError(f"unescaped ; in {value!r}: octoDNS writes it as \\;")
    cut = [plain[at : at + _LONGEST_TEXT] for at in range(0, len(plain), _LONGEST_TEXT)] or [""]
    return " ".join('"{}"'.format(one.replace("\\", "\\\\").replace('"', '\\"')) for one in cut)


def _wrong(what: str, origin: errors.Origin, why: str, hint: str = "") -> errors.UndriftError:
    return errors.ResourceInvalid(what, origin=origin, why=why, hint=hint or "correct the zone")
