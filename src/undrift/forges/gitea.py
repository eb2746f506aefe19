"""Gitea and Forgejo (`/api/v1`). Verified live: the tests run on a real Gitea."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, ClassVar
from urllib import parse

from undrift import errors
from undrift.forges import abilities, issues, requesting, wording
from undrift.model import forge

_DRAFT = "WIP: "
_DRAFTS = ("WIP:", "[WIP]")
_LONGEST = 255 - len(_DRAFT)
_NEWEST = 10
_LOOKED_AT = 2000
"""Closed pull requests that are looked at for ours: Gitea finds none by its head."""
_DECISIVE = {"APPROVED", "REQUEST_CHANGES"}
_STATES = {
    "pending": forge.StatusState.PENDING,
    "success": forge.StatusState.SUCCESS,
    "skipped": forge.StatusState.SUCCESS,
    "error": forge.StatusState.ERROR,
    "failure": forge.StatusState.FAILURE,
    "warning": forge.StatusState.FAILURE,
}


class Gitea(issues.Repository):
    """One repository on a Gitea."""

    limits = forge.Limits(description=255, auto_merge=True)

    page: ClassVar[Mapping[str, Any]] = {"limit": 50}

    async def find_open(self, head: str, base: str) -> forge.PullRequest | None:
        """The open pull request between two branches; of several the oldest.

        Gitea ignores filters on the head, and before 1.23 those on the base.
        """
        async for one in self._list({"state": "open", "sort": "oldest", "base_branch": base}, head, base):
            return one
        return None

    async def open_pull_requests(self, base: str) -> Sequence[forge.PullRequest]:
        """See `abilities.Lister`."""
        return [
            one
            async for one in self._list({"state": "open", "sort": "oldest", "base_branch": base}, "", base)
        ]

    async def makers_of(self, sha: str) -> frozenset[str]:
        """See `abilities.Voucher`."""
        commit = await self._client.find(f"{self._base}/git/commits/{requesting.quote(sha)}")
        pull = (
            await self._client.find(f"{self._base}/commits/{requesting.quote(sha)}/pull") if commit else None
        )
        return abilities.makers(commit, [pull] if pull else [])

    async def find_closed(self, head: str, base: str) -> Sequence[forge.PullRequest]:
        """Merged and closed ones, the newest first; ten at most, among the newest two thousand."""
        at = f"{self._base}/pulls/{requesting.quote(base)}/{parse.quote(head)}"
        if await self._client.find(at) is None:
            return ()
        found: list[forge.PullRequest] = []
        async for one in self._list({"state": "closed", "base_branch": base}, head, base):
            found.append(one)
            if len(found) == _NEWEST:
                break
        found.sort(key=lambda one: -one.number)
        return [*[await self._with_closer(one) for one in found[:1]], *found[1:]]

    async def create(self, spec: forge.PullRequestSpec) -> forge.PullRequest:
        """Open a pull request; where there is one already, that one."""
        title = self._title(spec.title, draft=spec.draft)
        body = {"head": spec.head, "base": spec.base, "title": title, "body": spec.body}
        labels = await self._labels(spec.labels)
        ask = requesting.Ask(
            "POST", f"{self._base}/pulls", body=body | {"labels": labels}, also=(409,), again=True
        )
        answer = await self._client.ask(ask)
        if answer.status == 409:  # noqa: PLR2004 - Conflict
            return await self._already(spec)
        made = _pull_request(answer.data)
        first = await self.find_open(spec.head, spec.base)
        if first is not None and first.number < made.number:
            return await self._withdrawn(made, first)
        await self._ask_reviewers(made, spec.reviewers)
        return made

    async def _withdrawn(self, made: forge.PullRequest, first: forge.PullRequest) -> forge.PullRequest:
        """Gitea looks for a second one before it opens one, not while: of those that came at once the first stays.

        The other one loses its text, so that nobody takes it for one that a person closed.
        """
        text = f"Opened at the same moment as #{first.number}."
        asked = {"state": "closed", "title": f"Duplicate of #{first.number}", "body": text}
        await self._client.send("PATCH", self._pull(made), asked)
        return first

    async def _already(self, spec: forge.PullRequestSpec) -> forge.PullRequest:
        found = await self.find_open(spec.head, spec.base)
        if found is None:
            raise errors.ForgeRefused(
                f"{self._client.host} says that there is a pull request from {spec.head}, and shows none",
                hint="run again: it may have been closed meanwhile",
            )
        return found

    async def statuses(self, sha: str) -> Sequence[forge.Status]:
        """The newest status of each context."""
        newest: dict[str, Any] = {}
        async for one in self._all(f"{self._base}/commits/{sha}/statuses"):
            if one["id"] > newest.get(one["context"], {"id": 0})["id"]:
                newest[one["context"]] = one
        return [_status(one) for _, one in sorted(newest.items())]

    async def reviews(self, number: int) -> Sequence[forge.Review]:
        """The newest word of each reviewer; only of those who may push do approvals count."""
        head = (await self._client.get(f"{self._base}/pulls/{number}"))["head"]["sha"]
        newest: dict[str, forge.Review] = {}
        async for one in self._all(f"{self._base}/pulls/{number}/reviews"):
            login = (one.get("user") or {}).get("login", "")
            if not login or one["state"] not in _DECISIVE:
                continue
            counts = one["state"] == "APPROVED" and one["official"] and not one["dismissed"]
            # Gitea marks as stale a while after the push, and not where the difference is the same.
            stale = bool(one["stale"] or one["dismissed"] or one["commit_id"] != head)
            newest[login] = forge.Review(login, counts, one["commit_id"], stale)
        return list(newest.values())

    async def enable_auto_merge(self, known: forge.PullRequest, method: str) -> bool:
        """Have Gitea merge once checks and approvals are there. It may do so at once."""
        body = {"do": method, "merge_when_checks_succeed": True, "head_commit_id": known.sha}
        answer = await self._client.ask(
            requesting.Ask("POST", f"{self._pull(known)}/merge", body=body, also=(405, 409), again=True)
        )
        return answer.status != 405  # noqa: PLR2004 - Not Allowed; 409: it is asked for already

    def links(self) -> forge.Links:
        """Addresses for people."""
        web = f"{self._where.root}/{self._where.path}"
        return forge.Links(
            commit=f"{web}/commit/{{sha}}",
            compare=f"{web}/compare/{{old}}...{{new}}",
            file=f"{web}/src/commit/{{sha}}/{{path}}#L{{line}}",
            pull_request=f"{web}/pulls/{{number}}",
        )

    # ------------------------------------------------------------------ below: what Gitea wants and says

    def _read(self, data: Any) -> forge.PullRequest:
        return _pull_request(data)

    def _title(self, title: str, *, draft: bool) -> str:
        return (_DRAFT if draft else "") + wording.cut(title, _LONGEST)

    async def _list(
        self, params: requesting.Params, head: str, base: str
    ) -> AsyncIterator[forge.PullRequest]:
        looked_at = 0
        async for one in self._all(f"{self._base}/pulls", params):
            looked_at += 1
            if looked_at > _LOOKED_AT and params["state"] == "closed":
                return
            ours = one["head"]["repo_id"] == one["base"]["repo_id"]
            if ours and head in ("", one["head"]["label"]) and one["base"]["ref"] == base:
                yield _pull_request(one)

    async def _with_closer(self, known: forge.PullRequest) -> forge.PullRequest:
        """A pull request that was closed without merging, with who did so."""
        if known.state is not forge.PullRequestState.CLOSED:
            return known
        closer = ""
        async for one in self._all(f"{self._issue(known.number)}/timeline"):
            if one["type"] == "close":
                closer = (one.get("user") or {}).get("login", "")
        return dataclasses.replace(known, closed_by=closer)

    async def _labels(self, names: Sequence[str]) -> list[int]:
        """The numbers of labels of the repository or its organization; those that nobody has are made."""
        if not names:
            return []
        known = {one["name"]: one["id"] async for one in self._all(f"{self._base}/labels")}
        if not set(names) <= set(known) and await self._client.find(f"orgs/{self._owner}") is not None:
            shared = self._all(f"orgs/{self._owner}/labels")
            known = {one["name"]: one["id"] async for one in shared} | known
        for name in names:
            if name not in known:
                label = {"name": name, "color": "#6b7280"}
                known[name] = (await self._client.send("POST", f"{self._base}/labels", label))["id"]
        return [known[name] for name in names]


def _pull_request(data: Any) -> forge.PullRequest:
    state = forge.PullRequestState.MERGED if data["merged"] else forge.PullRequestState(data["state"])
    prefix = next((one for one in _DRAFTS if data["title"].upper().startswith(one)), "")
    return forge.PullRequest(
        number=data["number"],
        head=data["head"]["label"],
        base=data["base"]["ref"],
        title=data["title"][len(prefix) :].lstrip(),
        body=data["body"] or "",
        state=state,
        url=data["html_url"],
        sha=data["head"]["sha"],
        draft=bool(prefix),
        labels=tuple(label["name"] for label in data["labels"] or ()),
        author=(data.get("user") or {}).get("login", ""),
        merged_sha=(data["merge_commit_sha"] or "") if data["merged"] else "",
        created=wording.seconds(data["created_at"]),
    )


def _status(data: Any) -> forge.Status:
    return forge.Status(
        context=data["context"],
        state=_STATES.get(data["status"], forge.StatusState.ERROR),
        description=data["description"],
        url=data["target_url"],
        updated=wording.seconds(data["updated_at"]),
    )
