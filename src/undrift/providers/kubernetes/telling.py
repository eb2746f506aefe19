"""What the API server shows of a resource beyond what can be declared of it, for outputs of applications."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Collection, Mapping
from typing import Any

import orjson

from undrift.lib import pointers
from undrift.model import resource, secret
from undrift.providers.kubernetes import kinds


def whole(rid: resource.ResourceId, data: Mapping[str, Any]) -> dict[str, Any]:
    """The object as it is, status and all; the values of a `Secret` decoded, and hidden."""
    metadata = {name: value for name, value in data["metadata"].items() if name != "managedFields"}
    made = {**data, "metadata": metadata}
    if rid.kind == kinds.SECRET:
        metadata["annotations"] = None
        made["data"] = {name: _decoded(value) for name, value in (data.get("data") or {}).items()}
    return made


def _decoded(value: str) -> secret.Secret:
    try:
        raw = base64.b64decode(value, validate=True)
    except binascii.Error:
        return secret.Secret(value)
    try:
        return secret.Secret(raw.decode())
    except UnicodeDecodeError:
        return secret.Secret(raw)


def digest(data: Mapping[str, Any], paths: Collection[str], key: bytes) -> bytes:
    """Names the fields at some paths: while it is the same, outputs made of them are."""
    values = [pointers.reach(data, pointers.steps(path)) for path in sorted(paths)]
    return hashlib.blake2b(orjson.dumps(values), digest_size=16, key=key).digest()
