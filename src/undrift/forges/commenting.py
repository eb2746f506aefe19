"""One comment that is edited in place, found again by a marker in it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from undrift.forges import wording
from undrift.model import forge


async def upsert(
    known: Sequence[forge.Comment],
    marker: str,
    body: str,
    make: Callable[[str], Awaitable[forge.Comment]],
    edit: Callable[[forge.Comment, str], Awaitable[forge.Comment]],
) -> forge.Comment:
    """The oldest of the `known` comments that holds `marker` gets this text; made when there is none.

    One that says the same already is left. `known` are those that we may have written: somebody who quotes us quotes
    the marker, too.
    """
    ours = next((comment for comment in known if marker in comment.body), None)
    if ours is None:
        return await make(body)
    if wording.same(ours.body, body):
        return ours
    return await edit(ours, body)


def written_by(known: Sequence[forge.Comment], login: str) -> Sequence[forge.Comment]:
    """Those of one author; all of them where nobody knows who we are (tokens of apps and of jobs have no user)."""
    return [comment for comment in known if comment.author == login] if login else known
