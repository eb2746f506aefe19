"""What a pull request is told of the agent's plan: a comment and a status. Pure.

Nothing in it changes by time alone, so that a comment is edited when there is something new to read and not before.
Secrets are masked as they are everywhere that plans are shown (`shapes`).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from undrift import errors
from undrift.agent import foreseeing, shapes
from undrift.forges import escaping
from undrift.model import forge, record

_SIGNS: Final = {
    "create": "+",
    "update": "~",
    "delete": "-",
    "recreate": "±",
    "adopt": "»",
    "move": "→",
    "mark": "·",
    "release": "«",
}
_LATER: Final = (
    errors.ApprovalRequired,
    errors.WindowClosed,
    errors.DependencyNotReady,
    errors.DependentsRemain,
    errors.OutputPending,
    errors.RolloutStopped,
    errors.RolloutWaiting,
    errors.Suspended,
    errors.ObserveOnly,
)
"""What does not speak against merging: the plan waits for it afterwards."""
_AWAY: Final = frozenset({record.Phase.DISCOVER, record.Phase.OBSERVE, record.Phase.PREVIEW})
_LINES: Final = 60
_FEW: Final = 12
_DIGITS: Final = 12
_SHORT: Final = 12


@dataclasses.dataclass(frozen=True, slots=True)
class Occasion:
    """What a comment is about: whose plan it is, and of which commits. `context` is the name of the status."""

    agent: str
    branch: str
    base: str
    head: str
    context: str = "undrift/plan"


def marker(agent: str) -> str:
    """What the agent finds its comment by."""
    return f"<!-- undrift:agent-plan v1 agent={agent} -->"


def comment(about: Occasion, found: foreseeing.Foresight, limits: forge.Limits) -> str:
    """The comment, as long as the forge takes it: with every field, with the resources only, or with the verdicts."""
    text = ""
    for lines in (_LINES, _FEW, 0):
        text = "\n\n".join([*_head(about, found), *_parts(found, lines, limits), *_foot(found)])
        if escaping.size(text) <= limits.comment:
            return text
    return escaping.cut(text, limits.comment)


def ended(text: str, about: Occasion, state: forge.PullRequestState, limits: forge.Limits) -> str:
    """The comment once its pull request is merged or closed: what it said stays, as it was said last."""
    merged = state is forge.PullRequestState.MERGED
    told = (
        "**Merged.** The agent applies this by the rules of each application. Below is the plan as it was last."
        if merged
        else "**Closed without merging.** Nothing of this is applied. Below is the plan as it was last."
    )
    mark = marker(about.agent)
    return escaping.cut(f"{mark}\n{told}\n\n{text.removeprefix(mark).lstrip()}", limits.comment)


def status(about: Occasion, found: foreseeing.Foresight, limits: forge.Limits) -> forge.Status:
    """`success` where merging is all that is missing, `failure` where it would stop or break something."""
    if found.conflicts:
        state, text = forge.StatusState.FAILURE, "it conflicts with its base"
    elif bad := [*found.wrong, *(error for one in found.outlooks for error in against(one))]:
        state, text = forge.StatusState.FAILURE, f"{bad[0].code} {bad[0].what}"
    elif away := [one for one in found.outlooks if _is_away(one)]:
        state, text = forge.StatusState.PENDING, f"the target of {away[0].application} cannot be looked at"
    else:
        state, text = forge.StatusState.SUCCESS, _verdict(about, found)
    return forge.Status(about.context, state, escaping.cut(escaping.line(text), limits.description))


def waiting(about: Occasion) -> forge.Status:
    """While the plan is made."""
    return forge.Status(about.context, forge.StatusState.PENDING, f"agent {about.agent} is planning")


def digests(found: foreseeing.Foresight) -> dict[str, str]:
    """The digests that are shown, by application."""
    return {
        one.application: one.told.plan.digest
        for one in found.outlooks
        if one.told is not None and one.told.plan is not None and one.told.plan.waves
    }


def against(one: foreseeing.Outlook) -> tuple[errors.UndriftError, ...]:
    """What speaks against merging: errors, and guards that would stop the plan."""
    told = one.told
    if told is None:
        return one.wrong
    if told.failure is not None:
        return () if _is_away(one) else told.failure.error.parts
    stops = told.verdict.stops if told.verdict is not None else ()
    return tuple(stop for stop in stops if not isinstance(stop, _LATER))


def _is_away(one: foreseeing.Outlook) -> bool:
    """Whether the target could not be asked: that is not the pull request's fault, and may be over soon."""
    failure = one.told.failure if one.told is not None else None
    return failure is not None and failure.phase in _AWAY and errors.waiting_helps(failure.error)


# --- parts ---------------------------------------------------------------------------------------------


def _head(about: Occasion, found: foreseeing.Foresight) -> Iterator[str]:
    bad = bool(found.conflicts or found.wrong or any(against(one) for one in found.outlooks))
    sign = "✗" if bad else "✓"
    yield f"{marker(about.agent)}\n{sign} **Agent {escaping.prose(about.agent)}: {_verdict(about, found)}**"
    head, base = (escaping.code(one[:_SHORT]) for one in (about.head, about.base))
    yield f"The live plan of {head} merged into {escaping.code(about.branch)} at {base}. Nothing was changed."


