"""Single documents → one `Configuration`: names made unique, references checked, defaults filled in. Pure."""

from __future__ import annotations

import copy
import dataclasses
import functools
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from typing import TypeVar

from undrift import errors
from undrift.config import configuration, connection, declared, documents, part, references, translating
from undrift.model import application, source


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Translated:
    """An application and what it was translated from: its document, its target's, what stands above it."""

    document: declared.Declared[documents.Application]
    place: declared.Declared[part.Document]
    above: translating.Above
    application: application.Application
    digest: str


Memo = MutableMapping[str, Translated]
"""Applications by name: most are the same after a commit."""

_D = TypeVar("_D", bound=part.Document)
_V = TypeVar("_V")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What reading found: sound documents, broken ones with a name, and errors that belong to neither.

    `uncertain` are generators that may have made more than is known.
    """

    revision: source.Revision
    sound: Sequence[declared.Declared[part.Document]]
    spoiled: Sequence[declared.Spoiled] = ()
    errors: Sequence[errors.UndriftError] = ()
    unreadable_files: frozenset[str] = frozenset()
    looked_into: frozenset[str] = frozenset()
    uncertain: frozenset[str] = frozenset()
    complete: bool = True


def assemble(material: Material, memo: Memo) -> configuration.Configuration:
    """The configuration; never raises for what was declared. `memo` is kept between calls by the caller."""
    findings: list[references.Finding] = []
    index = _note(_index(material), references.unique(_places(material)), findings)
    index = _note(index, references.reserved(index), findings)
    served, lost = references.agents_of_targets(index)
    index = _note(index, lost, findings)
    index = _note(index, references.used(index), findings)
    index = _note(
        index,
        [*references.dependencies(index), *references.outputs(index), *references.moves(index)],
        findings,
    )
    projects = _all(index, documents.Project, translating.to_project)
    applications = _applications(index, projects, served, memo)
    return configuration.Configuration(
        revision=material.revision,
        agents=_all(index, documents.Agent, translating.to_agent),
        applications={name: each.application for name, each in applications.items()},
        projects={"default": application.DEFAULT_PROJECT, **projects},
        targets=_all(
            index,
            documents.Target,
            lambda found, origin: translating.to_target(found, origin, served[found.metadata.name]),
        ),
        sources=_all(index, connection.Source, translating.to_source),
        notifiers=_all(index, connection.Notifier, translating.to_notifier),
        errors=_told(material, findings),
        faults={name: found for (kind, name), found in index.spoiled.items() if kind == "Application"},
        spoiled=frozenset(index.spoiled) | {("ApplicationGenerator", name) for name in material.uncertain},
        mentioned=_mentioned(material, index),
        digests={name: each.digest for name, each in applications.items()},
        unreadable_files=material.unreadable_files,
        looked_into=material.looked_into,
        complete=material.complete,
    )


def _index(material: Material) -> references.Index:
    spoiled: dict[references.Key, tuple[errors.UndriftError, ...]] = {}
    for each in material.spoiled:
        spoiled[each.kind, each.name] = (*spoiled.get((each.kind, each.name), ()), *each.errors)
    return references.Index({each.key: each for each in material.sound if each.key not in spoiled}, spoiled)


def _places(material: Material) -> Iterator[tuple[references.Key, Callable[[], errors.Origin]]]:
    for sound in material.sound:
        yield sound.key, functools.partial(sound.places.of, ("metadata", "name"))
    for spoiled in material.spoiled:
        yield (spoiled.kind, spoiled.name), functools.partial(_origin, spoiled)


def _origin(spoiled: declared.Spoiled) -> errors.Origin:
    return spoiled.origin


def _note(
    index: references.Index, found: Iterable[references.Finding], findings: list[references.Finding]
) -> references.Index:
    """The index without what something was found about."""
    new = list(found)
    findings.extend(new)
    return index.without(new) if new else index


def _all(
    index: references.Index, model: type[_D], translate: Callable[[_D, errors.Origin], _V]
) -> dict[str, _V]:
    return {each.name: translate(each.document, each.origin) for each in index.of(model)}


def _applications(
    index: references.Index,
    projects: Mapping[str, application.Project],
    served: Mapping[str, str],
    memo: Memo,
) -> Mapping[str, Translated]:
    agents = {each.name: each.document.spec.defaults for each in index.of(documents.Agent)}

    @functools.cache
    def above(
        project: str, agent: str, generator: str, policy: str | None, rollout: application.Rollout | None
    ) -> translating.Above:
        return translating.Above(
            projects.get(project, application.DEFAULT_PROJECT),
            agents.get(agent, translating.NOTHING_ABOVE.defaults),
            generator,
            policy,
            rollout,
        )

    found: dict[str, Translated] = {}
    for name, each in index.applications.items():
        spec = each.document.spec
        place = index.sound["Target", spec.target]
        over = above(spec.project, served[spec.target], each.generator, each.policy, each.rollout)
        known = memo.get(name)
        if known is None or known.document is not each or known.place is not place or known.above != over:
            known = memo[name] = _translate(each, place, over)
        found[name] = known
    for gone in [name for name in memo if name not in found]:
        del memo[gone]
    return found


def _translate(
    each: declared.Declared[documents.Application],
    place: declared.Declared[part.Document],
    above: translating.Above,
) -> Translated:
    made = translating.to_application(each.document, each.origin, above)
    if made.outputs:
        placed = (
            dataclasses.replace(one, origin=each.places.of(("spec", "outputs", one.name)))
            for one in made.outputs
        )
        made = dataclasses.replace(made, outputs=tuple(placed))
    digest = "sha256:" + hashlib.sha256(f"{each.digest} {place.digest}".encode()).hexdigest()
    return Translated(each, place, above, made, digest)


def _told(material: Material, findings: Iterable[references.Finding]) -> tuple[errors.UndriftError, ...]:
    """Every error once, in the order of files and lines, each knowing the commit.

    They are copies: what was read is kept between commits, and an error belongs to one. A template that is
    wrong is wrong for every element; that is said once.
    """
    found = [
        *material.errors,
        *(error for each in material.spoiled for error in each.errors),
        *(each.error for each in findings if each.news),
    ]
    nowhere = errors.Origin("")
    alike: dict[tuple[object, ...], list[errors.UndriftError]] = {}
    for error in found:
        alike.setdefault((type(error), error.what, error.origin), []).append(error)
    told: list[errors.UndriftError] = []
    for same in alike.values():
        error = copy.copy(same[0]).at(str(material.revision), material.revision.author)
        if len(same) > 1:
            error.why += f" (and {len(same) - 1} more like it)"
        told.append(error)
    return tuple(sorted(told, key=lambda each: (each.origin or nowhere, each.what)))


def _mentioned(material: Material, index: references.Index) -> frozenset[str]:
    """Words in documents that cannot be used: any of them may be the former name of an application."""
    words = {word for each in material.spoiled for word in each.mentions}
    for each in material.sound:
        if each.key in index.spoiled and isinstance(each.document, documents.Application):
            words.update(each.document.spec.moved_from)
    return frozenset(words)
