"""How values of a Jenkinsfile are spelled in `undrift.yaml`, and what a person is told of those that cannot be."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from undrift.lib import groovy

_CREDENTIAL: Final = re.compile(r"token|password|passwd|secret|credential|private|api_?key", re.IGNORECASE)


class Speller:
    """Spells values; `remarks` are what a person has to know of them, each once."""

    def __init__(self) -> None:
        self.remarks: list[str] = []

    def remark(self, told: str) -> None:
        """Tell a person something."""
        if told not in self.remarks:
            self.remarks.append(told)

    def plain(self, value: Any, field: str) -> str:
        """A text for a field that holds no variables; "" for what Groovy computes."""
        if isinstance(value, groovy.Text | groovy.Expression):
            self.remark(f"{field} was computed ({shown(value)}): write it out, it can hold no variables.")
            return ""
        return "" if value is None else shown(value)

    def text(self, value: Any, field: str) -> str | None:
        """A text with ${VARIABLES} of CI for what Groovy computes; None where that may be a credential."""
        parts = value.parts if isinstance(value, groovy.Text) else (value,)
        made = [
            self._variable(one, field) if isinstance(one, groovy.Expression) else shown(one) for one in parts
        ]
        return None if None in made else "".join(one for one in made if one)

    def left_out(self, found: Mapping[str, Any], prefix: str) -> None:
        """Tell that nobody knows these fields."""
        for name, value in found.items():
            self.remark(f"{prefix}{name} ({shown(value)}) is not known and was left out.")

    def _variable(self, found: groovy.Expression, field: str) -> str | None:
        name = variable(found.source)
        if _CREDENTIAL.search(name):
            self.remark(
                f"{field} held {found.source}, which may be a credential: it was left out. Keep secrets encrypted in Git."
            )
            return None
        self.remark(
            f"{field}: `{found.source}` of the Jenkinsfile is the variable {name} now: export it before "
            "`undrift publish`."
        )
        return f"${{{name}}}"


def variable(source: str) -> str:
    """A name for a variable that holds what an expression computes: `env.GIT_COMMIT` is GIT_COMMIT."""
    plain = re.sub(r"^(?:env|params|this|script)\.", "", source)
    split = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", plain)
    name = re.sub(r"\W+", "_", split, flags=re.ASCII).strip("_").upper()
    return name if name[:1].isalpha() else f"VALUE_{name}".rstrip("_")


def computed(value: Any) -> str:
    """The expression that a value is as a whole; "" for any other."""
    parts = value.parts if isinstance(value, groovy.Text) else (value,)
    whole = [one for one in parts if one != ""]
    return whole[0].source if len(whole) == 1 and isinstance(whole[0], groovy.Expression) else ""


def shown(value: Any) -> str:
    """A value of Groovy for people."""
    if isinstance(value, groovy.Expression):
        return value.source
    if isinstance(value, groovy.Text):
        return "".join(
            f"${{{one.source}}}" if isinstance(one, groovy.Expression) else one for one in value.parts
        )
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {shown(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(shown(item) for item in value)
    return str(value).lower() if isinstance(value, bool) else str(value)
