"""Two renditions side by side: which resources and files differ, how, and how much that matters. Pure.

    contrast(before, after) -> Contrast      mappings of path → `source.File`, as in `Rendition.files`

Resources are matched by API group, kind, namespace and name, wherever in the files they stand; ConfigMaps and Secrets
whose names end in a hash of their content by the rest of the name. All else is matched by path.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from undrift.lib import mask, textdiff
from undrift.model import plan, publication, source
from undrift.publishing import costing, parting, weighing

Files = Mapping[str, source.File]
_Pieces = dict[parting.Key, parting.Piece]
_Pair = tuple[parting.Piece | None, parting.Piece | None]

_HASHED: Final = re.compile(r"(.+)-[bcdfghkmt2456789]{10}")
_GENERATED: Final = frozenset({"ConfigMap", "Secret"})
_MOST_LINES: Final = 20_000
_SCALERS: Final = (b"HorizontalPodAutoscaler", b"ScaledObject")
_ABSENT: Final = object()


@dataclasses.dataclass(frozen=True, slots=True)
class Difference:
    """One resource or file that is not the same on both sides.

    `fields` are what changed in it (of secrets: which keys, their values masked), `folded` how many fields are left out
    as noise; `reasons` say what makes the risk. `namespace` is "" for files and for what lies in none. `file` is where
    it is published (of what goes: was).
    """

    action: plan.Action
    risk: weighing.Risk
    title: str
    namespace: str
    file: str
    kind: str = ""
    fields: tuple[plan.FieldChange, ...] = ()
    folded: int = 0
    reasons: tuple[str, ...] = ()
    hidden: bool = False
    before: bytes | None = dataclasses.field(default=None, repr=False)
    after: bytes | None = dataclasses.field(default=None, repr=False)

    @property
    def text(self) -> str:
        """A unified diff for people, without a header; what is secret is not in it. Made anew each time."""
        if self.before == self.after:
            return ""
        sides = [side.count(b"\n") if side is not None else 0 for side in (self.before, self.after)]
        if sum(sides) > _MOST_LINES:
            return f"too long to be shown: {sides[0]} lines → {sides[1]} lines\n"
        found = textdiff.unified(self.before, self.after, self.file)
        return found.split("\n", 2)[2] if found.startswith("--- ") else found


@dataclasses.dataclass(frozen=True, slots=True)
class ImageChange:
    """The image of a container, before and after ("": there is none); equal where only other things changed."""

    container: str
    resource: str
    before: str
    after: str


@dataclasses.dataclass(frozen=True, slots=True)
class Contrast:
    """All differences, the riskiest first, and what they amount to.

    `layout` are files that differ in nothing but comments, order and spelling.
    """

    differences: tuple[Difference, ...] = ()
    images: tuple[ImageChange, ...] = ()
    cost: costing.Cost = costing.NOTHING
    layout: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether both sides are the same, to the byte."""
        return not self.differences and not self.layout

    def count(self, action: plan.Action) -> int:
        """How many are created, changed (`UPDATE`) or removed (`DELETE`)."""
        return sum(one.action is action for one in self.differences)


NONE = Contrast()


def contrast(before: Files, after: Files) -> Contrast:
    """What changes when `after` takes the place of `before`."""
    changed = sorted(path for path in {*before, *after} if before.get(path) != after.get(path))
    changed = [path for path in changed if path.rpartition("/")[2] != publication.PROVENANCE]
    old, new = _pieces(before, changed), _pieces(after, changed)
    pairs = list(_paired(old, new))
    found = [one for pair in pairs for one in _difference(*pair)]
    told = {piece.file for pair in pairs if not _same(*pair) for piece in pair if piece is not None}
    found.sort(key=lambda one: (-one.risk, one.kind == "", one.namespace, one.title, one.file))
    return Contrast(
        tuple(found),
        tuple(_images(pairs)),
        _cost(pairs, after, changed),
        tuple(path for path in changed if path not in told),
    )


