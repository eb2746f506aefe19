"""Entries of many files → zones. Needs no library at all: CI uses it, too."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

from undrift import errors
from undrift.providers.dns import entry, kinds


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """An entry, and whether its file is one of overrides."""

    one: entry.Entry
    overrides: bool = False


class Draft:
    """Zones while their files are read."""

    def __init__(self) -> None:
        self._plain: dict[tuple[str, str, str], entry.Entry] = {}
        self._over: dict[tuple[str, str, str], entry.Entry] = {}
        self._names: dict[str, None] = {}
        self.wrong: list[errors.UndriftError] = []

    def take(self, found: Iterable[Found | errors.UndriftError | str]) -> None:
        """Take in entries, errors, and names of zones."""
        for one in found:
            if isinstance(one, errors.UndriftError):
                self.wrong.append(one)
            elif isinstance(one, str):
                self._names.setdefault(one)
            else:
                self._take(one.one, self._over if one.overrides else self._plain)

    def _take(self, one: entry.Entry, known: dict[tuple[str, str, str], entry.Entry]) -> None:
        self._names.setdefault(one.zone)
        key = (one.zone, one.name, one.kind)
        if kinds.is_mark(one.name):
            why = f"Undrift keeps its mark at {kinds.MARK}"
            what = f"{one.name} {one.kind} cannot be declared"
            self.wrong.append(errors.ResourceInvalid(what, origin=one.origin, why=why))
        elif key in known:
            self.wrong.append(
                errors.ResourceTwice(
                    f"{one.name or kinds.APEX} {one.kind} of {one.zone} is declared twice",
                    origin=one.origin,
                    why=f"first at {known[key].origin}",
                    hint="keep one of the two, or name the file in settings.overrides of the Target",
                )
            )
        else:
            known[key] = one

    def zones(self) -> Mapping[str, list[entry.Entry]]:
        """The entries of each zone, overrides in the place of what they override."""
        found: dict[str, list[entry.Entry]] = {name: [] for name in self._names}
        for one in {**self._plain, **self._over}.values():
            found[one.zone].append(one)
        return found
