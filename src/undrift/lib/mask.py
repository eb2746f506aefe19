"""Taking secrets out of text that goes anywhere people or logs can see it."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable

MASK = "***"
_SHORTEST = 4
_UNQUOTED = re.compile(rb"[^A-Za-z0-9_.~-]")
# Without the scheme in it: matching that takes quadratic time in a long word, which anybody may write into a commit.
_URL = re.compile(r"://[^/\s]*@")


def without_credentials(text: str) -> str:
    """The text with `user:password@` taken out of every URL in it."""
    return _URL.sub("://", text)


class Mask:
    """Replaces known secrets, also in base64 and URL-quoted form. Values under four characters are left."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for value in secrets if len(value) >= _SHORTEST for form in _forms(value)}
        longest_first = sorted(forms, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if forms else None

    def __call__(self, text: str) -> str:
        """`text` with every known secret, and every credential in a URL, masked."""
        shown = without_credentials(text)
        return self._pattern.sub(MASK, shown) if self._pattern is not None else shown


def _forms(value: str) -> set[str]:
    raw = value.encode()
    encoded = {base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()}
    lines = {line for line in value.splitlines() if len(line) >= _SHORTEST}
    return {value, value.strip(), _quoted(raw), *encoded, *lines} - {""}


def _quoted(raw: bytes) -> str:
    """As in a URL. `urllib` would bring the network with it, into places that know none."""
    return _UNQUOTED.sub(lambda found: b"%%%02X" % found[0][0], raw).decode("ascii")
