"""A value that an application publishes, for others whose files are rendered with it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from undrift import errors
from undrift.lib import words
from undrift.model import secret


@dataclasses.dataclass(frozen=True, slots=True)
class Output:
    """A declared output: a `field` of a resource that the application owns, or a `fact` of its target.

    `resource` is spelled `Kind/name`, with the namespace between where that is not enough. Paths are dotted, or JSON
    pointers. A `secret` one is never shown.
    """

    name: str
    resource: str = ""
    field: str = ""
    fact: str = ""
    secret: bool = False
    origin: errors.Origin | None = dataclasses.field(default=None, compare=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Told:
    """The outputs of an application as they are: values that are known, and why the others are not.

    A value is JSON-like data or a `Secret`.
    """

    values: Mapping[str, Any] = dataclasses.field(default_factory=dict, repr=False)
    lacking: Mapping[str, str] = dataclasses.field(default_factory=dict)


NOTHING = Told()


def unseen(declared: tuple[Output, ...], why: str = "it was not looked at yet") -> Told:
    """What is known of outputs before anybody has looked."""
    return Told({}, {one.name: why for one in declared}) if declared else NOTHING


Given = Mapping[str, Told]
"""The outputs of applications by their names."""


class Table(Mapping[str, Mapping[str, Any]]):
    """The outputs of applications by their names, for templates; `secrets` counts how often a secret one was read.

    Asking for one that is not known raises: see `take`.
    """

    def __init__(self, given: Given) -> None:
        self._given = given
        self.secrets = 0

    def __getitem__(self, name: str) -> Mapping[str, Any]:
        return _Values(self, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._given)

    def __len__(self) -> int:
        return len(self._given)

    def value(self, name: str, each: str) -> Any:
        """What a template gets for one output. Raises `OutputPending`, `OutputUnknown`."""
        found = take(self._given, name, each)
        self.secrets += isinstance(found, secret.Secret)
        return plain(found)

    def names(self, name: str) -> tuple[str, ...]:
        """The outputs that an application declares."""
        told = self._given.get(name, NOTHING)
        return (*told.values, *told.lacking)


class _Values(Mapping[str, Any]):
    """The outputs of one application."""

    def __init__(self, table: Table, name: str) -> None:
        self._table = table
        self._name = name

    def __getitem__(self, name: str) -> Any:
        return self._table.value(self._name, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._table.names(self._name))

    def __len__(self) -> int:
        return len(self._table.names(self._name))


def secrets_read(facts: Mapping[str, Any]) -> int:
    """How many secret outputs were read from facts until now: a text that took one is secret itself."""
    table = facts.get("outputs")
    return table.secrets if isinstance(table, Table) else 0


def take(given: Given, name: str, each: str, origin: errors.Origin | None = None) -> Any:
    """One output of an application. Raises `OutputPending` where it is not known yet, `OutputUnknown` else."""
    told = given.get(name)
    if told is None:
        raise errors.OutputUnknown(
            f"outputs of {name} are used, on which this application does not depend",
            origin=origin,
            hint=near(name, given) or f"add {name} to dependsOn",
        )
    if each in told.values:
        return told.values[each]
    if each in told.lacking:
        raise errors.OutputPending(
            f"output {each} of {name} is not known yet",
            origin=origin,
            why=told.lacking[each],
            hint=f"it goes on by itself once it is; see `undrift status {name}`",
        )
    raise errors.OutputUnknown(
        f"{name} publishes no output {each}",
        origin=origin,
        hint=near(each, (*told.values, *told.lacking)) or f"declare it in spec.outputs of {name}",
    )


def near(word: str, known: Iterable[str]) -> str:
    """Which of many names was meant, or the first few of them."""
    some = sorted(known)[:1000]
    nearest = words.nearest(word, some)
    return f"did you mean {nearest}?" if nearest else words.suggestion(word, some[:10])


def plain(value: Any) -> Any:
    """What a template gets: a secret in clear. What becomes of it is looked at once everything is rendered."""
    if isinstance(value, secret.Secret):
        raw = value.reveal()
        return raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw
    return value
