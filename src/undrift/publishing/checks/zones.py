"""`zones`: DNS zones, as zone files (RFC 1035) and as octoDNS' YAML: what no name server would take.

Settings: `files` (globs on rendered zone files; `**/*.zone`, `**/db.*`), `octodns` (globs on rendered YAML; files that
hold nothing but records are found without). A zone is called as its file: `example.org.zone`, `db.example.org`,
`example.org.yaml`. Zone files are read by dnspython, which names the line.
"""

from __future__ import annotations

import bisect
import importlib.metadata
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from undrift import errors
from undrift.lib import globs, words, yaml
from undrift.publishing.checks import finding, settings

_FILES: Final = ("**/*.zone", "**/db.*")
_YAML: Final = (".yaml", ".yml")
_AT: Final = re.compile(r"^.*?:\d+: (?P<what>.*)$", re.DOTALL)
_NAMED: Final = re.compile(r"(?:^|.*/)(?:db\.)?(?P<name>[^/]+?)\.?(?:\.zone|\.ya?ml)?")
_TYPES: Final = {
    "A": "{}",
    "AAAA": "{}",
    "ALIAS": "",
    "CAA": '{flags} {tag} "{value}"',
    "CNAME": "{}",
    "DNAME": "{}",
    "DS": "{key_tag} {algorithm} {digest_type} {digest}",
    "LOC": "",
    "MX": "{preference} {exchange}",
    "NAPTR": '{order} {preference} "{flags}" "{service}" "{regexp}" {replacement}',
    "NS": "{}",
    "PTR": "{}",
    "SPF": "",
    "SRV": "{priority} {weight} {port} {target}",
    "SSHFP": "{algorithm} {fingerprint_type} {fingerprint}",
    "SVCB": "",
    "HTTPS": "",
    "TLSA": "{certificate_usage} {selector} {matching_type} {certificate_association_data}",
    "TXT": "",
    "URLFWD": "",
    "URI": "",
}
"""Types of octoDNS' records, each with its value as a zone file writes it; "" for what is not looked into."""
_OLDER: Final = {"preference": "priority", "exchange": "value"}
_TARGETS: Final = frozenset({"CNAME", "DNAME", "NS", "PTR", "MX", "SRV"})


async def check(work: finding.Work) -> finding.Verdict:
    """The zones of one stage."""
    taken = settings.Settings(work.validator)
    files, octodns = taken.texts("files", _FILES), taken.texts("octodns")
    found: list[finding.Finding] = []
    for name, file in sorted(work.rendition.files.items()):
        place = work.place(name).file
        if globs.matches(name, files):
            found += (finding.Finding(one) for one in _zone_file(place, file.content))
        elif name.endswith(_YAML):
            for document in _documents(file.content):
                if globs.matches(name, octodns) or _is_octodns(document.data):
                    found += (finding.Finding(one) for one in _Octodns(place, document).problems())
    return finding.Verdict(
        "zones", (*found, *taken.findings()), f"dnspython {importlib.metadata.version('dnspython')}"
    )


def _zone_file(place: str, content: bytes) -> Iterator[errors.UndriftError]:
    text, name = content.decode("utf-8", "replace"), _zone_of(place)
    problem, zone = _parsed(text, name)
    if problem:
        lines = text.splitlines(keepends=True)
        # dnspython has often read on when it notices: the line is the one that makes the difference.
        line = bisect.bisect_left(
            range(len(lines)), True, key=lambda last: _parsed("".join(lines[: last + 1]), name)[0] == problem
        )
        yield _wrong(f"the zone {name} cannot be read", errors.Origin(place, line + 1), problem)
        return
    for kind in ("SOA", "NS"):
        if zone.get_rdataset(zone.origin, kind) is None:
            yield _wrong(f"the zone {name} has no {kind} record of its own", errors.Origin(place), "")


def _parsed(text: str, name: str) -> tuple[str, Any]:
    """What is wrong with the text of a zone ("" for nothing), and the zone."""
    import dns.exception  # noqa: PLC0415 - only for those who have zones
    import dns.zone  # noqa: PLC0415 - see above

    try:
        return "", dns.zone.from_text(text, name, relativize=False, check_origin=False)
    except (dns.exception.DNSException, ValueError) as error:
        at = _AT.match(str(error))
        return (at["what"] if at else str(error)) or type(error).__name__, None


