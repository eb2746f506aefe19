"""What gates are judged by and Git's branches do not tell: agents' reports, people's reviews, a gate's own program.

CI reaches no target: how a stage does is what agents wrote to refs of their own in the GitOps repository
(`model.report`). What cannot be read is not known, and what is not known opens no gate.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import tempfile
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from undrift import errors, interfaces
from undrift.engine import promoting
from undrift.forges import escaping
from undrift.lib import process
from undrift.model import delivery, forge, health, publication, report
from undrift.publishing import subject
from undrift.sources.git import grafting, shelf, trees

_KEPT: Final = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR")
_TIMEOUT: Final = 300.0
_OUTPUT: Final = 1 << 20
_TAIL: Final = 500


@dataclasses.dataclass(frozen=True, slots=True)
class Reports:
    """All reports that could be read; `trouble` says what could not."""

    found: tuple[report.Report, ...] = ()
    trouble: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Published:
    """What is published on the branch that agents read: `tip` is its commit, `provenances` are by stage."""

    tip: str
    provenances: Mapping[str, publication.Provenance | None]


@dataclasses.dataclass(frozen=True, slots=True)
class People:
    """Who made something and who said yes to it, as the forge knows them. `authors` None: nobody knows who made it."""

    reviews: tuple[forge.Review, ...] = ()
    authors: frozenset[str] | None = None
    head: str = ""


NOBODY: Final = People()


# --- agents --------------------------------------------------------------------------------------------


async def reports(access: shelf.Access, shown: str) -> Reports:
    """What every agent says, from its ref in the GitOps repository. Never raises a `SourceError`: it becomes trouble."""
    place = shelf.Shelf(access, shown, report.REFS)
    try:
        refs = await place.read()
    except errors.SourceError as error:
        return Reports(trouble=f"the reports of agents cannot be read: {error}")
    finally:
        await place.close()
    found: list[report.Report] = []
    trouble: list[str] = []
    for agent, shelved in sorted(refs.items()):
        for name, content in sorted(shelved.files.items()):
            try:
                found.append(report.decode(content))
            except ValueError as error:
                trouble.append(f"{name} of agent {agent} cannot be read: {error}")
    return Reports(tuple(found), "; ".join(trouble))


async def stands(
    bench: grafting.Workbench, stages: Sequence[delivery.Stage], published: Published, told: Reports
) -> dict[str, promoting.Stand]:
    """How every stage stands: its reports, each beside the tree that is published at its path now.

    Raises a `SourceError` when the GitOps repository cannot be read.
    """
    about = {stage.name: of_folder(told.found, stage.folder) for stage in stages}
    paths = sorted({one.path for each in about.values() for one in each})
    ids = await _trees(bench, published.tip, paths)
    return {
        stage.name: promoting.Stand(
            published.provenances.get(stage.name),
            tuple(promoting.Heard(one, ids[one.path]) for one in about[stage.name]),
            told.trouble,
        )
        for stage in stages
    }


def of_folder(told: Collection[report.Report], folder: str) -> tuple[report.Report, ...]:
    """The reports on a stage's folder and on parts of it; where there are none, those on the nearest folder around."""
    inside = [one for one in told if one.path == folder or one.path.startswith(f"{folder}/")]
    if inside:
        return tuple(inside)
    around = [one for one in told if one.path == "." or folder.startswith(f"{one.path}/")]
    nearest = max((len(one.path) for one in around if one.path != "."), default=1)
    return tuple(one for one in around if len(one.path) == nearest)


async def _trees(bench: grafting.Workbench, tip: str, paths: Sequence[str]) -> dict[str, str]:
    """Git's id of what is at each path of a commit; "" where nothing is."""
    if not paths:
        return {}
    forest = await bench.forest(tip, [path for path in paths if path != "."])
    found = {}
    for path in paths:
        above, _, name = path.rpartition("/")
        entry = forest.entries(above).get(name)
        is_files = entry is not None and entry.mode != trees.SUBMODULE
        found[path] = forest.root if path == "." else entry.object_id if entry and is_files else ""
    return found


# --- people and programs -------------------------------------------------------------------------------


async def people(
    host: interfaces.Forge, proposed: forge.PullRequest, authors: Collection[str] | None
) -> People:
    """The reviews of a pull request. `authors` are the logins of those who made the revision, as CI or the forge vouch
    for them (None: nobody does); whoever opened the pull request is added. Raises a `ForgeUnavailable` and its like.
    """
    found = tuple(await host.reviews(proposed.number))
    known = (
        None if authors is None else frozenset({*authors, *([proposed.author] if proposed.author else [])})
    )
    return People(found, known, proposed.sha)


async def ended(
    gate: delivery.Gate, folder: pathlib.Path, about: Mapping[str, str], *, timeout: float = _TIMEOUT
) -> promoting.Ended | None:
    """How the program of a gate ends; None where the gate has none. It runs in `folder` and sees no credentials:
    `about` (`UNDRIFT_APPLICATION`, …), where programs are, and an empty home is all it is told. Never raises.
    """
    if not gate.command:
        return None
    with tempfile.TemporaryDirectory(prefix="undrift-", ignore_cleanup_errors=True) as home:
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
        environment |= {"HOME": home, "GIT_TERMINAL_PROMPT": "0", **about}
        try:
            done = await process.run(
                gate.command,
                env=environment,
                cwd=folder,
                limits=process.Limits(timeout=timeout, output=_OUTPUT),
            )
        except process.ProcessError as error:
            return promoting.Ended(-1, error.problem)
    said = (done.stderr.strip() or done.stdout.strip()).decode("utf-8", "replace")
    return promoting.Ended(done.returncode, said[-_TAIL:])


