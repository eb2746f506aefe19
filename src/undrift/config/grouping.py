"""Targets and the groups they are in → targets that have all that their groups give them. Pure.

A target wins over its groups, a group over its parents; mappings are merged key by key, everything else is taken
whole. Where two groups say different things and neither is a part of the other, the target (or a group below both) has
to say which: nothing depends on an order.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any, Final, cast

from undrift import errors
from undrift.config import declared, documents, group, part, references
from undrift.lib import canonical, words

Group = declared.Declared[group.TargetGroup]
Target = declared.Declared[documents.Target]
Memo = MutableMapping[str, tuple[Target, tuple[Group, ...], Target]]
"""Targets by name, as they were and as they are with their groups: the same again is the same object."""
_FEW: Final = 10


@dataclasses.dataclass(frozen=True, slots=True)
class Resolved:
    """All documents with whole targets in place of those in groups; and what cannot be made whole."""

    sound: list[declared.Declared[part.Document]]
    spoiled: list[declared.Spoiled]


def resolve(
    sound: Sequence[declared.Declared[part.Document]], spoiled: Sequence[declared.Spoiled], memo: Memo
) -> Resolved:
    """Give every target what its groups have."""
    circle = _in_circles(sound)
    groups = {each.name: each for each in _groups(sound) if each.name not in circle}
    lost = {**{each.name: each.errors for each in spoiled if each.kind == "TargetGroup"}, **circle}
    found = Resolved([], list(spoiled))
    for each in sound:
        if isinstance(each.document, group.TargetGroup) and each.name in circle:
            found.spoiled.append(_spoil(each, circle[each.name]))
        elif isinstance(each.document, group.TargetGroup):
            wrong = tuple(_unknown(each, ("spec", "parents"), each.document.spec.parents, groups, lost))
            found.spoiled.extend([_spoil(each, wrong)] if wrong else [])
            found.sound.extend([] if wrong else [each])
        elif isinstance(each.document, documents.Target):
            _take(cast("Target", each), groups, lost, memo, found)
        else:
            found.sound.append(each)
    for gone in memo.keys() - {each.name for each in sound if each.key[0] == "Target"}:
        del memo[gone]
    return found


def _take(
    each: Target,
    groups: Mapping[str, Group],
    lost: Mapping[str, declared.Errors],
    memo: Memo,
    found: Resolved,
) -> None:
    named = each.document.spec.groups
    if not named:
        found.sound.append(each)
        return
    wrong = tuple(_unknown(each, ("spec", "groups"), named, groups, lost))
    if wrong:
        found.spoiled.append(_spoil(each, wrong))
        return
    above = tuple(groups[name] for name in ancestors(named, groups))
    known = memo.get(each.name)
    if known is not None and known[0] is each and known[1] == above:
        found.sound.append(known[2])
        return
    try:
        made = _whole(each, above, groups)
    except errors.ConfigInvalid as error:
        found.spoiled.append(_spoil(each, error.parts))
        return
    memo[each.name] = each, above, made
    found.sound.append(made)


def targets(sound: Iterable[declared.Declared[part.Document]]) -> list[Target]:
    """The targets among documents."""
    return [cast("Target", each) for each in sound if isinstance(each.document, documents.Target)]


def _groups(sound: Iterable[declared.Declared[part.Document]]) -> list[Group]:
    return [cast("Group", each) for each in sound if isinstance(each.document, group.TargetGroup)]


def _spoil(each: declared.Declared[Any], found: Iterable[errors.UndriftError]) -> declared.Spoiled:
    return declared.Spoiled(each.key[0], each.name, each.origin, tuple(found))


def _in_circles(sound: Iterable[declared.Declared[part.Document]]) -> Mapping[str, declared.Errors]:
    groups = {each.name: each for each in _groups(sound)}
    edges = {
        name: [parent for parent in each.document.spec.parents if parent in groups]
        for name, each in groups.items()
    }
    found: dict[str, declared.Errors] = {}
    for circle in references.circles(edges):
        error = errors.DependencyCycle(
            "groups are parts of one another in a circle",
            origin=groups[circle[0]].places.of(("spec", "parents")),
            why=" → ".join((*circle, circle[0])),
            hint="take one of these parents out",
        )
        found |= dict.fromkeys(circle, (error,))
    return found


def _unknown(
    each: declared.Declared[Any],
    place: declared.Location,
    named: Iterable[str],
    groups: Mapping[str, Group],
    lost: Mapping[str, declared.Errors],
) -> Iterator[errors.UndriftError]:
    """Groups, anywhere above, that are not declared or cannot be used."""
    for number, name in enumerate(named):
        if name in groups:
            above = groups[name]
            yield from _unknown(above, ("spec", "parents"), above.document.spec.parents, groups, lost)
        elif name in lost:
            yield from lost[name]
        else:
            known = sorted({*groups, *lost})
            hint = words.suggestion(name, known[:_FEW]) or "add a document with kind: TargetGroup"
            yield errors.ReferenceUnknown(
                f"TargetGroup {name} is not declared", origin=each.places.of((*place, number)), hint=hint
            )


def ancestors(named: Iterable[str], groups: Mapping[str, Group]) -> list[str]:
    """The groups, and all that they are parts of, each once."""
    found: dict[str, None] = {}
    todo = list(named)
    for name in todo:  # grows while it is worked off
        if name not in found and name in groups:
            found[name] = None
            todo += groups[name].document.spec.parents
    return list(found)


# --- merging -------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class _Said:
    """A value, and the group (or "", the target) that says it."""

    value: Any
    by: str


@dataclasses.dataclass(frozen=True, slots=True)
class _Conflict:
    """Two groups that say different things."""

    one: _Said
    other: _Said


_Cell = Any
"""A mapping of names to cells, a `_Said` or a `_Conflict`."""


def _whole(each: Target, above: Sequence[Group], groups: Mapping[str, Group]) -> Target:
    """Raises `ConfigInvalid` where its groups contradict one another, or nobody names a provider."""
    own = each.document.spec
    merged = _Merging(groups)
    given = {
        "provider": own.provider,
        "agent": own.agent,
        "settings": own.settings,
        "labels": each.document.metadata.labels,
    }
    tree = merged.over(_without_none(given), merged.parents(own.groups), "")
    wrong = list(_conflicts(tree, each))
    data = {} if wrong else _values(tree)
    if not wrong and not data.get("provider"):
        wrong.append(
            errors.ConfigInvalid(
                f"Target {each.name} has no provider",
                origin=each.places.of(("spec",)),
                why="neither it nor one of its groups says what kind of place it is",
                hint="add provider: hosts (or another) to it or to a group",
            )
        )
    if wrong:
        raise errors.gather(list(wrong))
    spec = own.model_copy(
        update={
            "provider": data["provider"],
            "agent": data.get("agent"),
            "settings": data.get("settings", {}),
            "groups": tuple(one.name for one in above),
        }
    )
    metadata = each.document.metadata.model_copy(update={"labels": data.get("labels", {})})
    document = each.document.model_copy(update={"spec": spec, "metadata": metadata})
    digest = canonical.digest([each.digest, *sorted(one.digest for one in above)])
    return dataclasses.replace(each, document=document, digest=digest)


def _without_none(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if value not in (None, {})}


class _Merging:
    """Merges what groups say; each group once."""

    def __init__(self, groups: Mapping[str, Group]) -> None:
        self._groups = groups
        self._made: dict[str, _Cell] = {}

    def parents(self, named: Iterable[str]) -> _Cell:
        """What several groups say together."""
        found: _Cell = {}
        for name in named:
            found = self._beside(found, self._group(name)) if found else self._group(name)
        return found

    def _group(self, name: str) -> _Cell:
        if name not in self._made:
            each = self._groups[name]
            spec = each.document.spec
            own = {
                "provider": spec.provider,
                "agent": spec.agent,
                "settings": spec.settings,
                "labels": each.document.metadata.labels,
            }
            self._made[name] = self.over(_without_none(own), self.parents(spec.parents), name)
        return self._made[name]

    def over(self, own: Any, below: _Cell, by: str) -> _Cell:
        """What `by` says itself, and what it does not say as it is below."""
        if not isinstance(own, Mapping):
            return _Said(own, by)
        if not own:
            return below if below is not None else _Said(own, by)
        under = below if isinstance(below, dict) else {}
        found = {key: self.over(value, under.get(key), by) for key, value in own.items()}
        return {**{key: cell for key, cell in under.items() if key not in found}, **found}

    def _beside(self, one: _Cell, other: _Cell) -> _Cell:
        if isinstance(one, dict) and isinstance(other, dict):
            both = {key: self._beside(one[key], other[key]) for key in one.keys() & other.keys()}
            return {**one, **other, **both}
        if isinstance(one, _Conflict) or isinstance(other, _Conflict):
            return one if isinstance(one, _Conflict) else other
        if _values(one) == _values(other):
            return one
        first, second = _sayers(one), _sayers(other)
        if all(self._inherits(each, above) for each in first for above in second):
            return one
        if all(self._inherits(each, above) for each in second for above in first):
            return other
        return _Conflict(_Said(_values(one), min(first)), _Said(_values(other), min(second)))

    def _inherits(self, name: str, above: str) -> bool:
        return name != above and above in ancestors([name], self._groups)


def _sayers(cell: _Cell) -> set[str]:
    if isinstance(cell, dict):
        return {name for inner in cell.values() for name in _sayers(inner)}
    return {cell.one.by, cell.other.by} if isinstance(cell, _Conflict) else {cell.by}


def _values(cell: _Cell) -> Any:
    if isinstance(cell, dict):
        return {key: _values(inner) for key, inner in cell.items()}
    return cell.one.value if isinstance(cell, _Conflict) else cell.value


def _conflicts(cell: _Cell, each: Target, path: str = "") -> Iterator[errors.UndriftError]:
    if isinstance(cell, dict):
        for key, inner in cell.items():
            yield from _conflicts(inner, each, f"{path}.{key}" if path else str(key))
    elif isinstance(cell, _Conflict):
        yield errors.ConfigInvalid(
            f"groups of Target {each.name} contradict one another in {path}",
            origin=each.places.of(("spec", "groups")),
            why=f"the groups {cell.one.by} and {cell.other.by} say different things, and neither is a part of the other",
            hint=f"say {path} in the target itself, or in a group that has both as parents",
        )
