"""Bitbucket Data Center, REST API `latest` (9.x, 10.x), as its contract has it. Not verified against a live server.

From the published OpenAPI document (https://dac-static.atlassian.com/server/bitbucket/, read as the types that
@coderabbitai/bitbucket 1.1.4 generates from it) and https://developer.atlassian.com/server/bitbucket/rest/: fields,
pages of 25, `version` for compare-and-set, statuses (`build-status`, limits of 255 and 450 characters). The answer to
a duplicate is that of sourcegraph's recording of a real server (`DuplicatePullRequestException` with
`existingPullRequest`); the limit of 32,768 characters is BSERV-14135. What a PUT leaves out is taken as emptied:
nobody says so, but a client that survives this survives the opposite.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tests.conformance.forges.servers import contract, world

_STATES = {world.OPEN: "OPEN", world.MERGED: "MERGED", world.CLOSED: "DECLINED"}
_VOTES = {world.APPROVED: "APPROVED", world.CHANGES: "NEEDS_WORK", "": "UNAPPROVED"}
_LONGEST = 32_768
_REF: contract.Schema = {"id!": str, "repository": {"slug!": str, "name": str, "project!": {"key!": str}}}
_REVIEWERS = [{"user!": {"name!": str}}]
_PULL: contract.Schema = {
    "title!": str,
    "description": (str, type(None)),
    "fromRef!": _REF,
    "toRef!": _REF,
    "reviewers": _REVIEWERS,
    "draft": bool,
    "state": str,
    "open": bool,
    "closed": bool,
    "locked": bool,
}
_CHANGES: contract.Schema = {
    "version": int,
    "title": str,
    "description": (str, type(None)),
    "reviewers": _REVIEWERS,
    "toRef": _REF,
    "draft": bool,
}
_BUILD: contract.Schema = {
    "key!": str,
    "state!": str,
    "url!": str,
    "name": str,
    "description": str,
    "ref": str,
    "parent": str,
    "buildNumber": str,
}
_PAGED = frozenset({"start", "limit"})
_EXCEPTIONS = "com.atlassian.bitbucket"


class BitbucketServer(contract.Contract):
    """The repository `gitops` of the project `OPS`, on a server in the folder `/bitbucket`."""

    kind: ClassVar[str] = "bitbucket-server"

    @property
    def clone_url(self) -> str:
        return f"{self.url}/bitbucket/scm/ops/gitops.git"

    @property
    def api(self) -> str:
        return f"{self.url}/bitbucket/rest"

    def normal(self, path: str) -> str:
        """`latest` and `1.0` are the same."""
        return (
            path.rstrip("/")
            .replace("/rest/api/1.0/", "/rest/api/latest/")
            .replace("/rest/build-status/latest/", "/rest/build-status/1.0/")
        )

    def extra_headers(self, request: contract.Request) -> Mapping[str, str]:
        """Each answer says who is asking."""
        return {"X-AUSERNAME": request.person.login, "X-AUSERID": "7"}

    def refusal(self, error: contract.RefusedError) -> contract.Reply:
        """`{"errors": [{"context": …, "message": …, "exceptionName": …}]}`."""
        name = f"{_EXCEPTIONS}.{error.kind}" if error.kind else None
        told = {"context": None, "message": error.message, "exceptionName": name, **error.more}
        return contract.Reply(error.status, {"errors": [told]})

    def routes(self) -> list[contract.Route]:
        route = contract.Route
        here = "/bitbucket/rest/api/latest/projects/{project}/repos/{slug}"
        pulls, pull = f"{here}/pull-requests", f"{here}/pull-requests/{{id}}"
        builds = "/bitbucket/rest/build-status/1.0/commits/{sha}"
        filters = frozenset(
            {*_PAGED, "state", "at", "direction", "order", "withAttributes", "withProperties", "draft"}
        )
        version = frozenset({"version"})
        return [
            route("GET", f"{here}/default-branch", self.default_branch),
            route("GET", f"{here}/branches/default", self.default_branch),
            route("GET", pulls, self.list_pulls, filters),
            route("POST", pulls, self.create, body=_PULL, writes=True),
            route("GET", pull, self.read),
            route("PUT", pull, self.change, body=_CHANGES, writes=True),
            route("POST", f"{pull}/decline", self.decline, version, {"comment": str, "version": int}, writes=True),
            route("POST", f"{pull}/merge", self.merge, version, {"version": int}, writes=True),
            route("GET", f"{pull}/activities", self.activities, frozenset({*_PAGED, "fromId", "fromType"})),
            route("POST", f"{pull}/comments", self.comment, body={"text!": str, "parent": {"id!": int}}),
            route("PUT", f"{pull}/comments/{{comment}}", self.edit, body={"text!": str, "version": int}),
            route("PUT", f"{pull}/participants/{{user}}", self.vote, body={"user": {"name!": str}, "approved": bool, "status!": str}),
            route("GET", builds, self.builds, frozenset({*_PAGED, "orderBy"})),
            route("POST", builds, self.build, body=_BUILD, writes=True),
        ]  # fmt: skip

    def default_branch(self, request: contract.Request) -> contract.Reply:
        self._here(request)
        name = self.world.default_branch
        return contract.Reply(200, {"id": f"refs/heads/{name}", "displayId": name, "type": "BRANCH"})

    def _here(self, request: contract.Request) -> None:
        if (request.path["project"].lower(), request.path["slug"]) != ("ops", "gitops"):
            raise contract.RefusedError(
                404, "Repository does not exist.", "repository.NoSuchRepositoryException"
            )

    # --- pull requests -----------------------------------------------------------------------------------

    def list_pulls(self, request: contract.Request) -> contract.Reply:
        self._here(request)
        state, at = request.query.get("state", "OPEN").upper(), request.query.get("at", "")
        outgoing = request.query.get("direction", "INCOMING").upper() == "OUTGOING"
        if at and not at.startswith("refs/heads/"):
            raise contract.RefusedError(400, f"{at} is not fully qualified")
        found = [
            self._shown(change)
            for change in sorted(self.world.changes.values(), key=lambda one: -one.pushes[-1][1])
            if state in {"ALL", _STATES[change.state]}
            and (not at or at == f"refs/heads/{change.head if outgoing else change.base}")
        ]
        return self._page(request, found)

    def create(self, request: contract.Request) -> contract.Reply:
        self._here(request)
        body = request.body
        head, base = (body[side]["id"].removeprefix("refs/heads/") for side in ("fromRef", "toRef"))
        for name in (head, base):
            if name not in self.world.branches:
                raise contract.RefusedError(
                    404, f"{name} does not exist.", "repository.NoSuchBranchException"
                )
        known = self.world.find(head, base)
        if known:
            raise contract.RefusedError(
                409,
                "Only one pull request may be open for a given source and target branch",
                "pull.DuplicatePullRequestException",
                existingPullRequest=self._shown(known),
            )
        if self.world.branches[head] == self.world.branches[base]:
            raise contract.RefusedError(
                409, f"{base} is already up-to-date", "pull.EmptyPullRequestException"
            )
        self._judge(body)
        reviewers = self._reviewers(body)
        change = self.world.open(
            head, base, body["title"], body.get("description") or "", request.person.login
        )
        change.votes, change.draft = {login: world.Vote() for login in reviewers}, body.get("draft", False)
        return contract.Reply(201, self._shown(change))

    def read(self, request: contract.Request) -> contract.Reply:
        return contract.Reply(200, self._shown(self._change(request)))

    def change(self, request: contract.Request) -> contract.Reply:
        change, body = self._change(request), request.body
        self._compare(change, body.get("version"))
        self._open(change)
        self._judge({"title": change.title, **body})
        reviewers = self._reviewers(body)
        change.title = body.get("title", change.title)
        change.body = body.get("description") or ""
        change.draft = body.get("draft", change.draft)
        change.votes = {login: change.votes.get(login, world.Vote()) for login in reviewers}
        change.version += 1
        return contract.Reply(200, self._shown(change))

    def decline(self, request: contract.Request) -> contract.Reply:
        change = self._change(request)
        self._compare(change, request.number("version", request.body.get("version", -1)))
        self._open(change)
        self.world.close(change.number, request.person.login)
        return self.read(request)

    def merge(self, request: contract.Request) -> contract.Reply:
        change = self._change(request)
        self._compare(change, request.number("version", request.body.get("version", -1)))
        self._open(change)
        self.world.merge(change.number, request.person.login)
        return self.read(request)

    def vote(self, request: contract.Request) -> contract.Reply:
        change, login = self._change(request), request.path["user"]
        if login != request.person.login or login == change.author.login:
            raise contract.RefusedError(
                409, "You cannot vote for others", "pull.InvalidPullRequestParticipantStatus"
            )
        words = {text: word for word, text in _VOTES.items()}
        self.world.vote(change.number, login, words[request.body["status"]])
        return contract.Reply(200, self._participant(change, login))

    def _change(self, request: contract.Request) -> world.Change:
        self._here(request)
        text = request.path["id"]
        if not text.isdigit() or int(text) not in self.world.changes:
            raise contract.RefusedError(
                404, f"Pull request {text} does not exist", "pull.NoSuchPullRequestException"
            )
        return self.world.changes[int(text)]

    def _open(self, change: world.Change) -> None:
        if change.state != world.OPEN:
            raise contract.RefusedError(
                409, "The pull request is not open", "pull.IllegalPullRequestStateException"
            )

    def _compare(self, change: world.Change, version: int | None) -> None:
        if version is None:
            raise contract.RefusedError(400, "the version has to be given", context="version")
        if version != change.version:
            raise contract.RefusedError(
                409,
                "You are attempting to modify a pull request based on out-of-date information.",
                "pull.PullRequestOutOfDateException",
                currentVersion=change.version,
                expectedVersion=version,
            )

    def _judge(self, body: Mapping[str, Any]) -> None:
        if not 1 <= len(body["title"]) <= 255:
            raise contract.RefusedError(400, "The title has to have 1 to 255 characters", context="title")
        if len(body.get("description") or "") > _LONGEST:
            raise contract.RefusedError(
                400, f"Please enter at most {_LONGEST} characters", context="description"
            )

    def _reviewers(self, body: Mapping[str, Any]) -> list[str]:
        names = [one["user"]["name"] for one in body.get("reviewers", [])]
        unknown = [name for name in names if name not in self.world.people]
        if unknown:
            raise contract.RefusedError(
                409,
                f"Errors encountered while adding some reviewers: {unknown[0]} is not a user.",
                "pull.InvalidPullRequestReviewersException",
            )
        return names

    def _shown(self, change: world.Change) -> dict[str, Any]:
        page = f"{self.url}/bitbucket/projects/OPS/repos/gitops/pull-requests/{change.number}"
        properties = {"mergeCommit": {"id": change.merged_sha}} if change.merged_sha else {}
        shown: dict[str, Any] = {
            "id": change.number,
            "version": change.version,
            "title": change.title,
            "state": _STATES[change.state],
            "open": change.state == world.OPEN,
            "closed": change.state != world.OPEN,
            "draft": change.draft,
            "locked": False,
            "createdDate": int(change.when * 1000),
            "updatedDate": int(change.pushes[-1][1] * 1000),
            "fromRef": _ref(change.head, change.sha),
            "toRef": _ref(change.base, self.world.branches.get(change.base, "")),
            "author": {
                "user": _user(change.author),
                "role": "AUTHOR",
                "approved": False,
                "status": "UNAPPROVED",
            },
            "reviewers": [self._participant(change, login) for login in change.votes],
            "participants": [],
            "properties": properties,
            "links": {"self": [{"href": page}]},
        }
        return {**shown, "description": change.body} if change.body else shown

    def _participant(self, change: world.Change, login: str) -> dict[str, Any]:
        vote = change.votes[login]
        shown: dict[str, Any] = {
            "user": _user(self.world.people[login]),
            "role": "REVIEWER",
            "approved": vote.word == world.APPROVED,
            "status": _VOTES[vote.word],
        }
        return {**shown, "lastReviewedCommit": vote.sha} if vote.word else shown

    # --- comments ----------------------------------------------------------------------------------------

    def activities(self, request: contract.Request) -> contract.Reply:
        change = self._change(request)
        told = [
            {
                "id": 5000 + one.number,
                "createdDate": int(one.when * 1000),
                "user": _user(one.author),
                "action": "COMMENTED",
                "commentAction": "ADDED",
                "comment": self._remark(change, one),
            }
            for one in change.remarks
            if not one.parent
        ]
        told.insert(
            0,
            {
                "id": 1,
                "createdDate": int(change.when * 1000),
                "user": _user(change.author),
                "action": "OPENED",
            },
        )
        if change.closer:
            commit = {"commit": {"id": change.merged_sha}} if change.merged_sha else {}
            told.append({"id": 9999, "user": _user(change.closer), "action": _STATES[change.state], **commit})
        return self._page(request, told[::-1])

    def comment(self, request: contract.Request) -> contract.Reply:
        change = self._change(request)
        self._measure(request.body["text"])
        parent = request.body.get("parent", {}).get("id", 0)
        made = self.world.comment(change.number, request.body["text"], request.person.login, parent=parent)
        return contract.Reply(201, self._remark(change, made))

    def edit(self, request: contract.Request) -> contract.Reply:
        change = self._change(request)
        found = [one for one in change.remarks if str(one.number) == request.path["comment"]]
        if not found:
            raise contract.RefusedError(404, "The comment does not exist", "comment.NoSuchCommentException")
        if found[0].author != request.person:
            raise contract.RefusedError(401, "You may not edit this comment", "AuthorisationException")
        if request.body.get("version") != found[0].version:
            raise contract.RefusedError(409, "The comment was changed", "comment.CommentOutOfDateException")
        self._measure(request.body["text"])
        found[0].text = request.body["text"]
        found[0].version += 1
        return contract.Reply(200, self._remark(change, found[0]))

    def _measure(self, text: str) -> None:
        if not 1 <= len(text) <= _LONGEST:
            raise contract.RefusedError(400, f"Please enter at most {_LONGEST} characters", context="text")

    def _remark(self, change: world.Change, remark: world.Remark) -> dict[str, Any]:
        answers = [one for one in change.remarks if one.parent == remark.number]
        return {
            "id": remark.number,
            "version": remark.version,
            "text": remark.text,
            "author": _user(remark.author),
            "createdDate": int(remark.when * 1000),
            "comments": [self._remark(change, one) for one in answers],
            "severity": "NORMAL",
            "state": "OPEN",
        }

    # --- statuses ----------------------------------------------------------------------------------------

    def builds(self, request: contract.Request) -> contract.Reply:
        known = [*self.world.checks.get(request.path["sha"], {}).values()]
        known.sort(key=lambda one: -one.updated)
        shown = [{**one.fields, "dateAdded": int(one.updated * 1000)} for one in known[:100]]
        return self._page(request, shown)

    def build(self, request: contract.Request) -> contract.Reply:
        body = dict(request.body)
        if len(request.path["sha"]) != 40:
            raise contract.RefusedError(400, "not a full SHA-1")
        if body["state"] not in {"SUCCESSFUL", "FAILED", "INPROGRESS"}:
            raise contract.RefusedError(400, f"{body['state']} is not a state", context="state")
        for name, most in (("key", 255), ("name", 255), ("description", 255), ("url", 450)):
            if len(body.get(name, "")) > most:
                raise contract.RefusedError(400, f"at most {most} characters", context=name)
        if not body["url"].startswith(("http://", "https://")):
            raise contract.RefusedError(400, "not a URL", context="url")
        self.world.check(request.path["sha"], body["key"], body, request.person)
        return contract.Reply(204)

    # --- pages -------------------------------------------------------------------------------------------

    def _page(self, request: contract.Request, items: list[dict[str, Any]]) -> contract.Reply:
        start, limit = request.number("start", 0), min(request.number("limit", 25), 100)
        shown = items[start : start + limit]
        last = start + limit >= len(items)
        page = {"values": shown, "size": len(shown), "limit": limit, "start": start, "isLastPage": last}
        return contract.Reply(200, {**page, "nextPageStart": None if last else start + limit})


def _ref(branch: str, sha: str) -> dict[str, Any]:
    repository = {"slug": "gitops", "project": {"key": "OPS"}}
    return {"id": f"refs/heads/{branch}", "displayId": branch, "latestCommit": sha, "repository": repository}


def _user(person: world.Person) -> dict[str, Any]:
    return {"name": person.login, "slug": person.login, "displayName": person.name, "active": True}
