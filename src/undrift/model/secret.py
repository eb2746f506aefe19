"""A value that must never be seen."""

from __future__ import annotations

import hashlib
import hmac
from typing import NoReturn

MASK = "***"


class Secret:
    """Text or bytes that show as `***` wherever they are printed, formatted or compared in a report.

    Only `reveal()` gives the value; it is called where a target is written, nowhere else.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str | bytes) -> None:
        self._value = value

    def reveal(self) -> str | bytes:
        """The value itself, for the one call that hands it to a target."""
        return self._value

    def fingerprint(self, key: bytes) -> str:
        """A keyed digest: equal secrets are equal, and without the key nothing can be guessed."""
        raw = self._value.encode() if isinstance(self._value, str) else self._value
        return hmac.new(key, raw, hashlib.sha256).hexdigest()[:32]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "Secret(***)"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return MASK

    def __reduce__(self) -> NoReturn:
        msg = "a secret is never written anywhere"
        raise TypeError(msg)
