"""Signed claims of who one is (JSON web tokens, RS256: RFC 7519, RFC 7518 §3.3)."""

from __future__ import annotations

import base64
import json

from cryptography import exceptions
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

_LIFE = 540
_SKEW = 60


def sign(issuer: str, key: str, now: int) -> str:
    """A JSON web token that says for ten minutes, with a minute for other clocks, who we are.

    `key` is a private RSA key as PEM text without a passphrase; `now` seconds since the epoch. Raises `ValueError`
    when it is no such key; the message holds nothing of it.
    """
    try:
        private = serialization.load_pem_private_key(key.encode(), password=None)
    except (ValueError, TypeError, exceptions.UnsupportedAlgorithm):
        private = None
    if not isinstance(private, rsa.RSAPrivateKey):
        msg = "it is not an RSA key as PEM text without a passphrase"
        raise ValueError(msg)  # noqa: TRY004 - a text is what it is, and not a key
    claims = {"iat": now - _SKEW, "exp": now + _LIFE, "iss": issuer}
    parts = [_encode(json.dumps(part).encode()) for part in ({"alg": "RS256", "typ": "JWT"}, claims)]
    signature = private.sign(b".".join(parts), padding.PKCS1v15(), hashes.SHA256())
    return b".".join([*parts, _encode(signature)]).decode()


def _encode(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
