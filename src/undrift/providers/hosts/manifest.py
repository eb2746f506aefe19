"""Manifests and the files beside them → resources, each with its origin. Pure; everything wrong is said at once."""

from __future__ import annotations

import dataclasses
import posixpath
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import pydantic
from pydantic import alias_generators

from undrift import errors, interfaces
from undrift.lib import words
from undrift.model import resource, target
from undrift.providers.hosts import content, explaining, form, kinds, loading, running, settings, trees
from undrift.providers.hosts.system import declaring

_READERS: Final[Mapping[str, Callable[[loading.Reading, Any, errors.Origin], None]]] = {
    **declaring.READERS,
    "directories": trees.add_directory,
    "archives": trees.add_archive,
    "files": trees.add_file,
    "links": trees.add_link,
    "blocks": trees.add_block,
    "commands": running.add_command,
    "services": running.add_service,
}


def load(
    rendered: interfaces.Rendered, facts: target.Facts, place: settings.Settings
) -> resource.DesiredState:
    """The desired state of a host. Raises `ValidationError`s, several at once."""
    draft = loading.Draft(place, content.Library(rendered))
    read: list[tuple[loading.Reading, form.Host]] = []
    for document in rendered.documents:
        host = _parse(document, draft)
        if host is not None:
            variables = {**host.spec.vars, **place.variables, "facts": dict(facts.values), "root": place.root}
            read.append((loading.Reading(draft, document, variables), host))
    for name, reader in _READERS.items():
        for reading, host in read:
            for index, item in enumerate(host.spec.entries(name)):
                _take(reading, reader, item, ("spec", alias_generators.to_camel(name), index))
    declaring.connect(draft)
    running.resolve_triggers(draft)
    _resolve_edges(draft)
    if draft.wrong:
        raise errors.gather(sorted(draft.wrong, key=lambda error: error.origin or errors.Origin("")))
    return resource.DesiredState({rid: _with_parent(one, draft.found) for rid, one in draft.found.items()})


def _parse(document: interfaces.Document, draft: loading.Draft) -> form.Host | None:
    told = document.data if isinstance(document.data, Mapping) else {}
    version, kind = told.get("apiVersion"), told.get("kind")
    if version != form.API_VERSION or kind != form.KIND:
        draft.wrong.append(
            errors.ResourceInvalid(
                "this is not a manifest of a host",
                origin=explaining.origin(document, ("apiVersion",)),
                why=f"it is {kind or 'no kind'} of {version or 'no apiVersion'}",
                hint=f"write apiVersion: {form.API_VERSION} and kind: {form.KIND}, or move the file "
                "to files/",
            )
        )
        return None
    try:
        return form.Host.model_validate(document.data)
    except pydantic.ValidationError as error:
        draft.wrong.extend(explaining.explain(error, form.Host, document))
        return None


def _take(
    reading: loading.Reading,
    reader: Callable[[loading.Reading, Any, errors.Origin], None],
    item: Any,
    location: explaining.Location,
) -> None:
    origin = reading.origin(location)
    try:
        reader(reading, item, origin)
    except errors.UndriftError as error:
        error.origin = error.origin or origin
        reading.draft.wrong.extend(error.parts)


def _resolve_edges(draft: loading.Draft) -> None:
    for pending in draft.edges:
        wanted: list[resource.ResourceId] = []
        for text in pending.wanted:
            found = list(_named(text, draft.found))
            if not found:
                draft.wrong.append(_unknown(text, pending, draft))
            wanted += (rid for rid in found if rid != pending.of)
        known = draft.found.get(pending.of)
        if known is not None:
            edges = dict.fromkeys((*known.depends_on, *wanted))
            draft.found[pending.of] = dataclasses.replace(known, depends_on=tuple(edges))


def _named(
    text: str, found: Mapping[resource.ResourceId, resource.Resource]
) -> Iterator[resource.ResourceId]:
    """What an edge means: `Kind/name`, or a path."""
    if text.startswith("/"):
        path = posixpath.normpath(text)
        for kind in sorted(kinds.AT_PATHS):
            rid = resource.ResourceId.of(kind, path)
            if rid in found:
                yield rid
        return
    kind, _, name = text.partition("/")
    rid = resource.ResourceId.of(kind, name)
    if rid in found:
        yield rid


def _unknown(text: str, pending: loading.Pending, draft: loading.Draft) -> errors.ResourceInvalid:
    known = [str(rid) for rid in draft.found if rid != pending.of]
    if text.startswith("/"):
        known = [rid.name for rid in draft.found if rid.kind in kinds.AT_PATHS]
    return errors.ResourceInvalid(
        f"{pending.field} of {pending.of} names {text}, which this application does not declare",
        origin=pending.origin,
        hint=words.suggestion(text, known[:1000]) or "write Kind/name, such as Service/web, or a path",
    )


def _with_parent(
    one: resource.Resource, found: Mapping[resource.ResourceId, resource.Resource]
) -> resource.Resource:
    """With an edge to the nearest declared directory around it; a block or a line needs its file, too."""
    path = kinds.path_of(one.id)
    if not path or path == "/":
        return one
    needs: list[resource.ResourceId] = []
    if one.id.kind == kinds.BLOCK and resource.ResourceId.of(kinds.LINK, path) in found:
        needs.append(resource.ResourceId.of(kinds.LINK, path))
    folder = posixpath.dirname(path)
    while True:
        rid = resource.ResourceId.of(kinds.DIRECTORY, folder)
        if rid in found:
            needs.append(rid)
            break
        if folder == "/":
            break
        folder = posixpath.dirname(folder)
    extra = tuple(need for need in needs if need not in one.depends_on)
    return dataclasses.replace(one, depends_on=(*one.depends_on, *extra)) if extra else one
