"""How GitHub shows a repository, pull requests, comments and reviews: the answers of the contract server."""

from __future__ import annotations

import datetime
from typing import Any
from urllib import parse

from tests.conformance.forges.servers import contract, world

_STATES = {world.OPEN: "open", world.MERGED: "closed", world.CLOSED: "closed"}
_VOTES = {world.APPROVED: "APPROVED", world.CHANGES: "CHANGES_REQUESTED", "": "DISMISSED"}
_USER_URLS = (
    "followers",
    "gists",
    "starred",
    "subscriptions",
    "organizations",
    "repos",
    "events",
    "received_events",
)


class Shown(contract.Contract):
    """What is kept besides the world, and the shapes of answers."""

    def __init__(self) -> None:
        super().__init__()
        self.owner = "acme"
        self.former = ""
        self.clean = False
        self.allows_auto = True
        self.allows_drafts = True
        self.is_app = False
        self.outsiders: set[str] = set()
        self.auto: dict[int, str] = {}
        self.history: dict[int, list[tuple[str, str, str]]] = {}
        self.sent: dict[str, list[dict[str, Any]]] = {}

    @property
    def clone_url(self) -> str:
        return f"{self.url}/acme/gitops.git"

    @property
    def api(self) -> str:
        return f"{self.url}/api/v3"

    def _user(self, person: world.Person) -> dict[str, Any]:
        at = f"{self.api}/users/{person.login}"
        return {
            "login": person.login,
            "id": int(person.key[:6], 16),
            "node_id": f"U_{person.key[:6]}",
            "avatar_url": f"{self.url}/avatars/{person.login}",
            "gravatar_id": "",
            "url": at,
            "html_url": f"{self.url}/{person.login}",
            "following_url": f"{at}/following{{/other_user}}",
            **{f"{name}_url": f"{at}/{name}" for name in _USER_URLS},
            "type": "User",
            "site_admin": False,
        }

    def _repository(self) -> dict[str, Any]:
        owner = self._user(world.Person(self.owner, ""))
        return {
            "id": 4711,
            "node_id": "R_4711",
            "name": "gitops",
            "full_name": f"{self.owner}/gitops",
            "owner": owner | {"type": "Organization"},
            "private": True,
            "html_url": f"{self.url}/{self.owner}/gitops",
            "url": f"{self.api}/repos/{self.owner}/gitops",
            "default_branch": self.world.default_branch,
            "fork": False,
        }

    def _branch(self, name: str, sha: str) -> dict[str, Any]:
        repository = self._repository()
        return {
            "label": f"{self.owner}:{name}",
            "ref": name,
            "sha": sha,
            "user": repository["owner"],
            "repo": repository,
        }

    def _shown(self, change: world.Change, *, whole: bool = False) -> dict[str, Any]:
        at, issue = (
            f"{self.api}/repos/{self.owner}/gitops/{one}/{change.number}" for one in ("pulls", "issues")
        )
        page = f"{self.url}/{self.owner}/gitops/pull/{change.number}"
        merged = change.state == world.MERGED
        ended = moment(change.pushes[-1][1] + 1) if change.state != world.OPEN else None
        found = {
            "url": at,
            "id": change.number + 9000,
            "node_id": f"PR_{change.number}",
            "html_url": page,
            "diff_url": f"{page}.diff",
            "patch_url": f"{page}.patch",
            "issue_url": issue,
            "commits_url": f"{at}/commits",
            "review_comments_url": f"{at}/comments",
            "review_comment_url": f"{at}/comments{{/number}}",
            "comments_url": f"{issue}/comments",
            "statuses_url": f"{self.api}/repos/{self.owner}/gitops/statuses/{change.sha}",
            "number": change.number,
            "state": _STATES[change.state],
            "locked": False,
            "title": change.title,
            "user": self._user(change.author),
            "body": change.body or None,
            "labels": [self._label(name) for name in change.labels],
            "milestone": None,
            "created_at": moment(change.when),
            "updated_at": moment(change.pushes[-1][1]),
            "closed_at": ended,
            "merged_at": ended if merged else None,
            # Of an open one it is the commit that a merge was tried with.
            "merge_commit_sha": change.merged_sha if merged else "f" * 40,
            "assignee": None,
            "assignees": [],
            "requested_reviewers": [
                self._user(self.world.people[one]) for one, v in change.votes.items() if not v.when
            ],
            "requested_teams": [],
            "head": self._branch(change.head, change.sha),
            "base": self._branch(change.base, self.world.branches.get(change.base, "0" * 40)),
            "_links": {},
            "author_association": "MEMBER",
            "auto_merge": {"merge_method": self.auto[change.number]} if change.number in self.auto else None,
            "draft": change.draft,
        }
        return found | (self._counted(change) if whole else {})

    def _counted(self, change: world.Change) -> dict[str, Any]:
        """What only the pull request itself tells, not the list."""
        merged = change.state == world.MERGED
        return {
            "merged": merged,
            "mergeable": True,
            "mergeable_state": "clean" if self.clean else "blocked",
            "merged_by": self._user(change.closer) if merged and change.closer else None,
            "comments": len(change.remarks),
            "review_comments": 0,
            "maintainer_can_modify": False,
            "commits": 1,
            "additions": 1,
            "deletions": 1,
            "changed_files": 1,
        }

    def _label(self, name: str) -> dict[str, Any]:
        at = f"{self.api}/repos/{self.owner}/gitops/labels/{parse.quote(name)}"
        return {
            "id": 1,
            "node_id": "L",
            "url": at,
            "name": name,
            "description": None,
            "color": "ededed",
            "default": False,
        }

    def _remark(self, remark: world.Remark) -> dict[str, Any]:
        at = f"{self.api}/repos/{self.owner}/gitops/issues/comments/{remark.number}"
        return {
            "id": remark.number,
            "node_id": f"IC_{remark.number}",
            "url": at,
            "html_url": f"{self.url}/c/{remark.number}",
            "issue_url": f"{self.api}/repos/{self.owner}/gitops/issues/1",
            "body": remark.text,
            "user": self._user(remark.author),
            "created_at": moment(remark.when),
            "updated_at": moment(remark.when),
            "author_association": "MEMBER",
        }

    def said(self, change: world.Change) -> list[tuple[str, str, str]]:
        """Login, word and commit of every review: whatever the world knows now comes upon what it knew before."""
        known = self.history.setdefault(change.number, [])
        for login, vote in change.votes.items():
            if not vote.when:
                continue
            if not vote.word:
                known[:] = [(who, "DISMISSED" if who == login else word, sha) for who, word, sha in known]
            elif (mine := [one for one in known if one[0] == login][-1:]) != [
                (login, _VOTES[vote.word], vote.sha)
            ] or not mine:
                known.append((login, _VOTES[vote.word], vote.sha))
        return known

    def _review(self, change: world.Change, number: int, login: str, word: str, sha: str) -> dict[str, Any]:
        at = f"{self.api}/repos/{self.owner}/gitops/pulls/{change.number}"
        return {
            "id": number + 1,
            "node_id": f"PRR_{number}",
            "user": self._user(self.world.people[login]),
            "body": "",
            "state": word,
            "html_url": f"{self.url}/r/{number}",
            "pull_request_url": at,
            "_links": {},
            "submitted_at": moment(change.when + number),
            "commit_id": sha,
            "author_association": "NONE" if login in self.outsiders else "MEMBER",
        }


def moment(when: float) -> str:
    return datetime.datetime.fromtimestamp(when, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
