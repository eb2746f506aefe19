"""Do the documents fit one another? Pure: names that nobody declared, names declared twice, circles, collisions.

Every finding belongs to one document. What is wrong with one application never stops another; what an
application uses (its Target, Source, Project, the Agent of its target) and is broken breaks the application.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeVar, cast

from undrift import errors
from undrift.config import configuration, declared, documents, part
from undrift.engine import passing
from undrift.lib import words
from undrift.model import elsewhere, target

Key = tuple[str, str]
"""Kind and name."""

_D = TypeVar("_D", bound=part.Document)
_FEW: Final = 10
_SOURCE: Final = ("spec", "source", "name")


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """Something is wrong with the document `key`. `news` is False when it is told elsewhere already."""

    key: Key
    error: errors.UndriftError
    news: bool = True


class Index:
    """The documents that are right in themselves, by kind and name; and those that are not."""

    def __init__(
        self,
        sound: Mapping[Key, declared.Declared[part.Document]],
        spoiled: Mapping[Key, tuple[errors.UndriftError, ...]],
    ) -> None:
        self.sound = sound
        self.spoiled = spoiled
        self.applications: Mapping[str, declared.Declared[documents.Application]] = {
            key[1]: cast("declared.Declared[documents.Application]", each)
            for key, each in sound.items()
            if key[0] == "Application"
        }

    def of(self, model: type[_D]) -> list[declared.Declared[_D]]:
        """The sound documents of a kind."""
        kind = model.__name__
        return [cast("declared.Declared[_D]", each) for key, each in self.sound.items() if key[0] == kind]

    def names(self, kind: str) -> list[str]:
        """The names of a kind, of sound and spoiled documents."""
        return [name for known, name in (*self.sound, *self.spoiled) if known == kind]

    def without(self, findings: Sequence[Finding]) -> Index:
        """The same without the documents that something is wrong with."""
        if not findings:
            return self
        spoiled = dict(self.spoiled)
        for finding in findings:
            spoiled[finding.key] = (*spoiled.get(finding.key, ()), finding.error)
        return Index({key: each for key, each in self.sound.items() if key not in spoiled}, spoiled)


def unique(places: Iterable[tuple[Key, Callable[[], errors.Origin]]]) -> Iterator[Finding]:
    """Names that are taken twice: an error at each further place. `places` tell where the names are."""
    first: dict[Key, Callable[[], errors.Origin]] = {}
    for key, place in places:
        if key in first:
            error = errors.NameTaken(
                f"{key[0]} {key[1]} is declared twice",
                origin=place(),
                why=f"the other is at {first[key]()}",
                hint="rename or remove one of them; until then what they own stays as it is",
            )
            yield Finding(key, error)
        first.setdefault(key, place)


def reserved(index: Index) -> Iterator[Finding]:
    """Names that are ours."""
    key = ("Source", part.CONFIG_SOURCE)
    if key in index.sound:
        yield Finding(
            key,
            errors.NameTaken(
                f"Source {part.CONFIG_SOURCE} is always there: it is the config repository itself",
                origin=index.sound[key].places.of(("metadata", "name")),
                hint="give this one another name",
            ),
        )


def agents_of_targets(index: Index) -> tuple[Mapping[str, str], list[Finding]]:
    """The agent that serves each target, and the targets that nobody knows an agent of."""
    known = index.names("Agent")
    served: dict[str, str] = {}
    findings: list[Finding] = []
    for each in index.of(documents.Target):
        name, named = each.name, each.document.spec.agent
        if named is None and len(known) > 1:
            findings.append(Finding(each.key, _which_agent(name, each, known)))
            continue
        agent = named or (known[0] if known else "")
        found = _refer(index, "Agent", agent, each, ("spec", "agent")) if agent else None
        if found is not None:
            findings.append(dataclasses.replace(found, key=each.key))
        else:
            served[name] = agent
    return served, findings


def _which_agent(
    name: str, each: declared.Declared[part.Document], known: Sequence[str]
) -> errors.ReferenceUnknown:
    return errors.ReferenceUnknown(
        f"Target {name} does not say which agent serves it",
        origin=each.places.of(("spec",)),
        why=f"there are several: {', '.join(sorted(known))}",
        hint=f"add `agent: {min(known)}` (or another of them) to its spec",
    )


def used(index: Index) -> Iterator[Finding]:
    """Applications whose Target, Source or Project is not declared, or is broken itself."""
    for name, each in index.applications.items():
        spec = each.document.spec
        uses: list[tuple[str, str, declared.Location]] = [("Target", spec.target, ("spec", "target"))]
        if spec.source.name != part.CONFIG_SOURCE:
            uses.append(("Source", spec.source.name, _SOURCE))
        others = elsewhere.sources(spec.renderer.model_extra) - {part.CONFIG_SOURCE}
        uses.extend(("Source", other, ("spec", "renderer")) for other in sorted(others))
        if spec.project != "default" or ("Project", "default") in index.spoiled:
            uses.append(("Project", spec.project, ("spec", "project")))
        for kind, wanted, path in uses:
            found = _refer(index, kind, wanted, each, path)
            if found is not None:
                yield dataclasses.replace(found, key=("Application", name))


def _refer(
    index: Index, kind: str, wanted: str, by: declared.Declared[part.Document], path: declared.Location
) -> Finding | None:
    key = (kind, wanted)
    if key in index.sound:
        return None
    if key in index.spoiled:
        error = index.spoiled[key][0]
        return Finding(key, error, news=False)
    return Finding(key, _unknown(kind, wanted, by.places.of(path), index.names(kind)))


def _unknown(
    kind: str, wanted: str, origin: errors.Origin, known: Collection[str]
) -> errors.ReferenceUnknown:
    nearest = _nearest(wanted, frozenset(known))
    if nearest:
        hint = f"did you mean {nearest}?"
    elif known:
        hint = f"declared are {', '.join(sorted(known)[:_FEW])}" + (" …" if len(known) > _FEW else "")
    else:
        hint = f"no {kind} is declared; add a document with kind: {kind}"
    return errors.ReferenceUnknown(f"{kind} {wanted} is not declared", origin=origin, hint=hint)


@functools.lru_cache(64)
def _nearest(wanted: str, known: frozenset[str]) -> str | None:
    """Kept, because a name that is gone is missed by many."""
    return words.nearest(wanted, sorted(known))


def dependencies(index: Index) -> Iterator[Finding]:
    """Applications that depend on one that is not declared, or on themselves in a circle."""
    found = index.applications
    known = set(index.names("Application"))
    depending = {name: each for name, each in found.items() if each.document.spec.depends_on}
    for name, each in depending.items():
        for number, wanted in enumerate(each.document.spec.depends_on):
            if wanted not in known:
                origin = each.places.of(("spec", "dependsOn", number))
                yield Finding(("Application", name), _unknown("Application", wanted, origin, known))
    edges = {
        name: [each for each in depending[name].document.spec.depends_on if each in depending]
        for name in depending
    }
    for circle in circles(edges):
        each = found[circle[0]]
        number = each.document.spec.depends_on.index(circle[1 % len(circle)])
        error = errors.DependencyCycle(
            "applications depend on one another in a circle",
            origin=each.places.of(("spec", "dependsOn", number)),
            why=" → ".join((*circle, circle[0])),
            hint="take one of these dependsOn out",
        )
        for place, name in enumerate(circle):
            yield Finding(("Application", name), error, news=place == 0)


def outputs(index: Index) -> Iterator[Finding]:
    """Applications whose renderer's settings name an output that there is not, or of one that they do not depend on."""
    found = index.applications
    for name, each in found.items():
        spec = each.document.spec
        for path, other, wanted in passing.references(spec.renderer.model_extra or {}):
            origin = each.places.of(("spec", "renderer", *path))
            error: errors.ConfigError | None = None
            if other not in spec.depends_on:
                error = errors.ReferenceUnknown(
                    f"output {wanted} of {other} is used, on which {name} does not depend",
                    origin=origin,
                    hint=f"add {other} to dependsOn"
                    if other in found
                    else words.suggestion(other, sorted(spec.depends_on)[:_FEW]),
                )
            elif other in found and wanted not in found[other].document.spec.outputs:
                known = sorted(found[other].document.spec.outputs)
                error = errors.ReferenceUnknown(
                    f"{other} publishes no output {wanted}",
                    origin=origin,
                    hint=words.suggestion(wanted, known) or f"declare it in spec.outputs of {other}",
                )
            if error is not None:
                yield Finding(("Application", name), error)


