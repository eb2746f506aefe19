"""`zones`: DNS zones, as zone files (RFC 1035) and as octoDNS' YAML: what no name server would take.

Settings: `files` (globs on rendered zone files; `**/*.zone`, `**/db.*`), `octodns` (globs on rendered YAML; files that
hold nothing but records are found without). A zone is called as its file: `example.org.zone`, `db.example.org`,
`example.org.yaml`, or as its folder, `example.org.`. The checks are those of the layer `dns`: CI and agent say the same.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from typing import Any, Final

from undrift import errors
from undrift.lib import globs, yaml
from undrift.model import delivery
from undrift.publishing.checks import finding, settings

_FILES: Final = ("**/*.zone", "**/db.*")
_YAML: Final = (".yaml", ".yml")


async def check(work: finding.Work) -> finding.Verdict:
    """The zones of one stage, each by itself and beside one another."""
    from undrift.providers.dns import checking, gathering  # noqa: PLC0415 - only for those who have zones

    taken = settings.Settings(work.validator)
    draft = gathering.Draft()
    draft.take(_found(work, taken.texts("files", _FILES), taken.texts("octodns")))
    judged = checking.check(draft.zones())
    found = sorted([*draft.wrong, *judged.wrong], key=lambda one: one.origin or errors.Origin(""))
    told = [
        *(finding.Finding(one) for one in found),
        *(finding.Finding(one, delivery.Severity.WARNING) for one in judged.warnings),
    ]
    version = f"dnspython {importlib.metadata.version('dnspython')}"
    return finding.Verdict("zones", (*told, *taken.findings()), version)


def _found(work: finding.Work, files: tuple[str, ...], octodns: tuple[str, ...]) -> Iterator[Any]:
    """Entries, names of zones, and what is wrong with files."""
    for name, file in sorted(work.rendition.files.items()):
        place = work.place(name).file
        if globs.matches(name, files):
            yield from _zone_file(place, file.content)
        elif name.endswith(_YAML):
            for document in _documents(file.content):
                yield from _octodns(place, document, named=globs.matches(name, octodns))


def _zone_file(place: str, content: bytes) -> Iterator[Any]:
    from undrift.providers.dns import gathering, naming, zonefiles  # noqa: PLC0415 - see above

    zone = naming.zone_of(place)
    read = zonefiles.read(content, zone, place)
    yield from read.wrong
    if read.wrong:
        return
    yield zone
    own = {one.kind for one in read.entries if not one.name} | ({"SOA"} if read.soa else set())
    for kind in ("SOA", "NS"):
        if kind not in own:
            what = f"the zone {zone} has no {kind} record of its own"
            yield errors.ResourceInvalid(what, origin=errors.Origin(place), hint="correct the zone")
    yield from (gathering.Found(one) for one in read.entries)


def _octodns(place: str, document: yaml.Document, *, named: bool) -> Iterator[Any]:
    from undrift.providers.dns import declaring, entry, gathering, naming  # noqa: PLC0415 - see above

    if not named and not declaring.is_zone(document.data):
        return
    zone = naming.zone_of(place)
    yield zone
    for one in declaring.Declared(zone, place, document.data, document.positions).entries():
        yield gathering.Found(one) if isinstance(one, entry.Entry) else one


def _documents(content: bytes) -> list[yaml.Document]:
    """What is no YAML is told by the validator `yaml`."""
    try:
        return yaml.documents(content)
    except yaml.YamlError:
        return []
