"""Whether a revision may come to a stage: gates. Which revision goes where next is in `advancing`. Pure.

A gate is judged from facts that others gathered. Whatever is not known counts as not being so: a report that is not
there, is about another tree, or is older than its agent promised opens nothing. Every reason is a sentence that says
what is missing and, where time alone will bring it, when.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from undrift.engine import windows
from undrift.lib import durations
from undrift.model import delivery, forge, health, publication, report

_RANK: Final = {health.Status.HEALTHY: 3, health.Status.SUSPENDED: 2, health.Status.PROGRESSING: 1}
_BAD: Final = frozenset({health.Status.DEGRADED, health.Status.MISSING})
_LONGEST: Final = 200


class State(enum.StrEnum):
    """How a gate stands: `CLOSED` may open while nobody does anything wrong, `FAILED` needs somebody to act."""

    OPEN = "open"
    CLOSED = "closed"
    FAILED = "failed"


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """The word on a gate. `next_at` is when waiting alone may open it (None: it will not); `skipped` are requirements
    that a hotfix did without.
    """

    state: State
    reasons: tuple[str, ...] = ()
    next_at: float | None = None
    skipped: tuple[str, ...] = ()

    @property
    def open(self) -> bool:
        """Whether the revision may go in."""
        return self.state is State.OPEN


@dataclasses.dataclass(frozen=True, slots=True)
class Heard:
    """An agent's report on files of a stage, and the tree that is published at the report's path now."""

    report: report.Report
    tree: str


@dataclasses.dataclass(frozen=True, slots=True)
class Stand:
    """What is known of a stage: what is published there, and what agents say of it.

    `trouble` says why nothing was heard, where that is known.
    """

    provenance: publication.Provenance | None = None
    heard: tuple[Heard, ...] = ()
    trouble: str = ""

    @property
    def revision(self) -> publication.AppRevision | None:
        """The revision that is published there."""
        return self.provenance.revision if self.provenance else None


@dataclasses.dataclass(frozen=True, slots=True)
class Ended:
    """How the program of a gate ended: its exit code, and the last of what it said."""

    code: int
    said: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Facts:
    """What a gate is judged by. `revision` is the one that wants in; `stands` are the stages by name.

    `authors` are the logins of those who made the revision and the pull request, as the forge vouches for them;
    None: nobody knows, and then nobody's approval counts. `head` is the commit that has to be approved. `ended` is
    None where the gate's program was not run. `frozen` says why nothing is promoted at present, `hotfix` why
    requirements on other stages do not count.
    """

    revision: publication.AppRevision
    stands: Mapping[str, Stand]
    reviews: tuple[forge.Review, ...] = ()
    authors: frozenset[str] | None = None
    head: str = ""
    ended: Ended | None = None
    frozen: str = ""
    hotfix: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class _Lack:
    """Something that a gate misses: `at` is when time alone brings it; `acts` tells that somebody has to act."""

    text: str
    at: float | None = None
    acts: bool = False


def entry(stage: delivery.Stage) -> delivery.Gate:
    """What has to be true before a revision is published for a stage. The approvals of one that gets pull requests are
    not in it: they are given to the pull request, and asked for before it is merged.
    """
    if stage.way is delivery.Way.PULL_REQUEST:
        return dataclasses.replace(stage.gate, approvals=0)
    return stage.gate


def judge(gate: delivery.Gate, facts: Facts, now: float) -> Verdict:
    """Whether a revision may come to the stage that has this gate. All that is missing is said at once."""
    required = [lack for one in gate.requires for lack in _required(one, facts, now)]
    skipped = tuple(lack.text for lack in required) if facts.hotfix else ()
    lacks = [
        *([] if facts.hotfix else required),
        *_frozen(facts),
        *_approvals(gate, facts),
        *_command(gate, facts),
    ]
    closed = not windows.allowed(gate.windows, now)
    if closed:
        lacks.append(_window(gate, now))
    if not lacks:
        return Verdict(State.OPEN, skipped=skipped)
    state = State.FAILED if any(one.acts for one in lacks) else State.CLOSED
    return Verdict(state, tuple(one.text for one in lacks), _opens(gate, lacks, now), skipped)


def _opens(gate: delivery.Gate, lacks: Sequence[_Lack], now: float) -> float | None:
    """When all that is missing may be there without anybody acting: then a window has to be open, too."""
    times = [one.at for one in lacks if one.at is not None]
    if len(times) != len(lacks):
        return None
    at = max([now, *times])
    return at if windows.allowed(gate.windows, at) else windows.opens_at(gate.windows, at)


def _window(gate: delivery.Gate, now: float) -> _Lack:
    at = windows.opens_at(gate.windows, now)
    when = f"it opens in {_span(at - now)}" if at is not None else "none opens within eight days"
    return _Lack(f"no window is open; {when}", at, acts=at is None)


def _frozen(facts: Facts) -> Iterator[_Lack]:
    if facts.frozen:
        yield _Lack(f"promotion is frozen: {facts.frozen}", acts=True)


# --- other stages --------------------------------------------------------------------------------------


def _required(wanted: delivery.Requirement, facts: Facts, now: float) -> Iterator[_Lack]:
    """What one required stage lacks for this revision."""
    stand = facts.stands.get(wanted.stage, Stand())
    found = stand.revision
    if found is None:
        yield _Lack(f"nothing is published in {wanted.stage} yet")
        return
    if found.sha != facts.revision.sha:
        yield _Lack(f"{wanted.stage} has {found.short}, not {facts.revision.short}")
        return
    if not stand.heard:
        yield _unheard(wanted.stage, stand)
    for heard in stand.heard:
        yield from _health(wanted, heard, now)


def _unheard(stage: str, stand: Stand) -> _Lack:
    if stand.trouble:
        return _Lack(f"nobody knows how {stage} is: {stand.trouble}", acts=True)
    return _Lack(
        f"no agent has reported on {stage} yet; one that does has `reports` in its Agent document", acts=True
    )


def _health(wanted: delivery.Requirement, heard: Heard, now: float) -> Iterator[_Lack]:
    told, stage = heard.report, wanted.stage
    if told.silent(now):
        yield _silence(stage, told, now)
    elif not heard.tree or told.tree != heard.tree:
        yield _unapplied(stage, told)
    elif _RANK.get(told.health, 0) < _RANK[health.Status(wanted.health)]:
        why = f": {_cut(told.reason)}" if told.reason else ""
        yield _Lack(f"{stage} is {told.health}{why}", acts=told.health in _BAD)
    elif now < told.since + wanted.soak:
        held = _span(max(0.0, now - told.since))
        yield _Lack(f"{stage} is {told.health} for {held} of {_span(wanted.soak)}", told.since + wanted.soak)


def _silence(stage: str, told: report.Report, now: float) -> _Lack:
    quiet = _span(now - told.observed)
    return _Lack(
        f"nobody knows how {stage} is: agent {told.agent} has said nothing for {quiet}; see whether it runs, and"
        f" where it is gone for good delete {report.REFS}{told.agent}",
        acts=True,
    )


def _unapplied(stage: str, told: report.Report) -> _Lack:
    """Published, and not applied yet; or the agent says what is in the way."""
    refused = told.ending in ("failed", "waiting", "rolled back") and bool(told.reason)
    if refused:
        return _Lack(f"agent {told.agent} has not applied what is in {stage}: {_cut(told.reason)}", acts=True)
    return _Lack(f"agent {told.agent} has not applied what is in {stage} yet")


# --- people and programs -------------------------------------------------------------------------------


def _approvals(gate: delivery.Gate, facts: Facts) -> Iterator[_Lack]:
    """Four eyes: whoever made the revision or the pull request does not count, nor a word on an older head."""
    if not gate.approvals:
        return
    if facts.authors is None:
        yield _Lack(
            f"nobody can tell who made {facts.revision.short}, so that no approval counts; have the forge or CI say it",
            acts=True,
        )
        return
    made = {login.casefold() for login in facts.authors}
    may = {login.casefold() for login in gate.approvers}
    counted: set[str] = set()
    remarks: list[str] = []
    for one in facts.reviews:
        login = one.login.casefold()
        if not one.approved or not login:
            continue
        if login in made:
            remarks.append(f"{one.login} made it, and does not count")
        elif may and login not in may:
            remarks.append(f"{one.login} is none of those who may")
        elif one.stale or not facts.head or one.sha != facts.head:
            remarks.append(f"{one.login} approved something older")
        else:
            counted.add(login)
    missing = gate.approvals - len(counted)
    if missing > 0:
        who = f" by {' or '.join(gate.approvers)}" if gate.approvers else ""
        have = f"{len(counted)} of {gate.approvals} approvals{who}"
        yield _Lack("; ".join([f"there {'is' if len(counted) == 1 else 'are'} {have}", *remarks]))


def _command(gate: delivery.Gate, facts: Facts) -> Iterator[_Lack]:
    if not gate.command:
        return
    name = gate.command[0]
    if facts.ended is None:
        yield _Lack(f"{name} was not run")
    elif facts.ended.code:
        said = f": {_cut(facts.ended.said)}" if facts.ended.said else ""
        yield _Lack(f"{name} says no (exit code {facts.ended.code}){said}", acts=True)


# --- words ---------------------------------------------------------------------------------------------


def _span(seconds: float) -> str:
    return durations.spell(round(seconds)) if seconds >= 1 else "0s"


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
