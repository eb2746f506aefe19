"""What GitHub and Gitea share: a pull request is an issue, too, and has its comments and labels as one.

An adapter says how a pull request is read, how a title is kept, and what names a label.
"""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, ClassVar

from undrift.forges import address, commenting, requesting, wording
from undrift.model import forge


class Repository:
    """One repository on such a forge. `page` asks for pages as large as there are."""

    limits: forge.Limits
    page: ClassVar[Mapping[str, Any]]

    def __init__(self, client: requesting.Client, where: address.Address) -> None:
        self._client = client
        self._where = where
        self._owner, self._name = (requesting.quote(part) for part in where.owner_and_name())
        self._base = f"repos/{self._owner}/{self._name}"
        self._login: str | None = None

    # ------------------------------------------------------------------ what an adapter says

    def _read(self, data: Any) -> forge.PullRequest:
        """A pull request as the forge tells it."""
        raise NotImplementedError

    def _title(self, title: str, *, draft: bool) -> str:
        """A title as the forge keeps it."""
        raise NotImplementedError

    async def _with_closer(self, known: forge.PullRequest) -> forge.PullRequest:
        """A pull request that was closed without merging, with who did so."""
        raise NotImplementedError

    async def _labels(self, names: Sequence[str]) -> Sequence[str | int]:
        """What labels are asked for by: their names, where the forge makes those that it has not."""
        return names

    # ------------------------------------------------------------------ what is alike

    async def default_branch(self) -> str:
        """The name of the repository's default branch."""
        return str((await self._client.get(self._base))["default_branch"])

    async def pull_request(self, number: int) -> forge.PullRequest:
        """One pull request."""
        return await self._with_closer(self._read(await self._client.get(f"{self._base}/pulls/{number}")))

    async def update(
        self,
        known: forge.PullRequest,
        *,
        title: str | None = None,
        body: str | None = None,
        labels: Sequence[str] | None = None,
    ) -> forge.PullRequest:
        """Change what is given and differs. Labels are added, none is taken off."""
        wanted: dict[str, str] = {}
        kept = self._title(known.title, draft=known.draft)
        new = self._title(title, draft=known.draft) if title is not None else kept
        if new != kept:
            wanted["title"] = new
        if body is not None and not wording.same(body, known.body):
            wanted["body"] = body
        if wanted:
            known = self._read(await self._client.send("PATCH", self._pull(known), wanted))
        missing = [label for label in labels or () if label not in known.labels]
        if missing:
            asked = {"labels": await self._labels(missing)}
            await self._client.send("POST", f"{self._issue(known.number)}/labels", asked, again=True)
            known = dataclasses.replace(known, labels=(*known.labels, *missing))
        return known

    async def close(self, known: forge.PullRequest, comment: str = "") -> None:
        """Close without merging, saying why in a comment."""
        if comment:
            await self._comment(known.number, comment)
        await self._client.send("PATCH", self._pull(known), {"state": "closed"})

    async def upsert_comment(self, number: int, marker: str, body: str) -> forge.Comment:
        """The comment of ours that holds `marker` gets this text."""

        async def edit(known: forge.Comment, text: str) -> forge.Comment:
            at = f"{self._base}/issues/comments/{known.key}"
            return _comment(await self._client.send("PATCH", at, {"body": text}))

        ours = commenting.written_by(await self.comments(number), await self._me())
        return await commenting.upsert(ours, marker, body, lambda text: self._comment(number, text), edit)

    async def comments(self, number: int) -> Sequence[forge.Comment]:
        """All comments of a pull request, oldest first."""
        return [_comment(one) async for one in self._all(f"{self._issue(number)}/comments")]

    async def set_status(self, sha: str, status: forge.Status) -> None:
        """Set a status of a commit; what says the same already is left."""
        wanted = dataclasses.replace(
            status, description=wording.cut(status.description, self.limits.description)
        )
        if any(wording.says(one, wanted) for one in await self.statuses(sha)):
            return
        body = {"state": wanted.state.value, "context": wanted.context, "description": wanted.description}
        if wanted.url:
            body["target_url"] = wanted.url
        await self._client.send("POST", f"{self._base}/statuses/{sha}", body, again=True)

    async def statuses(self, sha: str) -> Sequence[forge.Status]:
        """The newest status of each context."""
        raise NotImplementedError

    async def close_session(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _ask_reviewers(self, made: forge.PullRequest, reviewers: Sequence[str]) -> None:
        if reviewers:
            users, teams = wording.people(reviewers)
            asked = {"reviewers": users, "team_reviewers": teams}
            await self._client.send("POST", f"{self._pull(made)}/requested_reviewers", asked, again=True)

    def _pull(self, known: forge.PullRequest) -> str:
        return f"{self._base}/pulls/{known.number}"

    def _issue(self, number: int) -> str:
        return f"{self._base}/issues/{number}"

    def _all(self, path: str, params: requesting.Params | None = None) -> AsyncIterator[Any]:
        return self._client.pages(requesting.Ask("GET", path, {**self.page, **(params or {})}))

    async def _comment(self, number: int, text: str) -> forge.Comment:
        return _comment(await self._client.send("POST", f"{self._issue(number)}/comments", {"body": text}))

    async def _me(self) -> str:
        """Our own name; "" where the token may not ask for it: those of apps and of jobs are no person's."""
        if self._login is None:
            answer = await self._client.ask(requesting.Ask("GET", "user", also=(401, 403)))
            self._login = str(answer.data["login"]) if answer.status < 400 else ""  # noqa: PLR2004 - success
        return self._login


def _comment(data: Any) -> forge.Comment:
    return forge.Comment(str(data["id"]), data.get("body") or "", (data.get("user") or {}).get("login", ""))