# --- matching ------------------------------------------------------------------------------------------


def _pieces(files: Files, paths: Iterable[str]) -> _Pieces:
    found: _Pieces = {}
    seen: Counter[parting.Key] = Counter()
    for path in paths:
        file = files.get(path)
        for piece in parting.parted(path, file) if file is not None else ():
            key = piece.key
            seen[key] += 1
            if seen[key] > 1:  # the same declared twice: validating tells that, here both are shown
                key = (*key[:3], f"{key[3]} ({seen[key]})")
            found[key] = dataclasses.replace(piece, key=key)
    return found


def _paired(old: _Pieces, new: _Pieces) -> Iterator[_Pair]:
    renamed = _renamed(old, new)
    taken = set(renamed.values())
    for key, piece in new.items():
        yield _alike(old.get(renamed.get(key, key)), piece)
    for key, piece in old.items():
        if key not in new and key not in taken:
            yield piece, None


def _renamed(old: _Pieces, new: _Pieces) -> dict[parting.Key, parting.Key]:
    """What has another name only because its content has another hash: new key → old key."""
    gone = {_stem(key): key for key in old if key not in new and _stem(key)}
    come = [(key, _stem(key)) for key in new if key not in old]
    return {key: gone.pop(stem) for key, stem in come if stem in gone}


def _stem(key: parting.Key) -> tuple[str, ...]:
    found = _HASHED.fullmatch(key[3]) if key[1] in _GENERATED else None
    return (*key[:3], found[1]) if found else ()


def _alike(before: parting.Piece | None, after: parting.Piece) -> tuple[parting.Piece | None, parting.Piece]:
    """Both sides as closed as the one that is more so."""
    if before is None:
        return None, after
    hidden = before.hidden or after.hidden
    sealed = hidden and (before.data is None or after.data is None)
    return (
        dataclasses.replace(before, hidden=hidden, sealed=sealed),
        dataclasses.replace(after, hidden=hidden, sealed=sealed),
    )


# --- comparing -----------------------------------------------------------------------------------------


def _same(before: parting.Piece | None, after: parting.Piece | None) -> bool:
    if before is None or after is None or before.kind is not after.kind:
        return False
    if before.data is not None and after.data is not None:
        return bool(before.data == after.data)
    return before.data is after.data and before.content == after.content


def _difference(before: parting.Piece | None, after: parting.Piece | None) -> Iterator[Difference]:
    piece = after or before
    if piece is None or _same(before, after):
        return
    action = (
        plan.Action.CREATE if before is None else plan.Action.DELETE if after is None else plan.Action.UPDATE
    )
    found = [] if piece.sealed or not piece.key[1] else list(_fields(before, after, hidden=piece.hidden))
    kept = [one for one in found if not weighing.is_noise(one[0])]
    risk, reasons = _weighed(action, piece, kept, before)
    yield Difference(
        action,
        risk,
        _title(piece, before),
        piece.key[2],
        piece.file,
        piece.key[1],
        _masked(kept, hidden=piece.hidden) if action is plan.Action.UPDATE else (),
        len(found) - len(kept),
        (*reasons, *_file_reasons(before, after)),
        piece.hidden,
        parting.shown(before, None) if before else None,
        parting.shown(after, before) if after else None,
    )


def _title(piece: parting.Piece, before: parting.Piece | None) -> str:
    if before is not None and before.key != piece.key:
        return f"{piece.key[1]}/{_stem(piece.key)[-1]}-*"
    return piece.title


def _weighed(
    action: plan.Action,
    piece: parting.Piece,
    kept: list[plan.Difference],
    before: parting.Piece | None,
) -> tuple[weighing.Risk, tuple[str, ...]]:
    if not piece.key[1]:
        return max(
            weighing.of_file(action), weighing.Risk.SECRET if piece.hidden else weighing.Risk.NOISE
        ), ()
    data = before.data if before is not None else None
    renamed = before is not None and before.key != piece.key
    return weighing.of_resource(action, piece.key[1], kept, None if renamed else data, hidden=piece.hidden)


