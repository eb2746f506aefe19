"""Bitbucket Data Center (`/rest/api/latest`, 8 and later). After its OpenAPI document; not verified live."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Sequence
from typing import Any
from urllib import parse

from undrift import errors
from undrift.forges import address, answering, commenting, hiding, places, requesting, wording
from undrift.model import forge

_NEWEST = 10
_TRIES = 3
_PAGE = {"limit": 100}
_CONFLICT = 409
_STATES = {"OPEN": forge.PullRequestState.OPEN, "MERGED": forge.PullRequestState.MERGED}
_WORDS = {
    forge.StatusState.PENDING: "INPROGRESS",
    forge.StatusState.SUCCESS: "SUCCESSFUL",
    forge.StatusState.FAILURE: "FAILED",
    forge.StatusState.ERROR: "FAILED",
}
_STATUSES = {
    "INPROGRESS": forge.StatusState.PENDING,
    "SUCCESSFUL": forge.StatusState.SUCCESS,
    "FAILED": forge.StatusState.FAILURE,
}


class BitbucketServer:
    """One repository on a Bitbucket Data Center."""

    limits = forge.Limits(body=32_700, comment=32_700, description=255, labels=False, markdown_details=False)

    def __init__(self, client: requesting.Client, where: address.Address) -> None:
        self._client = client
        place = places.bitbucket_server(where)
        self._project, self._name = place.owner, place.name
        project, name = requesting.quote(place.owner), requesting.quote(place.name)
        self._base = f"api/latest/projects/{project}/repos/{name}"
        self._web = f"{place.root}/projects/{project}/repos/{name}"
        self._login: str | None = None

    async def default_branch(self) -> str:
        """The name of the repository's default branch."""
        return str((await self._client.get(f"{self._base}/default-branch"))["displayId"])

    async def find_open(self, head: str, base: str) -> forge.PullRequest | None:
        """The open pull request between two branches of this repository."""
        async for one in self._list(head, base, "OPEN"):
            return _pull_request(one)
        return None

    async def find_closed(self, head: str, base: str) -> Sequence[forge.PullRequest]:
        """Merged and declined ones, the newest first; ten at most."""
        found = [one async for one in self._list(head, base, "ALL") if one["state"] != "OPEN"]
        found.sort(key=lambda one: -int(one["id"]))
        return [await self._with_closer(_pull_request(one)) for one in found[:_NEWEST]]

    async def pull_request(self, number: int) -> forge.PullRequest:
        """One pull request."""
        return await self._with_closer(_pull_request(await self._client.get(self._pull(number))))

    async def create(self, spec: forge.PullRequestSpec) -> forge.PullRequest:
        """Open a pull request; where there is one already, that one."""
        users, teams = wording.people(spec.reviewers)
        if teams:
            raise self._no(f"team:{teams[0]} is among the reviewers", "name people by their user names")
        body = {
            "title": wording.cut(spec.title, self.limits.title),
            "description": hiding.hide(spec.body),
            "fromRef": self._ref(spec.head),
            "toRef": self._ref(spec.base),
            "reviewers": [{"user": {"name": user}} for user in users],
            **({"draft": True} if spec.draft else {}),
        }
        ask = requesting.Ask("POST", f"{self._base}/pull-requests", body=body, also=(_CONFLICT,), again=True)
        answer = await self._client.ask(ask)
        if answer.status != _CONFLICT:
            return _pull_request(answer.data)
        found = await self.find_open(spec.head, spec.base)
        if found is None:
            raise self._no(answering.message(answer), "it will refuse it again: change what it names")
        return found

    async def update(
        self,
        known: forge.PullRequest,
        *,
        title: str | None = None,
        body: str | None = None,
        labels: Sequence[str] | None = None,
    ) -> forge.PullRequest:
        """Change title and text where they differ, on the version that is there. There are no labels.

        What a PUT does not name may be lost, so it names the reviewers, too.
        """
        cut = wording.cut(title, self.limits.title) if title is not None else known.title
        text = body if body is not None and not wording.same(body, known.body) else known.body
        if (cut, text) == (known.title, known.body):
            return known
        for _ in range(_TRIES):
            there = await self._client.get(self._pull(known.number))
            wanted = {
                "version": there["version"],
                "title": cut if title is not None else there["title"],
                "description": hiding.hide(text) if body is not None else there.get("description", ""),
                "reviewers": [{"user": {"name": one["user"]["name"]}} for one in there["reviewers"]],
                **({"draft": there["draft"]} if "draft" in there else {}),
            }
            answer = await self._client.ask(
                requesting.Ask("PUT", self._pull(known.number), body=wanted, also=(_CONFLICT,))
            )
            if answer.status != _CONFLICT:
                return _pull_request(answer.data)
        raise self._no(answering.message(answer), "run again: others are changing it, too")

    async def close(self, known: forge.PullRequest, comment: str = "") -> None:
        """Decline, saying why in a comment."""
        if comment:
            await self._comment(known.number, comment)
        there = await self._client.get(self._pull(known.number))
        if there["state"] == "OPEN":
            at = f"{self._pull(known.number)}/decline"
            # Without a body of JSON it is taken for a form, and refused as one (XSRF).
            await self._client.ask(requesting.Ask("POST", at, {"version": there["version"]}, body={}))

    async def upsert_comment(self, number: int, marker: str, body: str) -> forge.Comment:
        """The comment of ours that holds `marker` gets this text."""

        async def edit(known: forge.Comment, text: str) -> forge.Comment:
            at = f"{self._pull(number)}/comments/{known.key}"
            change = {"text": hiding.hide(text), "version": known.version}
            return _comment(await self._client.send("PUT", at, change))

        ours = commenting.written_by(await self.comments(number), await self._me())
        return await commenting.upsert(ours, marker, body, lambda text: self._comment(number, text), edit)

    async def comments(self, number: int) -> Sequence[forge.Comment]:
        """All comments of a pull request and the answers to them, oldest first."""
        found: dict[int, Any] = {}
        async for one in self._all(f"{self._pull(number)}/activities", _PAGE):
            waiting = [one["comment"]] if one["action"] == "COMMENTED" else []
            while waiting:
                comment = waiting.pop()
                found[comment["id"]] = comment
                waiting += comment.get("comments") or ()
        return [_comment(one) for _, one in sorted(found.items())]

    async def set_status(self, sha: str, status: forge.Status) -> None:
        """Set a status of a commit; what says the same already is left."""
        wanted = {
            "key": status.context[:255],
            "name": status.context[:255],
            "state": _WORDS[status.state],
            "url": status.url or self._page(sha),
            "description": wording.cut(status.description, self.limits.description),
        }
        said = self._status(sha, wanted)
        if any(wording.says(one, said) for one in await self.statuses(sha)):
            return
        await self._client.send("POST", f"build-status/1.0/commits/{sha}", wanted, again=True)

    async def statuses(self, sha: str) -> Sequence[forge.Status]:
        """The newest status of each context; of the newest hundred."""
        found: dict[str, forge.Status] = {}
        async for one in self._all(f"build-status/1.0/commits/{sha}", {**_PAGE, "orderBy": "NEWEST"}):
            found.setdefault(one["key"], self._status(sha, one))
        return list(found.values())

    async def reviews(self, number: int) -> Sequence[forge.Review]:
        """The newest word of each reviewer, with the commit that he had before him."""
        data = await self._client.get(self._pull(number))
        head = data["fromRef"]["latestCommit"]
        return [
            forge.Review(
                login=one["user"]["name"],
                approved=one["status"] == "APPROVED",
                sha=one.get("lastReviewedCommit", ""),
                stale=one.get("lastReviewedCommit", head) != head,
            )
            for one in [*data["reviewers"], *data.get("participants", [])]
            if one.get("status", "UNAPPROVED") != "UNAPPROVED"
        ]

    async def enable_auto_merge(self, known: forge.PullRequest, method: str) -> bool:
        """False: the published API has no way to ask for it."""
        return False

    def links(self) -> forge.Links:
        """Addresses for people."""
        return forge.Links(
            commit=f"{self._web}/commits/{{sha}}",
            compare=f"{self._web}/compare/diff?targetBranch={{old}}&sourceBranch={{new}}",
            file=f"{self._web}/browse/{{path}}?at={{sha}}#{{line}}",
            pull_request=f"{self._web}/pull-requests/{{number}}",
        )

    async def close_session(self) -> None:
        """Close the connections."""
        await self._client.close()

    # ------------------------------------------------------------------ below: what Bitbucket wants and says

    def _pull(self, number: int) -> str:
        return f"{self._base}/pull-requests/{number}"

    def _page(self, sha: str) -> str:
        return f"{self._web}/commits/{sha}"

    def _ref(self, branch: str) -> dict[str, Any]:
        repository = {"slug": self._name, "project": {"key": self._project}}
        return {"id": f"refs/heads/{branch}", "repository": repository}

    def _no(self, why: str, hint: str) -> errors.ForgeRefused:
        return errors.ForgeRefused(f"{self._client.host} refuses the pull request", why=why, hint=hint)

    def _all(self, path: str, params: requesting.Params) -> AsyncIterator[Any]:
        return self._client.pages(requesting.Ask("GET", path, params), _onward, lambda data: data["values"])

    async def _list(self, head: str, base: str, state: str) -> AsyncIterator[Any]:
        params: requesting.Params = {
            **_PAGE,
            "state": state,
            "direction": "OUTGOING",
            "at": f"refs/heads/{head}",
        }
        async for one in self._all(f"{self._base}/pull-requests", params):
            target = one["toRef"]
            # Those into another repository, such as the one that this is a fork of, are not ours.
            ours = target["repository"]["slug"] == self._name and (
                target["repository"]["project"]["key"].lower() == self._project.lower()
            )
            if ours and target["displayId"] == base:
                yield one

    async def _with_closer(self, known: forge.PullRequest) -> forge.PullRequest:
        """A pull request that is not open any more, with who declined it and what it was merged as."""
        if known.state is forge.PullRequestState.OPEN:
            return known
        async for one in self._all(f"{self._pull(known.number)}/activities", _PAGE):
            if one["action"] == "DECLINED" and known.state is forge.PullRequestState.CLOSED:
                return dataclasses.replace(known, closed_by=one["user"]["name"])
            if one["action"] == "MERGED" and not known.merged_sha:
                return dataclasses.replace(known, merged_sha=(one.get("commit") or {}).get("id", ""))
        return known

    async def _comment(self, number: int, text: str) -> forge.Comment:
        body = {"text": hiding.hide(text)}
        return _comment(await self._client.send("POST", f"{self._pull(number)}/comments", body))

    async def _me(self) -> str:
        """Our own name, as it stands above each answer; "" where it does not."""
        if self._login is None:
            answer = await self._client.ask(requesting.Ask("GET", f"{self._base}/default-branch"))
            self._login = parse.unquote(answer.headers.get("X-AUSERNAME", ""))
        return self._login

    def _status(self, sha: str, data: Any) -> forge.Status:
        when = data.get("updatedDate") or data.get("createdDate") or data.get("dateAdded") or 0
        return forge.Status(
            context=data["key"],
            state=_STATUSES.get(data["state"], forge.StatusState.ERROR),
            description=data.get("description") or "",
            url="" if data["url"] == self._page(sha) else data["url"],
            updated=when / 1000,
        )


