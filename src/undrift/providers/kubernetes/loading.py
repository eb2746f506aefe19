"""Manifests → resources, each with its origin. Pure: everything that is wrong is told at once."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from undrift import errors, interfaces
from undrift.lib import words, yaml
from undrift.model import resource
from undrift.providers.kubernetes import discovery, hiding, kinds, marks, referring, schemas

WAVE: Final = "undrift.dev/wave"
DEPENDS_ON: Final = "undrift.dev/depends-on"
PRUNE: Final = "undrift.dev/prune"
ADOPT: Final = "undrift.dev/adopt"
RENEW: Final = "undrift.dev/renew"
RUN: Final = "undrift.dev/run"
PROPAGATION: Final = "undrift.dev/propagation"
ON_DELETE: Final = "undrift.dev/on-delete"
ON_DELETE_WAVE: Final = "undrift.dev/on-delete-wave"
PROPAGATIONS: Final = ("Background", "Foreground", "Orphan")
_KNOWN: Final = (WAVE, DEPENDS_ON, PRUNE, ADOPT, RENEW, RUN, PROPAGATION, ON_DELETE, ON_DELETE_WAVE)
_ALSO: Final = "also "
_SERVERS: Final = frozenset(
    {
        "creationTimestamp",
        "generation",
        "managedFields",
        "resourceVersion",
        "selfLink",
        "uid",
        "name",
        "namespace",
    }
)
_NAME: Final = re.compile(r"[^/%\s]+\Z")
_FARTHEST: Final = 1_000_000
_BASES: Final = {resource.Farewell.BEFORE: -2 * _FARTHEST, resource.Farewell.AFTER: 2 * _FARTHEST}
"""Waves of farewells begin here: what comes before all deletions never shares a wave with what comes after."""
_Path = tuple[str | int, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Manifest:
    """One object of a document: its data, and how its fields are found in the file."""

    document: interfaces.Document
    data: Mapping[str, Any]
    path: _Path = ()

    def origin(self, *steps: str | int) -> errors.Origin:
        """Where a field stands in Git, or the nearest thing around it that does."""
        line, column = yaml.nearest(self.document.positions, (*self.path, *steps))
        return errors.Origin(self.document.file, line, column)

    def invalid(self, why: str, *steps: str | int, hint: str = "") -> errors.ResourceInvalid:
        """What is wrong with a field."""
        return errors.ResourceInvalid(
            f"{self.title} cannot be used", origin=self.origin(*steps), why=why, hint=hint
        )

    @property
    def title(self) -> str:
        """How people would call it, whatever is missing."""
        metadata = self.data.get("metadata")
        named = metadata.get("name") if isinstance(metadata, Mapping) else None
        kind = self.data.get("kind")
        return "/".join(str(part) for part in (kind, named) if part) or "a document"


def kinds_of(rendered: interfaces.Rendered) -> frozenset[tuple[str, str]]:
    """`apiVersion` and kind of everything that was rendered."""
    manifests = (one for document in rendered.documents for one in _flatten(document, []))
    return frozenset((str(one.data.get("apiVersion")), str(one.data.get("kind"))) for one in manifests)


def load(
    rendered: interfaces.Rendered,
    served: discovery.Apis,
    namespace: str,
    known: schemas.Schemas | None = None,
) -> resource.DesiredState:
    """The desired state of an application. Raises `ResourceInvalid` and `ResourceTwice`, all at once.

    `namespace` is for resources that name none of their own; `known` are the schemas that objects have to fit.
    """
    draft = _Draft(served, namespace or "default", known)
    manifests = [one for document in rendered.documents for one in _flatten(document, draft.wrong)]
    for one in manifests:
        draft.define(one)
    for one in manifests:
        draft.take(one)
    draft.resolve()
    if draft.wrong:
        raise errors.gather(draft.wrong)
    return resource.DesiredState(draft.found, tuple(draft.warnings), draft.farewells)


def _flatten(document: interfaces.Document, wrong: list[errors.UndriftError]) -> Iterator[Manifest]:
    """A document's objects: itself, or the items of a list."""
    whole = Manifest(document, document.data if isinstance(document.data, Mapping) else {})
    if not isinstance(document.data, Mapping):
        wrong.append(whole.invalid("it should be a mapping with apiVersion, kind and metadata"))
        return
    if not _is_list(document.data):
        yield whole
        return
    for index, item in enumerate(document.data.get("items") or ()):
        part = Manifest(document, item if isinstance(item, Mapping) else {}, ("items", index))
        if isinstance(item, Mapping):
            yield part
        else:
            wrong.append(part.invalid("an item of a list should be a mapping"))


