"""Who made a revision, as a forge vouches for it; and telling the pull request of a stage whether enough others said yes.

A forge maps the address in a commit to an account, and knows who opened the pull request that a commit came by. Whoever
runs CI is added. Where nobody vouches for one of the commits, it may be anybody's: then no approval counts.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

from undrift import errors, interfaces
from undrift.engine import promoting
from undrift.forges import abilities, connecting, escaping
from undrift.model import delivery, forge, publication
from undrift.publishing import hearing, preparing
from undrift.sources.git import checkout

CONTEXT: Final = "undrift/approvals"
"""The name of the status that branch protection can ask for."""
_ACTORS: Final = ("UNDRIFT_AUTHOR", "GITHUB_ACTOR", "GITLAB_USER_LOGIN", "BUILD_REQUESTEDFOREMAIL")
_MOST: Final = 100
"""So many commits are asked about; for more of them nobody vouches."""
_STATES: Final = {
    promoting.State.OPEN: forge.StatusState.SUCCESS,
    promoting.State.CLOSED: forge.StatusState.PENDING,
    promoting.State.FAILED: forge.StatusState.FAILURE,
}


def actors(environ: Mapping[str, str]) -> frozenset[str] | None:
    """Who is said to have made it, by the variables of CI; None where they say nothing."""
    return frozenset(environ[name] for name in _ACTORS if environ.get(name)) or None


async def authors(
    opened: preparing.Opened,
    before: publication.AppRevision | None,
    revision: publication.AppRevision,
    environ: Mapping[str, str],
) -> frozenset[str] | None:
    """The logins of those who made what comes with a revision, `before` being published now; None: nobody knows."""
    said = actors(environ)
    commits = await _commits(opened, before, revision)
    known = await _vouched(opened.revision.repository, commits, environ) if commits else None
    return said if known is None else known | (said or frozenset())


async def _commits(
    opened: preparing.Opened, before: publication.AppRevision | None, revision: publication.AppRevision
) -> tuple[str, ...]:
    """The revision and what comes with it; nothing where that cannot be told, or is too much."""
    if before is None or opened.history is None:
        return (revision.sha,)
    span = await opened.history.relation(before.sha, revision.sha)
    if span.relation is checkout.Relation.UNKNOWN:
        return ()
    coming = span.commits if span.relation is not checkout.Relation.BEHIND else ()
    found = tuple(dict.fromkeys([revision.sha, *(one.sha for one in coming)]))
    return found if len(found) <= _MOST else ()


async def _vouched(url: str, commits: tuple[str, ...], environ: Mapping[str, str]) -> frozenset[str] | None:
    """What the application's own forge says; None where it is none that vouches, or does not answer."""
    kind, api = (environ.get(name, "") for name in ("UNDRIFT_FORGE", "UNDRIFT_FORGE_API"))
    try:
        host = connecting.connect(url, kind, api, environ)
    except (errors.ForgeUnknown, errors.CredentialMissing):
        return None
    if host is None:
        return None
    try:
        return await vouched(host, commits)
    except (errors.ForgeDenied, errors.ForgeUnavailable, errors.ForgeRefused):
        return None
    finally:
        await host.close_session()


async def vouched(host: interfaces.Forge, commits: tuple[str, ...]) -> frozenset[str] | None:
    """The logins of all who made some commits; None where the forge does not know who made one of them.

    Raises `ForgeDenied`, `ForgeUnavailable`, `ForgeRefused`.
    """
    if not isinstance(host, abilities.Voucher):
        return None
    found: set[str] = set()
    for sha in commits:
        makers = await host.makers_of(sha)
        if not makers:
            return None
        found |= makers
    return frozenset(found)


async def mark(
    host: interfaces.Forge,
    proposed: forge.PullRequest,
    stage: delivery.Stage,
    revision: publication.AppRevision,
    made_by: frozenset[str] | None,
) -> forge.Status:
    """Say at the head of a stage's pull request whether enough others approved of it: `undrift/approvals`.

    Raises `ForgeDenied`, `ForgeUnavailable`, `ForgeRefused`.
    """
    people = await hearing.people(host, proposed, made_by)
    gate = delivery.Gate(approvals=stage.gate.approvals, approvers=stage.gate.approvers)
    facts = promoting.Facts(revision, {}, people.reviews, people.authors, people.head)
    verdict = promoting.judge(gate, facts, time.time())
    text = "; ".join(verdict.reasons) or f"enough people approved: {gate.approvals} asked for"
    said = escaping.cut(escaping.line(text), host.limits.description)
    status = forge.Status(CONTEXT, _STATES[verdict.state], said)
    if host.limits.statuses and proposed.sha:
        await host.set_status(proposed.sha, status)
    return status