def _documents(content: bytes) -> list[yaml.Document]:
    """What is no YAML is told by the validator `yaml`."""
    try:
        return yaml.documents(content)
    except yaml.YamlError:
        return []


def _is_octodns(data: Any) -> bool:
    """Whether a document holds records, and nothing else."""
    if not isinstance(data, Mapping) or not data or "apiVersion" in data:
        return False
    return all(
        isinstance(one, Mapping) and isinstance(one.get("type"), str) and ("value" in one or "values" in one)
        for records in data.values()
        for one in (records if isinstance(records, list) else [records])
    )


class _Octodns:
    """One zone in octoDNS' YAML: https://github.com/octodns/octodns ."""

    def __init__(self, place: str, document: yaml.Document) -> None:
        self._place = place
        self._document = document

    def problems(self) -> Iterator[errors.UndriftError]:
        """All of them."""
        data = self._document.data
        if not isinstance(data, Mapping):
            yield _wrong("a zone of octoDNS is a mapping of names", errors.Origin(self._place, 1), "")
            return
        for name, records in data.items():
            listed = records if isinstance(records, list) else [records]
            kinds = [str(one.get("type")) for one in listed if isinstance(one, Mapping)]
            if "CNAME" in kinds and (len(kinds) > 1 or name in {"", "@"}):
                why = "the zone itself has others" if name in {"", "@"} else f"it has {', '.join(kinds)}"
                yield _wrong(f"{name or '@'} cannot be a CNAME", self._at(name), why)
            for index, one in enumerate(listed):
                path = (name, index) if isinstance(records, list) else (name,)
                yield from self._record(str(name) or "@", one, path)

    def _record(self, name: str, one: Any, path: tuple[str | int, ...]) -> Iterator[errors.UndriftError]:
        if not isinstance(one, Mapping):
            yield _wrong(f"{name} is no record", self._at(*path), "it has no type and no values")
            return
        kind = str(one.get("type", "")).partition("/")[0]
        if kind not in _TYPES and "/" not in str(one.get("type", "")):
            hint = words.suggestion(kind, _TYPES)
            yield _wrong(
                f"{name} has a type that there is not: {kind or 'none'}", self._at(*path, "type"), "", hint
            )
            return
        ttl = one.get("ttl", 1)
        if not isinstance(ttl, int) or isinstance(ttl, bool) or not 0 < ttl < 1 << 31:
            yield _wrong(
                f"{name} {kind} has no usable ttl", self._at(*path, "ttl"), "it is seconds, more than 0"
            )
        key = "values" if "values" in one else "value"
        values = one.get(key)
        if values is None or values == []:
            yield _wrong(f"{name} {kind} has no value", self._at(*path), "")
            return
        for index, value in enumerate(values if isinstance(values, list) else [values]):
            at = (*path, key, index) if isinstance(values, list) else (*path, key)
            problem = _problem(kind, value)
            if problem:
                yield _wrong(f"{name} {kind} has a value that it cannot have", self._at(*at), problem)

    def _at(self, *path: str | int) -> errors.Origin:
        return errors.Origin(self._place, *yaml.nearest(self._document.positions, path))


def _problem(kind: str, value: Any) -> str:
    """Why a value cannot be one of its type; "" when it can."""
    import dns.exception  # noqa: PLC0415 - only for those who have zones
    import dns.rdata  # noqa: PLC0415 - see above

    form = _TYPES.get(kind, "")
    if not form:
        return ""
    if isinstance(value, Mapping):
        parts = {
            **value,
            **{new: value[old] for new, old in _OLDER.items() if new not in value and old in value},
        }
    else:
        parts = {}
    try:
        text = form.format(str(value), **parts) if form == "{}" else form.format(**parts)
        dns.rdata.from_text("IN", kind, text)
    except KeyError as error:
        return f"it has no {error.args[0]}"
    except (dns.exception.DNSException, ValueError) as error:
        return str(error) or type(error).__name__
    if kind in _TARGETS and not text.endswith("."):
        return "a name of another record ends with a dot"
    return ""


def _zone_of(place: str) -> str:
    named = _NAMED.fullmatch(place)
    return f"{named['name'] if named else place}."


def _wrong(what: str, origin: errors.Origin, why: str, hint: str = "") -> errors.UndriftError:
    return errors.ResourceInvalid(what, origin=origin, why=why, hint=hint or "correct the zone")
