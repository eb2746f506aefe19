"""GitLab.com and self-managed GitLab (`/api/v4`). Its merge requests are our pull requests. Not verified live."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Sequence
from typing import Any

from undrift import errors
from undrift.forges import address, answering, commenting, requesting, wording
from undrift.model import forge

_DRAFT = "Draft: "
_DRAFTS = ("draft:", "[draft]", "(draft)")
_PAGE = {"per_page": 100}
_NEWEST = 10
_STATES = {
    "opened": forge.PullRequestState.OPEN,
    "locked": forge.PullRequestState.OPEN,
    "merged": forge.PullRequestState.MERGED,
    "closed": forge.PullRequestState.CLOSED,
}
_TOLD = {
    forge.StatusState.PENDING: "pending",
    forge.StatusState.SUCCESS: "success",
    forge.StatusState.FAILURE: "failed",
    forge.StatusState.ERROR: "canceled",
}
_READ = {
    "success": forge.StatusState.SUCCESS,
    "skipped": forge.StatusState.SUCCESS,
    "failed": forge.StatusState.FAILURE,
    "canceled": forge.StatusState.ERROR,
}


class GitLab:
    """One project on a GitLab."""

    limits = forge.Limits(title=255, body=1_000_000, comment=1_000_000, description=255, auto_merge=True)

    def __init__(self, client: requesting.Client, where: address.Address) -> None:
        self._client = client
        self._where = where
        self._base = f"projects/{requesting.quote('/'.join(where.parts))}"
        self._login: str | None = None

    async def default_branch(self) -> str:
        """The name of the project's default branch."""
        return str((await self._client.get(self._base))["default_branch"])

    async def find_open(self, head: str, base: str) -> forge.PullRequest | None:
        """The open merge request between two branches; of several the oldest."""
        async for one in self._list(head, base, {"state": "opened", "sort": "asc"}):
            return one
        return None

    async def open_pull_requests(self, base: str) -> Sequence[forge.PullRequest]:
        """See `abilities.Lister`."""
        return [one async for one in self._list("", base, {"state": "opened", "sort": "asc"})]

    async def find_closed(self, head: str, base: str) -> Sequence[forge.PullRequest]:
        """Merged and closed ones, the newest first; ten at most."""
        found: list[forge.PullRequest] = []
        async for one in self._list(head, base, {"state": "all", "sort": "desc"}):
            if one.state is not forge.PullRequestState.OPEN:
                found.append(one)
            if len(found) == _NEWEST:
                break
        return found

    async def pull_request(self, number: int) -> forge.PullRequest:
        """One merge request."""
        return _pull_request(await self._client.get(f"{self._base}/merge_requests/{number}"))

    async def create(self, spec: forge.PullRequestSpec) -> forge.PullRequest:
        """Open a merge request; where there is one already, that one. GitLab makes labels that it has not."""
        body: dict[str, Any] = {
            "source_branch": spec.head,
            "target_branch": spec.base,
            "title": (_DRAFT if spec.draft else "")
            + wording.cut(spec.title, self.limits.title - len(_DRAFT)),
            "description": spec.body,
        }
        if spec.labels:
            body["labels"] = ",".join(spec.labels)
        if spec.reviewers:
            body["reviewer_ids"] = await self._people(spec.reviewers)
        ask = requesting.Ask("POST", f"{self._base}/merge_requests", body=body, also=(409,), again=True)
        answer = await self._client.ask(ask)
        if answer.status != 409:  # noqa: PLR2004 - Conflict
            return _pull_request(answer.data)
        found = await self.find_open(spec.head, spec.base)
        if found is None:
            raise errors.ForgeRefused(
                f"{self._client.host} says that there is a merge request from {spec.head}, and shows none",
                why=answering.message(answer),
                hint="run again: it may have been closed meanwhile",
            )
        return found

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
        cut = wording.cut(title, self.limits.title - len(_DRAFT)) if title is not None else known.title
        if cut != known.title:
            wanted["title"] = (_DRAFT if known.draft else "") + cut
        if body is not None and not wording.same(body, known.body):
            wanted["description"] = body
        missing = [label for label in labels or () if label not in known.labels]
        if missing:
            wanted["add_labels"] = ",".join(missing)
        if not wanted:
            return known
        return _pull_request(await self._client.send("PUT", self._request(known.number), wanted))

    async def close(self, known: forge.PullRequest, comment: str = "") -> None:
        """Close without merging, saying why in a comment."""
        if comment:
            await self._comment(known.number, comment)
        await self._client.send("PUT", self._request(known.number), {"state_event": "close"})

    async def upsert_comment(self, number: int, marker: str, body: str) -> forge.Comment:
        """The comment of ours that holds `marker` gets this text."""

        async def edit(known: forge.Comment, text: str) -> forge.Comment:
            at = f"{self._request(number)}/notes/{known.key}"
            return _comment(await self._client.send("PUT", at, {"body": text}))

        ours = commenting.written_by(await self.comments(number), await self._me())
        return await commenting.upsert(ours, marker, body, lambda text: self._comment(number, text), edit)

    async def comments(self, number: int) -> Sequence[forge.Comment]:
        """All comments of people, oldest first; what GitLab itself notes is none."""
        notes = self._all(f"{self._request(number)}/notes", {"sort": "asc", "order_by": "created_at"})
        return [_comment(one) async for one in notes if not one["system"]]

    async def set_status(self, sha: str, status: forge.Status) -> None:
        """Set a status of a commit; what says the same already is left.

        GitLab takes no second `pending` in place of the first one, whose description stays then
        (gitlab-org/gitlab-foss#25807).
        """
        wanted = dataclasses.replace(
            status, description=wording.cut(status.description, self.limits.description)
        )
        if any(wording.says(one, wanted) for one in await self.statuses(sha)):
            return
        body = {"state": _TOLD[wanted.state], "name": wanted.context, "description": wanted.description}
        if wanted.url:
            body["target_url"] = wanted.url
        waits = wanted.state is forge.StatusState.PENDING
        ask = requesting.Ask(
            "POST", f"{self._base}/statuses/{sha}", body=body, also=(400,) if waits else (), again=True
        )
        answer = await self._client.ask(ask)
        said = answering.message(answer)
        if answer.status == 400 and "transition" not in said:  # noqa: PLR2004 - Bad Request
            raise errors.ForgeRefused(f"{self._client.host} refuses a status of {sha}", why=said)

    async def statuses(self, sha: str) -> Sequence[forge.Status]:
        """The newest status of each context."""
        newest: dict[str, Any] = {}
        async for one in self._all(f"{self._base}/repository/commits/{sha}/statuses"):
            if one["id"] > newest.get(one["name"], {"id": 0})["id"]:
                newest[one["name"]] = one
        return [_status(one) for _, one in sorted(newest.items())]

    async def reviews(self, number: int) -> Sequence[forge.Review]:
        """The newest word of each reviewer: approvals, and who asks for changes."""
        versions = [one async for one in self._all(f"{self._request(number)}/versions")]
        newest = max(versions, key=lambda one: one["id"], default=None)
        found: dict[str, forge.Review] = {}
        async for one in self._all(f"{self._request(number)}/reviewers"):
            if one["state"] == "requested_changes":
                login = one["user"]["username"]
                found[login] = forge.Review(login, approved=False)
        for one in (await self._client.get(f"{self._request(number)}/approvals"))["approved_by"]:
            login = one["user"]["username"]
            at = wording.seconds(one.get("approved_at"))
            looked = max(
                (v for v in versions if wording.seconds(v["created_at"]) <= at),
                key=lambda v: v["id"],
                default=None,
            )
            sha = looked["head_commit_sha"] if looked else ""
            stale = bool(at and newest and sha != newest["head_commit_sha"])
            found[login] = forge.Review(login, approved=True, sha=sha, stale=stale)
        return list(found.values())

    async def enable_auto_merge(self, known: forge.PullRequest, method: str) -> bool:
        """Have GitLab merge once checks and approvals are there. How it merges is the project's own setting.

        The second name is that of GitLab before 17.11, which would merge at once without it.
        """
        body = {
            "auto_merge": True,
            "merge_when_pipeline_succeeds": True,
            "sha": known.sha,
            "squash": method == "squash",
        }
        ask = requesting.Ask(
            "PUT", f"{self._request(known.number)}/merge", body=body, also=(405, 406, 409, 422)
        )
        if (await self._client.ask(ask)).status < 400:  # noqa: PLR2004 - success
            return True
        live = await self._client.get(self._request(known.number))
        return bool(live.get("merge_when_pipeline_succeeds")) or live["state"] == "merged"

    def links(self) -> forge.Links:
        """Addresses for people."""
        web = f"{self._where.root}/{self._where.path}/-"
        return forge.Links(
            commit=f"{web}/commit/{{sha}}",
            compare=f"{web}/compare/{{old}}...{{new}}",
            file=f"{web}/blob/{{sha}}/{{path}}#L{{line}}",
            pull_request=f"{web}/merge_requests/{{number}}",
        )

    async def close_session(self) -> None:
        """Close the connections."""
        await self._client.close()

    # ------------------------------------------------------------------ below: what GitLab wants and says

    def _request(self, number: int) -> str:
        return f"{self._base}/merge_requests/{number}"

    def _all(self, path: str, params: requesting.Params | None = None) -> AsyncIterator[Any]:
        return self._client.pages(requesting.Ask("GET", path, {**_PAGE, **(params or {})}), _onward)

    async def _list(
        self, head: str, base: str, params: requesting.Params
    ) -> AsyncIterator[forge.PullRequest]:
        filters = {"target_branch": base, "order_by": "created_at"}
        if head:
            filters["source_branch"] = head
        async for one in self._all(f"{self._base}/merge_requests", {**params, **filters}):
            ours = one["source_project_id"] == one["target_project_id"]
            if ours and head in ("", one["source_branch"]) and one["target_branch"] == base:
                yield _pull_request(one)

    async def _comment(self, number: int, text: str) -> forge.Comment:
        return _comment(await self._client.send("POST", f"{self._request(number)}/notes", {"body": text}))

    async def _me(self) -> str:
        """Our own name; "" where the token may not ask for it (that of a job)."""
        if self._login is None:
            answer = await self._client.ask(requesting.Ask("GET", "user", also=(401, 403)))
            self._login = str(answer.data["username"]) if answer.status < 400 else ""  # noqa: PLR2004 - success
        return self._login

    async def _people(self, reviewers: Sequence[str]) -> list[int]:
        """The numbers of people; a group cannot be asked, so its members are."""
        users, groups = wording.people(reviewers)
        found: dict[int, None] = {}
        for name in users:
            known = await self._client.get("users", {"username": name})
            if not known:
                raise errors.ForgeRefused(
                    f"{self._client.host} knows no user called {name}",
                    hint="correct the reviewers of the stage",
                )
            found[known[0]["id"]] = None
        for name in groups:
            async for one in self._all(f"groups/{requesting.quote(name)}/members"):
                found[one["id"]] = None
        return list(found)