def _file_reasons(before: parting.Piece | None, after: parting.Piece | None) -> tuple[str, ...]:
    if before is None or after is None or before.kind is after.kind:
        return ()
    return (f"it was {_kind(before)} and is {_kind(after)}",)


def _kind(piece: parting.Piece) -> str:
    return {"link": "a link", "executable": "executable"}.get(piece.kind.value, "a plain file")


def _fields(
    before: parting.Piece | None, after: parting.Piece | None, *, hidden: bool
) -> Iterator[plan.Difference]:
    old = before.data if before is not None else None
    new = after.data if after is not None else None
    if not hidden:
        yield from _walk(old, new, ())
        return
    ours, theirs = dict(parting.leaves(new or {})), dict(parting.leaves(old or {}))
    for path in {**theirs, **ours}:
        if path and not parting.is_sealing(path) and theirs.get(path, _ABSENT) != ours.get(path, _ABSENT):
            yield path, theirs.get(path), ours.get(path)


def _walk(old: Any, new: Any, path: weighing.Path) -> Iterator[plan.Difference]:
    """Every field that differs; branches that only one side has are told as a whole, but for labels and their like."""
    tagged = path[-1:] in {("labels",), ("annotations",)}
    ours, theirs = _branches(old, empty=tagged), _branches(new, empty=tagged)
    if ours is None or theirs is None:
        if old != new:
            yield path, old, new
        return
    for name in {**ours, **theirs}:
        one, other = ours.get(name), theirs.get(name)
        if one != other:
            yield from _walk(one, other, (*path, name))


def _branches(value: Any, *, empty: bool) -> dict[str, Any] | None:
    """What a value holds, by name: keys of a mapping, items of a list by their `name`; None for a scalar."""
    if isinstance(value, Mapping):
        return {str(name): item for name, item in value.items()}
    if isinstance(value, list) and value:
        names = [item.get("name") if isinstance(item, Mapping) else None for item in value]
        if all(isinstance(name, str) for name in names) and len(set(names)) == len(names):
            return dict(zip(map(str, names), value, strict=True))
    return {} if empty and value is None else None


def _masked(found: list[plan.Difference], *, hidden: bool) -> tuple[plan.FieldChange, ...]:
    def told(path: weighing.Path, value: Any) -> Any:
        return value if value is None or not hidden or parting.is_open(path, value) else mask.MASK

    return tuple(
        plan.FieldChange(_dotted(path), told(path, before), told(path, after))
        for path, before, after in found
    )


def _dotted(path: weighing.Path) -> str:
    return ".".join(f'"{step}"' if "." in step else step for step in path)


# --- what it amounts to --------------------------------------------------------------------------------


def _images(pairs: Iterable[_Pair]) -> Iterator[ImageChange]:
    for before, after in pairs:
        piece = after or before
        if piece is None or piece.hidden or not piece.key[1]:
            continue
        old = costing.images(before.data) if before is not None else {}
        new = costing.images(after.data) if after is not None else {}
        for name in {**old, **new}:
            yield ImageChange(name, piece.title, old.get(name, ""), new.get(name, ""))


def _cost(pairs: Iterable[_Pair], after: Files, changed: list[str]) -> costing.Cost:
    resources = [
        tuple(
            piece.data if piece is not None and piece.key[1] and not piece.hidden else None for piece in pair
        )
        for pair in pairs
    ]
    unchanged = (
        piece.data
        for path in sorted(set(after) - set(changed))
        if any(mark in after[path].content for mark in _SCALERS)
        for piece in parting.parted(path, after[path])
        if piece.key[1] and not piece.hidden
    )
    found = [costing.scaler(data) for data in (*(new for _, new in resources if new), *unchanged)]
    return costing.cost(((old, new) for old, new in resources), [one for one in found if one is not None])
