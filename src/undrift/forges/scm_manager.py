"""SCM-Manager 2 and 3 with the review and CI plug-ins (`/api/v2`). After their sources; not verified live.

Its lists are the first ten that are open unless they are asked for otherwise, its PUT takes away what it does not
name, and its statuses know neither a description nor a time: both are in the name that people read.
"""

from __future__ import annotations

import dataclasses
import datetime
import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from undrift import errors
from undrift.forges import address, commenting, places, requesting, wording
from undrift.model import forge

_NEWEST = 10
_PAGE = 100
_CONFLICT = 409
_MOST_COMMITS = 1000
_KIND = "application/vnd.scmm-{}+json;v=2"
_DONE = {"MERGED", "REJECTED"}
_STATES = {"MERGED": forge.PullRequestState.MERGED, "REJECTED": forge.PullRequestState.CLOSED}
_WORDS = {
    forge.StatusState.PENDING: "PENDING",
    forge.StatusState.SUCCESS: "SUCCESS",
    forge.StatusState.FAILURE: "FAILURE",
    forge.StatusState.ERROR: "ABORTED",
}
_STATUSES = {word: state for state, word in _WORDS.items()} | {"UNSTABLE": forge.StatusState.FAILURE}
_TOLD = re.compile(r"(?P<description>.*?) ?\((?P<when>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)\)", re.DOTALL)


