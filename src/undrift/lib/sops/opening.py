"""The values of one encrypted file, and its MAC."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Sequence
from typing import Any, Final

from cryptography import exceptions
from cryptography.hazmat.primitives.ciphers import aead

from undrift.lib.sops import sealed

_VALUE: Final = re.compile(
    r"ENC\[AES256_GCM,data:([A-Za-z0-9+/=]*),iv:([A-Za-z0-9+/=]+),tag:([A-Za-z0-9+/=]+),type:([a-z]+)\]"
)
_ONLY_ENCRYPTED: Final = bytes.fromhex("8a3fd2ad54ce66527b1034f3d147be0b0b975b3bf44f72c6fdadec8176f27d69")


class Opener:
    """Decrypts the leaves of one file in their order, and hashes them for the MAC."""

    def __init__(self, metadata: sealed.Metadata, cipher: aead.AESGCM) -> None:
        self._metadata = metadata
        self._cipher = cipher
        self._hash = hashlib.sha512(_ONLY_ENCRYPTED if metadata.only_encrypted else b"")

    def open(self, path: Sequence[str], text: Any, plain: bytes) -> tuple[bytes, str] | None:
        """The value of a leaf and its type; None when it is not encrypted: `plain` is what the MAC takes then."""
        if not self._metadata.encrypts(path):
            if not self._metadata.only_encrypted:
                self._hash.update(plain)
            return None
        if text == "":
            return None
        if not isinstance(text, str) or not _VALUE.fullmatch(text):
            raise sealed.SopsError(f"{'.'.join(path)} should be encrypted and is not")
        value, kind = self._value(text, ":".join(path) + ":", ".".join(path))
        self._hash.update(value.title() if kind == "bool" else value)
        return value, kind

    def check(self) -> None:
        """Raise `SopsError` unless the MAC is that of the leaves."""
        mac, _ = self._value(self._metadata.mac, self._metadata.last_modified, "its MAC")
        if not hmac.compare_digest(mac, self._hash.hexdigest().upper().encode()):
            raise sealed.SopsError("its MAC does not fit: something in it was changed without SOPS")

    def _value(self, text: str, bound_to: str, name: str) -> tuple[bytes, str]:
        found = _VALUE.fullmatch(text)
        if found is None:
            raise sealed.SopsError(f"{name} is not an encrypted value")
        try:
            data, nonce, tag = (base64.b64decode(part, validate=True) for part in found.groups()[:3])
            return self._cipher.decrypt(nonce, data + tag, bound_to.encode()), found[4]
        except (binascii.Error, exceptions.InvalidTag, ValueError):
            raise sealed.SopsError(f"{name} was changed or moved without SOPS") from None


def read_text(value: bytes, path: Sequence[str]) -> str:
    """The text that a value is. Raises `Unsupported` for bytes that are none."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise sealed.Unsupported(f"{'.'.join(path)} is no text") from None


def go_float(value: float) -> str:
    """A number as Go writes it: no exponent, as few digits as say it."""
    text = repr(value)
    if "e" in text:
        mantissa, _, exponent = text.partition("e")
        whole, _, part = mantissa.lstrip("-").partition(".")
        digits, point = whole + part, len(whole) + int(exponent)
        digits = digits.ljust(point, "0") if point > 0 else "0" * (1 - point) + digits
        point = max(point, 1)
        text = ("-" if value < 0 else "") + digits[:point] + "." + digits[point:]
    return text.rstrip("0").rstrip(".") if "." in text else text
