"""Azure DevOps (Services and Server), Git REST API 7.0, as its contract has it. Not verified against the live service.

From the published specifications (https://github.com/MicrosoftDocs/vsts-rest-api-specs, specification/git/7.1/git.json,
ims and core, with their examples): paths, fields, enumerations, votes in system threads, iterations, descriptions cut
at 400 characters in lists. From elsewhere:

* descriptions have at most 4,000 characters (scala-steward-org/scala-steward#3543), with the service's own words;
* TF401179 for a duplicate (shayki5/azure-devops-create-pr-task#37), lists of 101 when nothing else is asked for;
* a bad token is sent to a page to sign in on, unless `X-TFS-FedAuthRedirect: Suppress` asks for 401;
* rate limits: https://learn.microsoft.com/azure/devops/integrate/concepts/rate-limits.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any, ClassVar

from tests.conformance.forges.servers import azure_shapes as shapes
from tests.conformance.forges.servers import contract, world


class AzureDevOps(contract.Contract):
    """The repository `gitops` of the project `Platform Team` of the organization `fabrikam`."""

    kind: ClassVar[str] = "azure-devops"

    def __init__(self) -> None:
        super().__init__()
        self.votes_by_number = True  # as the service does now; else by TfId, as the published example has it
        self.teams = {"release": "7f0c7b4e-0000-4000-8000-00000000000a"}

    @property
    def clone_url(self) -> str:
        return f"{self.url}/fabrikam/Platform%20Team/_git/gitops"

    @property
    def api(self) -> str:
        return f"{self.url}/fabrikam"

    def normal(self, path: str) -> str:
        """Case does not count in the words of the API."""
        return re.sub(r"/pullrequests(?=/|$)", "/pullRequests", path.rstrip("/"), flags=re.IGNORECASE)

    def signed_in(self, scheme: str, credentials: str, headers: Mapping[str, str]) -> world.Person | None:
        """A bearer's token, or a token as the password of anybody."""
        if scheme == "basic":
            try:
                text = base64.b64decode(credentials, validate=True).decode()
            except (binascii.Error, UnicodeDecodeError):
                return None
            return self._holder(text.partition(":")[2])
        return super().signed_in(scheme, credentials, headers)

    def stranger(self, headers: Mapping[str, str]) -> contract.Reply:
        """To the page to sign in on, unless that is not wanted."""
        if headers.get("X-TFS-FedAuthRedirect") == "Suppress":
            return contract.Reply(401, "<html>Unauthorized</html>", media="text/html")
        return contract.Reply(302, None, {"Location": "https://spsprodweu1.vssps.visualstudio.com/_signin"})

    def extra_headers(self, request: contract.Request) -> Mapping[str, str]:
        """What is left, as it is told to those who come near the limit; and that every request names a version."""
        named = "api-version" in request.query or "api-version=" in request.headers.get("Accept", "")
        if request.method in {"POST", "PATCH", "PUT"} and not named:
            self.complaints.append(f"{request.method} {request.url} names no api-version")
        return {"X-RateLimit-Limit": "200", "X-RateLimit-Remaining": "150"}

    def refusal(self, error: contract.RefusedError) -> contract.Reply:
        """As the service wraps its exceptions."""
        kind = error.kind or "VssServiceException"
        wrapped = {
            "$id": "1",
            "innerException": None,
            "message": error.message,
            "typeKey": kind,
            "errorCode": 0,
        }
        return contract.Reply(
            error.status, {**wrapped, "typeName": f"Microsoft.{kind}, Microsoft", "eventId": 3000}
        )

    def routes(self) -> list[contract.Route]:
        def route(method: str, path: str, handler: Any, query: Any = (), body: Any = None) -> contract.Route:
            writes = method != "GET"
            return contract.Route(
                method, path, handler, frozenset({"api-version", *query}), body, writes=writes
            )

        here = "/{organization}/{project}/_apis/git/repositories/{repository}"
        pulls, pull = f"{here}/pullRequests", f"{here}/pullRequests/{{id}}"
        threads, checks = f"{pull}/threads", f"{here}/commits/{{sha}}/statuses"
        return [
            route("OPTIONS", "/{organization}/_apis", self.locations),
            route("GET", "/{organization}/_apis/ResourceAreas", self.areas),
            route("GET", "/{organization}/_apis/connectionData", self.connection),
            route(
                "GET", "/{organization}/_apis/identities", self.identities, ("searchFilter", "filterValue")
            ),
            route("GET", "/{organization}/_apis/projects/{project}/teams/{team}", self.team),
            route("GET", here, self.repository),
            route("GET", pulls, self.list_pulls, shapes.SEARCH),
            route("POST", pulls, self.create, ("supportsIterations",), shapes.PULL),
            route("GET", pull, self.read),
            route("PATCH", pull, self.change, (), shapes.CHANGES),
            route("GET", f"{pull}/iterations", self.iterations),
            route("GET", f"{pull}/labels", self.labels),
            route("POST", f"{pull}/labels", self.label, (), {"name!": str}),
            route("PUT", f"{pull}/reviewers/{{person}}", self.vote, (), {"vote!": int, "id": str}),
            route("GET", threads, self.threads),
            route("POST", threads, self.comment, (), shapes.THREAD),
            route("PATCH", f"{threads}/{{thread}}/comments/{{comment}}", self.edit, (), {"content!": str}),
            route("GET", checks, self.statuses, ("latestOnly", "top", "skip")),
            route("POST", checks, self.status, (), shapes.STATUS),
        ]

    # --- people, places, the repository ------------------------------------------------------------------

    def locations(self, request: contract.Request) -> contract.Reply:
        root = "{project}/_apis/git/repositories/{repositoryId}"
        told = [
            {
                "id": key,
                "area": "git",
                "resourceName": "git",
                "routeTemplate": f"{root}/{rest}".rstrip("/"),
                "resourceVersion": 1,
                "minVersion": "1.0",
                "maxVersion": "7.1",
                "releasedVersion": "7.0",
            }
            for key, rest in shapes.LOCATIONS.items()
        ]
        areas = {
            "id": "e81700f7-3be2-46de-8624-2eb35882fcaa",
            "area": "Location",
            "resourceName": "ResourceAreas",
        }
        told.append({**told[0], **areas, "routeTemplate": "_apis/{resource}/{areaId}"})
        return shapes.many(told)

    def areas(self, request: contract.Request) -> contract.Reply:
        return shapes.many([])

    def connection(self, request: contract.Request) -> contract.Reply:
        self._known(request)
        person = request.person
        user = {
            "id": person.key,
            "providerDisplayName": person.name,
            "properties": {"Account": {"$type": "System.String", "$value": shapes.unique(person)}},
        }
        return contract.Reply(
            200, {"authenticatedUser": user, "authorizedUser": user, "instanceId": person.key}
        )

    def identities(self, request: contract.Request) -> contract.Reply:
        self._known(request)
        wanted = request.query.get("filterValue", "")
        found = [one for one in self.world.people.values() if wanted in {shapes.unique(one), one.name}]
        return shapes.many(
            [{"id": one.key, "providerDisplayName": one.name, "isActive": True} for one in found]
        )

    def team(self, request: contract.Request) -> contract.Reply:
        self._known(request)
        if request.path["team"] not in self.teams:
            raise contract.RefusedError(404, "TF400813: the team does not exist", "TeamNotFoundException")
        return contract.Reply(200, {"id": self.teams[request.path["team"]], "name": request.path["team"]})

    def repository(self, request: contract.Request) -> contract.Reply:
        self._here(request)
        return contract.Reply(
            200,
            {
                "id": "3411ebc1-d5aa-464f-9615-0b527bc66719",
                "name": "gitops",
                "project": {"id": "a7573007-bbb3-4341-b726-0c4148a07853", "name": "Platform Team"},
                "defaultBranch": f"refs/heads/{self.world.default_branch}",
                "webUrl": f"{self.url}/fabrikam/Platform%20Team/_git/gitops",
            },
        )

    def _known(self, request: contract.Request) -> None:
        if (
            request.path["organization"] != "fabrikam"
            or request.path.get("project", "Platform Team") != "Platform Team"
        ):
            raise contract.RefusedError(404, "VS800075: there is no such project")

    def _here(self, request: contract.Request) -> None:
        asked = tuple(request.path[name] for name in ("organization", "project", "repository"))
        if asked != ("fabrikam", "Platform Team", "gitops"):
            raise contract.RefusedError(
                404, f"TF401019: {asked} does not exist", "GitRepositoryNotFoundException"
            )

    # --- pull requests -----------------------------------------------------------------------------------

    def list_pulls(self, request: contract.Request) -> contract.Reply:
        self._here(request)
        query = request.query
        state = query.get("searchCriteria.status", "active")
        if state not in {*shapes.STATES.values(), "all"}:
            raise contract.RefusedError(400, f"{state} is not a status")
        found = [
            self._shown(change)
            for change in sorted(self.world.changes.values(), key=lambda one: -one.number)
            if state in {"all", shapes.STATES[change.state]}
            and query.get("searchCriteria.sourceRefName", shapes.head(change)) == shapes.head(change)
            and query.get("searchCriteria.targetRefName", shapes.base(change)) == shapes.base(change)
        ]
        skip, top = request.number("$skip", 0), request.number("$top", 101)
        return shapes.many(
            [{**one, "description": one["description"][:400]} for one in found[skip : skip + top]]
        )

    def create(self, request: contract.Request) -> contract.Reply:
        self._here(request)
        body = request.body
        head, base = (body[side].removeprefix("refs/heads/") for side in ("sourceRefName", "targetRefName"))
        for side, name in (("sourceRefName", head), ("targetRefName", base)):
            if body[side] != f"refs/heads/{name}" or name not in self.world.branches:
                raise contract.RefusedError(
                    400, f"TF401398: the branch {name} does not exist", "GitPullRequestStaleException"
                )
        if self.world.find(head, base):
            raise contract.RefusedError(
                409,
                "TF401179: An active pull request for the source and target branch already exists.",
                "GitPullRequestExistsException",
            )
        self._judge(body)
        reviewers = [self._reviewer(one["id"]) for one in body.get("reviewers", [])]
        change = self.world.open(head, base, body["title"], body.get("description", ""), request.person.login)
        change.draft = body.get("isDraft", False)
        change.labels = [one["name"] for one in body.get("labels", [])]
        change.votes = {login: world.Vote() for login in reviewers}
        return contract.Reply(201, self._shown(change))

    def read(self, request: contract.Request) -> contract.Reply:
        return contract.Reply(200, self._shown(self._change(request)))

    def change(self, request: contract.Request) -> contract.Reply:
        change, body = self._change(request), request.body
        if change.state != world.OPEN:
            raise contract.RefusedError(400, "TF401181: The pull request cannot be edited due to its state.")
        self._judge({"title": change.title, **body})
        change.title = body.get("title", change.title)
        change.body = body.get("description", change.body)
        change.draft = body.get("isDraft", change.draft)
        if "autoCompleteSetBy" in body:
            self._wait(change, body, request.person)
        if body.get("status") == "abandoned":
            self.world.close(change.number, request.person.login)
        if body.get("status") == "completed":
            if body.get("lastMergeSourceCommit", {}).get("commitId") != change.sha:
                raise contract.RefusedError(
                    409, "TF401192: the source branch was modified", "GitPullRequestStaleException"
                )
            self.world.merge(change.number, request.person.login)
        return self.read(request)

    def _wait(self, change: world.Change, body: Mapping[str, Any], person: world.Person) -> None:
        if body["autoCompleteSetBy"]["id"] not in {person.key, "00000000-0000-0000-0000-000000000000"}:
            raise contract.RefusedError(400, "autoCompleteSetBy has to be the one who asks")
        strategy = body.get("completionOptions", {}).get("mergeStrategy", "noFastForward")
        if strategy not in {"noFastForward", "squash", "rebase", "rebaseMerge"}:
            raise contract.RefusedError(400, f"{strategy} is not a strategy")
        change.waiting_for = {"id": body["autoCompleteSetBy"]["id"], "strategy": strategy}

    def _change(self, request: contract.Request) -> world.Change:
        self._here(request)
        text = request.path["id"]
        if not text.isdigit() or int(text) not in self.world.changes:
            raise contract.RefusedError(
                404, f"TF401180: {text} was not found.", "GitPullRequestNotFoundException"
            )
        return self.world.changes[int(text)]

    def _judge(self, body: Mapping[str, Any]) -> None:
        if len(body.get("description", "")) > 4000:
            raise contract.RefusedError(
                400,
                "Invalid argument value.\r\nParameter name: A description for a pull request must not be longer than"
                " 4000 characters.",
                "InvalidArgumentValueException",
            )
        if not 1 <= len(body["title"]) <= 400:
            raise contract.RefusedError(
                400, "A title has 1 to 400 characters", "InvalidArgumentValueException"
            )

    def _reviewer(self, key: str) -> str:
        person = self.world.person(key)
        if key in self.teams.values():
            return next(name for name, known in self.teams.items() if known == key)
        if person is None or person.key != key:
            raise contract.RefusedError(
                400, f"The identity {key} could not be found", "IdentityNotFoundException"
            )
        return person.login

    def _shown(self, change: world.Change) -> dict[str, Any]:
        merged = {"lastMergeCommit": {"commitId": change.merged_sha}} if change.merged_sha else {}
        closed = {"closedBy": shapes.identity(change.closer)} if change.closer else {}
        waits = {"autoCompleteSetBy": {"id": change.waiting_for["id"]}} if change.waiting_for else {}
        return {
            "pullRequestId": change.number,
            "codeReviewId": change.number,
            "status": shapes.STATES[change.state],
            "createdBy": shapes.identity(change.author),
            "creationDate": shapes.date(change.when),
            "title": change.title,
            "description": change.body,
            "sourceRefName": shapes.head(change),
            "targetRefName": shapes.base(change),
            "mergeStatus": "succeeded",
            "isDraft": change.draft,
            "labels": [{"id": name, "name": name, "active": True} for name in change.labels],
            "reviewers": [self._voter(change, login) for login in change.votes],
            "lastMergeSourceCommit": {"commitId": change.sha},
            "url": f"{self.api}/_apis/git/repositories/gitops/pullRequests/{change.number}",
            **merged,
            **closed,
            **waits,
        }

    def _voter(self, change: world.Change, login: str) -> dict[str, Any]:
        vote = shapes.VOTES[change.votes[login].word]
        if login in self.teams:
            return {
                "id": self.teams[login],
                "uniqueName": f"vstfs:///{login}",
                "vote": vote,
                "isContainer": True,
            }
        return {**shapes.identity(self.world.people[login]), "vote": vote}

    def vote(self, request: contract.Request) -> contract.Reply:
        change = self._change(request)
        login = self._reviewer(request.path["person"])
        if login != request.person.login and request.body["vote"]:
            raise contract.RefusedError(403, "one votes for oneself only")
        word = world.APPROVED if request.body["vote"] > 0 else world.CHANGES if request.body["vote"] else ""
        self.world.vote(change.number, login, word)
        return contract.Reply(200, self._voter(change, login))

    def iterations(self, request: contract.Request) -> contract.Reply:
        change = self._change(request)
        return shapes.many([
            {"id": index, "sourceRefCommit": {"commitId": sha}, "createdDate": shapes.date(when), "updatedDate": shapes.date(when)}
            for index, (sha, when) in enumerate(change.pushes, 1)
        ])  # fmt: skip

    def labels(self, request: contract.Request) -> contract.Reply:
        return shapes.many(
            [{"id": name, "name": name, "active": True} for name in self._change(request).labels]
        )

    def label(self, request: contract.Request) -> contract.Reply:
        change, name = self._change(request), request.body["name"]
        if name not in change.labels:
            change.labels.append(name)
        return contract.Reply(200, {"id": name, "name": name, "active": True})

    # --- threads -----------------------------------------------------------------------------------------

    def threads(self, request: contract.Request) -> contract.Reply:
        change = self._change(request)
        told = [self._thread(change, one) for one in change.remarks if not one.parent]
        told += [self._vote_thread(login, vote) for login, vote in change.votes.items() if vote.word]
        return shapes.many(told)

    def comment(self, request: contract.Request) -> contract.Reply:
        change = self._change(request)
        if request.body.get("status", "active") not in shapes.THREAD_STATES:
            raise contract.RefusedError(400, "that is not a status of a thread")
        text = request.body["comments"][0]["content"]
        self._measure(text)
        made = self.world.comment(change.number, text, request.person.login)
        return contract.Reply(200, self._thread(change, made))

    def edit(self, request: contract.Request) -> contract.Reply:
        change = self._change(request)
        thread, place = int(request.path["thread"]), int(request.path["comment"])
        found = [one for one in change.remarks if thread in {one.number, one.parent}]
        if not 1 <= place <= len(found):
            raise contract.RefusedError(
                404, "the comment does not exist", "DiscussionThreadNotFoundException"
            )
        if found[place - 1].author != request.person:
            raise contract.RefusedError(
                403, "TF401367: you cannot edit the comment", "DiscussionPermissionDeniedException"
            )
        self._measure(request.body["content"])
        found[place - 1].text = request.body["content"]
        return contract.Reply(200, shapes.comment(found[place - 1], place))

    def _measure(self, text: str) -> None:
        if not 1 <= len(text) <= 150_000:
            raise contract.RefusedError(
                400, "a comment has 1 to 150000 characters", "InvalidArgumentValueException"
            )

    def _thread(self, change: world.Change, first: world.Remark) -> dict[str, Any]:
        said = [one for one in change.remarks if first.number in {one.number, one.parent}]
        return {
            "id": first.number,
            "publishedDate": shapes.date(first.when),
            "comments": [shapes.comment(one, place) for place, one in enumerate(said, 1)],
            "status": "closed",
            "isDeleted": False,
            "properties": None,
        }

    def _vote_thread(self, login: str, vote: world.Vote) -> dict[str, Any]:
        person = self.world.people[login]
        properties: dict[str, Any] = {
            "CodeReviewThreadType": {"$type": "System.String", "$value": "VoteUpdate"},
            "CodeReviewVoteResult": {"$type": "System.String", "$value": str(shapes.VOTES[vote.word])},
        }
        if self.votes_by_number:
            properties["CodeReviewVotedByIdentity"] = {"$type": "System.String", "$value": "1"}
        else:
            properties["CodeReviewVotedByTfId"] = {"$type": "System.String", "$value": person.key}
        said = {"id": 1, "author": shapes.SERVICE, "content": f"{person.name} voted", "commentType": "system"}
        return {
            "id": int(vote.when) % 100_000,
            "publishedDate": shapes.date(vote.when),
            "comments": [said],
            "properties": properties,
            "identities": {"1": shapes.identity(person)} if self.votes_by_number else None,
            "isDeleted": False,
        }

    # --- statuses ----------------------------------------------------------------------------------------

    def statuses(self, request: contract.Request) -> contract.Reply:
        known = [*self.world.checks.get(self._sha(request), {}).values()]
        return shapes.many(
            [shapes.status(one) for one in known[request.number("skip", 0) :][: request.number("top", 100)]]
        )

    def status(self, request: contract.Request) -> contract.Reply:
        sha, body = self._sha(request), request.body
        if body["state"] not in {"notSet", "pending", "succeeded", "failed", "error", "notApplicable"}:
            raise contract.RefusedError(400, f"{body['state']} is not a state")
        key = f"{body['context'].get('genre', '')}\n{body['context']['name']}"
        fields = {**body, "context": json.dumps(body["context"])}
        return contract.Reply(201, shapes.status(self.world.check(sha, key, fields, request.person)))

    def _sha(self, request: contract.Request) -> str:
        self._here(request)
        if request.path["sha"] not in self.world.commits:
            raise contract.RefusedError(
                404, f"TF401175: {request.path['sha']} does not exist", "GitUnresolvableToCommitException"
            )
        return request.path["sha"]
