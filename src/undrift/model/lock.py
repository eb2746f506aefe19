"""Everything that one apply was made from."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Final

COMMITTED: Final = frozenset({"config", "source"})
"""The inputs that nothing but a commit changes."""


@dataclasses.dataclass(frozen=True, slots=True)
class InputLock:
    """The inputs of a desired state, each with its digest.

    `inputs` maps a name to a digest: `config` (the application's documents), `source` (the artifact),
    `facts`, `tool:undrift`, `tool:<renderer>`, `secret:<name>`, `output:<application>` … Two locks
    that are equal render to the same; where only a tool differs, desired state changed without a commit.
    """

    inputs: Mapping[str, str] = dataclasses.field(default_factory=dict)
    revision: str = ""

    def differs(self, other: InputLock) -> tuple[str, ...]:
        """The names of the inputs that are not the same in both."""
        names = self.inputs.keys() | other.inputs.keys()
        return tuple(sorted(name for name in names if self.inputs.get(name) != other.inputs.get(name)))