def _onward(answer: requesting.Answer, ask: requesting.Ask) -> requesting.Ask | None:
    """The next page; GitLab always tells its number, but Link only where it is configured well."""
    following = answer.headers.get("X-Next-Page", "").strip()
    return dataclasses.replace(ask, params={**ask.params, "page": following}) if following else None


def _pull_request(data: Any) -> forge.PullRequest:
    state = _STATES[data["state"]]
    prefix = next((one for one in _DRAFTS if data["title"].lower().startswith(one)), "")
    merged = data.get("merge_commit_sha") or data.get("squash_commit_sha") or data["sha"] or ""
    return forge.PullRequest(
        number=data["iid"],
        head=data["source_branch"],
        base=data["target_branch"],
        title=data["title"][len(prefix) :].lstrip(),
        body=data["description"] or "",
        state=state,
        url=data["web_url"],
        sha=data["sha"] or "",
        draft=bool(prefix),
        labels=tuple(data["labels"]),
        author=(data.get("author") or {}).get("username", ""),
        merged_sha=merged if state is forge.PullRequestState.MERGED else "",
        closed_by=(data.get("closed_by") or {}).get("username", ""),
        created=wording.seconds(data["created_at"]),
    )


def _comment(data: Any) -> forge.Comment:
    return forge.Comment(str(data["id"]), data["body"], (data.get("author") or {}).get("username", ""))


def _status(data: Any) -> forge.Status:
    return forge.Status(
        context=data["name"],
        state=_READ.get(data["status"], forge.StatusState.PENDING),
        description=data["description"] or "",
        url=data["target_url"] or "",
        updated=wording.seconds(data.get("finished_at") or data["created_at"]),
    )