def _is_list(data: Mapping[str, Any]) -> bool:
    kind = data.get("kind")
    return (
        isinstance(kind, str)
        and kind.endswith("List")
        and "items" in data
        and "metadata" not in data.get("spec", {})
    )


class _Draft:
    """Everything found so far; lives for one call of `load`."""

    def __init__(self, served: discovery.Apis, namespace: str, known: schemas.Schemas | None) -> None:
        self.served = served
        self._schemas = known
        self.namespace = namespace
        self.found: dict[resource.ResourceId, resource.Resource] = {}
        self.farewells: dict[resource.ResourceId, resource.Resource] = {}
        self.wrong: list[errors.UndriftError] = []
        self.warnings: list[errors.UndriftError] = []
        self._defined: dict[str, tuple[discovery.Api, resource.ResourceId]] = {}
        self._edges: list[tuple[resource.ResourceId, Manifest, str]] = []

    def define(self, one: Manifest) -> None:
        """Note the kind that a CustomResourceDefinition of this application defines."""
        data = one.data
        spec = data.get("spec")
        if data.get("kind") != "CustomResourceDefinition" or not isinstance(spec, Mapping):
            return
        names, group = spec.get("names"), spec.get("group")
        if not isinstance(names, Mapping) or not isinstance(group, str):
            return
        versions = [each for each in spec.get("versions") or () if isinstance(each, Mapping)]
        made = discovery.Api(
            group,
            str(names.get("kind", "")),
            str(names.get("plural", "")),
            spec.get("scope") == "Namespaced",
            tuple(str(each.get("name")) for each in versions if each.get("served", True)),
        )
        name = (data.get("metadata") or {}).get("name", "")
        self._defined[made.name] = made, resource.ResourceId.of(kinds.DEFINITION, str(name))

    def take(self, one: Manifest) -> None:
        """Take an object in, or note what is wrong with it."""
        try:
            made = self._resource(one)
            ended = _at_end(made, one)
        except errors.UndriftError as error:
            self.wrong.append(error)
            return
        if self._schemas is not None:
            for found in self._schemas.check(one.data):
                self.wrong.append(one.invalid(found.why, *found.path, hint=found.hint))
        among = self.found if made.farewell is None else self.farewells
        if ended is not None:
            self.farewells.setdefault(made.id, ended)
        first = among.get(made.id)
        if first is not None:
            self.wrong.append(
                errors.ResourceTwice(
                    f"{made.id} is declared twice",
                    origin=made.origin,
                    why=f"it is declared at {first.origin}, too",
                    hint="keep one of the two",
                )
            )
            return
        among[made.id] = made
        wanted = _annotations(one.data).get(DEPENDS_ON)
        if wanted and made.farewell is None:
            self._edges.append((made.id, one, str(wanted)))

    def resolve(self) -> None:
        """Turn the edges that were written into ids."""
        for rid, one, written in self._edges:
            needs: list[resource.ResourceId] = []
            for name in filter(None, (part.strip() for part in written.split(","))):
                found = self._named(name, rid)
                if found is None:
                    known = [str(each) for each in self.found]
                    hint = (
                        words.suggestion(name, known)
                        or "write kind/name or kind/namespace/name, separated by commas"
                    )
                    where = ("metadata", "annotations", DEPENDS_ON)
                    self.wrong.append(
                        one.invalid(f"{DEPENDS_ON}: {name} is not declared here", *where, hint=hint)
                    )
                else:
                    needs.append(found)
            before = self.found[rid]
            self.found[rid] = dataclasses.replace(before, depends_on=(*before.depends_on, *needs))

    def _named(self, name: str, of: resource.ResourceId) -> resource.ResourceId | None:
        parts = name.split("/")
        spaces = [parts[1]] if len(parts) == 3 else ["", of.namespace, self.namespace]  # noqa: PLR2004 - kind/namespace/name
        tries = (resource.ResourceId(parts[0], space, parts[-1]) for space in spaces)
        return next((rid for rid in tries if rid in self.found), None)

    def _resource(self, one: Manifest) -> resource.Resource:
        data = one.data
        api, definition = self._api(one)
        metadata = data.get("metadata")
        if not isinstance(metadata, Mapping):
            raise one.invalid("it has no metadata", hint="write metadata: {name: …}")
        rid = self._id(one, api, metadata)
        annotations = _annotations(data)
        self._reserved(one, metadata, annotations)
        _propagation(one, annotations)
        farewell = None if str(annotations.get(ON_DELETE)).startswith(_ALSO) else _farewell(one, annotations)
        return resource.Resource(
            rid,
            _fields(data, rid, hidden=one.document.secret),
            one.origin(),
            wave=_wave(one, annotations) if farewell is None else _last_wave(one, annotations, farewell),
            depends_on=(definition,) if definition is not None else (),
            protected=_truth(one, annotations, PRUNE, default=True) is False,
            adopt=_truth(one, annotations, ADOPT, default=False),
            renew=_truth(one, annotations, RENEW, default=False),
            vanishes=_vanishes(rid, data),
            lines=_lines(one, rid),
            farewell=farewell,
        )

    def _api(self, one: Manifest) -> tuple[discovery.Api, resource.ResourceId | None]:
        """The kind of an object, and the definition that brings it when it is part of this application."""
        version, kind = one.data.get("apiVersion"), one.data.get("kind")
        if not isinstance(version, str) or not version:
            raise one.invalid("it has no apiVersion", "apiVersion")
        if not isinstance(kind, str) or not kind:
            raise one.invalid("it has no kind", "kind")
        name = kinds.name(kind, kinds.group_of(version))
        defined, served = self._defined.get(name), self.served.kinds.get(name)
        if defined is None and served is None:
            raise self._unserved(one, name, version)
        api = defined[0] if defined is not None else served
        wanted = version.rpartition("/")[2]
        versions = {*api.versions, *(served.versions if served is not None else ())} if api else set()
        if api is None or wanted not in versions:
            raise one.invalid(
                f"this cluster does not serve {version} of {kind}",
                "apiVersion",
                hint=f"use {' or '.join(api.version(each) for each in sorted(versions))}" if api else "",
            )
        return api, defined[1] if defined is not None else None

    def _unserved(self, one: Manifest, name: str, version: str) -> errors.UndriftError:
        kind, group = kinds.split(name)
        known = {*self.served.kinds, *self._defined}
        same = sorted(each for each in known if kinds.split(each)[0] == kind)
        hint = f"is it {' or '.join(same)}?" if same else words.suggestion(name, known)
        if group in self.served.stale:
            return errors.TargetUnavailable(
                f"{one.title} cannot be checked",
                origin=one.origin("apiVersion"),
                why=f"the API group {group} does not answer",
                hint="look at the service behind its APIService; it is tried again",
            )
        return one.invalid(
            f"this cluster does not know the kind {kind} of {version}",
            "kind",
            hint=hint
            or "declare its CustomResourceDefinition here, or in an application that this one depends on",
        )

    def _id(self, one: Manifest, api: discovery.Api, metadata: Mapping[str, Any]) -> resource.ResourceId:
        name, namespace = metadata.get("name"), metadata.get("namespace")
        if not name and metadata.get("generateName"):
            raise one.invalid(
                "generateName makes a new one at each apply",
                "metadata",
                "generateName",
                hint="give it a name",
            )
        if not isinstance(name, str) or not _NAME.match(name) or name in {".", ".."}:
            raise one.invalid("metadata.name is missing or no name", "metadata", "name")
        if namespace is not None and not isinstance(namespace, str):
            raise one.invalid("metadata.namespace is no name", "metadata", "namespace")
        if not api.namespaced:
            return resource.ResourceId(api.name, "", name)
        return resource.ResourceId(api.name, namespace or self.namespace, name)

    def _reserved(self, one: Manifest, metadata: Mapping[str, Any], annotations: Mapping[str, Any]) -> None:
        labels = metadata.get("labels")
        if isinstance(labels, Mapping) and marks.LABEL in labels:
            raise one.invalid(
                f"the label {marks.LABEL} is Undrift's own",
                "metadata",
                "labels",
                marks.LABEL,
                hint="remove it",
            )
        for name in annotations:
            if name.startswith(marks.OURS) and name not in _KNOWN:
                hint = words.suggestion(name, _KNOWN) or "remove it"
                raise one.invalid(
                    f"there is no annotation {name}", "metadata", "annotations", name, hint=hint
                )