@dataclasses.dataclass(frozen=True, slots=True)
class Question:
    """Whether a revision may come to a stage, and what is known of it already. `folder` is where the application's
    checkout is; `frozen` and `hotfix` are as in `promoting.Facts`.
    """

    application: str
    stage: delivery.Stage
    revision: publication.AppRevision
    folder: pathlib.Path
    people: People = NOBODY
    frozen: str = ""
    hotfix: str = ""


async def facts(asked: Question, known: Mapping[str, promoting.Stand]) -> promoting.Facts:
    """All that the gate of a stage is judged by; its program is run. `known` is what `stands` told."""
    about = {
        "UNDRIFT_APPLICATION": asked.application,
        "UNDRIFT_STAGE": asked.stage.name,
        "UNDRIFT_REVISION": asked.revision.sha,
    }
    return promoting.Facts(
        asked.revision,
        known,
        reviews=asked.people.reviews,
        authors=asked.people.authors,
        head=asked.people.head,
        ended=await ended(asked.stage.gate, asked.folder, about),
        frozen=asked.frozen,
        hotfix=asked.hotfix,
    )


# --- telling -------------------------------------------------------------------------------------------


def priors(stage: delivery.Stage, known: promoting.Facts, now: float) -> tuple[subject.Prior, ...]:
    """The stages that one requires, as a pull request shows them."""
    return tuple(_prior(one, known, now) for one in stage.gate.requires)


def _prior(wanted: delivery.Requirement, known: promoting.Facts, now: float) -> subject.Prior:
    stand = known.stands.get(wanted.stage, promoting.Stand())
    verdict = promoting.judge(
        delivery.Gate(requires=(wanted,)), dataclasses.replace(known, frozen="", hotfix=""), now
    )
    worst = min((one.report for one in stand.heard), key=_worth, default=None)
    fresh = worst is not None and not worst.silent(now)
    return subject.Prior(
        wanted.stage,
        stand.revision,
        stand.revision is not None and stand.revision.sha == known.revision.sha,
        worst.since if worst else 0.0,
        worst.health.value if worst and fresh else health.Status.UNKNOWN.value,
        max(0.0, now - worst.since) if worst and fresh else 0.0,
        wanted,
        _STATES[verdict.state],
        "; ".join(verdict.reasons),
    )


_STATES: Final = {
    promoting.State.OPEN: forge.StatusState.SUCCESS,
    promoting.State.CLOSED: forge.StatusState.PENDING,
    promoting.State.FAILED: forge.StatusState.FAILURE,
}


def _worth(one: report.Report) -> tuple[bool, float]:
    """The one that says most against a stage comes first: not healthy, then healthy for the shortest time."""
    return (one.health is health.Status.HEALTHY, -one.since)


async def tell_source(
    host: interfaces.Forge, known: Mapping[str, promoting.Stand], now: float
) -> dict[str, forge.Status]:
    """Say on each published revision of the application what became of it: a status `undrift/<stage>`, with the reason
    as the agent reports it. `host` is the application's own repository. Gives back what was set, by stage.

    Raises `ForgeDenied`, `ForgeUnavailable`, `ForgeRefused`.
    """
    told: dict[str, forge.Status] = {}
    if not host.limits.statuses:
        return told
    for name, stand in known.items():
        if stand.revision is not None:
            state, text = outcome(stand, now)
            said = escaping.cut(escaping.line(text), host.limits.description)
            told[name] = forge.Status(f"undrift/{name}", state, said)
            await host.set_status(stand.revision.sha, told[name])
    return told


def outcome(stand: promoting.Stand, now: float) -> tuple[forge.StatusState, str]:
    """What became of what is published in a stage; the worst of several reports. Nothing in it changes by time alone."""
    if not stand.heard:
        return forge.StatusState.PENDING, stand.trouble or "published; no agent has reported on it yet"
    ranked = [_outcome(one, now) for one in stand.heard]
    for state in (forge.StatusState.FAILURE, forge.StatusState.ERROR, forge.StatusState.PENDING):
        texts = [text for found, text in ranked if found is state]
        if texts:
            return state, "; ".join(texts)
    return forge.StatusState.SUCCESS, "; ".join(text for _, text in ranked)


def _outcome(heard: promoting.Heard, now: float) -> tuple[forge.StatusState, str]:
    told = heard.report
    who = f"{told.application}: "
    why = f": {told.reason}" if told.reason else ""
    if told.silent(now):
        return forge.StatusState.ERROR, f"{who}nobody knows; agent {told.agent} has not been heard of"
    if not heard.tree or told.tree != heard.tree:
        refused = told.ending in ("failed", "rolled back") and bool(why)
        state = forge.StatusState.FAILURE if refused else forge.StatusState.PENDING
        return state, f"{who}not applied{why or ' yet'}"
    if told.health in (health.Status.HEALTHY, health.Status.SUSPENDED):
        return forge.StatusState.SUCCESS, f"{who}applied, {told.health}"
    bad = told.health is not health.Status.PROGRESSING
    return (forge.StatusState.FAILURE if bad else forge.StatusState.PENDING), f"{who}{told.health}{why}"
