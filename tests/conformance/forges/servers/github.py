"""GitHub Enterprise Server 3.19, REST of 2022-11-28, as its contract has it. Not verified against a live server.

From the published OpenAPI document (github/rest-api-description, read as @octokit/openapi 23.0.2): operations, their
parameters, bodies, statuses and the types of what is answered, which was checked against the document once; addresses
that lead elsewhere are left out of answers. Messages of errors, `Link` and limits are those of docs.github.com. Pages are cut at ten.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib import parse

from aiohttp import web

from tests.conformance.forges.servers import contract, github_words, world

_STATES = {world.OPEN: "open", world.MERGED: "closed", world.CLOSED: "closed"}
_PAGED = frozenset({"per_page", "page"})
_MOST = 10
_PULL: contract.Schema = {
    "title": str,
    "head!": str,
    "head_repo": str,
    "base!": str,
    "body": str,
    "maintainer_can_modify": bool,
    "draft": bool,
    "issue": int,
}
_CHANGES: contract.Schema = {
    "title": str,
    "body": str,
    "state": str,
    "base": str,
    "maintainer_can_modify": bool,
}
_STATUS: contract.Schema = {"state!": str, "target_url": str, "description": str, "context": str}
_REVIEW: contract.Schema = {"commit_id": str, "body": str, "event": str, "comments": [dict]}
_MERGE: contract.Schema = {"commit_title": str, "commit_message": str, "sha": str, "merge_method": str}
_AUTO: contract.Schema = {"query!": str, "variables": {"id!": str, "method!": str, "sha!": str}}


class GitHub(github_words.Shown):
    """The repository `acme/gitops`. `clean`: nothing is asked for before merging; `auto`: who waits for a merge."""

    kind: ClassVar[str] = "github"

    def signed_in(self, scheme: str, credentials: str, headers: Mapping[str, str]) -> world.Person | None:
        """`token` is what `Bearer` is."""
        return super().signed_in("bearer" if scheme == "token" else scheme, credentials, headers)

    def refusal(self, error: contract.RefusedError) -> contract.Reply:
        """`{"message": …, "errors": […], "documentation_url": …}`."""
        page = {"documentation_url": "https://docs.github.com/rest", "status": str(error.status)}
        if error.status in {301, 307}:
            told = {"message": error.message, "url": error.kind}
            return contract.Reply(error.status, told, {"Location": error.kind})
        return contract.Reply(error.status, {"message": error.message, **error.more, **page})

    def _negotiate(self, request: web.Request, route: contract.Route) -> None:
        """JSON, and the names that GitHub has for it."""
        wanted = request.headers.get("Accept", "*/*")
        if not any(one in wanted for one in ("*/*", "application/json", "application/vnd.github")):
            raise self._complain(415, f"no such media type: {wanted}")

    def stranger(self, headers: Mapping[str, str]) -> contract.Reply:
        return self.refusal(contract.RefusedError(401, "Bad credentials"))

    def extra_headers(self, request: contract.Request) -> Mapping[str, str]:
        if (
            request.path.get("repo")
            and request.headers.get("X-GitHub-Api-Version", "2022-11-28") != "2022-11-28"
        ):
            self.complaints.append("another version of the API")
        return {
            "X-RateLimit-Limit": "5000",
            "X-RateLimit-Remaining": "4999",
            "X-GitHub-Media-Type": "github.v3",
        }

    def routes(self) -> list[contract.Route]:
        route = contract.Route
        here = "/api/v3/repos/{owner}/{repo}"
        pull, issue = f"{here}/pulls/{{number}}", f"{here}/issues/{{number}}"
        filters = frozenset({*_PAGED, "state", "head", "base", "sort", "direction"})
        since = frozenset({*_PAGED, "since"})
        asked: contract.Schema = {"reviewers": [str], "team_reviewers": [str]}
        return [
            route("GET", "/api/v3/user", self.user),
            route("GET", here, self.repository),
            route("GET", f"{here}/pulls", self.list_pulls, filters),
            route("POST", f"{here}/pulls", self.create, body=_PULL, writes=True),
            route("GET", pull, self.read),
            route("PATCH", pull, self.change, body=_CHANGES, writes=True),
            route("PUT", f"{pull}/merge", self.merge, body=_MERGE, writes=True),
            route("POST", f"{pull}/requested_reviewers", self.request, body=asked, writes=True),
            route("GET", f"{pull}/reviews", self.reviews, _PAGED),
            route("GET", issue, self.issue),
            route("GET", f"{issue}/comments", self.remarks, since),
            route("POST", f"{issue}/comments", self.comment, body={"body!": str}),
            route("PATCH", f"{here}/issues/comments/{{comment}}", self.edit, body={"body!": str}),
            route("GET", f"{issue}/labels", self.labels, _PAGED),
            route("POST", f"{issue}/labels", self.label, body={"labels": [str]}, writes=True),
            route("POST", f"{here}/statuses/{{sha}}", self.status, body=_STATUS, writes=True),
            # The old address of the same list, which PyGithub asks.
            route("GET", f"{here}/statuses/{{sha}}", self.statuses, _PAGED),
            route("GET", f"{here}/commits/{{sha}}", self.commit),
            route("GET", f"{here}/commits/{{sha}}/pulls", self.pulls_of, _PAGED),
            route("GET", f"{here}/commits/{{sha}}/statuses", self.statuses, _PAGED),
            route("POST", "/api/graphql", self.graphql, body=_AUTO),
        ]

    def _page(self, request: contract.Request, items: list[Any]) -> contract.Reply:
        """A page, and in `Link` where the others are; nothing of it where one page is all."""
        size = max(1, min(request.number("per_page", 30), _MOST))
        page, last = max(1, request.number("page", 1)), math.ceil(len(items) / size)
        links = {"next": page + 1, "last": last} if page < last else {}
        links |= {"prev": page - 1, "first": 1} if page > 1 else {}
        query = dict(request.query)
        told = ", ".join(
            f'<{self.url}{request.url}?{parse.urlencode({**query, "page": number})}>; rel="{name}"'
            for name, number in links.items()
        )
        return contract.Reply(200, items[(page - 1) * size : page * size], {"Link": told} if told else {})

    def _here(self, request: contract.Request) -> None:
        if self.former and request.path["owner"] == self.former:
            there = request.url.replace(f"/repos/{self.former}/", f"/repos/{self.owner}/")
            query = f"?{parse.urlencode(request.query)}" if request.query else ""
            status = 301 if request.method == "GET" else 307
            raise contract.RefusedError(status, "Moved Permanently", f"{self.url}{there}{query}")
        if (request.path["owner"], request.path["repo"]) != (self.owner, "gitops"):
            raise contract.RefusedError(404, "Not Found")

    def _change(self, request: contract.Request) -> world.Change:
        self._here(request)
        number = request.path["number"]
        if not number.isdigit() or int(number) not in self.world.changes:
            raise contract.RefusedError(404, "Not Found")
        return self.world.changes[int(number)]

    # --- operations --------------------------------------------------------------------------------------

    def user(self, request: contract.Request) -> contract.Reply:
        if self.is_app:
            raise contract.RefusedError(403, "Resource not accessible by integration")
        return contract.Reply(200, self._user(request.person))

    def repository(self, request: contract.Request) -> contract.Reply:
        self._here(request)
        return contract.Reply(200, self._repository())

    def list_pulls(self, request: contract.Request) -> contract.Reply:
        self._here(request)
        state, head = request.query.get("state", "open"), request.query.get("head", "")
        base = request.query.get("base", "")
        found = [
            change
            for change in self.world.changes.values()
            if state in {"all", _STATES[change.state]}
            and (not head or ":" not in head or head == f"{self.owner}:{change.head}")
            and (not base or base == change.base)
        ]
        oldest = request.query.get("direction", "desc") == "asc"
        found.sort(key=lambda one: one.number if oldest else -one.number)
        return self._page(request, [self._shown(change) for change in found])

    def create(self, request: contract.Request) -> contract.Reply:
        self._here(request)
        body = request.body
        head, base = body["head"].removeprefix(f"{self.owner}:"), body["base"]
        for field, branch in (("head", head), ("base", base)):
            if branch not in self.world.branches:
                raise _invalid(resource="PullRequest", field=field, code="invalid")
        if self.world.find(head, base):
            raise _invalid(
                resource="PullRequest",
                code="custom",
                message=f"A pull request already exists for {self.owner}:{head}.",
            )
        if body.get("draft") and not self.allows_drafts:
            raise contract.RefusedError(422, "Draft pull requests are not supported in this repository.")
        if len(body["title"]) > 256 or len(body.get("body", "")) > 65_536:
            raise _invalid(
                resource="Issue",
                code="custom",
                field="body",
                message="body is too long (maximum is 65536 characters)",
            )
        change = self.world.open(head, base, body["title"], body.get("body", ""), request.person.login)
        change.draft = bool(body.get("draft"))
        return contract.Reply(201, self._shown(change, whole=True))

    def read(self, request: contract.Request) -> contract.Reply:
        return contract.Reply(200, self._shown(self._change(request), whole=True))

    def change(self, request: contract.Request) -> contract.Reply:
        change, body = self._change(request), request.body
        change.title, change.body = body.get("title", change.title), body.get("body", change.body)
        if body.get("state") == "closed" and change.state == world.OPEN:
            self.world.close(change.number, request.person.login)
        return contract.Reply(200, self._shown(change, whole=True))

    def merge(self, request: contract.Request) -> contract.Reply:
        change = self._change(request)
        if request.body.get("sha", change.sha) != change.sha:
            raise contract.RefusedError(409, "Head branch was modified. Review and try the merge again.")
        if not self.clean:
            raise contract.RefusedError(405, "At least 1 approving review is required.")
        sha = self.world.merge(change.number, request.person.login)
        return contract.Reply(
            200, {"sha": sha, "merged": True, "message": "Pull Request successfully merged"}
        )

    def request(self, request: contract.Request) -> contract.Reply:
        change = self._change(request)
        for login in request.body.get("reviewers", []):
            if login not in self.world.people:
                message = (
                    "Reviews may only be requested from collaborators. One or more of the users is not one."
                )
                raise contract.RefusedError(422, message)
            change.votes.setdefault(login, world.Vote())
        return contract.Reply(201, self._shown(change))

    def reviews(self, request: contract.Request) -> contract.Reply:
        change = self._change(request)
        return self._page(
            request, [self._review(change, number, *one) for number, one in enumerate(self.said(change))]
        )

    def issue(self, request: contract.Request) -> contract.Reply:
        change = self._change(request)
        closer = self._user(change.closer) if change.closer else None
        found = self._shown(change)
        kept = (
            "number",
            "state",
            "title",
            "body",
            "labels",
            "user",
            "created_at",
            "updated_at",
            "closed_at",
            "locked",
        )
        at = found["issue_url"]
        pull = {
            "url": found["url"],
            "html_url": found["html_url"],
            "diff_url": found["diff_url"],
            "patch_url": found["patch_url"],
        }
        more = {
            "url": at,
            "id": change.number,
            "comments": len(change.remarks),
            "closed_by": closer,
            "pull_request": pull,
        }
        return contract.Reply(200, {name: found[name] for name in kept} | more)

    def remarks(self, request: contract.Request) -> contract.Reply:
        return self._page(request, [self._remark(one) for one in self._change(request).remarks])

    def comment(self, request: contract.Request) -> contract.Reply:
        change = self._change(request)
        if len(request.body["body"]) > 65_536:
            raise _invalid(
                resource="IssueComment",
                code="unprocessable",
                field="data",
                message="Body is too long (maximum is 65536 characters)",
            )
        return contract.Reply(
            201, self._remark(self.world.comment(change.number, request.body["body"], request.person.login))
        )

    def edit(self, request: contract.Request) -> contract.Reply:
        self._here(request)
        for change in self.world.changes.values():
            for remark in change.remarks:
                if str(remark.number) == request.path["comment"]:
                    if remark.author is not request.person:
                        raise contract.RefusedError(403, "Must have admin rights to Repository.")
                    remark.text = request.body["body"]
                    return contract.Reply(200, self._remark(remark))
        raise contract.RefusedError(404, "Not Found")

    def labels(self, request: contract.Request) -> contract.Reply:
        return self._page(request, [self._label(name) for name in self._change(request).labels])

    def label(self, request: contract.Request) -> contract.Reply:
        change = self._change(request)
        change.labels += [name for name in request.body.get("labels", []) if name not in change.labels]
        return contract.Reply(200, [self._label(name) for name in change.labels])

    def status(self, request: contract.Request) -> contract.Reply:
        self._here(request)
        body, sha = request.body, request.path["sha"]
        if sha not in self.world.commits:
            raise contract.RefusedError(422, f"No commit found for SHA: {sha}")
        if len(body.get("description", "")) > 140:
            raise _invalid(
                resource="Status",
                code="custom",
                field="description",
                message="description is too long (maximum is 140 characters)",
            )
        if body["state"] not in {"error", "failure", "pending", "success"}:
            raise _invalid(resource="Status", code="custom", field="state")
        now = self.world.now()
        made = {
            "url": f"{self.api}/repos/{self.owner}/gitops/statuses/{sha}",
            "avatar_url": None,
            "id": int(now),
            "node_id": f"SC_{int(now)}",
            "state": body["state"],
            "description": body.get("description"),
            "target_url": body.get("target_url"),
            "context": body.get("context", "default"),
            "created_at": github_words.moment(now),
            "updated_at": github_words.moment(now),
            "creator": self._user(request.person),
        }
        self.sent.setdefault(sha, []).insert(0, made)
        return contract.Reply(201, made)

    def statuses(self, request: contract.Request) -> contract.Reply:
        self._here(request)
        return self._page(request, self.sent.get(request.path["sha"], []))

    def commit(self, request: contract.Request) -> contract.Reply:
        self._here(request)
        sha = request.path["sha"]
        if sha not in self.world.commits:
            raise contract.RefusedError(422, f"No commit found for SHA: {sha}")
        at = f"{self.api}/repos/{self.owner}/gitops/commits/{sha}"
        author = next(iter(self.world.people.values()))
        return contract.Reply(200, {"sha": sha, "url": at, "author": self._user(author)})

    def pulls_of(self, request: contract.Request) -> contract.Reply:
        self._here(request)
        sha = request.path["sha"]
        found = [self._shown(one) for one in self.world.changes.values() if one.sha == sha]
        return self._page(request, found)

    def graphql(self, request: contract.Request) -> contract.Reply:
        given = request.body["variables"]
        number = int(given["id"].removeprefix("PR_"))
        if "enablePullRequestAutoMerge" not in request.body["query"] or given["method"] not in {
            "MERGE",
            "SQUASH",
            "REBASE",
        }:
            raise self._complain(400, "no mutation that the contract has")
        problem = "" if self.allows_auto else "Auto merge is not allowed for this repository"
        if self.clean:
            problem = "Pull request Pull request is in clean status"
        if problem:
            told = {"type": "UNPROCESSABLE", "path": ["enablePullRequestAutoMerge"], "message": problem}
            return contract.Reply(200, {"data": {"enablePullRequestAutoMerge": None}, "errors": [told]})
        self.auto[number] = given["method"].lower()
        return contract.Reply(
            200, {"data": {"enablePullRequestAutoMerge": {"pullRequest": {"number": number}}}}
        )


def _invalid(**error: str) -> contract.RefusedError:
    return contract.RefusedError(422, "Validation Failed", errors=[error])
