"""The words and small parts that every text on a pull request is put together from."""

from __future__ import annotations

import datetime
import hashlib
import re
import urllib.parse
from collections.abc import Sequence
from typing import Final

from undrift import errors
from undrift.forges import escaping
from undrift.lib import durations, mask
from undrift.model import delivery, forge, plan, publication
from undrift.publishing import contrasting, subject

_MARKER: Final = re.compile(r"\s*<!-- undrift:v1 (?P<words>[^<>]*?)-->")
_UNITS: Final = re.compile(r"(?<=\d)(?=[a-z])|(?<=[a-z])(?=\d)")
_UNSTABLE: Final = re.compile("\ue000[^\ue001]*\ue001")
_SPANS: Final = re.compile("(\ue000[^\ue001]*\ue001)")
_SPELLED: Final = re.compile(r"(?<![\w.-])\d+(?:\.\d+)?[wdhms](?:\d+[dhms])?(?![\w.-])")
_DIGEST: Final = 12
_WORST: Final = frozenset({"Degraded", "Missing"})


# --- the first line ------------------------------------------------------------------------------------


def marker(kind: str, **words: str) -> str:
    """The beginning of an invisible line by which we find a text of ours again; `sealed` completes it."""
    told = " ".join(f"{name}={urllib.parse.quote(value, safe='/:@+')}" for name, value in words.items())
    return f"<!-- undrift:v1 {kind} {told} " if kind else f"<!-- undrift:v1 {told} "


def sealed(beginning: str, body: str) -> str:
    """The whole text: the marker with a digest of the body (spans of time left out of that), then the body."""
    stable = _UNSTABLE.sub("", body)
    digest = hashlib.sha256(stable.encode("utf-8", "replace")).hexdigest()[:_DIGEST]
    shown = body.replace("\ue000", "").replace("\ue001", "")
    return f"{beginning}text={digest} -->\n{shown}"


def sealed_size(beginning: str) -> int:
    """How much of a limit the first line takes."""
    return escaping.size(sealed(beginning, ""))


def read_marker(body: str) -> dict[str, str] | None:
    """The words of the marker that a text begins with; those without a value stand under ""."""
    found = _MARKER.match(body)
    if found is None:
        return None
    words = [word.partition("=") for word in found["words"].split()]
    return {
        name if sign else "": urllib.parse.unquote(value) if sign else name for name, sign, value in words
    }


# --- words ---------------------------------------------------------------------------------------------


def span(seconds: float) -> str:
    """`2 h 10 m`. What is said with it does not count as said anew when only time has passed."""
    spelled = durations.spell(int(seconds) if seconds >= 1 else 0)
    return f"\ue000{_UNITS.sub(' ', spelled)}\ue001"


def moment(time: float) -> str:
    """`2026-11-29 09:19 UTC`; "" where nobody knows."""
    try:
        return (
            datetime.datetime.fromtimestamp(time, datetime.UTC).strftime("%Y-%m-%d %H:%M UTC") if time else ""
        )
    except (ValueError, OverflowError, OSError):
        return ""


def amount(number: int, one: str, several: str = "") -> str:
    """`1 file`, `2,000 files`."""
    return f"{number:,} {one if number == 1 else several or f'{one}s'}"


def counts(found: contrasting.Contrast) -> str:
    """`3 changed, 1 added, 1 removed`."""
    words = ((plan.Action.UPDATE, "changed"), (plan.Action.CREATE, "added"), (plan.Action.DELETE, "removed"))
    told = [f"{found.count(action):,} {word}" for action, word in words if found.count(action)]
    if not told and found.layout:
        return "only comments and layout"
    return ", ".join(told) or "nothing changed"


def checks(findings: publication.Findings) -> str:
    """`5/5 checks`; "" where none was made."""
    passed = sum(one.passed for one in findings.checks)
    return f"{passed}/{len(findings.checks)} checks" if findings.checks else ""


def versions(found: subject.Subject) -> tuple[str, str]:
    """How people call what is there and what comes: as they say, by the tag that all new images have, by commit."""
    tags = {
        (tag(one.before), tag(one.after))
        for one in found.contrast.images
        if one.before != one.after and one.before and one.after
    }
    told = tags.pop() if len(tags) == 1 else ("", "")
    if not all(told) or told[0] == told[1]:
        told = ("", "")
    before = found.before.short if found.before is not None else ""
    return found.versions[0] or told[0] or before, found.versions[1] or told[1] or found.revision.short


def tag(image: str) -> str:
    """The tag of an image's reference; "" where it has none."""
    name = image.partition("@")[0].rpartition("/")[2]
    return name.partition(":")[2]


