"""The shapes of what Azure DevOps takes and gives, for the contract server beside this; sources are named there."""

from __future__ import annotations

import datetime
import json
from typing import Any

from tests.conformance.forges.servers import contract, world

STATES = {world.OPEN: "active", world.MERGED: "completed", world.CLOSED: "abandoned"}
VOTES = {world.APPROVED: 10, world.CHANGES: -10, "": 0}
SERVICE = {
    "id": "41113706-4320-4083-9150-925feb93fc22",
    "displayName": "Project Collection Service Accounts",
}
ID: contract.Schema = {"id!": str}
OPTIONS: contract.Schema = {
    "mergeStrategy": str,
    "deleteSourceBranch": bool,
    "mergeCommitMessage": str,
    "squashMerge": bool,
}
PULL: contract.Schema = {
    "sourceRefName!": str,
    "targetRefName!": str,
    "title!": str,
    "description": str,
    "labels": [{"name!": str}],
    "reviewers": [ID],
    "isDraft": bool,
}
CHANGES: contract.Schema = {
    "title": str,
    "description": str,
    "status": str,
    "isDraft": bool,
    "autoCompleteSetBy": ID,
    "completionOptions": OPTIONS,
    "lastMergeSourceCommit": {"commitId!": str},
}
COMMENT: contract.Schema = {"content!": str, "commentType": (str, int), "parentCommentId": int}
THREAD: contract.Schema = {"comments!": [COMMENT], "status": (str, int)}
STATUS: contract.Schema = {
    "state!": str,
    "context!": {"name!": str, "genre": str},
    "description": str,
    "targetUrl": str,
}
SEARCH = frozenset({
    "searchCriteria.status", "searchCriteria.sourceRefName", "searchCriteria.targetRefName", "$top", "$skip",
})  # fmt: skip
THREAD_STATES = {"active", "byDesign", "closed", "fixed", "pending", "unknown", "wontFix", 1, 2, 3, 4, 5, 6}
LOCATIONS = {
    "9946fd70-0d40-406e-b686-b4744cbbcc37": "pullRequests/{pullRequestId}",
    "4b6702c7-aa35-4b89-9c96-b9abf6d3e540": "pullRequests/{pullRequestId}/reviewers/{reviewerId}",
    "965a3ec7-5ed8-455a-bdcb-835a5ea7fe7b": "pullRequests/{pullRequestId}/threads/{threadId}/comments/{commentId}",
    "ab6e2e5d-a0b7-4153-b64a-a4efe0d49449": "pullRequests/{pullRequestId}/threads/{threadId}",
    "f22387e3-984e-4c52-9c6d-fbb8f14c812d": "pullRequests/{pullRequestId}/labels/{labelIdOrName}",
    "225f7195-f9c7-4d14-ab28-a83f7ff77e1f": "",
    "428dd4fb-fda5-4722-af02-9313b80305da": "commits/{commitId}/statuses",
}
"""Where clients of the vendor find an operation, by its id."""


def many(items: list[dict[str, Any]]) -> contract.Reply:
    return contract.Reply(200, {"count": len(items), "value": items})


def head(change: world.Change) -> str:
    return f"refs/heads/{change.head}"


def base(change: world.Change) -> str:
    return f"refs/heads/{change.base}"


def unique(person: world.Person) -> str:
    return f"{person.login}@fabrikam.example"


def identity(person: world.Person) -> dict[str, Any]:
    return {"id": person.key, "displayName": person.name, "uniqueName": unique(person)}


def comment(remark: world.Remark, place: int) -> dict[str, Any]:
    return {
        "id": place,
        "parentCommentId": 0 if place == 1 else 1,
        "author": identity(remark.author),
        "content": remark.text,
        "publishedDate": date(remark.when),
        "commentType": "system" if remark.system else "text",
        "isDeleted": remark.deleted,
    }


def status(known: world.Check) -> dict[str, Any]:
    times = {"creationDate": date(known.made), "updatedDate": date(known.updated)}
    return {**known.fields, "context": json.loads(known.fields["context"]), **times}


def date(when: float) -> str:
    """With seven digits of fractions, as the service writes them."""
    return datetime.datetime.fromtimestamp(when, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.1655471Z")
