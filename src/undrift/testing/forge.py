"""A forge over a bare repository, in memory: pull requests, comments, statuses, and what people do with them.

    server = forge.FakeForge(repository)          # an interfaces.Forge
    server.merge(1, "squash")                     # what a person does
    server.broken.add("create")                   # that call fails from now on

Merging is done by the `git` program in the repository itself, by all three methods, as forges do it.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Awaitable, Callable, Sequence

from undrift import errors
from undrift.model import forge
from undrift.testing import git_server

ME = "undrift-bot"


class FakeForge:
    """Implements `interfaces.Forge`. `writes` are the calls that changed something, in order.

    `broken` names calls that fail as a forge does that has a fault; `pass_by` is awaited before each call.
    """

    def __init__(
        self, repository: git_server.GitRepository, pass_by: Callable[[str], Awaitable[None]] | None = None
    ) -> None:
        self.repository = repository
        self.limits = forge.Limits(auto_merge=True)
        self.pulls: dict[int, forge.PullRequest] = {}
        self.said: dict[int, list[forge.Comment]] = {}
        self.marks: dict[str, dict[str, forge.Status]] = {}
        self.words: dict[int, list[forge.Review]] = {}
        self.writes: list[str] = []
        self.broken: set[str] = set()
        self.base = "main"
        self._pass_by = pass_by
        self._numbers = itertools.count(1)

    async def _enter(self, call: str, *, writes: bool = False) -> None:
        if self._pass_by is not None:
            await self._pass_by(call)
        if call in self.broken:
            raise errors.ForgeUnavailable(f"the forge answered 503 to {call}", hint="run it again")
        if writes:
            self.writes.append(call)

    def _live(self, known: forge.PullRequest) -> forge.PullRequest:
        """With the head that its branch has now; a deleted branch closes an open one."""
        if known.state is not forge.PullRequestState.OPEN:
            return known
        sha = self._tip(known.head)
        if not sha:
            known = dataclasses.replace(known, state=forge.PullRequestState.CLOSED)
        found = dataclasses.replace(known, sha=sha or known.sha)
        self.pulls[known.number] = found
        return found

    def _tip(self, branch: str) -> str:
        return self.repository.git("for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}").strip()

    # --- interfaces.Forge ------------------------------------------------------------------------------

    async def default_branch(self) -> str:
        """See `interfaces.Forge`."""
        await self._enter("default_branch")
        return self.base

    async def find_open(self, head: str, base: str) -> forge.PullRequest | None:
        """See `interfaces.Forge`."""
        await self._enter("find_open")
        return next(iter(self.opened(head, base)), None)

    async def find_closed(self, head: str, base: str) -> Sequence[forge.PullRequest]:
        """See `interfaces.Forge`."""
        await self._enter("find_closed")
        found = [self._live(one) for one in list(self.pulls.values()) if (one.head, one.base) == (head, base)]
        return [one for one in reversed(found) if one.state is not forge.PullRequestState.OPEN]

    async def pull_request(self, number: int) -> forge.PullRequest:
        """See `interfaces.Forge`."""
        await self._enter("pull_request")
        if number not in self.pulls:
            raise errors.ForgeRefused(f"there is no pull request {number}")
        return self._live(self.pulls[number])

    async def create(self, spec: forge.PullRequestSpec) -> forge.PullRequest:
        """See `interfaces.Forge`."""
        await self._enter("create", writes=True)
        if not self._tip(spec.head):
            raise errors.ForgeRefused(f"there is no branch {spec.head}")
        if self.opened(spec.head, spec.base):
            return self.opened(spec.head, spec.base)[0]
        number = next(self._numbers)
        self.pulls[number] = forge.PullRequest(
            number, spec.head, spec.base, spec.title, spec.body,
            url=f"https://forge.example/pulls/{number}", draft=spec.draft, labels=spec.labels, author=ME,
        )  # fmt: skip
        return self._live(self.pulls[number])

    async def update(
        self,
        known: forge.PullRequest,
        *,
        title: str | None = None,
        body: str | None = None,
        labels: Sequence[str] | None = None,
    ) -> forge.PullRequest:
        """See `interfaces.Forge`."""
        found = self.pulls[known.number]
        made = dataclasses.replace(
            found,
            title=found.title if title is None else title,
            body=found.body if body is None else body,
            labels=found.labels if labels is None else tuple(dict.fromkeys([*found.labels, *labels])),
        )
        if made != found:
            await self._enter("update", writes=True)
            self.pulls[known.number] = made
        return self._live(made)

    async def close(self, known: forge.PullRequest, comment: str = "") -> None:
        """See `interfaces.Forge`."""
        await self._enter("close", writes=True)
        self._close(known.number, ME)

    async def upsert_comment(self, number: int, marker: str, body: str) -> forge.Comment:
        """See `interfaces.Forge`."""
        known = self.said.setdefault(number, [])
        for index, one in enumerate(known):
            if marker in one.body:
                if one.body != body:
                    await self._enter("upsert_comment", writes=True)
                    known[index] = dataclasses.replace(one, body=body)
                return known[index]
        await self._enter("upsert_comment", writes=True)
        known.append(forge.Comment(str(len(known) + 1), body, ME))
        return known[-1]

    async def comments(self, number: int) -> Sequence[forge.Comment]:
        """See `interfaces.Forge`."""
        await self._enter("comments")
        return tuple(self.said.get(number, ()))

    async def set_status(self, sha: str, status: forge.Status) -> None:
        """See `interfaces.Forge`."""
        if self.marks.get(sha, {}).get(status.context) != status:
            await self._enter("set_status", writes=True)
            self.marks.setdefault(sha, {})[status.context] = status

    async def statuses(self, sha: str) -> Sequence[forge.Status]:
        """See `interfaces.Forge`."""
        await self._enter("statuses")
        return tuple(self.marks.get(sha, {}).values())

    async def reviews(self, number: int) -> Sequence[forge.Review]:
        """See `interfaces.Forge`."""
        await self._enter("reviews")
        return tuple(self.words.get(number, ()))

    async def enable_auto_merge(self, known: forge.PullRequest, method: str) -> bool:
        """See `interfaces.Forge`."""
        await self._enter("enable_auto_merge", writes=True)
        return True

    def links(self) -> forge.Links:
        """See `interfaces.Forge`."""
        where = "https://forge.example"
        return forge.Links(
            f"{where}/commit/{{sha}}", f"{where}/compare/{{old}}...{{new}}", "", f"{where}/pulls/{{number}}"
        )

    async def close_session(self) -> None:
        """See `interfaces.Forge`."""

    # --- what people do --------------------------------------------------------------------------------

    def opened(self, head: str = "", base: str = "") -> list[forge.PullRequest]:
        """The open ones, all of them or those from a head to a base."""
        found = [self._live(one) for one in list(self.pulls.values())]
        return [
            one
            for one in found
            if one.state is forge.PullRequestState.OPEN and head in ("", one.head) and base in ("", one.base)
        ]

    def close_by(self, number: int, login: str = "ada") -> None:
        """A person closes it without merging."""
        self._close(number, login)

    def _close(self, number: int, login: str) -> None:
        known = self.pulls[number]
        self.pulls[number] = dataclasses.replace(known, state=forge.PullRequestState.CLOSED, closed_by=login)

    def approve(self, number: int, login: str = "grace") -> None:
        """A person approves the head as it is."""
        known = self._live(self.pulls[number])
        self.words.setdefault(number, []).append(forge.Review(login, approved=True, sha=known.sha))

    def merge(self, number: int, method: str = "merge", *, keep_branch: bool = False) -> bool:
        """A person merges it: `merge`, `squash` or `rebase`; False where it conflicts."""
        known = self._live(self.pulls[number])
        git = self.repository.git
        try:
            tree = git("merge-tree", "--write-tree", known.base, known.head).splitlines()[0].strip()
        except RuntimeError:
            return False
        message = git("log", "-1", "--format=%B", known.head) if method == "rebase" else known.title
        parents = ["-p", git("rev-parse", known.base).strip()]
        if method == "merge":
            parents += ["-p", known.sha]
        who = ("-c", "user.name=Grace Hopper", "-c", "user.email=grace@example.com")
        made = git(*who, "commit-tree", tree, *parents, "-m", message).strip()
        git("update-ref", f"refs/heads/{known.base}", made)
        self.pulls[number] = dataclasses.replace(known, state=forge.PullRequestState.MERGED, merged_sha=made)
        if not keep_branch:
            git("update-ref", "-d", f"refs/heads/{known.head}")
        return True
