"""Secrets in manifests: what is in a `Secret`, and everything of a file that was encrypted in Git."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final

import orjson

from undrift.model import secret

_OPEN: Final = frozenset({"apiVersion", "kind", "metadata", "type", "immutable"})


class Scalar(secret.Secret):
    """A number or a truth value that must not be seen; `reveal` gives its JSON text."""

    __slots__ = ()


def of_kind_secret(data: Mapping[str, Any]) -> dict[str, Any]:
    """A `Secret` whose values are hidden; `stringData` becomes `data`, as the API server does it."""
    values = dict(data.get("data") or {})
    for name, text in (data.get("stringData") or {}).items():
        values[name] = base64.b64encode(str(text).encode()).decode()
    made = {name: value for name, value in data.items() if name not in {"data", "stringData"}}
    if values:
        made["data"] = {name: hide(value) for name, value in values.items()}
    return made


def of_encrypted(data: Mapping[str, Any]) -> dict[str, Any]:
    """Everything but what names the resource is hidden."""
    return {name: value if name in _OPEN else hide(value) for name, value in data.items()}


def hide(value: Any) -> Any:
    """The same data with every scalar in it hidden."""
    if isinstance(value, Mapping):
        return {name: hide(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [hide(item) for item in value]
    if isinstance(value, str):
        return secret.Secret(value)
    if value is None or isinstance(value, secret.Secret):
        return value
    return Scalar(orjson.dumps(value).decode())


def reveal(value: Any) -> Any:
    """The same data with nothing hidden, for the one call that hands it to a cluster."""
    if isinstance(value, Mapping):
        return {name: reveal(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [reveal(item) for item in value]
    if isinstance(value, Scalar):
        return orjson.loads(value.reveal())
    if isinstance(value, secret.Secret):
        return value.reveal()
    return value
