"""What is on a target already, for those who want to declare it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """Something on a target that could be declared: a document, the file it could be in, and what it belongs to.

    `group` is a name that people gave to a whole of which it is a part; "" where nobody did.
    """

    group: str
    file: str
    document: Mapping[str, Any] = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Survey:
    """What was found on a part of a target, and what was left out and why (name, reason).

    `namespace` is that of the applications that declare it, where the layer knows namespaces.
    """

    found: tuple[Found, ...]
    left_out: tuple[tuple[str, str], ...] = ()
    namespace: str = ""