def _verdict(about: Occasion, found: foreseeing.Foresight) -> str:
    if found.conflicts:
        return "it conflicts with its base, nothing can be planned"
    if found.empty:
        return f"nothing changes for agent {about.agent}"
    counts: dict[str, int] = {}
    for one in found.outlooks:
        plan = one.told.plan if one.told is not None and one.told.failure is None else None
        for change in plan.changes if plan is not None else ():
            counts[change.action.value] = counts.get(change.action.value, 0) + 1
    told = ", ".join(f"{counts[action]} to {action}" for action in _SIGNS if action in counts)
    number = len(found.outlooks) + found.more
    plural = "" if number == 1 else "s"
    return f"{number} application{plural}, {told or 'nothing to do'}"


def _parts(found: foreseeing.Foresight, lines: int, limits: forge.Limits) -> Iterator[str]:
    if found.conflicts:
        yield "\n".join(f"* {escaping.code(name)}" for name in found.conflicts[:_LINES])
    for error in found.wrong[:_LINES]:
        yield _error(shapes.error(error))
    for one in found.outlooks:
        yield "\n\n".join(_outlook(one, lines, limits))
    if found.more:
        yield f"{found.more} more applications were not planned: that would be too many at once."


def _outlook(one: foreseeing.Outlook, lines: int, limits: forge.Limits) -> Iterator[str]:
    name = escaping.code(one.application)
    told = one.told
    if told is None or told.plan is None or told.failure is not None:
        yield f"#### {name} {'cannot be planned' if not one.note else 'is not planned'}"
        if one.note:
            yield escaping.prose(one.note, 400)
        failed = told.failure.error.parts if told is not None and told.failure is not None else ()
        yield from (_error(shapes.error(error)) for error in (*one.wrong, *failed))
        return
    data = shapes.planned(told.plan, told.verdict, told.warnings)
    leaves = ": its document leaves Git" if one.leaving else ""
    yield f"#### {name}{leaves}"
    later = {id(stop) for stop in (told.verdict.stops if told.verdict else ()) if isinstance(stop, _LATER)}
    stops = told.verdict.stops if told.verdict else ()
    yield from (_error(shapes.error(stop), "…" if id(stop) in later else "✗") for stop in stops)
    yield from (_error(warning, "!") for warning in data["warnings"])
    changes = [change for wave in data["waves"] for change in wave]
    summary = _counts(changes, data)
    if changes and lines:
        shown = [line for change in changes for line in _change(change, lines)]
        yield escaping.folded(summary, "", escaping.fenced("\n".join(shown)), limits)
    else:
        yield escaping.prose(summary)
    if changes and data["digest"]:
        yield f"Digest {escaping.code(data['digest'])}"


def _counts(changes: list[Any], data: Mapping[str, Any]) -> str:
    counts = {action: sum(1 for one in changes if one["action"] == action) for action in _SIGNS}
    told = ", ".join(f"{count} to {action}" for action, count in counts.items() if count)
    kept = f", {len(data['withheld'])} left alone" if data["withheld"] else ""
    return f"{told or 'nothing to do'}, {data['unchanged']} unchanged{kept}"


def _change(one: Mapping[str, Any], lines: int) -> Iterator[str]:
    """A resource with the paths of the fields that change, and what changes in them: as a diff where there is one."""
    where = f"  {one['origin']}" if one["origin"] else ""
    giver = f"  (from {one['from']})" if one["from"] else ""
    paths = [field["path"] for field in one["fields"]] if one["action"] != "create" else []
    more = f" and {len(paths) - _FEW} more" if len(paths) > _FEW else ""
    fields = f"  [{', '.join(paths[:_FEW])}{more}]" if paths else ""
    yield f"{_SIGNS.get(one['action'], '?')} {one['id']}{giver}{fields}{where}"
    if lines <= _FEW or one["action"] == "delete":
        return
    values = [
        f"    {each['path']}: {_value(each['before'])} → {_value(each['after'])}" for each in one["fields"]
    ]
    told = one["text"].splitlines() or values
    yield from told[:lines]
    if len(told) > lines:
        yield f"    … and {len(told) - lines} more lines"


def _value(value: Any) -> str:
    if value is None:
        return "absent"
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)


def _error(told: Mapping[str, Any], sign: str = "✗") -> str:
    where = f" {escaping.code(told['where'])}" if told["where"] else ""
    lines = [f"{sign} **{told['code']}** {escaping.prose(told['what'], 400)}{where}"]
    # Each behind a word of ours: a line that begins with theirs may be an order (`/merge`) to a forge.
    lines += [
        f"{label}: {escaping.prose(told[part], 600)}"
        for label, part in (("why", "why"), ("next", "hint"))
        if told[part]
    ]
    return "  \n".join(lines)


def _foot(found: foreseeing.Foresight) -> Iterator[str]:
    shown = digests(found)
    if not shown:
        return
    name, digest = next(iter(shown.items()))
    short = digest.partition(":")[2][:_DIGITS]
    yield (
        "A digest names the plan by its content, not by its commit: it holds after merging by any method, as long as"
        " neither the base nor the target has moved under it. Who wants to approve one, before or after merging:"
        f" {escaping.code(f'undrift approve {name} {short}')}."
    )
