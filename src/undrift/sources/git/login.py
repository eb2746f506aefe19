"""Signing in to one host, and no other: Git asks a credential helper of ours, which answers for that host alone.

A header (`http.extraHeader`) would be shown to whatever host the server redirects to, and a URL to everybody who can
list processes. The helper's program is in the settings; what it answers is in the environment of `git` only.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import re
from collections.abc import Sequence
from typing import Final

from undrift.sources.git import addresses

_VARIABLES: Final = ("UNDRIFT_GIT_USER", "UNDRIFT_GIT_PASSWORD")
_HEADER: Final = re.compile(r"http\.(?P<place>https?://[^/]+)(?:/.*)?\.extraheader", re.IGNORECASE)
_BASIC: Final = re.compile(r"authorization:\s*basic\s+(?P<pair>\S+)\s*", re.IGNORECASE)


@dataclasses.dataclass(frozen=True, slots=True)
class Login:
    """How to sign in over HTTP, where Git's own settings do not say it."""

    user: str = ""
    password: str = dataclasses.field(default="", repr=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Helped:
    """Settings of Git (name, value) and variables of its environment."""

    settings: list[tuple[str, str]]
    environment: dict[str, str] = dataclasses.field(repr=False)


def helped(place: addresses.Address, login: Login, number: int = 0) -> Helped:
    """What makes Git sign in at the host of an address; nothing where there is no password, or no HTTP.

    Several hosts have different numbers. Helpers of anybody else are forgotten for this host.
    """
    if (not login.password and not login.user) or place.scheme not in {"https", "http"}:
        return Helped([], {})
    user, password = (f"{name}_{number}" if number else name for name in _VARIABLES)
    program = f"""!f() {{ test "$1" != get || printf 'username=%s\\npassword=%s\\n' "${user}" "${password}"; }}; f"""
    name = f"credential.{place.scheme}://{place.host}.helper"
    return Helped([(name, ""), (name, program)], {user: login.user, password: login.password})


def without_headers(settings: Sequence[tuple[str, str]]) -> Helped:
    """Settings of a person in which headers that sign in to one host (as CI leaves them in a checkout) are helpers.

    What is no such header stays as it is.
    """
    kept: list[tuple[str, str]] = []
    environment: dict[str, str] = {}
    for number, (name, value) in enumerate(settings, start=1):
        place, basic = _HEADER.fullmatch(name), _BASIC.fullmatch(value)
        pair = _pair(basic["pair"]) if place and basic else None
        if place is None or pair is None:
            kept.append((name, value))
            continue
        found = helped(addresses.parse_url(f"{place['place']}/x", insecure=True), pair, number)
        kept += found.settings
        environment |= found.environment
    return Helped(kept, environment)


def _pair(encoded: str) -> Login | None:
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return Login(user, password)
