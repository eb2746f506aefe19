"""The texts of pull requests, their comments and statuses. Pure: values in, text out, nothing is looked up.

    pull_request(subject.Subject, forge.Limits) -> (title, body)      the pull request itself
    report(subject.Subject, forge.Limits) -> str                      its one long comment; found by `report_marker(subject)`
    application_comment(application, [subject.View], Limits) -> str   on the application's own pull request;
                                                                      found by `application_marker(application)`
    statuses(subject.Subject, forge.Limits) -> [forge.Status]         of the commit at the head
    parse_marker(body) -> subject.Marker | None                       what a body of ours says of itself
    alike(text, other) -> bool                                        both say the same, but for spans of time

A forge that takes no bodies or comments (a limit of 0) gets "". Nothing is longer than the limits say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from undrift.forges import escaping
from undrift.model import forge, publication
from undrift.publishing import reporting, subject, wording

_TREE: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_RELATIONS: Final = {
    subject.Relation.FIRST: ("The first revision that comes here.", ""),
    subject.Relation.SAME: ("The same revision as before: configuration or inputs are other ones.", ""),
    subject.Relation.AHEAD: ("", ""),
    subject.Relation.DOWNGRADE: ("⚠ **Downgrade**: older than what is there.", "What is taken back"),
    subject.Relation.APART: (
        "⚠ **Not a descendant** of what is there: something may get lost.",
        "What comes",
    ),
    subject.Relation.REWRITTEN: (
        "⚠ **History rewritten**: what is there is not in the application's repository any more.",
        "What comes",
    ),
    subject.Relation.UNKNOWN: (
        "Which commits come is not known: CI's clone of the application is too shallow to tell.",
        "",
    ),
}
"""What is said of a relation, and what the commits below it are."""


# --- the pull request ----------------------------------------------------------------------------------


def pull_request(found: subject.Subject, limits: forge.Limits) -> tuple[str, str]:
    """Title and body."""
    title = escaping.cut(escaping.defused(_title(found)), limits.title)
    beginning = wording.marker("", app=found.application, stage=found.stage, tree=found.tree)
    room = limits.body - wording.sealed_size(beginning)
    if room < 0:
        return title, ""
    return title, wording.sealed(beginning, _body(found, room))


def _title(found: subject.Subject) -> str:
    before, after = wording.versions(found)
    moved = f"{before} → {after}" if before and before != after else after
    if found.rollback is not None:
        return f"Roll back {found.application} {moved} in {found.stage}"
    hot = "Hotfix: " if found.hotfix else ""
    return f"{hot}{found.application} {moved} to {found.stage}"


def _body(found: subject.Subject, room: int) -> str:
    """By importance: the verdict, what to do, what is overwritten, artifacts, changelog; shown in another order."""
    verdict, room = _taken(f"**{_verdict(found)}**", room)
    if not verdict:
        return escaping.cut(escaping.defused(_title(found)), max(room, 0))
    steps, room = _taken("\n".join(_next_steps(found)), room)
    warning, room = _taken(wording.fitted(_warnings(found), max(room // 3, 0), "files"), room)
    table, room = _taken(_table(found, room), room)
    changes, room = _taken(_changelog(found, room), room)
    return "\n\n".join(part for part in (verdict, warning, table, changes, steps) if part)


def _taken(part: str, room: int) -> tuple[str, int]:
    """The part where it fits, and the room that is left."""
    size = escaping.size(part) + 2 if part else 0
    return (part, room - size) if size <= room else ("", room)


def _verdict(found: subject.Subject) -> str:
    parts = [
        escaping.prose(_title(found)),
        wording.counts(found.contrast),
        wording.checks(found.findings),
        *(wording.safe(wording.standing(one)[1]) for one in found.priors if one.requirement or one.state),
        "stages skipped" if found.hotfix else "",
    ]
    return " · ".join(part for part in parts if part)


def _warnings(found: subject.Subject) -> list[str]:
    lines = []
    if found.rollback is not None:
        why = f": {escaping.prose(found.rollback.reason)}" if found.rollback.reason else ""
        by = f" by {escaping.prose(found.rollback.by, 80)}" if found.rollback.by else ""
        lines += [
            f"⚠ A rollback{by}{why}. Newer revisions stay away until a person lets them come again.",
            "",
        ]
    if found.hotfix:
        lines += [f"⚠ A hotfix that skips stages: {escaping.prose(found.hotfix)}", ""]
    if found.edits:
        lines += ["⚠ **Edited by hand, and overwritten by this:**", "", *reporting.edits(found)]
    return lines if found.edits else lines[:-1]


def _table(found: subject.Subject, room: int) -> str:
    head = ["| | before | after |", "|---|---|---|"]
    rows = [*_image_rows(found), *_revision_rows(found)]
    room -= sum(len(line) + 1 for line in head)
    kept: list[str] = []
    for row in rows:
        room -= escaping.size(row) + 1
        if room < 0:
            break
        kept.append(row)
    return "\n".join([*head, *kept]) if kept else ""


def _revision_rows(found: subject.Subject) -> Iterator[str]:
    revision = found.revision
    before = wording.commit(found.before, found.source_links) if found.before is not None else ""
    yield f"| commit | {before} | {wording.commit(revision, found.source_links)} |"
    if revision.author:
        yield f"| author | {wording.author(found.before) if found.before else ''} | {wording.author(revision)} |"
    if revision.references:
        yield f"| issues | | {', '.join(escaping.code(one, 40) for one in revision.references[:10])} |"
    for chart in found.charts:
        name = escaping.code(chart.name, 80)
        yield f"| chart {name} | {escaping.code(chart.before, 60)} | {escaping.code(chart.after, 60)} |"
    if found.run is not None:
        yield f"| CI | | {escaping.link(escaping.prose(found.run.name, 80) or 'run', found.run.url)} |"


def _image_rows(found: subject.Subject) -> Iterator[str]:
    """Each image once, those that change first."""
    images = sorted(found.contrast.images, key=lambda one: one.before == one.after)
    rows = {(one.container, one.before, one.after): None for one in images}
    for container, before, after in list(rows)[:20]:
        new = "the same" if before == after else _image(after)
        yield f"| image {escaping.code(container, 80)} | {_image(before)} | {new} |"


def _image(reference: str) -> str:
    """An image with its digest, which is cut."""
    name, digest = reference.partition("@")[0], wording.digest(reference)
    return " ".join(escaping.code(part, 160) for part in (name, digest) if part)


def _changelog(found: subject.Subject, room: int) -> str:
    told = found.changelog
    lead, what = _RELATIONS[told.relation]
    if told.relation is subject.Relation.AHEAD:
        what = f"**{wording.amount(len(told.commits) + told.left_out, 'commit')}**"
    if told.commits and what and found.before is not None:
        page = wording.address(found.source_links.compare, old=found.before.sha, new=found.revision.sha)
        what += f" ({escaping.link('compare', page)})" if page else ""
    head = " ".join(part for part in (lead, what if told.commits else "") if part)
    lines = [_commit(one, found.source_links) for one in told.commits]
    room -= escaping.size(head) + 4
    listed = wording.fitted(lines, room, "commits", told.left_out) if lines else ""
    return f"{head}\n\n{listed}" if listed else head


def _commit(revision: publication.AppRevision, links: forge.Links) -> str:
    who = f" ({wording.author(revision)})" if revision.author else ""
    return f"- {wording.commit(revision, links)} {escaping.prose(revision.subject, 120)}{who}"


def _next_steps(found: subject.Subject) -> Iterator[str]:
    stage = escaping.prose(found.stage, 80)
    yield "**What next**"
    yield ""
    if found.approvals:
        people = wording.amount(found.approvals, "approval")
        yield f"- It needs {people} by people other than the author."
    yield f"- Merged, it goes to {stage}: the agent takes it from Git. Closed, {stage} stays as it is."
    back = escaping.code(found.way_back) if found.way_back else "revert the merge"
    yield f"- To go back afterwards: {back}"
    yield f"- The branch {escaping.code(found.branch)} is rebuilt by CI: do not push to it."


# --- comments ------------------------------------------------------------------------------------------


def report_marker(found: subject.Subject) -> str:
    """What the report's comment is found by: it begins with this."""
    return wording.marker("report", app=found.application, stage=found.stage)