def _onward(answer: requesting.Answer, ask: requesting.Ask) -> requesting.Ask | None:
    if answer.data.get("isLastPage", True) or answer.data.get("nextPageStart") is None:
        return None
    return dataclasses.replace(ask, params={**ask.params, "start": answer.data["nextPageStart"]})


def _pull_request(data: Any) -> forge.PullRequest:
    links = data.get("links", {}).get("self") or [{"href": ""}]
    merged = (data.get("properties") or {}).get("mergeCommit") or {}
    return forge.PullRequest(
        number=data["id"],
        head=data["fromRef"]["displayId"],
        base=data["toRef"]["displayId"],
        title=data["title"],
        body=hiding.reveal(data.get("description") or ""),
        state=_STATES.get(data["state"], forge.PullRequestState.CLOSED),
        url=links[0]["href"],
        sha=data["fromRef"].get("latestCommit", ""),
        draft=bool(data.get("draft")),
        author=data["author"]["user"]["name"],
        version=data["version"],
        merged_sha=merged.get("id", ""),
        created=data["createdDate"] / 1000,
    )


def _comment(data: Any) -> forge.Comment:
    author = (data.get("author") or {}).get("name", "")
    return forge.Comment(str(data["id"]), hiding.reveal(data["text"]), author, data["version"])
