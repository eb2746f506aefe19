"""GitHub, GitHub Enterprise Cloud and Server (REST of 2022-11-28, GraphQL for auto-merge). Not verified live."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Sequence
from typing import Any

from undrift import errors
from undrift.forges import abilities, address, answering, commenting, requesting, wording
from undrift.model import forge

_HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
_PAGE = {"per_page": 100}
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


class GitHub:
    """One repository on GitHub."""

    limits = forge.Limits(title=255, body=65_536, comment=65_536, description=140, auto_merge=True)

    def __init__(self, client: requesting.Client, where: address.Address) -> None:
        client.headers = _HEADERS
        self._client = client
        self._where = where
        owner, name = where.owner_and_name()
        self._base = f"repos/{requesting.quote(owner)}/{requesting.quote(name)}"
        self._owner = ""
        self._login: str | None = None

    async def default_branch(self) -> str:
        """The name of the repository's default branch."""
        return str((await self._client.get(self._base))["default_branch"])

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

    async def pull_request(self, number: int) -> forge.PullRequest:
        """One pull request."""
        return await self._with_closer(_pull_request(await self._client.get(f"{self._base}/pulls/{number}")))

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
        if spec.reviewers:
            users, teams = wording.people(spec.reviewers)
            asked = {"reviewers": users, "team_reviewers": teams}
            await self._client.send("POST", f"{self._pull(made)}/requested_reviewers", asked, again=True)
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

    async def update(
        self,
        known: forge.PullRequest,
        *,
        title: str | None = None,
        body: str | None = None,
        labels: Sequence[str] | None = None,
    ) -> forge.PullRequest:
        """Change what is given and differs. Labels are added, none is taken off; GitHub makes those it has not."""
        wanted: dict[str, str] = {}
        cut = wording.cut(title, self.limits.title) if title is not None else known.title
        if cut != known.title:
            wanted["title"] = cut
        if body is not None and not wording.same(body, known.body):
            wanted["body"] = body
        if wanted:
            known = _pull_request(await self._client.send("PATCH", self._pull(known), wanted))
        missing = [label for label in labels or () if label not in known.labels]
        if missing:
            await self._client.send(
                "POST", f"{self._issue(known.number)}/labels", {"labels": missing}, again=True
            )
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

    async def close_session(self) -> None:
        """Close the connections."""
        await self._client.close()

    # ------------------------------------------------------------------ below: what GitHub wants and says

    def _pull(self, known: forge.PullRequest) -> str:
        return f"{self._base}/pulls/{known.number}"

    def _issue(self, number: int) -> str:
        return f"{self._base}/issues/{number}"

    def _all(self, path: str, params: requesting.Params | None = None) -> AsyncIterator[Any]:
        return self._client.pages(requesting.Ask("GET", path, {**_PAGE, **(params or {})}))

    async def _list(
        self, head: str, base: str, params: requesting.Params
    ) -> AsyncIterator[forge.PullRequest]:
        """Those between two branches of this repository (`head` "": any). Owners get new names; the filter knows the
        new one only.
        """
        filters = {"base": base}
        if head and not self._owner:
            self._owner = str((await self._client.get(self._base))["owner"]["login"])
        if head:
            filters["head"] = f"{self._owner}:{head}"
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

    async def _comment(self, number: int, text: str) -> forge.Comment:
        return _comment(await self._client.send("POST", f"{self._issue(number)}/comments", {"body": text}))

    async def _me(self) -> str:
        """Our own name; "" where the token is not a person's: those of apps and of jobs may not ask."""
        if self._login is None:
            answer = await self._client.ask(requesting.Ask("GET", "user", also=(401, 403)))
            self._login = str(answer.data["login"]) if answer.status < 400 else ""  # noqa: PLR2004 - success
        return self._login


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


def _comment(data: Any) -> forge.Comment:
    return forge.Comment(str(data["id"]), data.get("body") or "", (data.get("user") or {}).get("login", ""))


def _status(data: Any) -> forge.Status:
    return forge.Status(
        context=data["context"],
        state=forge.StatusState(data["state"]),
        description=data["description"] or "",
        url=data["target_url"] or "",
        updated=wording.seconds(data["updated_at"]),
    )
