"""GitLab 17 and 18 (`/api/v4`), as its contract has it. Not verified against a live server.

From docs.gitlab.com ("Merge requests API", "Commits API", "Notes API", "Merge request approvals API") and from
python-gitlab 8, which drives it as the oracle: operations, parameters, fields, pages (`X-Next-Page`, no `Link`, as behind
a proxy that drops it). What is refused is refused as threads of gitlab-org tell it: a second merge request (409), a second
`pending` (400, gitlab-foss#25807), a merge that waits for nothing (405, gitlab#355455). Pages are cut at ten.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from typing import Any, ClassVar

from tests.conformance.forges.servers import contract, world

_STATES = {world.OPEN: "opened", world.MERGED: "merged", world.CLOSED: "closed"}
_REVIEWED = {world.APPROVED: "approved", world.CHANGES: "requested_changes", "": "unreviewed"}
_PAGED = frozenset({"per_page", "page"})
_MOST = 10
_LONGEST = 1_048_576
_REQUEST: contract.Schema = {
    "source_branch!": str,
    "target_branch!": str,
    "title!": str,
    "description": str,
    "labels": (str, list),
    "reviewer_ids": [int],
    "assignee_ids": [int],
    "remove_source_branch": bool,
    "squash": bool,
    "target_project_id": int,
}
_CHANGES: contract.Schema = {
    "title": str,
    "description": str,
    "add_labels": (str, list),
    "remove_labels": (str, list),
    "labels": (str, list),
    "reviewer_ids": [int],
    "state_event": str,
    "target_branch": str,
}
_MERGE: contract.Schema = {
    "auto_merge": bool,
    "merge_when_pipeline_succeeds": bool,
    "sha": str,
    "squash": bool,
    "should_remove_source_branch": bool,
}
_STATUS: contract.Schema = {
    "state!": str,
    "name": str,
    "context": str,
    "description": str,
    "target_url": str,
    "ref": str,
    "coverage": float,
    "pipeline_id": int,
}


class GitLab(contract.Contract):
    """The project `ops/team/gitops`. `waits`: a pipeline is running, so that a merge has something to wait for."""

    kind: ClassVar[str] = "gitlab"

    def __init__(self) -> None:
        super().__init__()
        self.waits = True
        self.is_job = False
        self.auto: set[int] = set()
        self.sent: dict[str, dict[str, dict[str, Any]]] = {}

    @property
    def clone_url(self) -> str:
        return f"{self.url}/ops/team/gitops.git"

    @property
    def api(self) -> str:
        return f"{self.url}/api/v4"

    def signed_in(self, scheme: str, credentials: str, headers: Mapping[str, str]) -> world.Person | None:
        """A bearer, or the header for personal tokens, or that for jobs."""
        for name in ("PRIVATE-TOKEN", "JOB-TOKEN"):
            if name in headers:
                return super().signed_in("bearer", headers[name], headers)
        return super().signed_in(scheme, credentials, headers)

    def refusal(self, error: contract.RefusedError) -> contract.Reply:
        """`{"message": …}`, where the message is a text, a list or a table by field."""
        return contract.Reply(error.status, {"message": error.more.get("said", error.message)})

    def stranger(self, headers: Mapping[str, str]) -> contract.Reply:
        return contract.Reply(401, {"message": "401 Unauthorized"})

    def routes(self) -> list[contract.Route]:
        route = contract.Route
        here = "/api/v4/projects/{id}"
        requests, one = f"{here}/merge_requests", f"{here}/merge_requests/{{iid}}"
        filters = frozenset({*_PAGED, "state", "source_branch", "target_branch", "order_by", "sort"})
        ordered = frozenset({*_PAGED, "order_by", "sort"})
        note: contract.Schema = {"body!": str}
        return [
            route("GET", "/api/v4/user", self.user),
            route("GET", "/api/v4/users", self.users, frozenset({*_PAGED, "username"})),
            route("GET", "/api/v4/groups/{group}/members", self.members, _PAGED),
            route("GET", here, self.project),
            route("GET", requests, self.list, filters),
            route("POST", requests, self.create, body=_REQUEST, writes=True),
            route("GET", one, self.read),
            route("PUT", one, self.change, body=_CHANGES, writes=True),
            route("PUT", f"{one}/merge", self.merge, body=_MERGE, writes=True),
            route("GET", f"{one}/notes", self.notes, ordered),
            route("POST", f"{one}/notes", self.note, body=note),
            route("PUT", f"{one}/notes/{{note}}", self.edit, body=note),
            route("GET", f"{one}/versions", self.versions, _PAGED),
            route("GET", f"{one}/reviewers", self.reviewers, _PAGED),
            route("GET", f"{one}/approvals", self.approvals),
            route("POST", f"{here}/statuses/{{sha}}", self.status, body=_STATUS, writes=True),
            route("GET", f"{here}/repository/commits/{{sha}}", self.commit),
            route(
                "GET",
                f"{here}/repository/commits/{{sha}}/statuses",
                self.statuses,
                frozenset({*_PAGED, "all"}),
            ),
        ]

    # --- shapes ------------------------------------------------------------------------------------------

    def _user(self, person: world.Person) -> dict[str, Any]:
        return {
            "id": int(person.key[:6], 16),
            "username": person.login,
            "name": person.name,
            "state": "active",
            "avatar_url": None,
            "web_url": f"{self.url}/{person.login}",
        }

    def _shown(self, change: world.Change) -> dict[str, Any]:
        closed = change.state == world.CLOSED and change.closer is not None
        reviewers = [self._user(self.world.people[login]) for login in change.votes]
        return {
            "id": change.number + 9000,
            "iid": change.number,
            "project_id": 4711,
            "title": change.title,
            "description": change.body,
            "state": _STATES[change.state],
            "created_at": _time(change.when),
            "updated_at": _time(change.pushes[-1][1]),
            "merged_by": self._user(change.closer)
            if change.state == world.MERGED and change.closer
            else None,
            "closed_by": self._user(change.closer) if closed and change.closer else None,
            "target_branch": change.base,
            "source_branch": change.head,
            "author": self._user(change.author),
            "assignees": [],
            "reviewers": [one for one in reviewers if one["username"] in self._asked(change)],
            "source_project_id": 4711,
            "target_project_id": 4711,
            "labels": sorted(change.labels),
            "draft": _is_draft(change.title),
            "work_in_progress": _is_draft(change.title),
            "merge_when_pipeline_succeeds": change.number in self.auto,
            "detailed_merge_status": "ci_still_running" if self.waits else "mergeable",
            "sha": change.sha,
            "merge_commit_sha": change.merged_sha or None,
            "squash_commit_sha": None,
            "web_url": f"{self.url}/ops/team/gitops/-/merge_requests/{change.number}",
            "squash": False,
            "has_conflicts": False,
        }

    def _asked(self, change: world.Change) -> set[str]:
        return {login for login, vote in change.votes.items() if not vote.when or vote.word == world.CHANGES}

    def _note(self, remark: world.Remark) -> dict[str, Any]:
        return {
            "id": remark.number,
            "body": remark.text,
            "author": self._user(remark.author),
            "created_at": _time(remark.when),
            "updated_at": _time(remark.when),
            "system": remark.system,
            "noteable_type": "MergeRequest",
            "internal": False,
        }

    def _page(self, request: contract.Request, items: list[Any]) -> contract.Reply:
        size = max(1, min(request.number("per_page", 20), _MOST))
        page, last = max(1, request.number("page", 1)), max(1, math.ceil(len(items) / size))
        told = {
            "X-Page": str(page),
            "X-Per-Page": str(size),
            "X-Next-Page": str(page + 1) if page < last else "",
            "X-Prev-Page": str(page - 1) if page > 1 else "",
            "X-Total": str(len(items)),
            "X-Total-Pages": str(last),
        }
        return contract.Reply(200, items[(page - 1) * size : page * size], told)

    def _here(self, request: contract.Request) -> None:
        if request.path["id"] not in {"ops/team/gitops", "4711"}:
            raise contract.RefusedError(404, "404 Project Not Found")

    def _change(self, request: contract.Request) -> world.Change:
        self._here(request)
        iid = request.path["iid"]
        if not iid.isdigit() or int(iid) not in self.world.changes:
            raise contract.RefusedError(404, "404 Not found")
        return self.world.changes[int(iid)]

    def _label(self, given: str | list[str]) -> list[str]:
        return [name.strip() for name in (given.split(",") if isinstance(given, str) else given)]

    # --- operations --------------------------------------------------------------------------------------

    def user(self, request: contract.Request) -> contract.Reply:
        if self.is_job:
            raise contract.RefusedError(403, "403 Forbidden")
        return contract.Reply(200, self._user(request.person))

    def users(self, request: contract.Request) -> contract.Reply:
        person = self.world.people.get(request.query.get("username", ""))
        return self._page(request, [self._user(person)] if person else [])

    def members(self, request: contract.Request) -> contract.Reply:
        if request.path["group"] != "ops/reviewers":
            raise contract.RefusedError(404, "404 Group Not Found")
        return self._page(request, [self._user(self.world.people[login]) for login in ("ada", "bob")])

    def project(self, request: contract.Request) -> contract.Reply:
        self._here(request)
        data = {
            "id": 4711,
            "path_with_namespace": "ops/team/gitops",
            "default_branch": self.world.default_branch,
        }
        return contract.Reply(200, data)

    def list(self, request: contract.Request) -> contract.Reply:
        self._here(request)
        query = request.query
        found = [
            change
            for change in self.world.changes.values()
            if query.get("state", "all") in {"all", _STATES[change.state]}
            and query.get("source_branch", change.head) == change.head
            and query.get("target_branch", change.base) == change.base
        ]
        oldest = query.get("sort", "desc") == "asc"
        found.sort(key=lambda one: one.number if oldest else -one.number)
        return self._page(request, [self._shown(change) for change in found])

    def create(self, request: contract.Request) -> contract.Reply:
        self._here(request)
        body = request.body
        head, base = body["source_branch"], body["target_branch"]
        if head not in self.world.branches:
            raise contract.RefusedError(400, "", said=[f"Source branch {head} does not exist"])
        if found := self.world.find(head, base):
            told = f"Another open merge request already exists for this source branch: !{found.number}"
            raise contract.RefusedError(409, "", said=[told])
        self._measure(body)
        change = self.world.open(head, base, body["title"], body.get("description", ""), request.person.login)
        change.labels = self._label(body.get("labels", [])) if body.get("labels") else []
        keys = {self._user(person)["id"]: login for login, person in self.world.people.items()}
        change.votes = {keys[one]: world.Vote() for one in body.get("reviewer_ids", [])}
        self.world.comment(change.number, "requested a review", request.person.login, system=True)
        return contract.Reply(201, self._shown(change))

    def _measure(self, body: Mapping[str, Any]) -> None:
        if len(body.get("title", "")) > 255:
            told = {"title": ["is too long (maximum is 255 characters)"]}
            raise contract.RefusedError(400, "", said=told)
        if len(body.get("description", "")) > _LONGEST:
            told = {"description": [f"is too long (maximum is {_LONGEST} characters)"]}
            raise contract.RefusedError(400, "", said=told)

    def read(self, request: contract.Request) -> contract.Reply:
        return contract.Reply(200, self._shown(self._change(request)))

    def change(self, request: contract.Request) -> contract.Reply:
        change, body = self._change(request), request.body
        self._measure(body)
        change.title, change.body = body.get("title", change.title), body.get("description", change.body)
        added = self._label(body.get("add_labels", [])) if body.get("add_labels") else []
        change.labels += [name for name in added if name not in change.labels]
        if body.get("state_event") == "close" and change.state == world.OPEN:
            self.world.close(change.number, request.person.login)
        return contract.Reply(200, self._shown(change))

    def merge(self, request: contract.Request) -> contract.Reply:
        change, body = self._change(request), request.body
        if body.get("sha", change.sha) != change.sha:
            raise contract.RefusedError(409, "SHA does not match HEAD of source branch")
        if change.number in self.auto or not self.waits or _is_draft(change.title):
            raise contract.RefusedError(405, "405 Method Not Allowed")
        if not (body.get("auto_merge") and body.get("merge_when_pipeline_succeeds")):
            raise self._complain(400, "it would be merged at once, by this GitLab or by an older one")
        self.auto.add(change.number)
        return contract.Reply(200, self._shown(change))

    def notes(self, request: contract.Request) -> contract.Reply:
        found = [self._note(one) for one in self._change(request).remarks]
        return self._page(request, found if request.query.get("sort") == "asc" else found[::-1])

    def note(self, request: contract.Request) -> contract.Reply:
        change = self._change(request)
        if len(request.body["body"]) > 1_000_000:
            told = {"note": ["is too long (maximum is 1000000 characters)"]}
            raise contract.RefusedError(400, "", said=told)
        made = self.world.comment(change.number, request.body["body"], request.person.login)
        return contract.Reply(201, self._note(made))

    def edit(self, request: contract.Request) -> contract.Reply:
        for remark in self._change(request).remarks:
            if str(remark.number) == request.path["note"]:
                if remark.author is not request.person:
                    raise contract.RefusedError(403, "403 Forbidden")
                remark.text = request.body["body"]
                return contract.Reply(200, self._note(remark))
        raise contract.RefusedError(404, "404 Note Not Found")

    def versions(self, request: contract.Request) -> contract.Reply:
        change = self._change(request)
        found = [
            {"id": number + 1, "head_commit_sha": sha, "created_at": _time(when), "state": "collected"}
            for number, (sha, when) in enumerate(change.pushes)
        ]
        return self._page(request, found[::-1])

    def reviewers(self, request: contract.Request) -> contract.Reply:
        change = self._change(request)
        found = [
            {
                "user": self._user(self.world.people[login]),
                "state": _REVIEWED[vote.word],
                "created_at": _time(change.when),
            }
            for login, vote in change.votes.items()
        ]
        return self._page(request, found)

    def approvals(self, request: contract.Request) -> contract.Reply:
        change = self._change(request)
        found = [
            {"user": self._user(self.world.people[login]), "approved_at": _time(vote.when)}
            for login, vote in change.votes.items()
            if vote.word == world.APPROVED
        ]
        return contract.Reply(200, {"approved": bool(found), "approved_by": found})

    def commit(self, request: contract.Request) -> contract.Reply:
        self._here(request)
        return contract.Reply(200, {"id": request.path["sha"], "short_id": request.path["sha"][:8]})

    def status(self, request: contract.Request) -> contract.Reply:
        self._here(request)
        body, sha = request.body, request.path["sha"]
        if sha not in self.world.commits:
            raise contract.RefusedError(404, "404 Commit Not Found")
        if body["state"] not in {"pending", "running", "success", "failed", "canceled", "skipped"}:
            raise contract.RefusedError(400, "", said="state does not have a valid value")
        if len(body.get("description", "")) > 255:
            told = {"description": ["is too long (maximum is 255 characters)"]}
            raise contract.RefusedError(400, "", said=told)
        name = body.get("name") or body.get("context") or "default"
        known = self.sent.setdefault(sha, {})
        if body["state"] == "pending" and known.get(name, {}).get("status") == "pending":
            refused = 'Cannot transition status via :enqueue from :pending (Reason(s): Status cannot transition via "enqueue")'
            raise contract.RefusedError(400, refused)
        now = self.world.now()
        known[name] = {
            "id": int(now),
            "sha": sha,
            "ref": "main",
            "status": body["state"],
            "name": name,
            "target_url": body.get("target_url"),
            "description": body.get("description"),
            "created_at": _time(now),
            "started_at": None,
            "finished_at": None if body["state"] == "pending" else _time(now),
            "allow_failure": False,
            "author": self._user(request.person),
        }
        return contract.Reply(201, known[name])

    def statuses(self, request: contract.Request) -> contract.Reply:
        self._here(request)
        return self._page(request, list_of(self.sent.get(request.path["sha"], {})))


def list_of(known: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """The statuses by name, as GitLab sorts them."""
    return [one for _, one in sorted(known.items())]


def _is_draft(title: str) -> bool:
    return title.lower().startswith(("draft:", "[draft]", "(draft)"))


def _time(when: float) -> str:
    return datetime.datetime.fromtimestamp(when, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
