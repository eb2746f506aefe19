"""Documents and files → zones → resources, each with the line that it is declared on."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping

from octodns.record import Record
from octodns.zone import Zone

from undrift import errors, interfaces
from undrift.lib import globs
from undrift.model import resource, source
from undrift.providers.dns import (
    checking,
    declaring,
    entry,
    gathering,
    kinds,
    naming,
    records,
    settings,
    zonefiles,
)


def load(rendered: interfaces.Rendered, given: settings.Settings) -> resource.DesiredState:
    """Everything that is declared. Raises `ResourceInvalid` and `ResourceTwice`, all at once."""
    draft = gathering.Draft()
    draft.take(_entries(rendered, given))
    zones = draft.zones()
    judged = checking.check(zones)
    wrong = [*draft.wrong, *judged.wrong]
    if wrong:
        raise errors.gather(sorted(wrong, key=lambda one: (str(one.origin), one.what)))
    found = dict(_resources(zones, given, wrong))
    if wrong:
        raise errors.gather(wrong)
    return resource.DesiredState(found, judged.warnings)


def _entries(
    rendered: interfaces.Rendered, given: settings.Settings
) -> Iterator[gathering.Found | errors.UndriftError | str]:
    for document in rendered.documents:
        zone = _zone_of(document.file)
        if isinstance(zone, errors.UndriftError):
            yield zone
            continue
        yield zone
        declared = declaring.Declared(
            zone,
            document.file,
            document.data,
            document.positions,
            given.default_ttl,
            given.escaped_semicolons,
        )
        over = globs.matches(document.file, given.overrides)
        for one in declared.entries():
            yield gathering.Found(one, over) if isinstance(one, entry.Entry) else one
    for path, file in sorted(rendered.files.items()):
        if file.kind is source.FileKind.LINK or not globs.matches(path, given.zone_files):
            continue
        zone = _zone_of(path)
        if isinstance(zone, errors.UndriftError):
            yield zone
            continue
        yield zone
        read = zonefiles.read(file.content, zone, _place(path, rendered))
        yield from read.wrong
        over = globs.matches(path, given.overrides)
        for one in read.entries:
            yield gathering.Found(one, over)


def _place(path: str, rendered: interfaces.Rendered) -> str:
    return posixpath.normpath(posixpath.join(rendered.path, path))


def _zone_of(path: str) -> str | errors.UndriftError:
    try:
        zone = naming.zone_of(path)
    except ValueError as error:
        return _nameless(path, str(error))
    return zone or _nameless(path, "its name names no zone")


def _nameless(path: str, why: str) -> errors.UndriftError:
    return errors.ResourceInvalid(
        f"{posixpath.basename(path)} is no zone",
        origin=errors.Origin(path),
        why=why,
        hint="call it as its zone: example.org.yaml, example.org.zone, or a folder example.org.",
    )


def _resources(
    zones: Mapping[str, list[entry.Entry]], given: settings.Settings, wrong: list[errors.UndriftError]
) -> Iterator[tuple[resource.ResourceId, resource.Resource]]:
    for name, entries in zones.items():
        zone = Zone(name, [inner for other in zones if (inner := kinds.below(name, other))])
        if given.of(name).ownership is settings.Ownership.ZONE:
            yield kinds.zone_id(name), _zone(name, entries)
        adopt = given.of(name).ownership is settings.Ownership.ZONE
        for one in entries:
            try:
                record = records.declared(one, zone, escaped=given.escaped_semicolons)
            except errors.UndriftError as error:
                wrong.append(error)
                continue
            rid = records.rid_of(record, name)
            yield rid, _resource(rid, record, one, adopt=adopt)


def _zone(name: str, entries: list[entry.Entry]) -> resource.Resource:
    origin = errors.Origin(entries[0].origin.file) if entries else None
    return resource.Resource(kinds.zone_id(name), {}, origin, adopt=True)


def _resource(
    rid: resource.ResourceId, record: Record, one: entry.Entry, *, adopt: bool
) -> resource.Resource:
    found = records.fields(record)
    places = dict(zip(one.values, one.places, strict=False))
    lines = {
        f"values.{index}": (place.line, place.column)
        for index, value in enumerate(found.get("values", ()))
        if (place := places.get(value)) is not None
    }
    return resource.Resource(
        rid,
        found,
        one.origin,
        adopt=adopt,
        settings={records.RECORD: record},
        lines=lines,
    )
