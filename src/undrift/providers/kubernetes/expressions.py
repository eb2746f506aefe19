"""Rules of health that a Target brings: expressions in CEL over an object, for kinds that nobody taught us.

CEL: https://cel.dev . An expression sees `object`, and of it `metadata`, `spec` and `status`; one that asks for a
field that is not there is not true.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from undrift import errors
from undrift.lib import words
from undrift.model import health
from undrift.providers.kubernetes import kinds

_ORDER: Final[Mapping[str, health.Status]] = {
    "suspended": health.Status.SUSPENDED,
    "degraded": health.Status.DEGRADED,
    "progressing": health.Status.PROGRESSING,
    "healthy": health.Status.HEALTHY,
}
_REASON: Final = "reason"
_KNOWN: Final = (*_ORDER, _REASON)
_SEEN: Final = ("object", "metadata", "spec", "status")
_BOUND: Final = re.compile(r"\.(?:all|exists|exists_one|map|filter)\s*\(\s*([A-Za-z_]\w*)\s*,")
_LONGEST: Final = 2000
_WRONG: Final = (KeyError, TypeError, ValueError, RuntimeError, IndexError, AttributeError)


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """The expressions for one kind, by what is so where they are true; `reason` makes a text."""

    states: tuple[tuple[health.Status, str], ...]
    reason: str = ""

    def judge(self, data: Mapping[str, Any]) -> health.Health:
        """The first state whose expression is true: what is wrong before what is right; else Progressing."""
        seen = {"object": data, **{name: data.get(name) or {} for name in _SEEN[1:]}}
        found = next(
            (status for status, text in self.states if _value(text, seen) is True), health.Status.PROGRESSING
        )
        if found is health.Status.HEALTHY:
            return health.HEALTHY
        told = _value(self.reason, seen) if self.reason else ""
        return health.Health(found, told if isinstance(told, str) else "")


def read(given: Any) -> tuple[Mapping[str, Rule], list[tuple[str, str, str]]]:
    """Rules by kind, and what is wrong with them: setting, problem, hint."""
    if not isinstance(given, Mapping):
        return {}, [("health", "should be a mapping", "write {Kind.group: {healthy: expression}}")]
    rules: dict[str, Rule] = {}
    wrong: list[tuple[str, str, str]] = []
    for kind, written in given.items():
        where = f"health.{kind}"
        if not isinstance(written, Mapping) or not all(isinstance(one, str) for one in written.values()):
            wrong.append(
                (where, "should be a mapping of texts", f"write {{{', '.join(_KNOWN)}: expression}}")
            )
            continue
        if kind == kinds.SECRET:
            wrong.append((where, "is not possible", "what is in a Secret is never looked at"))
            continue
        wrong += _problems(where, written)
        states = tuple((status, written[name]) for name, status in _ORDER.items() if name in written)
        rules[str(kind)] = Rule(states, written.get(_REASON, ""))
    return rules, wrong


def _problems(where: str, written: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    if "healthy" not in written:
        yield where, "has no expression healthy", "say when it is well: it would never be"
    for name, text in written.items():
        if name not in _KNOWN:
            yield f"{where}.{name}", "is not a known setting", words.suggestion(name, _KNOWN)
            continue
        try:
            program(text)
        except errors.UndriftError as error:
            yield f"{where}.{name}", error.what, error.hint


def _value(text: str, seen: Mapping[str, Any]) -> Any:
    try:
        return program(text).execute(seen)
    except _WRONG:
        return None


@functools.lru_cache(256)
def program(text: str, seen: tuple[str, ...] = _SEEN) -> Any:
    """An expression, ready for `execute(values)`; `seen` are the names that it may use.

    Raises `ConfigInvalid` for what is no expression, or asks for something that there is not.
    """
    import cel  # noqa: PLC0415 - a quarter of a second, for those who have rules of their own

    if len(text) > _LONGEST:
        raise errors.ConfigInvalid(f"is longer than {_LONGEST} characters", hint="split it")
    try:
        made = cel.compile(text)
        variables, called = made.variables(), made.functions()
    except ValueError as error:
        first = str(error).partition("ERROR: <input>:")[2].partition("\n")[0] or "it cannot be read"
        raise errors.ConfigInvalid(f"is no CEL expression: {first}", hint="see https://cel.dev") from None
    known = {*seen, *_TYPES, *_BOUND.findall(text)}
    for name in variables:
        if name not in known:
            hint = words.suggestion(name, seen) or f"an expression sees {', '.join(seen)}"
            raise errors.ConfigInvalid(f"uses {name}, which there is not", hint=hint)
    for name in called:
        if name[0].isalpha() and name not in _FUNCTIONS:
            raise errors.ConfigInvalid(
                f"calls {name}, which there is not", hint=words.suggestion(name, _FUNCTIONS)
            )
    return made


_FUNCTIONS: Final = (
    "bool", "bytes", "contains", "double", "duration", "dyn", "endsWith", "getDate", "getDayOfMonth", "getDayOfWeek",
    "getDayOfYear", "getFullYear", "getHours", "getMilliseconds", "getMinutes", "getMonth", "getSeconds", "has", "int",
    "matches", "size", "startsWith", "string", "timestamp", "type", "uint",
)  # fmt: skip
_TYPES: Final = ("bool", "bytes", "double", "int", "list", "map", "null_type", "string", "uint")
