"""How a value is written in a YAML or JSON text so that kubectl, Helm and every other reader take it for the same."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

import yaml

from undrift.lib import yaml as reading

_PLAIN: Final = re.compile(r"[A-Za-z0-9_./@+%(\\$][A-Za-z0-9_./@:+%()\\$ ~=;^|<>&*!?'\"-]*")
_UNSAFE: Final = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_JSON: Final = '"'
_RESOLVER: Final[Any] = yaml.resolver.Resolver()


def written(value: Any, *, style: str = "", as_json: bool = False) -> str:
    """A value on one line. `style` is the quote that a text gets if it can have it: `'`, `"` or "" for none.

    Mappings and lists are written as JSON, which is YAML, too.
    """
    if isinstance(value, Mapping):
        return (
            "{"
            + ", ".join(f"{_quoted(str(key))}: {written(one, style=_JSON)}" for key, one in value.items())
            + "}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(written(one, style=_JSON) for one in value) + "]"
    if not isinstance(value, str):
        return json.dumps(value)
    if not as_json:
        if style == "'" and value.isprintable():
            return "'" + value.replace("'", "''") + "'"
        if not style and is_plain(value):
            return value
    return _quoted(value)


def is_plain(text: str) -> bool:
    """Whether a text can stand without quotes anywhere, in `{}` and `[]` too, and is a text for every reader."""
    if not _PLAIN.fullmatch(text) or ": " in text or " #" in text or text[-1] in ": ":
        return False
    if not isinstance(reading.scalar(text)[0], str):
        return False
    resolved: str = _RESOLVER.resolve(yaml.ScalarNode, text, (True, False))
    return resolved == "tag:yaml.org,2002:str" and not re.fullmatch(r"[-+0-9_.:eE]+", text)


def block(key: str, value: Any, column: int, newline: str, *, style: str = "") -> str:
    """An item of a mapping as lines: the first begins where it is put, the others at `column` or deeper."""
    name = written(key)
    if isinstance(value, Mapping | list) and value:
        body = reading.dump(value).rstrip("\n").split("\n")
        inner = column + (2 if isinstance(value, Mapping) else 0)
        return newline.join([f"{name}:", *(" " * inner + line if line else "" for line in body)])
    return f"{name}: {written(value, style=style)}"


def like(old: Any, new: Any) -> Any:
    """A new value in the type of the one that it replaces, where it can be read so: `"3"` for 2 is 3, 8080 for "80" "8080"."""
    if isinstance(old, str) and isinstance(new, bool | int | float):
        return json.dumps(new)
    if isinstance(old, bool | int | float) and isinstance(new, str):
        read = reading.scalar(new)[0] if new else None
        fits = isinstance(read, bool) == isinstance(old, bool) and isinstance(read, bool | int | float)
        return read if fits else new
    return new


def _quoted(text: str) -> str:
    """In double quotes, as JSON and YAML both read it: JSON's pairs for what is beyond 16 bits are none in YAML."""
    inside = json.dumps(text, ensure_ascii=False)[1:-1]
    return '"' + _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", inside) + '"'
