"""SCM-Manager 3 with its review and CI plug-ins, as their sources have it. Not verified against a live server.

From the sources of https://github.com/scm-manager/scm-review-plugin (PullRequestRootResource, PullRequestResource,
CommentRootResource, DefaultPullRequestService), https://github.com/scm-manager/scm-ci-plugin (ChangesetCIStatusResource)
and https://github.com/scm-manager/scm-manager (BranchRootResource, MeResource):

* the list has the first 10 that are in progress unless told otherwise, and counts pages without its filters;
* a PUT replaces reviewers, labels and target with what it holds, or does not hold; unknown reviewers are passed over;
* what is made is named by the header Location, the answer has no body; media types are the vendor's own;
* a push takes all approvals back; rejecting writes a comment of the system, the reason is an answer to it;
* a status has no description and no time, and needs a URL; a duplicate is 409.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, ClassVar

from tests.conformance.forges.servers import contract, world

_PULL_MEDIA = "application/vnd.scmm-pullRequest+json;v=2"
_LIST_MEDIA = "application/vnd.scmm-pullRequestCollection+json;v=2"
_STATUS_MEDIA = "application/vnd.scmm-cistatus+json;v=2"
_BRANCH_MEDIA = "application/vnd.scmm-branch+json;v=2"
_BRANCHES_MEDIA = "application/vnd.scmm-branchCollection+json;v=2"
_LOG_MEDIA = "application/vnd.scmm-changesetCollection+json;v=2"
_ME_MEDIA = "application/vnd.scmm-me+json;v=2"
_STATES = {world.OPEN: "OPEN", world.MERGED: "MERGED", world.CLOSED: "REJECTED"}
_SELECTORS = {"ALL", "IN_PROGRESS", "OPEN", "MINE", "REVIEWER", "MERGED", "REJECTED"}
_USER: contract.Schema = {"id!": str, "displayName": str, "mail": str, "approved": bool}
_PULL: contract.Schema = {
    "id": str,
    "source": str,
    "target": str,
    "title": str,
    "description": (str, type(None)),
    "status": str,
    "reviewer": [_USER],
    "labels": [str],
    "initialTasks": [str],
    "shouldDeleteSourceBranch": bool,
}
_STATUS: contract.Schema = {
    "name!": str,
    "type!": str,
    "status!": str,
    "url!": str,
    "displayName": (str, type(None)),
    "replaces": (str, type(None)),
}
_FILTERS = frozenset({"status", "sortBy", "page", "pageSize", "source", "target"})
_PAGE = frozenset({"page", "pageSize"})
_REVISIONS = frozenset({"sourceRevision", "targetRevision"})


class ScmManager(contract.Contract):
    """The repository `ops/gitops` on a server in the folder `/scm`."""

    kind: ClassVar[str] = "scm-manager"

    def __init__(self) -> None:
        super().__init__()
        self.world.approvals_fall_on_push = True
        # Older plug-ins know no `source` and `target`, still older ones no `page` and `pageSize` either.
        self.filters, self.pages = True, True

    @property
    def clone_url(self) -> str:
        return f"{self.url}/scm/repo/ops/gitops"

    @property
    def api(self) -> str:
        return f"{self.url}/scm/api/v2"

    def normal(self, path: str) -> str:
        """Slashes at the end do not count."""
        return path.rstrip("/")

    def refusal(self, error: contract.RefusedError) -> contract.Reply:
        """An ErrorDto."""
        told = {
            "transactionId": "CbS8G7q2c1",
            "errorCode": error.kind,
            "message": error.message,
            **error.more,
        }
        return contract.Reply(error.status, told, media="application/vnd.scmm-error+json;v=2")

    def routes(self) -> list[contract.Route]:
        def route(method: str, path: str, handler: Any, **more: Any) -> contract.Route:
            return contract.Route(method, f"/scm/api/v2/{path}", handler, writes=method != "GET", **more)

        pulls, pull = "pull-requests/{space}/{name}", "pull-requests/{space}/{name}/{id}"
        checks = "ci/{space}/{name}/changesets/{sha}"
        return [
            route("GET", "me", self.me, makes=_ME_MEDIA),
            route("GET", "repositories/{space}/{name}/branches", self.branches, makes=_BRANCHES_MEDIA),
            route("GET", "repositories/{space}/{name}/branches/{branch}", self.branch, makes=_BRANCH_MEDIA),
            route("GET", "repositories/{space}/{name}/branches/{branch}/changesets", self.log, query=_PAGE, makes=_LOG_MEDIA),
            route("GET", pulls, self.list_pulls, query=_FILTERS, makes=_LIST_MEDIA),
            route("POST", pulls, self.create, body=_PULL, accepts=_PULL_MEDIA),
            route("GET", pull, self.read, makes=_PULL_MEDIA),
            route("PUT", pull, self.change, body=_PULL, accepts=_PULL_MEDIA),
            route("POST", f"{pull}/reject", self.reject),
            route("POST", f"{pull}/rejectWithMessage", self.reject, body={"message!": str}),
            route("GET", f"{pull}/comments", self.comments),
            route("POST", f"{pull}/comments", self.comment, body={"comment!": str}, query=_REVISIONS),
            route("PUT", f"{pull}/comments/{{comment}}", self.edit, body={"comment!": str}, query=_REVISIONS),
            route("GET", checks, self.statuses, makes=_STATUS_MEDIA),
            route("PUT", f"{checks}/{{type}}/{{check}}", self.status, body=_STATUS, accepts=_STATUS_MEDIA),
        ]  # fmt: skip

    def me(self, request: contract.Request) -> contract.Reply:
        return contract.Reply(
            200, {"name": request.person.login, "displayName": request.person.name}, media=_ME_MEDIA
        )

    def branches(self, request: contract.Request) -> contract.Reply:
        self._here(request)
        found = [self._branch(name) for name in self.world.branches]
        return contract.Reply(200, {"_embedded": {"branches": found}}, media=_BRANCHES_MEDIA)

    def branch(self, request: contract.Request) -> contract.Reply:
        self._here(request)
        if request.path["branch"] not in self.world.branches:
            raise _missing("branch", request.path["branch"])
        return contract.Reply(200, self._branch(request.path["branch"]), media=_BRANCH_MEDIA)

    def log(self, request: contract.Request) -> contract.Reply:
        self._here(request)
        page, size = request.number("page", 0), request.number("pageSize", 10)
        commits = self.world.log(request.path["branch"])[page * size : (page + 1) * size]
        told = [
            {"id": sha, "_embedded": {"parents": [{"id": parent} for parent in self.world.commits[sha]]}}
            for sha in commits
        ]
        return contract.Reply(200, {"page": page, "_embedded": {"changesets": told}}, media=_LOG_MEDIA)

    def _branch(self, name: str) -> dict[str, Any]:
        main = name == self.world.default_branch
        return {"name": name, "revision": self.world.branches[name], "defaultBranch": main, "stale": False}

    def _here(self, request: contract.Request) -> None:
        if (request.path["space"], request.path["name"]) != ("ops", "gitops"):
            raise _missing("repository", request.path["name"])

    # --- pull requests -----------------------------------------------------------------------------------

    def list_pulls(self, request: contract.Request) -> contract.Reply:
        self._here(request)
        query = request.query
        selector = query.get("status", "IN_PROGRESS")
        if selector not in _SELECTORS:
            raise contract.RefusedError(404, f"RESTEASY003870: {selector}")
        kept = [
            change for change in self.world.changes.values() if _selected(change, selector, request.person)
        ]
        page, size, total = request.number("page", 0), request.number("pageSize", 10), len(kept)
        if self.filters:
            kept = [one for one in kept if query.get("source") in {None, "", one.head}]
            kept = [one for one in kept if query.get("target") in {None, "", one.base}]
        if not self.pages:
            page, size = 0, max(total, 1)
        kept.sort(key=lambda one: -one.number)
        shown = kept[page * size : (page + 1) * size] if page * size < total else []
        data = {
            "page": page,
            "pageTotal": -(-total // size),
            "_embedded": {"pullRequests": [self._shown(one) for one in shown]},
        }
        return contract.Reply(200, data, media=_LIST_MEDIA)

    def create(self, request: contract.Request) -> contract.Reply:
        self._here(request)
        body = request.body
        for name in ("source", "target", "title"):
            if not str(body.get(name, "")).strip():
                raise contract.RefusedError(
                    400, "must not be blank", "1wR7ZBe7H1", violations=[{"path": name}]
                )
        if body.get("status", "OPEN") not in {"OPEN", "DRAFT"}:
            raise contract.RefusedError(400, "illegal status", "3zR9vPNIE1")
        known = self.world.find(body["source"], body["target"])
        if known:
            raise contract.RefusedError(
                409, f"a pull request with id {known.number} already exists", "FtR7UznKU1"
            )
        for name in (body["source"], body["target"]):
            if name not in self.world.branches:
                raise _missing("branch", name)
        change = self.world.open(body["source"], body["target"], "", "", request.person.login)
        self._write(change, body)
        return contract.Reply(201, None, {"Location": f"{self.api}/pull-requests/ops/gitops/{change.number}"})

    def read(self, request: contract.Request) -> contract.Reply:
        return contract.Reply(200, self._shown(self._change(request)), media=_PULL_MEDIA)

    def change(self, request: contract.Request) -> contract.Reply:
        change, body = self._change(request), request.body
        if change.state != world.OPEN:
            raise contract.RefusedError(400, "illegal status", "3zR9vPNIE1")
        if body.get("target") not in self.world.branches:
            raise contract.RefusedError(500, "NullPointerException: target")
        self._write(change, body)
        return contract.Reply(204)

    def _write(self, change: world.Change, body: Mapping[str, Any]) -> None:
        change.title, change.body = body.get("title", ""), body.get("description") or ""
        change.base = body["target"]
        change.labels = [*dict.fromkeys(body.get("labels", []))]
        known = [one["id"] for one in body.get("reviewer", []) if one["id"] in self.world.people]
        change.votes = {login: change.votes.get(login, world.Vote()) for login in known}
        if "status" in body:
            change.draft = body["status"] == "DRAFT"

    def reject(self, request: contract.Request) -> contract.Reply:
        change = self._change(request)
        if change.state == world.MERGED:
            raise contract.RefusedError(400, "status change not allowed", "6oRlsMMtX1")
        if change.state == world.OPEN:
            self.world.close(change.number, request.person.login)
            told = self.world.comment(change.number, "prRejected", request.person.login, system=True)
            if request.body.get("message"):
                self.world.comment(
                    change.number, request.body["message"], request.person.login, parent=told.number
                )
        return contract.Reply(204)

    def _change(self, request: contract.Request) -> world.Change:
        self._here(request)
        text = request.path["id"]
        if not text.isdigit() or int(text) not in self.world.changes:
            raise _missing("pullRequest", text)
        return self.world.changes[int(text)]

    def _shown(self, change: world.Change) -> dict[str, Any]:
        closed = change.state != world.OPEN
        return {
            "id": str(change.number),
            "author": _user(change.author),
            "reviser": _user(change.closer) if change.closer else None,
            "source": change.head,
            "target": change.base,
            "title": change.title,
            "description": change.body,
            "creationDate": _date(change.when),
            "lastModified": _date(change.pushes[-1][1]),
            "status": "DRAFT" if change.draft and not closed else _STATES[change.state],
            "reviewer": [
                {**_user(self.world.people[login]), "approved": vote.word == world.APPROVED}
                for login, vote in change.votes.items()
            ],
            "labels": change.labels,
            "tasks": {"todo": 0, "done": 0},
            "sourceRevision": change.sha if closed else None,
            "targetRevision": change.base_sha if closed else None,
            "markedAsReviewed": [],
            "shouldDeleteSourceBranch": False,
            "_links": {"self": {"href": f"{self.api}/pull-requests/ops/gitops/{change.number}"}},
        }

    # --- comments ----------------------------------------------------------------------------------------

    def comments(self, request: contract.Request) -> contract.Reply:
        change = self._change(request)
        told = [
            {
                **_remark(one),
                "_embedded": {
                    "replies": [_remark(other) for other in change.remarks if other.parent == one.number]
                },
            }
            for one in change.remarks
            if not one.parent
        ]
        return contract.Reply(200, {"_embedded": {"pullRequestComments": told}})

    def comment(self, request: contract.Request) -> contract.Reply:
        change = self._change(request)
        if not request.body["comment"]:
            raise contract.RefusedError(400, "size must be at least 1", "1wR7ZBe7H1")
        made = self.world.comment(change.number, request.body["comment"], request.person.login)
        place = f"{self.api}/pull-requests/ops/gitops/{change.number}/comments/{made.number}"
        return contract.Reply(201, None, {"Location": place})

    def edit(self, request: contract.Request) -> contract.Reply:
        change = self._change(request)
        found = [
            one for one in change.remarks if str(one.number) == request.path["comment"] and not one.parent
        ]
        if not found:
            raise _missing("comment", request.path["comment"])
        if found[0].author != request.person:
            raise contract.RefusedError(403, "you may not do that", "F8RlUgrXA1")
        found[0].text = request.body["comment"]
        return contract.Reply(204)

    # --- statuses ----------------------------------------------------------------------------------------

    def statuses(self, request: contract.Request) -> contract.Reply:
        known = self.world.checks.get(self._sha(request), {})
        return contract.Reply(
            200, {"_embedded": {"ciStatus": [one.fields for one in known.values()]}}, media=_STATUS_MEDIA
        )

    def status(self, request: contract.Request) -> contract.Reply:
        sha, body = self._sha(request), dict(request.body)
        if (request.path["type"], request.path["check"]) != (body["type"], body["name"]):
            raise contract.RefusedError(400, "changing identifier attributes is not allowed", "thbsUFokjk")
        if body["status"] not in {"PENDING", "SUCCESS", "FAILURE", "ABORTED", "UNSTABLE"}:
            raise contract.RefusedError(400, f"{body['status']} is no status")
        if not body["url"].strip() or not body["name"].strip() or not body["type"].strip():
            raise contract.RefusedError(400, "must not be blank", "1wR7ZBe7H1")
        self.world.check(sha, f"{body['type']}\n{body['name']}", body, request.person)
        return contract.Reply(204)

    def _sha(self, request: contract.Request) -> str:
        self._here(request)
        if request.path["sha"] not in self.world.commits:
            raise _missing("revision", request.path["sha"])
        return request.path["sha"]


def _selected(change: world.Change, selector: str, person: world.Person) -> bool:
    if selector in {"IN_PROGRESS", "OPEN"}:
        return change.state == world.OPEN
    if selector in {"MERGED", "REJECTED"}:
        return _STATES[change.state] == selector
    if selector == "MINE":
        return change.author == person
    return selector == "ALL" or person.login in change.votes


def _missing(what: str, name: str) -> contract.RefusedError:
    return contract.RefusedError(404, f"could not find {what} with id {name}", "AGR7UzkhA1")


def _user(person: world.Person) -> dict[str, Any]:
    return {"id": person.login, "displayName": person.name}


def _remark(remark: world.Remark) -> dict[str, Any]:
    return {
        "id": str(remark.number),
        "comment": remark.text,
        "author": _user(remark.author),
        "date": _date(remark.when),
        "systemComment": remark.system,
        "type": "COMMENT",
    }


def _date(when: float) -> str:
    return datetime.datetime.fromtimestamp(when, datetime.UTC).isoformat().replace("+00:00", "Z")
