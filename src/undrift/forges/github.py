"""GitHub, GitHub Enterprise Cloud and Server (REST of 2022-11-28, GraphQL for auto-merge). Not verified live."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, ClassVar

from undrift import errors
from undrift.forges import abilities, address, answering, issues, requesting, wording
from undrift.model import forge

_HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
_NEWEST = 10
_PUSHERS = {"OWNER", "MEMBER", "COLLABORATOR"}
_DECISIVE = {"APPROVED", "CHANGES_REQUESTED", "DISMISSED"}
_AUTO_MERGE = """
mutation($id: ID!, $method: PullRequestMergeMethod!, $sha: GitObjectID!) {
  enablePullRequestAutoMerge(input: {pullRequestId: $id, mergeMethod: $method, expectedHeadOid: $sha}) {
    pullRequest { number }
  }
}
"""


class GitHub(issues.Repository):
    """One repository on GitHub."""

    limits = forge.Limits(title=255, body=65_536, comment=65_536, description=140, auto_merge=True)

    page: ClassVar[Mapping[str, Any]] = {"per_page": 100}

    def __init__(self, client: requesting.Client, where: address.Address) -> None:
        client.headers = _HEADERS
        super().__init__(client, where)
        self._login_of_owner = ""

    async def find_open(self, head: str, base: str) -> forge.PullRequest | None:
        """The open pull request between two branches; of several the oldest."""
        async for one in self._list(head, base, {"state": "open", "sort": "created", "direction": "asc"}):
            return one
        return None

    async def open_pull_requests(self, base: str) -> Sequence[forge.PullRequest]:
        """See `abilities.Lister`."""
        return [
            one
            async for one in self._list("", base, {"state": "open", "sort": "created", "direction": "asc"})
        ]

    async def makers_of(self, sha: str) -> frozenset[str]:
        """See `abilities.Voucher`."""
        at = f"{self._base}/commits/{requesting.quote(sha)}"
        answer = await self._client.ask(requesting.Ask("GET", at, also=(404, 422)))
        if answer.status >= 400:  # noqa: PLR2004 - there is no such commit
            return frozenset()
        return abilities.makers(answer.data, await self._client.find(f"{at}/pulls") or ())

    async def find_closed(self, head: str, base: str) -> Sequence[forge.PullRequest]:
        """Merged and closed ones, the newest first; ten at most."""
        found: list[forge.PullRequest] = []
        async for one in self._list(head, base, {"state": "closed", "sort": "created", "direction": "desc"}):
            found.append(one)
            if len(found) == _NEWEST:
                break
        return [*[await self._with_closer(one) for one in found[:1]], *found[1:]]

    async def create(self, spec: forge.PullRequestSpec) -> forge.PullRequest:
        """Open a pull request; where there is one already, that one."""
        body = {
            "head": spec.head,
            "base": spec.base,
            "title": wording.cut(spec.title, self.limits.title),
            "body": spec.body,
            "draft": spec.draft,
        }
        answer = await self._opened(body)
        if answer.status == 422 and "draft" in answering.message(answer).lower():  # noqa: PLR2004 - Unprocessable
            # Private repositories of some plans know no drafts.
            answer = await self._opened(body | {"draft": False})
        if answer.status == 422:  # noqa: PLR2004 - there is one, or it may not be
            found = await self.find_open(spec.head, spec.base)
            return found or self._refused(answer)
        made = await self.update(_pull_request(answer.data), labels=spec.labels)
        await self._ask_reviewers(made, spec.reviewers)
        return made

    async def _opened(self, body: dict[str, Any]) -> requesting.Answer:
        ask = requesting.Ask("POST", f"{self._base}/pulls", body=body, also=(422,), again=True)
        return await self._client.ask(ask)

    def _refused(self, answer: requesting.Answer) -> forge.PullRequest:
        raise errors.ForgeRefused(
            f"{self._client.host} refuses to open a pull request",
            why=answering.message(answer),
            hint="check that both branches are there and that they differ",
        )

    async def statuses(self, sha: str) -> Sequence[forge.Status]:
        """The newest status of each context: GitHub tells the newest first."""
        newest: dict[str, forge.Status] = {}
        async for one in self._all(f"{self._base}/commits/{sha}/statuses"):
            newest.setdefault(one["context"], _status(one))
        return list(newest.values())

    async def reviews(self, number: int) -> Sequence[forge.Review]:
        """The newest word of each reviewer; only of those who belong to the repository do approvals count."""
        head = (await self._client.get(f"{self._base}/pulls/{number}"))["head"]["sha"]
        newest: dict[str, forge.Review] = {}
        async for one in self._all(f"{self._base}/pulls/{number}/reviews"):
            login = (one.get("user") or {}).get("login", "")
            if not login or one["state"] not in _DECISIVE:
                continue
            counts = one["state"] == "APPROVED" and one["author_association"] in _PUSHERS
            sha = one["commit_id"] or ""
            newest[login] = forge.Review(login, counts, sha, sha != head or one["state"] == "DISMISSED")
        return list(newest.values())

    async def enable_auto_merge(self, known: forge.PullRequest, method: str) -> bool:
        """Have GitHub merge once checks and approvals are there; at once where nothing is asked for."""
        live = await self._client.get(self._pull(known))
        if live["auto_merge"] or live["merged"]:
            return True
        asked = {"id": live["node_id"], "method": method.upper(), "sha": known.sha}
        url = self._client.base.removesuffix("/v3") + "/graphql"
        said = await self._client.send("POST", url, {"query": _AUTO_MERGE, "variables": asked}, again=True)
        if not said.get("errors"):
            return True
        if "clean status" not in answering.message(requesting.Answer(200, {}, said)).lower():
            return False
        body = {"merge_method": method, "sha": known.sha}
        ask = requesting.Ask("PUT", f"{self._pull(known)}/merge", body=body, also=(405, 409))
        return (await self._client.ask(ask)).status < 400  # noqa: PLR2004 - success

    def links(self) -> forge.Links:
        """Addresses for people."""
        web = f"{self._where.root}/{self._where.path}"
        return forge.Links(
            commit=f"{web}/commit/{{sha}}",
            compare=f"{web}/compare/{{old}}...{{new}}",
            file=f"{web}/blob/{{sha}}/{{path}}#L{{line}}",
            pull_request=f"{web}/pull/{{number}}",
        )

    # ------------------------------------------------------------------ below: what GitHub wants and says

    def _read(self, data: Any) -> forge.PullRequest:
        return _pull_request(data)

    def _title(self, title: str, *, draft: bool) -> str:
        return wording.cut(title, self.limits.title)

    async def _list(
        self, head: str, base: str, params: requesting.Params
    ) -> AsyncIterator[forge.PullRequest]:
        """Those between two branches of this repository (`head` "": any). Owners get new names; the filter knows the
        new one only.
        """
        filters = {"base": base}
        if head and not self._login_of_owner:
            self._login_of_owner = str((await self._client.get(self._base))["owner"]["login"])
        if head:
            filters["head"] = f"{self._login_of_owner}:{head}"
        async for one in self._all(f"{self._base}/pulls", {**params, **filters}):
            source = (one["head"]["repo"] or {}).get("id")
            if (
                source == one["base"]["repo"]["id"]
                and head in ("", one["head"]["ref"])
                and one["base"]["ref"] == base
            ):
                yield _pull_request(one)

    async def _with_closer(self, known: forge.PullRequest) -> forge.PullRequest:
        """A pull request that was closed without merging, with who did so."""
        if known.state is not forge.PullRequestState.CLOSED:
            return known
        closer = (await self._client.get(self._issue(known.number))).get("closed_by")
        return dataclasses.replace(known, closed_by=(closer or {}).get("login", ""))


def _pull_request(data: Any) -> forge.PullRequest:
    merged = bool(data["merged_at"])
    return forge.PullRequest(
        number=data["number"],
        head=data["head"]["ref"],
        base=data["base"]["ref"],
        title=data["title"],
        body=data["body"] or "",
        state=forge.PullRequestState.MERGED if merged else forge.PullRequestState(data["state"]),
        url=data["html_url"],
        sha=data["head"]["sha"],
        draft=bool(data.get("draft")),
        labels=tuple(label["name"] for label in data["labels"]),
        author=(data.get("user") or {}).get("login", ""),
        merged_sha=(data["merge_commit_sha"] or "") if merged else "",
        created=wording.seconds(data["created_at"]),
    )


def _status(data: Any) -> forge.Status:
    return forge.Status(
        context=data["context"],
        state=forge.StatusState(data["state"]),
        description=data["description"] or "",
        url=data["target_url"] or "",
        updated=wording.seconds(data["updated_at"]),
    )