def circles(edges: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, ...]]:
    """Circles in a graph, each once and beginning with its smallest name; together they hold every node that
    is on any circle. Never recursive: a chain may be long.
    """
    alive = _without_ends(edges)
    told: set[str] = set()
    for start in sorted(alive):
        circle = () if start in told else _way_back(start, alive)
        if circle:
            told.update(circle)
            least = circle.index(min(circle))
            yield (*circle[least:], *circle[:least])


def _without_ends(edges: Mapping[str, Sequence[str]]) -> Mapping[str, frozenset[str]]:
    """What is left of a graph when nodes that lead nowhere are taken away again and again."""
    waiting = {name: len(set(each)) for name, each in edges.items()}
    before: dict[str, list[str]] = {}
    for name, each in edges.items():
        for after in set(each):
            before.setdefault(after, []).append(name)
    ends = [name for name, count in waiting.items() if not count]
    for name in ends:  # grows while it is worked off
        del waiting[name]
        for earlier in before.get(name, ()):
            waiting[earlier] -= 1
            if not waiting[earlier]:
                ends.append(earlier)
    return {name: frozenset(edges[name]) & waiting.keys() for name in waiting}


def _way_back(start: str, edges: Mapping[str, Collection[str]]) -> tuple[str, ...]:
    """The shortest way from `start` to itself, without its end; empty when there is none."""
    came: dict[str, str] = {}
    queue = [start]
    for name in queue:
        for after in sorted(edges.get(name, ())):
            if after == start:
                way = [name]
                while way[-1] != start:
                    way.append(came[way[-1]])
                return tuple(reversed(way))
            if after in edges and after not in came:
                came[after] = name
                queue.append(after)
    return ()


