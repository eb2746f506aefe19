"""An encrypted file and its data key → the plain content."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from cryptography.hazmat.primitives.ciphers import aead

from undrift.lib.sops import inplace, opening, sealed

_KEY_SIZE: Final = 32


def decrypt(file: sealed.Encrypted, key: bytes) -> bytes:
    """The plain content. Raises `SopsError` when a value or the MAC is not what SOPS wrote."""
    if len(key) != _KEY_SIZE:
        raise sealed.SopsError("the data key has the wrong size")
    opener = opening.Opener(file.metadata, aead.AESGCM(key))
    match file.kind:
        case "yaml":
            plain = inplace.decrypt(file.text, opener)
        case "dotenv":
            plain = _dotenv(file.text, opener)
        case _:
            plain = _json(file.text, opener, binary=file.kind == "binary")
    opener.check()
    return plain


def _json(text: str, opener: opening.Opener, *, binary: bool) -> bytes:
    data = {key: value for key, value in json.loads(text).items() if key != "sops"}
    if binary and list(data) == ["data"]:
        opened = opener.open(("data",), data["data"], b"")
        return opened[0] if opened else b""
    plain = _json_value(data, (), opener)
    return json.dumps(plain, ensure_ascii=False, indent=2).encode() + b"\n"


def _json_value(value: Any, path: tuple[str, ...], opener: opening.Opener) -> Any:
    if isinstance(value, dict):
        return {key: _json_value(inner, (*path, key), opener) for key, inner in value.items()}
    if isinstance(value, list):
        return [_json_value(inner, path, opener) for inner in value]
    if value is None:
        return None
    opened = opener.open(path, value, _mac_bytes(value))
    return value if opened is None else _typed(opened, path)


def _typed(opened: tuple[bytes, str], path: Sequence[str]) -> Any:
    value, kind = opening.read_text(opened[0], path), opened[1]
    match kind:
        case "int":
            return int(value)
        case "float":
            return float(value)
        case "bool":
            return value.lower() == "true"
        case _:
            return value


def _mac_bytes(value: Any) -> bytes:
    """What the MAC takes of a value that is not encrypted, as Go writes it."""
    if isinstance(value, bool):
        return b"True" if value else b"False"
    if isinstance(value, float):
        return opening.go_float(value).encode()
    return str(value).encode()


def _dotenv(text: str, opener: opening.Opener) -> bytes:
    lines = []
    for line in text.split("\n"):
        key, separator, value = line.partition("=")
        if key.startswith("sops_") or line.startswith("#ENC["):
            continue
        if not separator or line.startswith("#"):
            lines.append(line)
            continue
        plain = value.replace("\\n", "\n")
        opened = opener.open((key,), plain, plain.encode())
        lines.append(
            line if opened is None else f"{key}={opening.read_text(opened[0], (key,))}".replace("\n", "\\n")
        )
    return "\n".join(lines).encode()
