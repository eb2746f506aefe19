"""A repository on SCM-Manager after its sources. There is no client for it but ours: people act on the server itself."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from tests.conformance.forges import relay, world_stand
from tests.conformance.forges.servers import scm_manager, world

_CHECKS = {"PENDING": "pending", "SUCCESS": "success", "FAILURE": "failure", "ABORTED": "error"}


class ScmManagerStand(world_stand.WorldStand):
    """See `stand.Stand`. Nobody can say no here, only take an approval back."""

    sign_in_with_user = True

    async def statuses(self, sha: str) -> dict[str, tuple[str, str]]:
        """A description is what follows the context in the name that people read, before the time."""
        told = {}
        for one in self.world.checks.get(sha, {}).values():
            context = f"{one.fields['type']}/{one.fields['name']}"
            text = one.fields["displayName"].partition(": ")[2].rpartition(" (")[0]
            told[context] = (_CHECKS[one.fields["status"]], text)
        return told

    async def review(self, number: int, *, approve: bool) -> None:
        self.world.vote(number, self.fellow, world.APPROVED if approve else "")


@contextlib.asynccontextmanager
async def opened(_: object) -> AsyncIterator[ScmManagerStand]:
    """A fresh repository. Nothing may have been asked that is not in the contract."""
    async with scm_manager.ScmManager() as made, relay.before(made.url) as door:
        yield ScmManagerStand(made, door)
        assert made.complaints == []
