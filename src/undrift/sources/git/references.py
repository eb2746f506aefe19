"""Which commit a declared reference names, given the refs of a repository. Pure."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

from undrift import errors
from undrift.lib import words
from undrift.model import source
from undrift.sources import versions

HEADS = "refs/heads/"
TAGS = "refs/tags/"


@dataclasses.dataclass(frozen=True, slots=True)
class Ref:
    """Where a ref points: its own object, and the commit behind it when that is an annotated tag."""

    object_id: str
    peeled: str = ""

    @property
    def commit(self) -> str:
        """The commit in the end."""
        return self.peeled or self.object_id


Refs = Mapping[str, Ref]


@dataclasses.dataclass(frozen=True, slots=True)
class Selected:
    """The ref that was chosen (its full name, "" for a bare commit) and what it is called by people."""

    ref: str
    shown: str
    commit: str
    tag: str = ""


def prefixes(reference: source.GitReference) -> tuple[str, ...]:
    """The full names (or, ending in /, the beginnings of names) of the refs that `select` needs to see."""
    if reference.commit:
        return ()
    if reference.branch:
        return (HEADS + reference.branch,)
    return (TAGS + reference.tag,) if reference.tag else (TAGS,)


def family(reference: source.GitReference) -> tuple[str, ...]:
    """The beginning of the names of all refs of the same kind."""
    return (HEADS,) if reference.branch else (TAGS,)


def select(reference: source.GitReference, refs: Refs, where: str) -> Selected:
    """The ref to follow. Raises `ReferenceMissing`, which names the nearest there is."""
    if reference.commit:
        return _select_commit(reference.commit, where)
    if reference.semver:
        return _select_version(reference.semver, refs, where)
    kind, prefix, name = (
        ("branch", HEADS, reference.branch) if reference.branch else ("tag", TAGS, reference.tag)
    )
    found = refs.get(prefix + name)
    if found is None:
        raise errors.ReferenceMissing(
            f"{where} has no {kind} {name}",
            why=f"it was deleted, renamed or never pushed{_near(name, refs, prefix)}",
            hint=f"push the {kind}, or correct the reference of the source; what was applied last stays",
        )
    tag = found.object_id if kind == "tag" and found.peeled else ""
    return Selected(prefix + name, name, found.commit, tag)


def _select_commit(commit: str, where: str) -> Selected:
    if re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", commit):
        return Selected("", commit[:12], commit)
    raise errors.ReferenceMissing(
        f"{commit!r} does not name one commit of {where}",
        why="a commit is named by all of its 40 (or 64) lower-case hexadecimal digits",
        hint="write the whole id, as `git rev-parse` prints it",
    )


def _select_version(text: str, refs: Refs, where: str) -> Selected:
    try:
        wanted = versions.parse(text)
    except ValueError as error:
        raise errors.ReferenceMissing(
            f"{text!r} is not a range of versions",
            why=str(error),
            hint="write it as ^1.4, ~1.4.2 or >=1.2 <2",
        ) from None
    tags = {name.removeprefix(TAGS): found for name, found in refs.items() if name.startswith(TAGS)}
    name = wanted.highest(tags)
    if name is None:
        known = sorted((version, tag) for tag in tags if (version := versions.version_of(tag)))
        newest = (
            f"; the newest of {len(known)} versions is {known[-1][1]}"
            if known
            else "; there is no version at all"
        )
        raise errors.ReferenceMissing(
            f"{where} has no tag in the range {text}",
            why=f"none of its {len(tags)} tags fits{newest}",
            hint="push a tag, or widen the range; a prerelease is only taken by a range that names one, as >=2.0.0-0",
        )
    found = tags[name]
    return Selected(TAGS + name, name, found.commit, found.object_id if found.peeled else "")


def _near(name: str, refs: Refs, prefix: str) -> str:
    near = words.nearest(name, [ref.removeprefix(prefix) for ref in refs if ref.startswith(prefix)])
    return f"; there is {near}" if near else ""
