"""The form of what mail servers look for in TXT records: SPF (RFC 7208), DKIM (RFC 6376), DMARC (RFC 7489)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Sequence
from typing import Final

import dns.rdata

from undrift import errors
from undrift.providers.dns import entry, kinds

_SPF_TERM: Final = re.compile(
    r"[+?~-]?(all|ip4:[0-9./]+|ip6:[0-9a-fA-F:./]+|(a|mx|ptr)([:/].*)?|(include|exists):\S+)|(redirect|exp|[a-z][\w.-]*)=\S*",
    re.IGNORECASE,
)
_SPF_LOOKUPS: Final = re.compile(r"[+?~-]?((a|mx|ptr)([:/]|$)|include:|exists:)|redirect=", re.IGNORECASE)
_MOST_LOOKUPS: Final = 10
_POLICIES: Final = frozenset({"none", "quarantine", "reject"})
_Found = Iterator[tuple[errors.UndriftError, bool]]


def check(entries: Sequence[entry.Entry]) -> _Found:
    """What is wrong with each, and whether it cannot work (else it works, but not as meant)."""
    for one in entries:
        if one.kind != "TXT":
            continue
        texts = [_plain(value) for value in one.values]
        yield from _spf(one, texts)
        labels = one.name.split(".")
        if labels[0] == "_dmarc":
            yield from _dmarc(one, texts)
        elif "_domainkey" in labels[1:2]:
            yield from _dkim(one, texts)


def _plain(value: str) -> str:
    rdata = dns.rdata.from_text("IN", "TXT", value)
    return b"".join(getattr(rdata, "strings", ())).decode("utf-8", "replace")


def _spf(one: entry.Entry, texts: list[str]) -> _Found:
    found = [
        (number, text) for number, text in enumerate(texts) if re.match(r"v=spf1(\s|$)", text, re.IGNORECASE)
    ]
    if len(found) > 1:
        yield _wrong(
            one, found[1][0], "SPF", "there are several, and receivers then take none (RFC 7208, section 4.5)"
        )
    for number, text in found:
        terms = text.split()[1:]
        bad = next((term for term in terms if not _SPF_TERM.fullmatch(term)), "")
        if bad:
            yield _wrong(one, number, "SPF", f"{bad!r} is no term of it")
        lookups = sum(1 for term in terms if _SPF_LOOKUPS.match(term))
        if lookups > _MOST_LOOKUPS:
            yield _wrong(
                one, number, "SPF", f"it asks for {lookups} names, more than {_MOST_LOOKUPS} are not followed"
            )
        if terms and not any(
            term.lower().endswith("all") or term.lower().startswith("redirect=") for term in terms
        ):
            yield _odd(
                one,
                number,
                "SPF",
                "it does not end with all or redirect: whoever is not named is neither allowed nor refused",
            )


def _dmarc(one: entry.Entry, texts: list[str]) -> _Found:
    for number, text in enumerate(texts):
        tags = _tags(text)
        if tags.get("v") != "DMARC1" or not text.startswith("v="):
            yield _wrong(one, number, "DMARC", "it begins with v=DMARC1")
        elif tags.get("p", "").lower() not in _POLICIES:
            yield _wrong(one, number, "DMARC", f"its p is one of {', '.join(sorted(_POLICIES))}")
        elif not tags.get("pct", "100").isdigit():
            yield _wrong(one, number, "DMARC", "its pct is a number")
        else:
            bad = [
                uri
                for name in ("rua", "ruf")
                for uri in tags.get(name, "mailto:").split(",")
                if ":" not in uri
            ]
            if bad:
                yield _wrong(
                    one, number, "DMARC", f"{bad[0].strip()} is no address: write mailto:{bad[0].strip()}"
                )


def _dkim(one: entry.Entry, texts: list[str]) -> _Found:
    for number, text in enumerate(texts):
        tags = _tags(text)
        if tags.get("v", "DKIM1") != "DKIM1":
            yield _wrong(one, number, "DKIM", "its v is DKIM1")
        elif "p" not in tags:
            yield _wrong(one, number, "DKIM", "it has no key (p=)")
        else:
            try:
                base64.b64decode(re.sub(r"\s", "", tags["p"]), validate=True)
            except binascii.Error:
                yield _wrong(one, number, "DKIM", "its key (p=) is not base64")


def _tags(text: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in text.split(";") if "=" in part)
    return {name.strip(): value.strip() for name, _, value in pairs}


def _wrong(one: entry.Entry, number: int, what: str, why: str) -> tuple[errors.UndriftError, bool]:
    told = f"{one.name or kinds.APEX} TXT is no {what} record"
    return errors.ResourceInvalid(told, origin=one.place(number), why=why, hint="correct the zone"), True


def _odd(one: entry.Entry, number: int, what: str, why: str) -> tuple[errors.UndriftError, bool]:
    told = f"{one.name or kinds.APEX} TXT is a {what} record that decides nothing"
    return errors.RecordSurprising(
        told, origin=one.place(number), why=why, hint="end it with -all or ~all"
    ), False
