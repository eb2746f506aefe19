"""`${NAME}` in manifests, filled in from declared values only: never from the agent's own environment.

`${NAME:=default}` and `${NAME:-default}` fall back; `$${` stands for itself. A name that nobody declared and that
has no default is an error at its line. Only where an application declares `substitute` is anything looked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from undrift import errors
from undrift.lib import words

SETTING: Final = "substitute"
_VARIABLE: Final = re.compile(
    r"(?P<escaped>\$\$\{)|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::[=-](?P<default>[^}]*))?\}"
)


def variables(settings: Mapping[str, Any]) -> Mapping[str, str] | None:
    """The declared values as text; None when none are declared. Raises `RenderFailed`."""
    given = settings.get(SETTING)
    if given is None:
        return None
    if not isinstance(given, Mapping) or any(isinstance(value, Mapping | list) for value in given.values()):
        raise errors.RenderFailed("renderer.substitute cannot be used", hint="write {NAME: value}")
    return {str(name): _text(value) for name, value in given.items()}


def substitute(text: str, known: Mapping[str, str], file: str) -> str:
    """The text with its variables filled in. Raises `RenderFailed`s, all at once."""
    wrong: list[errors.UndriftError] = []

    def fill(found: re.Match[str]) -> str:
        if found["escaped"]:
            return "${"
        name, default = found["name"], found["default"]
        if name in known:
            return known[name]
        if default is not None:
            return default
        line = text.count("\n", 0, found.start()) + 1
        wrong.append(
            errors.RenderFailed(
                f"${{{name}}} has no value",
                origin=errors.Origin(file, line),
                why="nobody declared it, and there is no default",
                hint=words.suggestion(name, known) or f"declare it in renderer.{SETTING}",
            )
        )
        return ""

    made = _VARIABLE.sub(fill, text)
    if wrong:
        raise errors.gather(wrong)
    return made


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