def digest(image: str) -> str:
    """The digest of an image's reference, shortened for people; "" where it has none."""
    algorithm, colon, value = image.partition("@")[2].partition(":")
    return f"{algorithm}:{value[:12]}" if colon else ""


def address(template: str, **values: str) -> str:
    """A page of the forge; "" where it has none."""
    for name, value in values.items():
        template = template.replace(f"{{{name}}}", urllib.parse.quote(value, safe="/"))
    return template


def commit(revision: publication.AppRevision, links: forge.Links) -> str:
    """A commit of the application, linked."""
    return escaping.link(escaping.code(revision.short), address(links.commit, sha=revision.sha))


def author(revision: publication.AppRevision) -> str:
    """Who made a commit, without a mail address."""
    return escaping.prose(re.sub(r"\s*<[^>]*>\s*$", "", revision.author) or revision.author, 80)


# --- how a stage stands --------------------------------------------------------------------------------


def standing(prior: subject.Prior) -> tuple[forge.StatusState, str]:
    """Whether a stage before this one lets a revision pass, and why (not): plain words, not escaped."""
    stage, reason = escaping.line(prior.stage), _marked(escaping.line(prior.reason))
    if prior.state is not None:
        return prior.state, reason or _lasting(prior)
    if prior.requirement is None:
        return forge.StatusState.SUCCESS, reason or f"{stage} is not asked for"
    if not prior.reached:
        there = f" has {prior.revision.short}" if prior.revision is not None else " has not reported yet"
        return forge.StatusState.PENDING, reason or f"{stage}{there}"
    return _judged(prior, prior.requirement)


def safe(text: str) -> str:
    """What `standing` says, for Markdown."""
    return "".join(
        part
        if part.startswith("\ue000")
        else f"{part[: len(part) - len(part.lstrip())]}{escaping.prose(part)}{part[len(part.rstrip()) :]}"
        for part in _SPANS.split(text)
        if part
    )


def _judged(prior: subject.Prior, asked: delivery.Requirement) -> tuple[forge.StatusState, str]:
    said = escaping.line(f"{prior.stage} {prior.health.lower()}")
    because = f": {_marked(escaping.line(prior.reason))}" if prior.reason else ""
    if asked.health and prior.health.casefold() != asked.health.casefold():
        bad = prior.health in _WORST
        return (forge.StatusState.FAILURE if bad else forge.StatusState.PENDING), f"{said}{because}"
    if prior.soaked < asked.soak:
        return forge.StatusState.PENDING, f"{_lasting(prior)}, {span(asked.soak - prior.soaked)} of soak left"
    return forge.StatusState.SUCCESS, _lasting(prior)


def _lasting(prior: subject.Prior) -> str:
    said = escaping.line(f"{prior.stage} {prior.health.lower()}")
    return f"{said} {span(prior.soaked)}" if prior.soaked >= 1 else said


def _marked(reason: str) -> str:
    """A reason of somebody else's, its spans of time told from the rest as ours are."""
    return _SPELLED.sub(lambda found: f"\ue000{_UNITS.sub(' ', found[0])}\ue001", reason)


# --- findings ------------------------------------------------------------------------------------------


def finding(error: errors.UndriftError, sign: str, links: forge.Links, sha: str = "") -> str:
    """One finding as an item of a list: code, place, what, why and what next."""
    place = ""
    if error.origin is not None:
        page = (
            address(links.file, sha=sha, path=error.origin.file, line=str(error.origin.line or 1))
            if sha
            else ""
        )
        place = f" {escaping.link(escaping.code(str(error.origin)), page)}"
    why = f": {escaping.prose(error.why, 300)}" if error.why else ""
    hint = f" *{escaping.prose(error.hint, 200)}*" if error.hint else ""
    return (
        f"- {sign} {error.code}{place} {escaping.prose(mask.without_credentials(error.what), 300)}{why}{hint}"
    )


def fitted(lines: Sequence[str], room: int, what: str = "", missing: int = 0) -> str:
    """As many whole lines as there is room for, and a last one that tells how many are left out. Always fits.

    `missing` is how many more there are than `lines`.
    """
    text = "\n".join(lines)
    if escaping.size(text) <= room and not missing:
        return text
    total = len(lines) + missing
    kept: list[str] = []
    room -= len(_left_out(total, what))
    for line in lines:
        room -= escaping.size(line) + 1
        if room < 0:
            break
        kept.append(line)
    last = _left_out(total - len(kept), what)
    return "\n".join([*kept, last]) if kept or room >= 0 else ""


def _left_out(number: int, what: str) -> str:
    return f"- … and {number:,} more {what}".rstrip()