class ScmManager:
    """One repository on an SCM-Manager."""

    limits = forge.Limits(markdown_details=False)

    def __init__(self, client: requesting.Client, where: address.Address) -> None:
        self._client = client
        place = places.scm_manager(where)
        self._path = f"{requesting.quote(place.owner)}/{requesting.quote(place.name)}"
        self._web = f"{place.root}/repo/{self._path}"
        self._login: str | None = None

    async def default_branch(self) -> str:
        """The name of the repository's default branch."""
        data = await self._get(f"repositories/{self._path}/branches", "branchCollection")
        for one in data["_embedded"]["branches"]:
            if one["defaultBranch"]:
                return str(one["name"])
        raise errors.ForgeRefused(f"{self._client.host} has no default branch for {self._path}")

    async def find_open(self, head: str, base: str) -> forge.PullRequest | None:
        """The open pull request between two branches, drafts among them."""
        async for one in self._list(head, base, "IN_PROGRESS"):
            return await self._pull_request(one)
        return None

    async def find_closed(self, head: str, base: str) -> Sequence[forge.PullRequest]:
        """Merged and rejected ones, the newest first; ten at most. What it was merged as is told of the newest."""
        found = [one async for one in self._list(head, base, "ALL") if one["status"] in _DONE]
        found.sort(key=lambda one: -int(one["id"]))
        shown = [await self._pull_request(one) for one in found[:_NEWEST]]
        return [*[await self._with_commit(one, found[0]) for one in shown[:1]], *shown[1:]]

    async def pull_request(self, number: int) -> forge.PullRequest:
        """One pull request."""
        data = await self._read(number)
        return await self._with_commit(await self._pull_request(data), data)

    async def create(self, spec: forge.PullRequestSpec) -> forge.PullRequest:
        """Open a pull request; where there is one already, that one.

        SCM-Manager passes over reviewers that it does not know: that is said, though the pull request is there then.
        """
        users, teams = wording.people(spec.reviewers)
        body = {
            "source": spec.head,
            "target": spec.base,
            "title": wording.cut(spec.title, self.limits.title),
            "description": spec.body,
            "status": "DRAFT" if spec.draft else "OPEN",
            "labels": list(spec.labels),
            "reviewer": [{"id": user} for user in users],
        }
        at = f"pull-requests/{self._path}"
        answer = await self._send("POST", at, body, "pullRequest", also=(_CONFLICT,))
        if answer.status == _CONFLICT:
            return await self._already(spec)
        data = await self._read(int(answer.headers["Location"].rstrip("/").rpartition("/")[2]))
        known = {one["id"] for one in data.get("reviewer") or ()}
        unknown = [*(user for user in users if user not in known), *(f"team:{team}" for team in teams)]
        if unknown:
            raise errors.ForgeRefused(
                f"{self._client.host} did not ask {', '.join(unknown)} for a review",
                why="it knows no user of that name",
                hint="name reviewers by the names that they sign in with; it knows no teams",
            )
        return await self._pull_request(data)

    async def _already(self, spec: forge.PullRequestSpec) -> forge.PullRequest:
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
        """Change what is given and differs. Labels are added, none is taken off.

        What a PUT does not name is taken away, so it names all that is there.
        """
        cut = wording.cut(title, self.limits.title) if title is not None else known.title
        text = body if body is not None and not wording.same(body, known.body) else known.body
        missing = [label for label in labels or () if label not in known.labels]
        if (cut, text) == (known.title, known.body) and not missing:
            return known
        there = await self._read(known.number)
        wanted = {
            "title": cut if title is not None else there["title"],
            "description": text if body is not None else there.get("description") or "",
            "target": there["target"],
            "status": there["status"],
            "labels": [*dict.fromkeys([*there.get("labels", []), *missing])],
            "reviewer": [{"id": one["id"], "approved": one["approved"]} for one in there.get("reviewer", [])],
            "shouldDeleteSourceBranch": bool(there.get("shouldDeleteSourceBranch")),
        }
        await self._send("PUT", self._pull(known.number), wanted, "pullRequest")
        return await self._pull_request(await self._read(known.number))

    async def close(self, known: forge.PullRequest, comment: str = "") -> None:
        """Reject, saying why."""
        if comment:
            await self._client.send(
                "POST", f"{self._pull(known.number)}/rejectWithMessage", {"message": comment}
            )
        else:
            await self._client.send("POST", f"{self._pull(known.number)}/reject")

    async def upsert_comment(self, number: int, marker: str, body: str) -> forge.Comment:
        """The comment of ours that holds `marker` gets this text."""

        async def edit(known: forge.Comment, text: str) -> forge.Comment:
            await self._client.send("PUT", f"{self._pull(number)}/comments/{known.key}", {"comment": text})
            return dataclasses.replace(known, body=text)

        async def make(text: str) -> forge.Comment:
            at = f"{self._pull(number)}/comments"
            answer = await self._client.ask(requesting.Ask("POST", at, body={"comment": text}))
            key = answer.headers["Location"].partition("?")[0].rstrip("/").rpartition("/")[2]
            return forge.Comment(key, text, me)

        me = await self._me()
        ours = commenting.written_by(await self.comments(number), me)
        # An answer to a comment is edited elsewhere: ours are none.
        roots = [comment for comment in ours if "/" not in comment.key]
        return await commenting.upsert(roots, marker, body, make, edit)

    async def comments(self, number: int) -> Sequence[forge.Comment]:
        """All comments that people made and their answers, oldest first."""
        data = await self._client.get(f"{self._pull(number)}/comments")
        said: list[tuple[str, forge.Comment]] = []
        for one in data["_embedded"]["pullRequestComments"]:
            answers = (one.get("_embedded") or {}).get("replies") or ()
            if not one.get("systemComment"):
                said.append((one["date"], _comment(one, one["id"])))
            said += [(reply["date"], _comment(reply, f"{one['id']}/{reply['id']}")) for reply in answers]
        return [comment for _, comment in sorted(said, key=lambda pair: pair[0])]

    async def set_status(self, sha: str, status: forge.Status) -> None:
        """Set a status of a commit; what says the same already is left."""
        wanted = dataclasses.replace(
            status, description=wording.cut(status.description, self.limits.description)
        )
        if any(wording.says(one, wanted) for one in await self.statuses(sha)):
            return
        kind, _, name = status.context.partition("/")
        now = datetime.datetime.fromtimestamp(time.time(), datetime.UTC)
        body = {
            "type": kind,
            "name": name or kind,
            "displayName": f"{status.context}: {wanted.description} ({now:%Y-%m-%dT%H:%M:%SZ})",
            "status": _WORDS[status.state],
            "url": status.url or self._page(sha),
        }
        at = f"{self._checks(sha)}/{requesting.quote(kind)}/{requesting.quote(name or kind)}"
        await self._send("PUT", at, body, "cistatus")

    async def statuses(self, sha: str) -> Sequence[forge.Status]:
        """The newest status of each context: there is only one of a name."""
        data = await self._get(self._checks(sha), "cistatus")
        return [self._status(sha, one) for one in data["_embedded"]["ciStatus"]]

    async def reviews(self, number: int) -> Sequence[forge.Review]:
        """Who approved. A push takes all approvals back, so what is there is about the head."""
        data = await self._read(number)
        sha = (await self._pull_request(data)).sha
        return [
            forge.Review(one["id"], approved=True, sha=sha) for one in data["reviewer"] if one["approved"]
        ]

    async def enable_auto_merge(self, known: forge.PullRequest, method: str) -> bool:
        """False: there is no such thing."""
        return False

    def links(self) -> forge.Links:
        """Addresses for people."""
        return forge.Links(
            commit=f"{self._web}/code/changeset/{{sha}}",
            compare=f"{self._web}/compare/r/{{new}}/r/{{old}}",
            file=f"{self._web}/code/sources/{{sha}}/{{path}}#line-{{line}}",
            pull_request=f"{self._web}/pull-request/{{number}}",
        )

    async def close_session(self) -> None:
        """Close the connections."""
        await self._client.close()

    # ------------------------------------------------------------------ below: what SCM-Manager wants and says

    def _pull(self, number: int) -> str:
        return f"pull-requests/{self._path}/{number}"

    def _checks(self, sha: str) -> str:
        return f"ci/{self._path}/changesets/{sha}"

    def _page(self, sha: str) -> str:
        return f"{self._web}/code/changeset/{sha}"

    async def _get(self, path: str, kind: str) -> Any:
        return (await self._client.ask(requesting.Ask("GET", path, headers=_accept(kind)))).data

    async def _read(self, number: int) -> Any:
        return await self._get(self._pull(number), "pullRequest")

    async def _send(
        self, method: str, path: str, body: Any, kind: str, also: tuple[int, ...] = ()
    ) -> requesting.Answer:
        headers = {"Content-Type": _KIND.format(kind)}
        return await self._client.ask(
            requesting.Ask(method, path, body=body, headers=headers, also=also, again=also != ())
        )

    async def _list(self, head: str, base: str, status: str) -> AsyncIterator[Any]:
        """Those between two branches. Older plug-ins filter and page nothing: so it is done here once more."""
        wanted: requesting.Params = {
            "status": status,
            "source": head,
            "target": base,
            "sortBy": "ID_DESC",
            "pageSize": _PAGE,
            "page": 0,
        }
        at, seen = f"pull-requests/{self._path}", set[str]()
        headers = _accept("pullRequestCollection")

        def onward(answer: requesting.Answer, ask: requesting.Ask) -> requesting.Ask | None:
            page = {one["id"] for one in answer.data["_embedded"]["pullRequests"]}
            fresh = page - seen
            seen.update(page)
            if len(page) != _PAGE or not fresh:
                return None
            return dataclasses.replace(ask, params={**ask.params, "page": int(ask.params["page"]) + 1})

        first = requesting.Ask("GET", at, wanted, headers=headers)
        async for one in self._client.pages(first, onward, lambda data: data["_embedded"]["pullRequests"]):
            if (one["source"], one["target"]) == (head, base):
                yield one

    async def _pull_request(self, data: Any) -> forge.PullRequest:
        state = _STATES.get(data["status"], forge.PullRequestState.OPEN)
        closed = state is forge.PullRequestState.CLOSED
        number = int(data["id"])
        return forge.PullRequest(
            number=number,
            head=data["source"],
            base=data["target"],
            title=data["title"],
            body=data.get("description") or "",
            state=state,
            url=self.links().pull_request.format(number=number),
            sha=data.get("sourceRevision") or await self._tip(data["source"]),
            draft=data["status"] == "DRAFT",
            labels=tuple(sorted(data.get("labels") or ())),
            author=(data.get("author") or {}).get("id", ""),
            closed_by=(data.get("reviser") or {}).get("id", "") if closed else "",
            created=wording.seconds(data["creationDate"]),
        )

    async def _tip(self, branch: str) -> str:
        """The commit that a branch is at; "" where it is gone. Pull requests tell theirs only once they are closed."""
        at = f"repositories/{self._path}/branches/{requesting.quote(branch)}"
        answer = await self._client.ask(requesting.Ask("GET", at, headers=_accept("branch"), also=(404,)))
        return str(answer.data["revision"]) if answer.status < 400 else ""  # noqa: PLR2004 - success

    async def _with_commit(self, known: forge.PullRequest, data: Any) -> forge.PullRequest:
        """A merged pull request with what it was merged as: the commit right above the target that it met."""
        before = data.get("targetRevision")
        if known.state is not forge.PullRequestState.MERGED or not before:
            return known
        at = f"repositories/{self._path}/branches/{requesting.quote(known.base)}/changesets"
        for page in range(_MOST_COMMITS // _PAGE):
            ask = requesting.Ask(
                "GET", at, {"page": page, "pageSize": _PAGE}, headers=_accept("changesetCollection")
            )
            answer = await self._client.ask(dataclasses.replace(ask, also=(404,)))
            found = answer.data["_embedded"]["changesets"] if answer.status < 400 else []  # noqa: PLR2004 - success
            for one in found:
                if [parent["id"] for parent in one["_embedded"]["parents"]][:1] == [before]:
                    return dataclasses.replace(known, merged_sha=one["id"])
            if len(found) < _PAGE:
                break
        return known

    async def _me(self) -> str:
        """Our own name; "" where the token may not ask for it."""
        if self._login is None:
            ask = requesting.Ask("GET", "me", headers=_accept("me"), also=(401, 403, 404))
            answer = await self._client.ask(ask)
            self._login = str(answer.data["name"]) if answer.status < 400 else ""  # noqa: PLR2004 - success
        return self._login

    def _status(self, sha: str, data: Any) -> forge.Status:
        context = data["type"] if data["type"] == data["name"] else f"{data['type']}/{data['name']}"
        text = (data.get("displayName") or "").removeprefix(f"{context}: ")
        told = _TOLD.fullmatch(text)
        return forge.Status(
            context=context,
            state=_STATUSES.get(data["status"], forge.StatusState.ERROR),
            description=told["description"] if told else text,
            url="" if data["url"] == self._page(sha) else data["url"],
            updated=wording.seconds(told["when"]) if told else 0.0,
        )


def _accept(kind: str) -> Mapping[str, str]:
    return {"Accept": _KIND.format(kind)}


def _comment(data: Any, key: str) -> forge.Comment:
    return forge.Comment(key, data["comment"], (data.get("author") or {}).get("id", ""))