def report(found: subject.Subject, limits: forge.Limits) -> str:
    """The long comment: what changes, checks, stages before, cost, hand edits."""
    beginning = report_marker(found)
    heading = f"### {escaping.prose(_title(found))}\n\n"
    room = limits.comment - wording.sealed_size(beginning) - escaping.size(heading)
    if room < 0:
        return ""
    return wording.sealed(beginning, f"{heading}{reporting.sections(found, limits, room)}".rstrip())


def application_marker(application: str) -> str:
    """What the comment on the application's own pull request is found by: it begins with this."""
    return wording.marker("application", app=application)


def application_comment(application: str, views: Sequence[subject.View], limits: forge.Limits) -> str:
    """What a change of the application's repository would change in every stage, and what validating found."""
    beginning = application_marker(application)
    heading = f"### What this changes in the stages of {escaping.prose(application, 80)}"
    room = limits.comment - wording.sealed_size(beginning) - escaping.size(heading) - 2
    if room < 0:
        return ""
    summary = wording.fitted([_summary(view) for view in views], room // 2, "stages")
    room -= escaping.size(summary) + 2
    parts = [heading, summary]
    for number, view in enumerate(views):
        part = _view(view, limits, room // (len(views) - number) - 2)
        if part:
            parts.append(part)
            room -= escaping.size(part) + 2
    return wording.sealed(beginning, "\n\n".join(part for part in parts if part))


def _summary(view: subject.View) -> str:
    name = f"- **{escaping.prose(view.stage, 80)}**"
    if view.error is not None:
        return f"{name} ✘ cannot be rendered"
    told = [wording.counts(view.contrast), wording.checks(view.findings)]
    if view.findings.failed:
        told.append(f"✘ {wording.amount(len(view.findings.failed), 'finding')}")
    return f"{name} {' · '.join(part for part in told if part)}"


def _view(view: subject.View, limits: forge.Limits, room: int) -> str:
    heading = f"#### {escaping.prose(view.stage, 80)}"
    room -= escaping.size(heading) + 2
    if room < 0:
        return ""
    if view.error is not None:
        lines = [wording.finding(one, "✘", subject.NO_LINKS) for one in view.error.parts]
    else:
        lines = reporting.findings(view.findings, subject.NO_LINKS)
    told = wording.fitted(lines, room // 3, "findings")
    room -= escaping.size(told) + 2 if told else 0
    changed = "" if view.error is not None else reporting.differences(view.contrast, limits, room)
    body = [part for part in (changed, told) if part]
    return "\n\n".join([heading, *body]) if body else ""


# --- statuses ------------------------------------------------------------------------------------------


def statuses(found: subject.Subject, limits: forge.Limits) -> list[forge.Status]:
    """What branch protection may ask for: that it was rendered, that it is valid, and how the stages before stand."""
    rendered = f"{found.revision.short}: {wording.counts(found.contrast)}"
    failed = len(found.findings.failed)
    valid = wording.checks(found.findings) or "no checks declared"
    if failed:
        valid = f"{valid}, {wording.amount(failed, 'finding')}"
    state, standing = _standing(found)
    success, failure = forge.StatusState.SUCCESS, forge.StatusState.FAILURE
    url = found.run.url if found.run is not None else ""
    told = (
        ("undrift/render", success, rendered),
        ("undrift/validate", failure if failed else success, valid),
        ("undrift/previous-stage", state, standing),
    )
    return [
        forge.Status(context, state, escaping.cut(escaping.line(text), limits.description), url)
        for context, state, text in told
    ]


def _standing(found: subject.Subject) -> tuple[forge.StatusState, str]:
    """The worst of the stages before; a hotfix and a rollback ask none."""
    if found.rollback is not None:
        return forge.StatusState.SUCCESS, "not asked for: a rollback"
    if found.hotfix:
        return forge.StatusState.SUCCESS, f"skipped by a hotfix: {found.hotfix}"
    asked = [wording.standing(one) for one in found.priors if one.requirement or one.state]
    for state in (forge.StatusState.FAILURE, forge.StatusState.ERROR, forge.StatusState.PENDING):
        told = [reason for found_state, reason in asked if found_state is state]
        if told:
            return state, "; ".join(told)
    return forge.StatusState.SUCCESS, "; ".join(reason for _, reason in asked) or "no stage comes before"


# --- reading our own -----------------------------------------------------------------------------------


def parse_marker(body: str) -> subject.Marker | None:
    """What a body of ours says of itself; None for a body that is not ours, or a comment."""
    words = wording.read_marker(body)
    if words is None or "" in words or not _TREE.fullmatch(words.get("tree", "")):
        return None
    return subject.Marker(words.get("app", ""), words.get("stage", ""), words["tree"], words.get("text", ""))


def alike(text: str, other: str) -> bool:
    """Whether two bodies or comments of ours say the same, but for how long something has lasted."""
    ours, theirs = wording.read_marker(text), wording.read_marker(other)
    return ours is not None and ours == theirs