def _fields(data: Mapping[str, Any], rid: resource.ResourceId, *, hidden: bool) -> dict[str, Any]:
    """What is compared and applied: all but its names, its status, and what only the server writes."""
    if rid.kind == kinds.SECRET:
        data = hiding.of_kind_secret(data)
    if hidden:
        data = hiding.of_encrypted(data)
    metadata = {name: value for name, value in data["metadata"].items() if name not in _SERVERS and value}
    fields = {name: value for name, value in data.items() if name not in {"kind", "metadata", "status"}}
    return {**fields, "metadata": metadata} if metadata else fields


def _lines(one: Manifest, rid: resource.ResourceId) -> dict[str, tuple[int, int]]:
    """Where the fields stand that the causes of trouble are in; only what its own document knows better."""
    found: dict[str, tuple[int, int]] = {}
    for steps in referring.notable(rid, one.data):
        place = one.document.positions.get((*one.path, *steps))
        if place is not None:
            found[referring.written(one.data, steps)] = place
    return found


def _annotations(data: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = data.get("metadata")
    found = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _wave(one: Manifest, annotations: Mapping[str, Any], name: str = WAVE) -> int:
    written = annotations.get(name)
    if written is None:
        return 0
    try:
        wave = int(written)
    except (TypeError, ValueError):
        wave = _FARTHEST + 1
    if abs(wave) > _FARTHEST:
        raise one.invalid(
            f"{name} is no whole number", "metadata", "annotations", name, hint='write "1" or "-1"'
        )
    return wave


def _farewell(one: Manifest, annotations: Mapping[str, Any]) -> resource.Farewell | None:
    written = annotations.get(ON_DELETE)
    if written is None:
        return None
    written = str(written).removeprefix(_ALSO)
    if written not in list(resource.Farewell):
        hint = words.suggestion(written, list(resource.Farewell)) or "write before or after"
        raise one.invalid(f"{ON_DELETE} cannot be {written}", "metadata", "annotations", ON_DELETE, hint=hint)
    return resource.Farewell(written)


def _last_wave(one: Manifest, annotations: Mapping[str, Any], when: resource.Farewell) -> int:
    return _BASES[when] + _wave(one, annotations, ON_DELETE_WAVE if ON_DELETE_WAVE in annotations else WAVE)


def _at_end(made: resource.Resource, one: Manifest) -> resource.Resource | None:
    """What is there all the time, as it is made once more at the end (if it is): a Job that ran runs anew."""
    annotations = _annotations(one.data)
    when = _farewell(one, annotations)
    if when is None or made.farewell is not None:
        return None
    metadata = made.fields["metadata"]
    run = {RUN: f"{when}-{annotations.get(RUN, '')}"} if made.renew else {}
    fields = {**made.fields, "metadata": {**metadata, "annotations": {**metadata["annotations"], **run}}}
    wave = _last_wave(one, annotations, when)
    return dataclasses.replace(made, fields=fields, wave=wave, depends_on=(), farewell=when)


def _propagation(one: Manifest, annotations: Mapping[str, Any]) -> None:
    written = annotations.get(PROPAGATION, PROPAGATIONS[0])
    if written not in PROPAGATIONS:
        hint = words.suggestion(str(written), PROPAGATIONS) or f"write {' or '.join(PROPAGATIONS)}"
        raise one.invalid(
            f"{PROPAGATION} cannot be {written}", "metadata", "annotations", PROPAGATION, hint=hint
        )


def _vanishes(rid: resource.ResourceId, data: Mapping[str, Any]) -> bool:
    """A Job that is told to be removed when it is done."""
    spec = data.get("spec")
    return rid.kind == kinds.JOB and isinstance(spec, Mapping) and "ttlSecondsAfterFinished" in spec


def _truth(one: Manifest, annotations: Mapping[str, Any], name: str, *, default: bool) -> bool:
    written = annotations.get(name)
    if written is None:
        return default
    if written not in {"true", "false"}:
        raise one.invalid(
            f"{name} is neither true nor false",
            "metadata",
            "annotations",
            name,
            hint='write "true" or "false"',
        )
    return bool(written == "true")
