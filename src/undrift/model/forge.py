"""What forges know: pull requests, comments, statuses, reviews; the same words for every kind of forge."""

from __future__ import annotations

import dataclasses
import enum


class PullRequestState(enum.StrEnum):
    """What became of a pull request."""

    OPEN = "open"
    MERGED = "merged"
    CLOSED = "closed"


class StatusState(enum.StrEnum):
    """What a commit status says."""

    PENDING = "pending"
    SUCCESS = "success"
    FAILURE = "failure"
    ERROR = "error"


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """What a forge takes. Sizes are characters; 0 is not at all."""

    title: int = 255
    body: int = 65_536
    comment: int = 65_536
    description: int = 140
    drafts: bool = True
    labels: bool = True
    reviewers: bool = True
    statuses: bool = True
    auto_merge: bool = False
    markdown_details: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class PullRequest:
    """A pull request as it is. `head` and `base` are branches, `sha` is the commit at the head.

    `key` is the forge's own name of it where that is not `number`; `version` is for compare-and-set.
    """

    number: int
    head: str
    base: str
    title: str
    body: str
    state: PullRequestState = PullRequestState.OPEN
    url: str = ""
    sha: str = ""
    draft: bool = False
    labels: tuple[str, ...] = ()
    author: str = ""
    version: int = 0
    merged_sha: str = ""
    closed_by: str = ""
    created: float = 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class PullRequestSpec:
    """A pull request as it should be. `labels` are names; `reviewers` are users, or `team:name`."""

    head: str
    base: str
    title: str
    body: str
    labels: tuple[str, ...] = ()
    reviewers: tuple[str, ...] = ()
    draft: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Comment:
    """One comment. `version` is for compare-and-set."""

    key: str
    body: str
    author: str = ""
    version: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Status:
    """A status of a commit; `context` is its name, `updated` seconds since the epoch."""

    context: str
    state: StatusState
    description: str = ""
    url: str = ""
    updated: float = 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class Review:
    """What a person said of a pull request. `login` is who, as the forge vouches for it; `sha` what was looked at."""

    login: str
    approved: bool
    sha: str = ""
    stale: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Links:
    """Addresses for people. `{sha}`, `{old}`, `{new}`, `{branch}`, `{path}`, `{line}` and `{number}` are filled in.

    "" where a forge has no such page.
    """

    commit: str = ""
    compare: str = ""
    file: str = ""
    pull_request: str = ""
