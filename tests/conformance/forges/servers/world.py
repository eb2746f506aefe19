"""What is on a forge, whatever kind it is: one repository with branches, pull requests and people.

The contract servers of this folder show it in the words of their forges. Times are seconds; each event takes one.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from collections.abc import Iterator

OPEN, MERGED, CLOSED = "open", "merged", "closed"
APPROVED, CHANGES = "approved", "changes"


@dataclasses.dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an account. `token` lets him in; `key` is an id that never changes."""

    login: str
    token: str
    name: str = ""
    writes: bool = True

    @property
    def key(self) -> str:
        """A UUID."""
        digits = hashlib.md5(self.login.encode(), usedforsecurity=False).hexdigest()
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


@dataclasses.dataclass(slots=True)
class Vote:
    """What a reviewer said, of which commit, when; `word` is "" while he said nothing."""

    word: str = ""
    sha: str = ""
    when: float = 0.0


@dataclasses.dataclass(slots=True)
class Remark:
    """A comment; `parent` is the one that it answers."""

    number: int
    author: Person
    text: str
    when: float
    version: int = 0
    parent: int = 0
    system: bool = False
    deleted: bool = False


@dataclasses.dataclass(slots=True)
class Change:
    """A pull request. `pushes` are the commits that were its head, with their times; `base_sha` is what it was merged into."""

    number: int
    head: str
    base: str
    title: str
    body: str
    author: Person
    when: float
    sha: str
    draft: bool = False
    state: str = OPEN
    version: int = 0
    labels: list[str] = dataclasses.field(default_factory=list)
    votes: dict[str, Vote] = dataclasses.field(default_factory=dict)
    remarks: list[Remark] = dataclasses.field(default_factory=list)
    pushes: list[tuple[str, float]] = dataclasses.field(default_factory=list)
    merged_sha: str = ""
    base_sha: str = ""
    closer: Person | None = None
    waiting_for: dict[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(slots=True)
class Check:
    """A status of a commit, as it was sent; `key` is what makes it one."""

    key: str
    fields: dict[str, str]
    author: Person
    made: float
    updated: float


def _people() -> dict[str, Person]:
    known = (
        Person("undrift-bot", "tok-bot-7f3a9c", "Undrift"),
        Person("ada", "tok-ada-55", "Ada Lovelace"),
        Person("bob", "tok-bob-66", "Bob"),
        Person("reader", "tok-reader-77", "Reader", writes=False),
    )
    return {one.login: one for one in known}


class World:
    """One repository. What a test does here, people did on the forge."""

    def __init__(self) -> None:
        self.default_branch = "main"
        self.branches: dict[str, str] = {}
        self.commits: dict[str, tuple[str, ...]] = {}
        self.changes: dict[int, Change] = {}
        self.checks: dict[str, dict[str, Check]] = {}
        self.people = _people()
        self.approvals_fall_on_push = False
        self._numbers: Iterator[int] = itertools.count(1)
        self._remarks: Iterator[int] = itertools.count(101)
        self._clock = 1_760_000_000.0
        self.push("main")

    @property
    def bot(self) -> Person:
        """Us."""
        return self.people["undrift-bot"]

    def now(self) -> float:
        """The time, a second later than when it was asked for last."""
        self._clock += 1.0
        return self._clock

    def person(self, key: str) -> Person | None:
        """Who has that login, id or token."""
        return next((one for one in self.people.values() if key in {one.login, one.key, one.token}), None)

    def push(self, branch: str, *others: str) -> str:
        """A new commit on a branch, which grows from the default one if it is new; `others` are more parents."""
        now = self.now()
        sha = hashlib.sha1(f"{branch} {now}".encode(), usedforsecurity=False).hexdigest()
        tip = self.branches.get(branch) or self.branches.get(self.default_branch)
        self.commits[sha] = (tip, *others) if tip else ()
        self.branches[branch] = sha
        for change in self.changes.values():
            if change.head == branch and change.state == OPEN:
                change.sha = sha
                change.pushes.append((sha, now))
                if self.approvals_fall_on_push:
                    for vote in change.votes.values():
                        vote.word = ""
        return sha

    def log(self, branch: str) -> list[str]:
        """The commits of a branch, the newest first."""
        seen, waiting = set[str](), [self.branches[branch]]
        while waiting:
            sha = waiting.pop()
            if sha not in seen:
                seen.add(sha)
                waiting += self.commits[sha]
        return [sha for sha in reversed(self.commits) if sha in seen]

    def rename_default(self, name: str) -> None:
        """Call the default branch otherwise; pull requests follow it."""
        old, self.default_branch = self.default_branch, name
        self.branches[name] = self.branches.pop(old)
        for change in self.changes.values():
            if change.base == old:
                change.base = name

    def find(self, head: str, base: str) -> Change | None:
        """The open pull request between two branches."""
        for change in self.changes.values():
            if (change.head, change.base, change.state) == (head, base, OPEN):
                return change
        return None

    def open(self, head: str, base: str, title: str, body: str, author: str = "undrift-bot") -> Change:
        """Somebody opens a pull request."""
        number, now, sha = next(self._numbers), self.now(), self.branches[head]
        change = Change(number, head, base, title, body, self.people[author], now, sha, pushes=[(sha, now)])
        self.changes[number] = change
        return change

    def comment(
        self, number: int, text: str, author: str = "ada", *, parent: int = 0, system: bool = False
    ) -> Remark:
        """Somebody writes a comment."""
        remark = Remark(
            next(self._remarks), self.people[author], text, self.now(), parent=parent, system=system
        )
        self.changes[number].remarks.append(remark)
        return remark

    def vote(self, number: int, login: str, word: str) -> None:
        """Somebody approves, or asks for changes, or takes back what he said (word "")."""
        change = self.changes[number]
        change.votes[login] = Vote(word, change.sha, self.now())

    def merge(self, number: int, login: str = "ada") -> str:
        """Somebody merges. The commit that the base branch is at then."""
        change = self.changes[number]
        change.base_sha = self.branches[change.base]
        change.merged_sha = self.push(change.base, change.sha)
        self._end(change, MERGED, login)
        return change.merged_sha

    def close(self, number: int, login: str = "ada") -> None:
        """Somebody closes without merging."""
        self._end(self.changes[number], CLOSED, login)

    def _end(self, change: Change, state: str, login: str) -> None:
        change.base_sha = change.base_sha or self.branches.get(change.base, "")
        change.state, change.closer = state, self.people[login]
        change.version += 1

    def check(self, sha: str, key: str, fields: dict[str, str], author: Person) -> Check:
        """Somebody sets a status of a commit; an older one of that key is replaced."""
        now = self.now()
        known = self.checks.setdefault(sha, {})
        made = known[key].made if key in known else now
        known[key] = Check(key, fields, author, made, now)
        return known[key]
