"""The settings of a validator, read one by one; what is wrong with them is found like anything else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeVar

from undrift import errors
from undrift.lib import durations, words
from undrift.model import delivery
from undrift.publishing.checks import finding

_Value = TypeVar("_Value")
_SORTS: Final = {bool: "true or false", str: "a text", float: "a number"}


class Settings:
    """Takes settings out of a validator; `findings` tells what is unknown or cannot be used."""

    def __init__(self, validator: delivery.Validator) -> None:
        self._validator = validator
        self._taken: set[str] = set()
        self._wrong: list[errors.UndriftError] = []

    def take(self, name: str, default: _Value) -> _Value:
        """A setting of the default's type, or the default."""
        self._taken.add(name)
        value = self._validator.settings.get(name, default)
        if isinstance(value, type(default)):
            return value
        self.refuse(f"{name} cannot be used", f"write {_SORTS.get(type(default), 'a mapping')}")
        return default

    def seconds(self, name: str, default: float) -> float:
        """A duration: `30s`, or a number of seconds."""
        self._taken.add(name)
        value = self._validator.settings.get(name, default)
        if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
            return float(value)
        try:
            return durations.parse(str(value))
        except ValueError:
            self.refuse(f"{name} is no duration", "write it as 30s or 5m")
            return default

    def texts(self, name: str, default: Sequence[str] = ()) -> tuple[str, ...]:
        """A list of texts; a text alone is a list of one."""
        self._taken.add(name)
        value = self._validator.settings.get(name, default)
        if isinstance(value, str):
            return (value,)
        if isinstance(value, list | tuple) and all(isinstance(one, str) for one in value):
            return tuple(value)
        self.refuse(f"{name} cannot be used", "write a list of texts")
        return tuple(default)

    def parts(self, name: str) -> tuple[dict[str, Any], ...]:
        """A list of mappings."""
        self._taken.add(name)
        value = self._validator.settings.get(name, ())
        if isinstance(value, list | tuple) and all(isinstance(one, dict) for one in value):
            return tuple(value)
        self.refuse(f"{name} cannot be used", "write a list of mappings")
        return ()

    def severity(self, name: str, default: delivery.Severity) -> delivery.Severity:
        """`error`, `warning` or `off`; YAML reads `off` as false."""
        self._taken.add(name)
        value = self._validator.settings.get(name, default)
        if value is False:
            return delivery.Severity.OFF
        try:
            return delivery.Severity(value)
        except ValueError:
            self.refuse(f"{name} cannot be used", "one of: error, warning, off")
            return default

    def refuse(self, problem: str, hint: str) -> None:
        """Say that a setting is wrong."""
        self._wrong.append(
            errors.ConfigInvalid(
                f"the validator {self._validator.kind}: {problem}", origin=self._validator.origin, hint=hint
            )
        )

    def findings(self) -> Iterator[finding.Finding]:
        """What is wrong with the settings; to be asked when all were taken."""
        for name in self._validator.settings:
            if name not in self._taken:
                self.refuse(f"{name} is not a known setting", words.suggestion(str(name), self._taken))
        yield from (finding.Finding(one) for one in self._wrong)