def moves(index: Index) -> Iterator[Finding]:
    """Applications that claim a former name which another has, or claims too."""
    found = index.applications
    known = set(index.names("Application"))
    claims: dict[str, str] = {}
    for name, each in found.items():
        for number, former in enumerate(each.document.spec.moved_from):
            origin = each.places.of(("spec", "movedFrom", number))
            other = claims.setdefault(former, name)
            if former in known:
                why = "it is its own name" if former == name else f"an application {former} is declared"
                yield Finding(("Application", name), _collision(name, former, origin, why))
            elif other != name:
                there = found[other].origin
                yield Finding(
                    ("Application", name),
                    _collision(name, former, origin, f"{other} says so too, at {there}"),
                )
                yield Finding(
                    ("Application", other), _collision(name, former, origin, "two say so"), news=False
                )


def _collision(name: str, former: str, origin: errors.Origin, why: str) -> errors.NameTaken:
    return errors.NameTaken(
        f"{name} cannot have been {former} before",
        origin=origin,
        why=why,
        hint="what an application owns goes to one successor: correct movedFrom (or use takesFrom to share)",
    )


def keep_targets(
    before: Mapping[str, target.Target],
    after: configuration.Configuration,
    users: Mapping[str, str],
    leaving: Collection[str] = (),
) -> tuple[Mapping[str, target.Target], tuple[errors.TargetInUse, ...]]:
    """The targets to work with after a commit: the declared ones, and removed ones that are still in use.

    `before` are those that were worked with until now, `users` maps applications (also those that left Git and
    still own something) to their target. A target that is only broken stays as it was, without another error; so does
    one whose users are all `leaving`: it goes with the last of them.
    """
    kept: dict[str, target.Target] = dict(after.targets)
    found: list[errors.TargetInUse] = []
    for name in sorted(set(users.values()) & before.keys() - after.targets.keys()):
        kept[name] = before[name]
        if ("Target", name) in after.spoiled or not after.complete:
            continue
        using = sorted(user for user, place in users.items() if place == name and user not in leaving)
        if not using:
            continue
        found.append(
            errors.TargetInUse(
                f"Target {name} was removed while it is in use",
                origin=before[name].origin,
                why=f"applications own something there: {', '.join(using[:_FEW])}"
                + (" …" if len(using) > _FEW else ""),
                hint="put it back, or remove the applications, too",
            )
        )
    return kept, tuple(found)
