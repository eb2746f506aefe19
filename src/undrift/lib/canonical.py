"""One spelling for JSON-like data, and a digest of it.

Keys sorted, no spaces, UTF-8; bytes as base64 text. Equal data has equal bytes, whatever order it was made in.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

_OPTIONS = orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS | orjson.OPT_PASSTHROUGH_DATACLASS


def dumps(value: Any) -> bytes:
    """The canonical bytes of JSON-like data (mappings, lists, tuples, scalars, bytes).

    Raises `TypeError` for anything else.
    """
    try:
        return orjson.dumps(value, default=_more, option=_OPTIONS)
    except orjson.JSONEncodeError as error:
        raise TypeError(str(error)) from error


def digest(value: Any) -> str:
    """`sha256:<hex>` of the canonical bytes."""
    return "sha256:" + hashlib.sha256(dumps(value)).hexdigest()


def _more(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(type(value).__name__)
