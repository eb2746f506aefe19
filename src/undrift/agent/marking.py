"""Statuses on the commits of the GitOps repository, for people and branch protection: `undrift/<application>`.

They say what a report says, on the commit that it is about, when it is news. Reports are what CI builds on; a status
that cannot be set is tried again with the next one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from undrift import interfaces
from undrift.forges import connecting
from undrift.model import agent, forge, health, report, source

_GOOD: Final = frozenset({"in sync", "applied"})


class Marking:
    """Sets statuses in the repository of a source. `row` says on which kind of forge, and how to sign in there."""

    def __init__(
        self, row: agent.Reporting, written: source.Source, secrets: interfaces.SecretResolver
    ) -> None:
        self._row = row
        self._written = written
        self._secrets = secrets
        self._host: interfaces.Forge | None = None
        self._waiting: dict[str, report.Report] = {}

    def note(self, news: Iterable[report.Report]) -> None:
        """These are to be told of."""
        self._waiting |= {one.application: one for one in news}

    async def work(self) -> None:
        """Set what waits. Raises `ForgeUnknown`, `ForgeDenied`, `ForgeUnavailable`, `ForgeRefused`, `CredentialMissing`."""
        if not self._waiting:
            return
        host = self._host = self._host or await self._connect()
        for name, one in list(self._waiting.items()):
            commit = about(one)
            if host is not None and host.limits.statuses and commit:
                await host.set_status(commit, status(one, host.limits))
            if self._waiting.get(name) is one:
                del self._waiting[name]

    async def _connect(self) -> interfaces.Forge | None:
        found = self._written.authentication
        named = {"UNDRIFT_TOKEN": found.token, "UNDRIFT_GIT_CA": found.ca}
        environ = {name: await self._secrets.resolve(one) for name, one in named.items() if one is not None}
        return connecting.connect(self._written.url, self._row.forge, self._row.api, environ)

    async def close(self) -> None:
        """Close the connections."""
        host, self._host = self._host, None
        if host is not None:
            await host.close_session()


def about(told: report.Report) -> str:
    """The commit that a report is about: the applied one, or the one that was not."""
    return told.revision if told.ending in _GOOD else told.seen or told.revision


def status(told: report.Report, limits: forge.Limits) -> forge.Status:
    """A report as a status. Nothing in it changes by time alone."""
    reason = " ".join(told.reason.split())
    why = f": {reason}" if reason else ""
    if told.ending not in _GOOD:
        state = forge.StatusState.PENDING if told.ending == "waiting" else forge.StatusState.FAILURE
        text = f"{told.ending}{why}"
    else:
        state, text = _STATES.get(told.health, forge.StatusState.FAILURE), f"applied, {told.health}{why}"
    return forge.Status(f"undrift/{told.application}", state, text[: limits.description])


_STATES: Final = {
    health.Status.HEALTHY: forge.StatusState.SUCCESS,
    health.Status.SUSPENDED: forge.StatusState.SUCCESS,
    health.Status.PROGRESSING: forge.StatusState.PENDING,
}
