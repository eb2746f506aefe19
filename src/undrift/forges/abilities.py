"""What some forges can do besides `interfaces.Forge`: asked for with `isinstance`, and done without where it is not there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from undrift.model import forge


@runtime_checkable
class Lister(Protocol):
    """Tells all open pull requests. Gitea, Forgejo, GitHub, GitLab."""

    async def open_pull_requests(self, base: str) -> Sequence[forge.PullRequest]:
        """Those to a branch, the oldest first; only those from branches of this same repository, never of forks."""
        ...


@runtime_checkable
class Voucher(Protocol):
    """Knows whose accounts a commit is from. Gitea, Forgejo, GitHub.

    GitLab tells names and addresses of authors only, which anybody can write into a commit.
    """

    async def makers_of(self, sha: str) -> frozenset[str]:
        """The logins of a commit's author, by the address in it, and of who opened the pull requests that brought it
        (Gitea tells them of the commit that was made by merging, only).

        Nobody where the forge knows no account for the author, or has no such commit: what a pull request's opener
        brought may be somebody else's.
        """
        ...


def makers(commit: Any, pulls: Sequence[Any]) -> frozenset[str]:
    """`makers_of` from what GitHub and Gitea tell of a commit (None: it is not there) and of its pull requests."""
    author = ((commit or {}).get("author") or {}).get("login", "")
    openers = {(one.get("user") or {}).get("login", "") for one in pulls}
    return frozenset({author, *openers} - {""}) if author else frozenset()
