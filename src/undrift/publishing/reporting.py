"""The long texts: differences of resources, findings, stages before, what a change asks of a cluster.

Everything is given a room (in characters, as a forge counts them) and stays within it. Differences are shortened by
level: all of them in full; the riskiest in full and the others by name; by name; how many of which kind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from undrift.forges import escaping
from undrift.model import forge, plan, publication
from undrift.publishing import contrasting, costing, subject, weighing, wording

_WORDS: Final = {plan.Action.CREATE: "added", plan.Action.UPDATE: "changed", plan.Action.DELETE: "removed"}
_SIGNS: Final = {plan.Action.CREATE: "+", plan.Action.UPDATE: "~", plan.Action.DELETE: "-"}
RISKS: Final = {
    weighing.Risk.LOSS: "⚠ data may be lost",
    weighing.Risk.DELETION: "",
    weighing.Risk.IMMUTABLE: "⚠ the target refuses this",
    weighing.Risk.POWER: "⚠ rights and foundations",
    weighing.Risk.STOPPED: "⚠ stops",
    weighing.Risk.SECRET: "secret",
    weighing.Risk.IMAGE: "image",
}
"""What a risk is called; what has no name here is told by what becomes of it."""
_STATES: Final = {
    forge.StatusState.SUCCESS: "✔",
    forge.StatusState.PENDING: "…",
    forge.StatusState.FAILURE: "✘",
    forge.StatusState.ERROR: "✘",
}
_MOST_FIELDS: Final = 3
_MOST_LINES: Final = 400
_MISSES: Final = 20
_SMALLEST: Final = 200
_MOST_KINDS: Final = 40


def sections(found: subject.Subject, limits: forge.Limits, room: int) -> str:
    """All of the report below its first line."""
    parts: list[str] = []
    for part in (
        _listed(
            "Checks", findings(found.findings, found.source_links, found.revision.sha), room // 4, "findings"
        ),
        _listed("Stages before", stages(found), room // 8, "stages"),
        _listed("CPU and memory requested", cost(found.contrast.cost), room // 8, "notes"),
        _listed("Edited by hand", edits(found), room // 8, "files"),
    ):
        if part:
            parts.append(part)
            room -= escaping.size(part) + 2
    heading = "#### What changes\n\n"
    notice = "" if not found.report_url else f" The whole report: {escaping.link('here', found.report_url)}."
    changed = differences(found.contrast, limits, room - len(heading), notice)
    return "\n\n".join([f"{heading}{changed}", *parts] if changed else parts)


def _listed(title: str, lines: Sequence[str], room: int, what: str) -> str:
    heading = f"#### {title}\n\n"
    body = wording.fitted(lines, room - len(heading), what) if lines else ""
    return f"{heading}{body}" if body else ""


# --- differences ---------------------------------------------------------------------------------------


def differences(found: contrasting.Contrast, limits: forge.Limits, room: int, notice: str = "") -> str:
    """What differs, within the room, the riskiest first; `notice` is added where something had to be left out."""
    loud = [one for one in found.differences if one.risk is not weighing.Risk.NOISE]
    head = [f"**{wording.counts(found)}**", *_quiet(found)]
    head = [line for line in head if line]
    room -= sum(escaping.size(line) + 2 for line in head)
    if room < 0:
        return ""
    shorts = _shorts(loud, room - _SMALLEST)
    if len(shorts) < len(loud):
        body = _counted(loud, shorts, room, notice)
    else:
        body = _mixed(loud, shorts, limits, room, notice)
    return "\n\n".join([*head, body] if body else head)


def _shorts(loud: Sequence[contrasting.Difference], room: int) -> list[str]:
    """A line for each, until the room is full."""
    shorts: list[str] = []
    for one in loud:
        line = f"- {_SIGNS[one.action]} {escaping.code(_name(one))} {wording.safe(_told(one))}{_fields(one)}"
        room -= escaping.size(line) + 1
        if room < 0:
            break
        shorts.append(line)
    return shorts


def _mixed(
    loud: Sequence[contrasting.Difference],
    shorts: list[str],
    limits: forge.Limits,
    room: int,
    notice: str,
) -> str:
    """Those that fit in full, the rest by name."""
    room -= sum(escaping.size(line) + 1 for line in shorts) + _SMALLEST + escaping.size(notice)
    full: list[str] = []
    left: list[str] = []
    missed = 0
    for one, short in zip(loud, shorts, strict=True):
        long = _full(one, limits) if missed < _MISSES and room > 0 else ""
        more = escaping.size(long) + 2 - escaping.size(short) - 1
        if long and more <= room:
            full.append(long)
            room -= more
        else:
            left.append(short)
            missed += 1
    if not left:
        return "\n\n".join(full)
    said = f"⚠ {wording.amount(len(left), 'difference')} only by name: more than this forge takes.{notice}"
    return "\n\n".join([*full, said, "\n".join(left)])


def _counted(loud: Sequence[contrasting.Difference], shorts: list[str], room: int, notice: str) -> str:
    """How many of which kind, and the riskiest by name."""
    kinds = Counter((one.kind or "file", one.action) for one in loud)
    lines = [
        f"- {number:,} of {escaping.code(kind)} {_WORDS[action]}"
        for (kind, action), number in kinds.most_common(_MOST_KINDS)
    ]
    said = f"⚠ {wording.amount(len(loud), 'difference')}: more than this forge takes.{notice}"
    counted = wording.fitted(lines, max(room // 2, 0), "kinds")
    room -= escaping.size(counted) + escaping.size(said) + 4
    named = wording.fitted(shorts, room, "differences", len(loud) - len(shorts))
    text = "\n\n".join(part for part in (said, counted, named) if part)
    return text if room >= 0 else ""


def _full(one: contrasting.Difference, limits: forge.Limits) -> str:
    text = one.text
    if not text:
        return ""
    lines = text.split("\n")
    if len(lines) > _MOST_LINES:
        text = "\n".join([*lines[:_MOST_LINES], f"… {len(lines) - _MOST_LINES:,} more lines"])
    return escaping.folded(_name(one), _told(one), escaping.fenced(text), limits)


def _name(one: contrasting.Difference) -> str:
    return f"{one.title} ({one.namespace})" if one.namespace else one.title


def _told(one: contrasting.Difference) -> str:
    """In a few words: what becomes of it, and what to look at."""
    words = [_WORDS[one.action], RISKS.get(one.risk, ""), *one.reasons]
    if one.folded:
        words.append(f"{wording.amount(one.folded, 'label or checksum', 'labels or checksums')} not shown")
    return ", ".join(word for word in words if word)


def _fields(one: contrasting.Difference) -> str:
    """The first fields that change, from what to what."""
    told = [_field(change, hidden=one.hidden) for change in one.fields[:_MOST_FIELDS]]
    if len(one.fields) > _MOST_FIELDS:
        told.append(f"{len(one.fields) - _MOST_FIELDS:,} more fields")
    return f": {'; '.join(told)}" if told else ""


def _field(change: plan.FieldChange, *, hidden: bool) -> str:
    path = escaping.code(change.path, 120)
    if change.before is None:
        return f"{path} is new" if hidden else f"{path} → {_value(change.after)}"
    if change.after is None:
        return f"{path} goes"
    if hidden:
        return f"{path} has another value"
    return f"{path} {_value(change.before)} → {_value(change.after)}"


def _value(value: Any) -> str:
    if isinstance(value, dict | list):
        return f"{{{wording.amount(len(value), 'field')}}}" if isinstance(value, dict) else f"[{len(value)}]"
    text = "true" if value is True else "false" if value is False else str(value)
    return escaping.code(text, 80) or '""'


def _quiet(found: contrasting.Contrast) -> Iterator[str]:
    """What is folded into a line: differences that tell nothing."""
    noise = [one for one in found.differences if one.risk is weighing.Risk.NOISE]
    if noise:
        yield f"{wording.amount(len(noise), 'resource')} with nothing but new chart labels or checksums"
    if found.layout:
        yield f"{wording.amount(len(found.layout), 'file')} with nothing but other comments or layout"


# --- the rest ------------------------------------------------------------------------------------------


def findings(found: publication.Findings, links: forge.Links, sha: str = "") -> list[str]:
    """What validating found: errors, warnings, waived ones with who answers for them, then each check."""
    lines = [wording.finding(error, "✘", links, sha) for error in found.failed]
    lines += [wording.finding(error, "⚠", links, sha) for error in found.warnings]
    for waived in found.waived:
        owner = f"waived by {escaping.prose(waived.owner, 80)} until {escaping.prose(waived.until, 20)}"
        lines.append(f"{wording.finding(waived.error, '○', links, sha)} ({owner})")
    for check in found.checks:
        version = f" {escaping.prose(check.version, 40)}" if check.version else ""
        lines.append(f"- {'✔' if check.passed else '✘'} {escaping.code(check.name, 60)}{version}")
    return lines


def stages(found: subject.Subject) -> list[str]:
    """How the stages before this one stand."""
    lines = []
    for prior in found.priors:
        state, said = wording.standing(prior)
        since = wording.moment(prior.since)
        revision = wording.commit(prior.revision, found.source_links) if prior.revision is not None else ""
        page = escaping.link("what the agent says", prior.url) if prior.url else ""
        words = [wording.safe(said), revision, f"there since {since}" if since else "", page]
        lines.append(f"- {_STATES[state]} {', '.join(word for word in words if word)}")
    if found.hotfix:
        lines.append(f"- ⚠ skipped as a hotfix: {escaping.prose(found.hotfix)}")
    return lines


def cost(found: costing.Cost) -> list[str]:
    """CPU and memory that the changed workloads request, before and after."""
    if not found.changes and not found.notes:
        return []
    tables: tuple[tuple[str, Callable[[Any], str], tuple[Any, Any]], ...] = (
        ("CPU", costing.cores, found.cpu),
        ("memory", costing.size, found.memory),
    )
    lines = [
        f"- {name} {spell(before)} → {spell(after)} ({'+' if after > before else ''}{spell(after - before)})"
        for name, spell, (before, after) in tables
        if before != after
    ]
    if lines:
        lines += [f"- {escaping.prose(note)}" for note in found.notes]
    return lines


def edits(found: subject.Subject) -> list[str]:
    """Hand edits that this would overwrite."""
    lines = []
    for edit in found.edits:
        page = wording.address(found.links.commit, sha=edit.commit)
        which = f" {escaping.link(escaping.code(edit.commit[:8]), page)}" if edit.commit else ""
        who = f" by {escaping.prose(edit.author, 80)}" if edit.author else ""
        lines.append(f"- {escaping.code(edit.file)}{which}{who}")
    return lines
