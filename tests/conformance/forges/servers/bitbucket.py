"""Bitbucket Cloud, REST API 2.0, as its contract has it. Not verified against the live service.

From the published OpenAPI document (https://api.bitbucket.org/swagger.json, read as the types that
@coderabbitai/bitbucket 1.1.4 generates from it) and https://developer.atlassian.com/cloud/bitbucket/rest/:
fields, states, participants only for one pull request, statuses overwritten by key. From elsewhere:

* lists leave drafts out unless `q` asks for them (https://jira.atlassian.com/browse/BCLOUD-23659);
* a second pull request between the same branches changes the open one (atlassian-python-api's documentation);
* a PUT without reviewers takes them off (renovatebot/renovate, modules/platform/bitbucket);
* hashes in pull requests are the first 12 digits; pages have 10 items, pull requests at most 50 a page;
* keys of statuses have at most 40 characters (jenkinsci/bitbucket-branch-source-plugin#192), other fields 255.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar
from urllib import parse

from tests.conformance.forges.servers import contract, world

_SHORT = 12
_STATES = {world.OPEN: "OPEN", world.MERGED: "MERGED", world.CLOSED: "DECLINED"}
_VOTES = {world.APPROVED: "approved", world.CHANGES: "changes_requested", "": None}
_BRANCH: contract.Schema = {"branch!": {"name!": str}, "repository": {"full_name!": str}}
_REVIEWERS = [{"uuid": str, "account_id": str}]
_NOTHING = (str, type(None))
_PULL: contract.Schema = {
    "title!": str,
    "source!": _BRANCH,
    "destination": _BRANCH,
    "description": _NOTHING,
    "reviewers": _REVIEWERS,
    "close_source_branch": (bool, type(None)),
    "draft": bool,
}
_CHANGES: contract.Schema = {
    "title": str,
    "description": _NOTHING,
    "reviewers": _REVIEWERS,
    "destination": _BRANCH,
    "draft": bool,
}
_REMARK: contract.Schema = {"content!": {"raw!": str}, "parent": {"id!": int}}
_BUILD: contract.Schema = {
    "key!": str,
    "state!": str,
    "url!": str,
    "name": _NOTHING,
    "description": _NOTHING,
    "refname": _NOTHING,
    "type": str,
}
_PAGED = frozenset({"page", "pagelen", "sort", "q"})
_TOKEN = re.compile(r'\s*(?:(?P<sign>[()]|!=|=)|"(?P<text>[^"]*)"|(?P<word>[A-Za-z_.]+))')


class Bitbucket(contract.Contract):
    """The repository `acme/gitops`."""

    kind: ClassVar[str] = "bitbucket"

    @property
    def clone_url(self) -> str:
        return f"{self.url}/acme/gitops.git"

    @property
    def api(self) -> str:
        return f"{self.url}/2.0"

    def normal(self, path: str) -> str:
        """Slashes at the end do not count."""
        return path.rstrip("/")

    def refusal(self, error: contract.RefusedError) -> contract.Reply:
        """`{"type": "error", "error": {"message": …}}`."""
        told = {"message": error.message, **error.more}
        return contract.Reply(error.status, {"type": "error", "error": told})

    def routes(self) -> list[contract.Route]:
        route = contract.Route
        here = "/2.0/repositories/{workspace}/{slug}"
        pulls, pull, commit = f"{here}/pullrequests", f"{here}/pullrequests/{{id}}", f"{here}/commit/{{sha}}"
        return [
            route("GET", "/2.0/user", self.user),
            route("GET", here, self.repository),
            route("GET", pulls, self.list_pulls, frozenset({*_PAGED, "state"})),
            route("POST", pulls, self.create, body=_PULL, writes=True),
            route("GET", pull, self.read),
            route("PUT", pull, self.change, body=_CHANGES, writes=True),
            route("POST", f"{pull}/decline", self.decline, body={"id": int}, writes=True),
            route("POST", f"{pull}/approve", self.approve, body={"approved": bool}, writes=True),
            route("DELETE", f"{pull}/approve", self.take_back, writes=True),
            route("POST", f"{pull}/request-changes", self.object_to, body={"request-changes": bool}, writes=True),
            route("DELETE", f"{pull}/request-changes", self.take_back, writes=True),
            route("POST", f"{pull}/merge", self.merge, body={"merge_strategy": _NOTHING, "close_source_branch": object}),
            route("GET", f"{pull}/activity", self.activity, _PAGED),
            route("GET", f"{pull}/comments", self.comments, _PAGED),
            route("POST", f"{pull}/comments", self.comment, body=_REMARK),
            route("PUT", f"{pull}/comments/{{comment}}", self.edit, body=_REMARK),
            route("GET", commit, self.commit),
            route("GET", f"{commit}/statuses", self.statuses, frozenset({*_PAGED, "refname"})),
            route("POST", f"{commit}/statuses/build", self.build, body=_BUILD, writes=True),
        ]  # fmt: skip

    # --- people and the repository -----------------------------------------------------------------------

    def user(self, request: contract.Request) -> contract.Reply:
        return contract.Reply(200, _account(request.person))

    def repository(self, request: contract.Request) -> contract.Reply:
        self._here(request)
        branch = {"type": "branch", "name": self.world.default_branch}
        known = {"type": "repository", "full_name": "acme/gitops", "slug": "gitops", "name": "gitops"}
        return contract.Reply(200, {**known, "mainbranch": branch, **self._links("")})

    def commit(self, request: contract.Request) -> contract.Reply:
        sha = self._sha(request)
        return contract.Reply(200, {"type": "commit", "hash": sha, **self._links(f"/commit/{sha}")})

    def _links(self, path: str) -> dict[str, Any]:
        return {"links": {"self": {"href": f"{self.api}/repositories/acme/gitops{path}"}}}

    def _here(self, request: contract.Request) -> None:
        if (request.path["workspace"], request.path["slug"]) != ("acme", "gitops"):
            raise contract.RefusedError(404, "Repository not found")

    def _sha(self, request: contract.Request) -> str:
        self._here(request)
        found = [sha for sha in self.world.commits if sha.startswith(request.path["sha"])]
        if len(found) != 1:
            raise contract.RefusedError(404, f"Commit not found: {request.path['sha']}")
        return found[0]

    # --- pull requests -----------------------------------------------------------------------------------

    def list_pulls(self, request: contract.Request) -> contract.Reply:
        self._here(request)
        query = request.query.get("q", "")
        wanted = [request.query["state"]] if "state" in request.query else []
        found = [self._shown(change) for change in self.world.changes.values()]
        if query:
            accept = _filter(query)
            found = [one for one in found if accept(one)]
        if wanted or "state" not in query:
            found = [one for one in found if one["state"] in (wanted or ["OPEN"])]
        if "draft" not in query:
            found = [one for one in found if not one["draft"]]
        found.sort(
            key=lambda one: str(one["updated_on"]), reverse=request.query.get("sort", "-").startswith("-")
        )
        return self._page(request, [{**one, "participants": []} for one in found], most=50)

    def create(self, request: contract.Request) -> contract.Reply:
        self._here(request)
        body = request.body
        head = body["source"]["branch"]["name"]
        base = body.get("destination", {}).get("branch", {}).get("name", self.world.default_branch)
        for name, side in ((head, "source"), (base, "destination")):
            if name not in self.world.branches:
                raise _fields(side, [f"branch not found: {name}"])
        if self.world.branches[head] == self.world.branches[base]:
            raise contract.RefusedError(400, "There are no changes to be pulled")
        change = self.world.find(head, base) or self.world.open(head, base, "", "", request.person.login)
        self._write(change, body)
        change.draft = body.get("draft", False)
        shown = self._shown(change)
        return contract.Reply(201, shown, {"Location": shown["links"]["self"]["href"]})

    def read(self, request: contract.Request) -> contract.Reply:
        return contract.Reply(200, self._shown(self._change(request)))

    def change(self, request: contract.Request) -> contract.Reply:
        change = self._open(request)
        self._write(change, {"title": change.title, "reviewers": [], **request.body})
        change.draft = request.body.get("draft", change.draft)
        return contract.Reply(200, self._shown(change))

    def decline(self, request: contract.Request) -> contract.Reply:
        self.world.close(self._open(request).number, request.person.login)
        return self.read(request)

    def approve(self, request: contract.Request) -> contract.Reply:
        change = self._open(request)
        self.world.vote(change.number, request.person.login, world.APPROVED)
        return contract.Reply(200, self._participant(change, request.person.login))

    def object_to(self, request: contract.Request) -> contract.Reply:
        change = self._open(request)
        self.world.vote(change.number, request.person.login, world.CHANGES)
        return contract.Reply(200, self._participant(change, request.person.login))

    def take_back(self, request: contract.Request) -> contract.Reply:
        self.world.vote(self._open(request).number, request.person.login, "")
        return contract.Reply(204)

    def merge(self, request: contract.Request) -> contract.Reply:
        self.world.merge(self._open(request).number, request.person.login)
        return self.read(request)

    def _change(self, request: contract.Request) -> world.Change:
        self._here(request)
        text = request.path["id"]
        if not text.isdigit() or int(text) not in self.world.changes:
            raise contract.RefusedError(404, "Pull request not found")
        return self.world.changes[int(text)]

    def _open(self, request: contract.Request) -> world.Change:
        change = self._change(request)
        if change.state != world.OPEN:
            raise contract.RefusedError(400, "This pull request is already closed.")
        return change

    def _write(self, change: world.Change, body: Mapping[str, Any]) -> None:
        if not body["title"] or len(body["title"]) > 255:
            raise _fields("title", ["This field is required." if not body["title"] else "title is too long"])
        change.title = body["title"]
        if "description" in body:
            change.body = body["description"] or ""
        if "reviewers" in body:
            known = [self._reviewer(one) for one in body["reviewers"]]
            if change.author in known:
                raise _fields(
                    "reviewers", [f"{change.author.name} is the author and cannot be included as a reviewer."]
                )
            change.votes = {one.login: change.votes.get(one.login, world.Vote()) for one in known}

    def _reviewer(self, given: Mapping[str, str]) -> world.Person:
        key = given.get("uuid", "").strip("{}") or given.get("account_id", "").removeprefix("557058:")
        person = self.world.person(key)
        if person is None:
            raise _fields("reviewers", [f"{key} is not a member of this workspace"])
        return person

    def _shown(self, change: world.Change) -> dict[str, Any]:
        link = f"{self.api}/repositories/acme/gitops/pullrequests/{change.number}"
        page = f"{self.url}/acme/gitops/pull-requests/{change.number}"
        here = {"repository": {"type": "repository", "full_name": "acme/gitops"}}
        merge = {"hash": change.merged_sha[:_SHORT]} if change.merged_sha else None
        return {
            "type": "pullrequest",
            "id": change.number,
            "title": change.title,
            "description": change.body,
            "summary": {"type": "rendered", "raw": change.body, "markup": "markdown", "html": ""},
            "state": _STATES[change.state],
            "draft": change.draft,
            "author": _account(change.author),
            "closed_by": _account(change.closer) if change.closer else None,
            "source": {"branch": {"name": change.head}, "commit": {"hash": change.sha[:_SHORT]}, **here},
            "destination": {
                "branch": {"name": change.base},
                "commit": {"hash": self.world.branches.get(change.base, "")[:_SHORT]},
                **here,
            },
            "merge_commit": merge,
            "reviewers": [_account(self.world.people[login]) for login in change.votes],
            "participants": [self._participant(change, login) for login in change.votes],
            "links": {"self": {"href": link}, "html": {"href": page}},
            "created_on": _date(change.when),
            "updated_on": _date(change.pushes[-1][1]),
        }

    def _participant(self, change: world.Change, login: str) -> dict[str, Any]:
        vote = change.votes[login]
        return {
            "type": "participant",
            "user": _account(self.world.people[login]),
            "role": "REVIEWER",
            "approved": vote.word == world.APPROVED,
            "state": _VOTES[vote.word],
            "participated_on": _date(vote.when) if vote.word else None,
        }

    # --- comments ----------------------------------------------------------------------------------------

    def activity(self, request: contract.Request) -> contract.Reply:
        change = self._change(request)
        told: list[tuple[float, dict[str, Any]]] = [
            (
                when,
                {
                    "update": {
                        "state": "OPEN",
                        "date": _date(when),
                        "source": {"commit": {"hash": sha[:_SHORT]}},
                    }
                },
            )
            for sha, when in change.pushes
        ]
        told += [(one.when, {"comment": self._remark(change, one)}) for one in change.remarks]
        told += [
            (vote.when, {"approval": {"date": _date(vote.when), "user": _account(self.world.people[login])}})
            for login, vote in change.votes.items()
            if vote.word == world.APPROVED
        ]
        told.sort(key=lambda one: -one[0])
        return self._page(request, [one for _, one in told], most=50)

    def comments(self, request: contract.Request) -> contract.Reply:
        change = self._change(request)
        return self._page(request, [self._remark(change, one) for one in change.remarks], most=100)

    def comment(self, request: contract.Request) -> contract.Reply:
        change = self._change(request)
        parent = request.body.get("parent", {}).get("id", 0)
        text = request.body["content"]["raw"]
        made = self.world.comment(change.number, text, request.person.login, parent=parent)
        return contract.Reply(201, self._remark(change, made))

    def edit(self, request: contract.Request) -> contract.Reply:
        change = self._change(request)
        found = [one for one in change.remarks if str(one.number) == request.path["comment"]]
        if not found:
            raise contract.RefusedError(404, "Comment not found")
        if found[0].author != request.person:
            raise contract.RefusedError(403, "You may only edit your own comments.")
        found[0].text = request.body["content"]["raw"]
        return contract.Reply(200, self._remark(change, found[0]))

    def _remark(self, change: world.Change, remark: world.Remark) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "type": "pullrequest_comment",
            "id": remark.number,
            "content": {"type": "rendered", "raw": remark.text, "markup": "markdown", "html": ""},
            "user": _account(remark.author),
            "deleted": remark.deleted,
            "created_on": _date(remark.when),
            **self._links(f"/pullrequests/{change.number}/comments/{remark.number}"),
        }
        return {**shown, "parent": {"id": remark.parent}} if remark.parent else shown

    # --- statuses ----------------------------------------------------------------------------------------

    def statuses(self, request: contract.Request) -> contract.Reply:
        known = self.world.checks.get(self._sha(request), {})
        return self._page(request, [self._status(request, one) for one in known.values()], most=100)

    def build(self, request: contract.Request) -> contract.Reply:
        sha, body = self._sha(request), dict(request.body)
        if body["state"] not in {"SUCCESSFUL", "FAILED", "INPROGRESS", "STOPPED"}:
            raise _fields("state", [f"{body['state']} is not a valid choice"])
        for name, most in (("key", 40), ("name", 255), ("description", 255), ("refname", 255)):
            if len(body.get(name) or "") > most:
                raise _fields(name, [f"Ensure this value has at most {most} characters."])
        if not parse.urlsplit(body["url"]).netloc:
            raise _fields("url", ["Enter a valid URL."])
        return contract.Reply(
            201, self._status(request, self.world.check(sha, body["key"], body, request.person))
        )

    def _status(self, request: contract.Request, known: world.Check) -> dict[str, Any]:
        blank = {"name": None, "description": "", "refname": None}
        times = {"created_on": _date(known.made), "updated_on": _date(known.updated)}
        links = self._links(f"/commit/{self._sha(request)}/statuses/build/{known.key}")
        return {**blank, **known.fields, **times, **links, "type": "build"}

    # --- pages -------------------------------------------------------------------------------------------

    def _page(self, request: contract.Request, items: list[dict[str, Any]], most: int) -> contract.Reply:
        size, page = request.number("pagelen", 10), request.number("page", 1)
        if not 1 <= size <= most:
            raise contract.RefusedError(400, "Invalid pagelen")
        shown = items[(page - 1) * size : page * size]
        data: dict[str, Any] = {"values": shown, "pagelen": size, "size": len(items), "page": page}
        if page * size < len(items):
            query = parse.urlencode({**request.query, "page": page + 1})
            data["next"] = f"{self.url}{request.url}?{query}"
        return contract.Reply(200, data)


def _fields(name: str, problems: list[str]) -> contract.RefusedError:
    return contract.RefusedError(400, f"{name}: {problems[0]}", fields={name: problems})


def _account(person: world.Person) -> dict[str, str]:
    return {
        "type": "user",
        "uuid": f"{{{person.key}}}",
        "account_id": f"557058:{person.key}",
        "nickname": person.name.partition(" ")[0],
        "display_name": person.name,
    }


def _date(when: float) -> str:
    return datetime.datetime.fromtimestamp(when, datetime.UTC).isoformat()


# --- the query language: https://developer.atlassian.com/cloud/bitbucket/rest/intro/#filtering -----------------


def _filter(query: str) -> Callable[[Mapping[str, Any]], bool]:
    """`a.b = "c" AND (d = true OR e != "f")` as a function."""
    tokens = [found.group(0).strip() for found in _TOKEN.finditer(query)]
    if "".join(tokens) != re.sub(r"\s+(?=(?:[^\"]*\"[^\"]*\")*[^\"]*$)", "", query):
        raise contract.RefusedError(400, f"Invalid query: {query}")
    accept = _either(tokens)
    if tokens:
        raise contract.RefusedError(400, f"Invalid query: {query}")
    return accept


def _either(tokens: list[str]) -> Callable[[Mapping[str, Any]], bool]:
    found = [_both(tokens)]
    while tokens and tokens[0] == "OR":
        tokens.pop(0)
        found.append(_both(tokens))
    return lambda item: any(one(item) for one in found)


def _both(tokens: list[str]) -> Callable[[Mapping[str, Any]], bool]:
    found = [_single(tokens)]
    while tokens and tokens[0] == "AND":
        tokens.pop(0)
        found.append(_single(tokens))
    return lambda item: all(one(item) for one in found)


def _single(tokens: list[str]) -> Callable[[Mapping[str, Any]], bool]:
    try:
        name = tokens.pop(0)
        if name == "(":
            inner = _either(tokens)
            tokens.pop(0)
            return inner
        sign, text = tokens.pop(0), tokens.pop(0)
    except IndexError:
        raise contract.RefusedError(400, "Invalid query") from None
    wanted: Any = {"true": True, "false": False}.get(text, text.strip('"'))
    return lambda item: (_field(item, name.split(".")) == wanted) == (sign == "=")


def _field(item: Any, names: Iterable[str]) -> Any:
    for name in names:
        if not isinstance(item, Mapping) or name not in item:
            raise contract.RefusedError(400, f"Invalid field name: {name}")
        item = item[name]
    return item
