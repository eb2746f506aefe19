"""Ranges over semantic versions, as tags of Git repositories and OCI registries bear them. Pure.

A range is comparisons joined by a space or comma (all hold) and `||` (one holds): `>=1.2 <2`, `^1.4`, `~1.4.2`,
`1.x`, `1.2 - 1.8`, `*`, `!=1.3.0`. A prerelease is only taken where a comparison names one (`>=2.0.0-0`). Tags
may begin with a `v`; tags that are no version are passed over.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable

import semver

_OPERATORS = r"\^|~>|~|>=|=>|<=|=<|!=|>|<|="
_PART = r"(?:0|[1-9]\d*|[xX*])"
_VERSION = rf"v?({_PART})(?:\.({_PART}))?(?:\.({_PART}))?(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?"
_COMPARISON = re.compile(rf"\s*({_OPERATORS})?\s*{_VERSION}\s*")
_HYPHEN = re.compile(rf"^\s*({_VERSION})\s+-\s+({_VERSION})\s*$")
_ENDLESS = semver.Version(10**18)


@dataclasses.dataclass(frozen=True, slots=True)
class _Span:
    """From `low` (included) to `high` (excluded); outside of it when `outside` is set."""

    low: semver.Version
    high: semver.Version
    prerelease: bool
    outside: bool = False

    def holds(self, version: semver.Version) -> bool:
        """Whether a version lies in it."""
        if self.outside:
            return not self.low <= version < self.high
        if version.prerelease and not self.prerelease:
            return False
        return self.low <= version < self.high


@dataclasses.dataclass(frozen=True, slots=True)
class Range:
    """A range that was understood."""

    text: str
    choices: tuple[tuple[_Span, ...], ...]

    def holds(self, version: semver.Version) -> bool:
        """Whether a version is in the range."""
        return any(all(span.holds(version) for span in spans) for spans in self.choices)

    def highest(self, tags: Iterable[str]) -> str | None:
        """The tag of the highest version in the range; None when there is none."""
        found = [(version, tag) for tag in tags if (version := version_of(tag)) and self.holds(version)]
        return max(found, key=lambda one: (one[0], one[1]))[1] if found else None


def version_of(tag: str) -> semver.Version | None:
    """The version that a tag names, or None."""
    try:
        return semver.Version.parse(tag.removeprefix("v"), optional_minor_and_patch=True)
    except (ValueError, TypeError):
        return None


def parse(text: str) -> Range:
    """Understand a range. Raises `ValueError` that says which part is none."""
    choices = tuple(_parse_all(part) for part in text.split("||"))
    return Range(text, choices)


def _parse_all(text: str) -> tuple[_Span, ...]:
    hyphen = _HYPHEN.match(text)
    if hyphen:
        return (_parse_one(f">={hyphen[1]}"), _parse_one(f"<={hyphen[6]}"))
    spans: list[_Span] = []
    rest = text.replace(",", " ").strip()
    while rest:
        found = _COMPARISON.match(rest)
        if not found or (found.end() < len(rest) and not rest[found.end() - 1].isspace()):
            raise ValueError(f"{rest!r} is not a comparison of versions")
        spans.append(_parse_one(found[0]))
        rest = rest[found.end() :]
    if not spans:
        raise ValueError("a range must not be empty; * is any version")
    named = any(span.prerelease for span in spans)
    return tuple(dataclasses.replace(span, prerelease=named) for span in spans)


def _parse_one(text: str) -> _Span:
    found = _COMPARISON.match(text)
    if not found:
        raise ValueError(f"{text!r} is not a comparison of versions")
    operator, *parts, prerelease = found.groups()
    numbers = [int(part) for part in _known(parts)]
    major, minor, patch = [*numbers, 0, 0, 0][:3]
    low = semver.Version(major, minor, patch, prerelease)
    span = _OF[{"=>": ">=", "=<": "<=", "~>": "~", None: "="}.get(operator, operator)](low, numbers)
    # Without a prerelease of its own, a bound like <2.0.0 must not let 2.0.0-rc.1 in: `holds` sees to that.
    return dataclasses.replace(span, prerelease=prerelease is not None)


def _known(parts: list[str | None]) -> list[str]:
    """The numbers before the first wildcard or gap."""
    known: list[str] = []
    for part in parts:
        if part is None or part in "xX*":
            break
        known.append(part)
    return known


def _after(numbers: list[int], place: int) -> semver.Version:
    """The first version beyond all that share the numbers up to `place`."""
    if place < 0:
        return _ENDLESS
    kept = [*numbers[: place + 1], *[0] * (place + 1 - len(numbers))]
    kept[place] += 1
    return semver.Version(*kept, *[0] * (3 - len(kept)))


def _next(low: semver.Version, numbers: list[int]) -> semver.Version:
    """The first version beyond those that a comparison names: 1.2 names 1.2.*, 1.2.3-rc.1 itself."""
    if low.prerelease:
        return low.replace(prerelease=f"{low.prerelease}.0")
    return _after(numbers, len(numbers) - 1)


def _caret(low: semver.Version, numbers: list[int]) -> _Span:
    place = next((index for index, number in enumerate(numbers) if number), len(numbers) - 1)
    return _Span(low, _after(numbers, place), prerelease=False)


def _tilde(low: semver.Version, numbers: list[int]) -> _Span:
    return _Span(low, _after(numbers, min(len(numbers) - 1, 1)), prerelease=False)


_ZERO = semver.Version(0, prerelease="0")
_OF: dict[str | None, Callable[[semver.Version, list[int]], _Span]] = {
    "=": lambda low, numbers: _Span(low, _next(low, numbers), prerelease=False),
    "!=": lambda low, numbers: _Span(low, _next(low, numbers), prerelease=False, outside=True),
    ">=": lambda low, _: _Span(low, _ENDLESS, prerelease=False),
    ">": lambda low, numbers: _Span(_next(low, numbers), _ENDLESS, prerelease=False),
    "<": lambda low, _: _Span(_ZERO, low, prerelease=False),
    "<=": lambda low, numbers: _Span(_ZERO, _next(low, numbers), prerelease=False),
    "^": _caret,
    "~": _tilde,
}
