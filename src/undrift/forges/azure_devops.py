"""Azure DevOps, Services and Server (Git REST API 7.0). After its published specifications; not verified live.

People are called by their unique name, the address that they sign in with.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import AsyncIterator, Sequence
from typing import Any
from urllib import parse

from undrift import errors
from undrift.forges import address, commenting, places, requesting, wording
from undrift.model import forge

_NEWEST = 10
_PAGE = 100
_CUT = 400
_CONFLICT = 409
_VERSION = {"api-version": "7.0"}
_SILENT = {"X-TFS-FedAuthRedirect": "Suppress"}
"""With it a bad token is answered 401, and not by a page to sign in on."""
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_STATES = {"active": forge.PullRequestState.OPEN, "completed": forge.PullRequestState.MERGED}
_WORDS = {
    forge.StatusState.PENDING: "pending",
    forge.StatusState.SUCCESS: "succeeded",
    forge.StatusState.FAILURE: "failed",
    forge.StatusState.ERROR: "error",
}
_STATUSES = {word: state for state, word in _WORDS.items()} | {
    "notSet": forge.StatusState.PENDING,
    "notApplicable": forge.StatusState.SUCCESS,
}
_STRATEGIES = {
    "merge": "noFastForward",
    "squash": "squash",
    "rebase": "rebase",
    "rebase-merge": "rebaseMerge",
}


class AzureDevOps:
    """One repository on Azure DevOps."""

    limits = forge.Limits(body=4_000, comment=150_000, description=255, auto_merge=True)

    def __init__(self, client: requesting.Client, where: address.Address) -> None:
        self._client = client
        place = places.azure_devops(where)
        self._owner, self._name = requesting.quote(place.owner), requesting.quote(place.name)
        self._base = f"{self._owner}/_apis/git/repositories/{self._name}"
        self._web = f"{place.root}/{self._owner}/_git/{self._name}"
        self._key: str | None = None

    async def default_branch(self) -> str:
        """The name of the repository's default branch."""
        return _branch((await self._get(self._base))["defaultBranch"])

    async def find_open(self, head: str, base: str) -> forge.PullRequest | None:
        """The open pull request between two branches of this repository."""
        async for one in self._list(head, base, "active"):
            return self._pull_request(await self._whole(one))
        return None

    async def find_closed(self, head: str, base: str) -> Sequence[forge.PullRequest]:
        """Completed and abandoned ones, the newest first; ten at most."""
        found = [
            one async for one in self._list(head, base, "all") if one["status"] in {"completed", "abandoned"}
        ]
        found.sort(key=lambda one: -int(one["pullRequestId"]))
        return [self._pull_request(await self._whole(one)) for one in found[:_NEWEST]]

    async def pull_request(self, number: int) -> forge.PullRequest:
        """One pull request."""
        return self._pull_request(await self._get(self._pull(number)))

    async def create(self, spec: forge.PullRequestSpec) -> forge.PullRequest:
        """Open a pull request; where there is one already, that one."""
        body = {
            "sourceRefName": f"refs/heads/{spec.head}",
            "targetRefName": f"refs/heads/{spec.base}",
            "title": wording.cut(spec.title, self.limits.title),
            "description": spec.body,
            "labels": [{"name": label} for label in spec.labels],
            "reviewers": [{"id": await self._id(reviewer)} for reviewer in spec.reviewers],
            "isDraft": spec.draft,
        }
        answer = await self._send("POST", f"{self._base}/pullrequests", body, (_CONFLICT,), again=True)
        if answer.status != _CONFLICT:
            return self._pull_request(answer.data)
        found = await self.find_open(spec.head, spec.base)
        if found is None:
            raise errors.ForgeRefused(
                f"{self._client.host} says that there is a pull request from {spec.head}, and shows none",
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
        cut = wording.cut(title, self.limits.title) if title is not None else known.title
        if cut != known.title:
            wanted["title"] = cut
        if body is not None and not wording.same(body, known.body):
            wanted["description"] = body
        if wanted:
            known = self._pull_request((await self._send("PATCH", self._pull(known.number), wanted)).data)
        missing = [label for label in labels or () if label not in known.labels]
        for label in missing:
            await self._send("POST", self._part(known.number, "labels"), {"name": label}, again=True)
        return dataclasses.replace(known, labels=(*known.labels, *missing))

    async def close(self, known: forge.PullRequest, comment: str = "") -> None:
        """Abandon, saying why in a comment."""
        if comment:
            await self._comment(known.number, comment)
        await self._send("PATCH", self._pull(known.number), {"status": "abandoned"})

    async def upsert_comment(self, number: int, marker: str, body: str) -> forge.Comment:
        """The comment of ours that holds `marker` gets this text."""

        async def edit(known: forge.Comment, text: str) -> forge.Comment:
            thread, _, comment = known.key.partition("/")
            at = f"{self._part(number)}/{thread}/comments/{comment}"
            answer = await self._send("PATCH", at, {"content": text})
            return _comment(thread, answer.data)

        me = await self._me()
        said = [one async for one in self._said(number)]
        ours = [_comment(thread, one) for thread, one in said if not me or one["author"]["id"] == me]
        return await commenting.upsert(ours, marker, body, lambda text: self._comment(number, text), edit)

    async def comments(self, number: int) -> Sequence[forge.Comment]:
        """All comments that people made, oldest first."""
        return [_comment(thread, one) async for thread, one in self._said(number)]

    async def set_status(self, sha: str, status: forge.Status) -> None:
        """Set a status of a commit; what says the same already is left."""
        wanted = dataclasses.replace(
            status, description=wording.cut(status.description, self.limits.description)
        )
        if any(wording.says(one, wanted) for one in await self.statuses(sha)):
            return
        genre, slash, name = status.context.partition("/")
        body = {
            "state": _WORDS[wanted.state],
            "context": {"genre": genre, "name": name} if slash else {"name": genre},
            "description": wanted.description,
            **({"targetUrl": wanted.url} if wanted.url else {}),
        }
        await self._send("POST", f"{self._base}/commits/{sha}/statuses", body, again=True)

    async def statuses(self, sha: str) -> Sequence[forge.Status]:
        """The newest status of each context."""
        at = f"{self._base}/commits/{sha}/statuses"
        pages = self._all(at, {"latestOnly": "true"}, ("top", "skip"))
        return [_status(one) async for one in pages]

    async def reviews(self, number: int) -> Sequence[forge.Review]:
        """The vote of each person. A group's vote is that of its members, who are listed, too."""
        data = await self._get(self._pull(number))
        voted = [one for one in data.get("reviewers") or () if one.get("vote") and not one.get("isContainer")]
        if not voted:
            return []
        threads = (await self._get(self._part(number)))["value"]
        pushes = (await self._get(self._part(number, "iterations")))["value"]
        found: list[forge.Review] = []
        for one in voted:
            when = max((_voted(thread, one["id"]) for thread in threads), default=0.0)
            seen = [push for push in pushes if wording.seconds(push["createdDate"]) <= when]
            last = max(seen, key=lambda push: int(push["id"]), default=None)
            sha = last["sourceRefCommit"]["commitId"] if last else ""
            stale = bool(sha) and sha != (data.get("lastMergeSourceCommit") or {}).get("commitId")
            found.append(forge.Review(one["uniqueName"], one["vote"] > 0, sha, stale))
        return found

    async def enable_auto_merge(self, known: forge.PullRequest, method: str) -> bool:
        """Have it completed once all policies are satisfied; at once where there are none."""
        me = await self._me()
        if not me or method not in _STRATEGIES:
            return False
        options = {"mergeStrategy": _STRATEGIES[method]}
        body = {"autoCompleteSetBy": {"id": me}, "completionOptions": options}
        await self._send("PATCH", self._pull(known.number), body)
        return True

    def links(self) -> forge.Links:
        """Addresses for people."""
        return forge.Links(
            commit=f"{self._web}/commit/{{sha}}",
            compare=f"{self._web}/branchCompare?baseVersion=GC{{old}}&targetVersion=GC{{new}}",
            file=f"{self._web}?path=/{{path}}&version=GC{{sha}}&line={{line}}",
            pull_request=f"{self._web}/pullrequest/{{number}}",
        )

    async def close_session(self) -> None:
        """Close the connections."""
        await self._client.close()

    # ------------------------------------------------------------------ below: what Azure DevOps wants and says

    def _pull(self, number: int) -> str:
        return f"{self._base}/pullrequests/{number}"

    def _part(self, number: int, what: str = "threads") -> str:
        return f"{self._base}/pullRequests/{number}/{what}"

    async def _get(self, path: str, params: requesting.Params | None = None) -> Any:
        ask = requesting.Ask("GET", path, {**_VERSION, **(params or {})}, headers=_SILENT)
        return (await self._client.ask(ask)).data

    async def _send(
        self, method: str, path: str, body: Any, also: tuple[int, ...] = (), *, again: bool = False
    ) -> requesting.Answer:
        return await self._client.ask(requesting.Ask(method, path, _VERSION, body, _SILENT, also, again))

    async def _all(self, path: str, params: requesting.Params, names: tuple[str, str]) -> AsyncIterator[Any]:
        """Every item of a list; `names` are those of its parameters for the size and the start of a page."""
        top, skip = names

        def onward(answer: requesting.Answer, ask: requesting.Ask) -> requesting.Ask | None:
            if len(answer.data["value"]) < _PAGE:
                return None
            return dataclasses.replace(ask, params={**ask.params, skip: int(ask.params[skip]) + _PAGE})

        first = requesting.Ask("GET", path, {**_VERSION, **params, top: _PAGE, skip: 0}, headers=_SILENT)
        async for one in self._client.pages(first, onward, lambda data: data["value"]):
            yield one

    def _list(self, head: str, base: str, status: str) -> AsyncIterator[Any]:
        wanted = {
            "searchCriteria.status": status,
            "searchCriteria.sourceRefName": f"refs/heads/{head}",
            "searchCriteria.targetRefName": f"refs/heads/{base}",
        }
        return self._all(f"{self._base}/pullrequests", wanted, ("$top", "$skip"))

    async def _whole(self, data: Any) -> Any:
        """A pull request with all of its text: lists have the first 400 characters."""
        if len(data.get("description") or "") < _CUT:
            return data
        return await self._get(self._pull(data["pullRequestId"]))

    def _pull_request(self, data: Any) -> forge.PullRequest:
        state = _STATES.get(data["status"], forge.PullRequestState.CLOSED)
        merged, closed = state is forge.PullRequestState.MERGED, state is forge.PullRequestState.CLOSED
        number = data["pullRequestId"]
        return forge.PullRequest(
            number=number,
            head=_branch(data["sourceRefName"]),
            base=_branch(data["targetRefName"]),
            title=data["title"],
            body=data.get("description") or "",
            state=state,
            url=self.links().pull_request.format(number=number),
            sha=(data.get("lastMergeSourceCommit") or {}).get("commitId", ""),
            draft=bool(data.get("isDraft")),
            labels=tuple(label["name"] for label in data.get("labels") or () if label.get("active", True)),
            author=data["createdBy"].get("uniqueName", ""),
            merged_sha=(data.get("lastMergeCommit") or {}).get("commitId", "") if merged else "",
            closed_by=(data.get("closedBy") or {}).get("uniqueName", "") if closed else "",
            created=wording.seconds(data["creationDate"]),
        )

    async def _said(self, number: int) -> AsyncIterator[tuple[str, Any]]:
        """What people said, with the number of its thread, oldest first."""
        threads = (await self._get(self._part(number)))["value"]
        said = [
            (str(thread["id"]), comment)
            for thread in threads
            if not thread.get("isDeleted")
            for comment in thread["comments"]
            if comment.get("commentType") not in {"system", "codeChange"} and not comment.get("isDeleted")
        ]
        for one in sorted(said, key=lambda one: str(one[1]["publishedDate"])):
            yield one

    async def _comment(self, number: int, text: str) -> forge.Comment:
        """A comment in a thread that is closed: an open one can stand in the way of completing."""
        comment = {"parentCommentId": 0, "content": text, "commentType": "text"}
        body = {"comments": [comment], "status": "closed"}
        made = (await self._send("POST", self._part(number), body)).data
        return _comment(str(made["id"]), made["comments"][0])

    async def _me(self) -> str:
        """The id of whoever we are; "" where the token may not ask for it."""
        if self._key is None:
            ask = requesting.Ask("GET", "_apis/connectionData", headers=_SILENT, also=(403, 404))
            answer = await self._client.ask(ask)
            self._key = str(answer.data["authenticatedUser"]["id"]) if answer.status < 400 else ""  # noqa: PLR2004 - success
        return self._key

    async def _id(self, reviewer: str) -> str:
        """The id of a person by his unique name, or of a team of this project. Raises `ForgeRefused`."""
        users, teams = wording.people([reviewer])
        if teams:
            path = f"_apis/projects/{self._owner}/teams/{requesting.quote(teams[0])}"
            return str((await self._get(path))["id"])
        if _ID.fullmatch(reviewer):
            return reviewer
        wanted = {"searchFilter": "General", "filterValue": users[0]}
        found = (await self._get(f"{self._people()}/_apis/identities", wanted))["value"]
        if len(found) != 1:
            raise errors.ForgeRefused(
                f"{self._client.host} cannot tell who {reviewer} is",
                why=f"{len(found)} people are called that",
                hint="name reviewers by the address that they sign in with, or by their id",
            )
        return str(found[0]["id"])

    def _people(self) -> str:
        """Where people are asked for: the service has a host of its own for them."""
        parts = parse.urlsplit(self._client.base)
        if parts.netloc == "dev.azure.com":
            return f"https://vssps.dev.azure.com{parts.path}"
        if parts.netloc.endswith(".visualstudio.com"):
            return f"https://{parts.netloc.replace('.', '.vssps.', 1)}"
        return self._client.base


def _branch(name: str) -> str:
    return name.removeprefix("refs/heads/")


def _comment(thread: str, data: Any) -> forge.Comment:
    author = (data.get("author") or {}).get("uniqueName", "")
    return forge.Comment(f"{thread}/{data['id']}", data.get("content") or "", author)


def _voted(thread: Any, voter: str) -> float:
    """When a person voted, if that is what a thread of the system tells; else 0.

    Who it was is a property, or a number in the thread's own list of people.
    """
    told = {name: kept.get("$value") for name, kept in (thread.get("properties") or {}).items()}
    listed = (thread.get("identities") or {}).get(str(told.get("CodeReviewVotedByIdentity")), {})
    who = told.get("CodeReviewVotedByTfId") or listed.get("id", "")
    if told.get("CodeReviewThreadType") != "VoteUpdate" or str(who).lower() != voter.lower():
        return 0.0
    return wording.seconds(thread.get("publishedDate"))


def _status(data: Any) -> forge.Status:
    genre = data["context"].get("genre")
    return forge.Status(
        context=f"{genre}/{data['context']['name']}" if genre else data["context"]["name"],
        state=_STATUSES.get(data["state"], forge.StatusState.ERROR),
        description=data.get("description") or "",
        url=data.get("targetUrl") or "",
        updated=wording.seconds(data.get("updatedDate") or data.get("creationDate")),
    )
