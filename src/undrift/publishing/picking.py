"""Which tag of an image is the next one. Pure.

`semver` takes the highest version in the range; a prerelease only where the range names one. `alphabetical` takes the
last by name, `newest` the one that was built last. What is there already is never replaced by something older.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import semver

from undrift import errors
from undrift.lib import expressions
from undrift.model import delivery
from undrift.sources import versions

_VERSION: Final = "version"
_PARTS: Final = 3


def matching(update: delivery.Update, tags: Iterable[str]) -> dict[str, str]:
    """The tags that are meant, each with what is compared of it: all of it, or the group `version` of the pattern.

    Raises `ConfigInvalid` for a pattern that takes too long.
    """
    if not update.tags:
        return {tag: tag for tag in tags}
    named = _VERSION in expressions.compiled(update.tags).groupindex
    found: dict[str, str] = {}
    try:
        for tag, match in expressions.searched(update.tags, tags):
            found.setdefault(tag, (match[_VERSION] or "") if named else tag)
    except expressions.TooSlow as error:
        raise errors.ConfigInvalid(
            f"updates of {update.image}: tags cannot be looked for among those of the registry",
            why=str(error),
            hint="repeat nothing that matches in several ways, as in (a|aa)+",
        ) from None
    return found


def by_version(update: delivery.Update, tags: Iterable[str], file: str = "") -> str:
    """The tag of the highest version in the range; "" for none. Raises `ConfigInvalid` for a range that is none."""
    try:
        range_ = versions.parse(update.range or "*")
    except ValueError as error:
        raise errors.ConfigInvalid(
            f"{update.range!r} is not a range of versions",
            origin=errors.Origin(file) if file else None,
            why=str(error),
            hint="write it as ^1.4 or >=1.2 <2",
        ) from None
    found = [
        (version, text.count("."), tag)
        for tag, text in matching(update, tags).items()
        if (version := versions.version_of(text)) and range_.holds(version)
    ]
    return max(found)[2] if found else ""


def by_name(update: delivery.Update, tags: Iterable[str]) -> str:
    """The last tag by name; "" for none."""
    found = matching(update, tags)
    return max(found, key=lambda tag: (found[tag], tag), default="")


def by_time(update: delivery.Update, built: Mapping[str, float], there: Iterable[str] = ()) -> str:
    """The tag that was built last; "" for none. Of several built at one time the one that is `there`, else the last by
    name.
    """
    found, kept = matching(update, built), frozenset(there)
    return max(found, key=lambda tag: (built[tag], tag in kept, found[tag], tag), default="")


def against(update: delivery.Update, there: str, chosen: str) -> str:
    """Why a tag does not take the place of the one that is there; "" where it may."""
    old, new = (matching(update, [tag]).get(tag, tag) for tag in (there, chosen))
    if update.follow == "alphabetical":
        meant = there in matching(update, [there])
        return _older(there, chosen) if meant and new < old else ""
    before, after = _version(update, old), _version(update, new)
    if before is None or after is None:
        return ""
    if after < before:
        return _older(there, chosen)
    return f"{there} and {chosen} are one version" if after == before and update.follow == "semver" else ""


def _version(update: delivery.Update, text: str) -> semver.Version | None:
    """The version that a tag names. Where nobody says that tags are versions, a number or a date is none."""
    if update.follow != "semver" and text.partition("-")[0].count(".") + 1 != _PARTS:
        return None
    return versions.version_of(text)


def _older(there: str, chosen: str) -> str:
    return f"{chosen} would be a step back from {there}"
