"""The outside world on one page: what the engine and the agent expect of it.

Each interface says what an implementation must and must not do. Every call may take long: callers give it
a deadline. Everything but cancellation is raised as an `errors.UndriftError`; anything else is a defect.
"""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from undrift import errors
    from undrift.model import (
        agent,
        event,
        finding,
        forge,
        inventory,
        plan,
        record,
        resource,
        source,
        target,
    )


class Clock(Protocol):
    """The wall clock, for windows and expiry only; durations come from the event loop."""

    def now(self) -> float:
        """Seconds since the epoch, UTC."""
        ...


class SecretResolver(Protocol):
    """Finds credentials where a declaration says they are."""

    async def resolve(self, credential: source.Credential) -> str:
        """The value. Raises `CredentialMissing`. Never logs, caches on disk or puts it in an exception."""
        ...


class Decryptor(Protocol):
    """Decrypts encrypted files in memory."""

    async def decrypt(self, content: bytes, name: str) -> bytes | None:
        """The plain content, or None when `content` is not encrypted. Raises `DecryptionFailed`."""
        ...


class Source(Protocol):
    """Where desired state is kept. One instance serves every application that uses the source."""

    async def resolve(self) -> source.Revision:
        """The revision that the reference names now. Cheap; concurrent calls share one request."""
        ...

    async def digests(self, revision: source.Revision, paths: Sequence[str]) -> Mapping[str, str]:
        """The content digest of each path (absent = missing), without fetching content. Cheap."""
        ...

    async def fetch(self, revision: source.Revision, path: str) -> source.Artifact:
        """The files of one path. Raises `PathMissing`, `ArtifactRefused`."""
        ...

    async def close(self) -> None:
        """Give back processes and files."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Document:
    """One rendered document: its data, and where its fields are declared.

    `positions` maps a path of keys and indexes to (line, column) in `file`; missing paths fall back to
    their nearest parent.
    """

    data: Any
    file: str
    positions: Mapping[tuple[str | int, ...], tuple[int, int]] = dataclasses.field(
        default_factory=dict, repr=False
    )
    secret: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Rendered:
    """What a renderer made of an artifact: documents, and the files they may refer to.

    `encrypted` names the files whose content was decrypted: everything from them is secret. `tools` maps
    each tool that took part to its version, for the lock. `warnings` are what was noticed on the way; `path` is what
    the names of the files are below.
    """

    documents: tuple[Document, ...]
    files: Mapping[str, source.File] = dataclasses.field(default_factory=dict, repr=False)
    encrypted: frozenset[str] = frozenset()
    tools: Mapping[str, str] = dataclasses.field(default_factory=dict)
    warnings: tuple[errors.UndriftError, ...] = ()
    path: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Recipe:
    """What is rendered for whom: the application's name, namespace and path, and the renderer's own settings."""

    name: str = ""
    namespace: str = ""
    path: str = "."
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)


class Renderer(Protocol):
    """Turns an artifact into documents, deterministically."""

    self_contained: bool
    """Whether nothing but the application's own path is ever read."""

    def beside(self, artifact: source.Artifact, recipe: Recipe) -> frozenset[str]:
        """Paths of the source outside of the artifact's own that this part of it refers to. Never raises."""
        ...

    def version(self) -> str:
        """Name and version of what renders, for the lock."""
        ...

    async def render(self, artifact: source.Artifact, recipe: Recipe, facts: target.Facts) -> Rendered:
        """Documents in the order of their files. Raises a `RenderError`. Reads nothing but its arguments."""
        ...


class Session(Protocol):
    """One open connection to a target. Used by one reconcile at a time unless the provider says otherwise.

    Who inherits from it has to say how to look (`observe`) and how to change (`apply`); for all else there is an
    answer already: nothing.
    """

    async def discover(self) -> target.Facts:
        """What rendering may depend on, with a digest of it."""
        from undrift.model import target  # noqa: PLC0415 - most that import this module need no more than its names

        return target.NO_FACTS

    async def study(self, rendered: Rendered) -> None:
        """Learn what loading these documents needs to know of the target, such as schemas. Must not modify it."""
        ...

    async def observe(
        self, ids: Collection[resource.ResourceId], owner: inventory.Owner
    ) -> resource.LiveState:
        """The resources of `ids` that exist and everything that bears `owner`'s mark.

        Returns or raises: a failed look is never an absence. Must not modify the target.
        """
        ...

    async def tidy(self, owner: inventory.Owner) -> None:
        """Put our own traces on the target in order, as the last look found them: what a death left behind.

        Follows a look that may have consequences (not a plan that is only shown), while the lease holds.
        """
        ...

    async def preview(self, situation: plan.Situation) -> plan.Previews:
        """What only the target can say about the changes to come. Must not modify the target."""
        from undrift.model import plan  # noqa: PLC0415 - most that import this module need no more than its names

        return plan.NO_PREVIEWS

    async def intend(self, changes: Sequence[plan.Change], owner: inventory.Owner, revision: str) -> None:
        """Write ownership marks ahead of a wave, where marks live apart from the resources; else nothing."""
        ...

    async def apply(self, change: plan.Change, owner: inventory.Owner, revision: str) -> None:
        """Carry out one change and mark it as `owner`'s. Returns when the target acknowledged; raises else.

        Must refuse (`ChangeConflict`) where compare-and-set is possible and the target moved since `live`.
        Raises `OutcomeUnknown` when it cannot tell whether the change was made.
        """
        ...

    async def describe(self, change: plan.Change) -> str:
        """The change as text for people (a unified or native diff), secrets masked; "" where fields say it all.

        May read the target; must not modify it and must not raise.
        """
        return ""

    def watch(self) -> AsyncIterator[frozenset[resource.ResourceId]]:
        """Hints that something may have changed (an empty set: anything). Only where `watch` is declared."""
        from undrift import errors  # noqa: PLC0415 - most that import this module need no more than its names

        raise errors.InternalError("targets of this kind do not tell of changes")

    async def close(self) -> None:
        """Give the connection back."""
        ...


@runtime_checkable
class Surveyor(Protocol):
    """A session on a target whose resources can be written down as documents."""

    async def survey(self, scope: str) -> finding.Survey:
        """What is in a part of the target (Kubernetes: a namespace). Raises a `TargetError`. Must not modify it."""
        ...


@runtime_checkable
class Teller(Protocol):
    """A session whose target shows more of a resource than could be declared of it, such as an address it was given."""

    async def tell(
        self, wanted: Mapping[resource.ResourceId, Collection[str]]
    ) -> Mapping[resource.ResourceId, resource.Fields]:
        """The whole of those resources that exist; secrets as `Secret`. Raises a `TargetError`.

        `wanted` has the field paths that matter of each (dotted, or JSON pointers). Where the target can be watched, a
        change of one of them is hinted from now on. Must not modify the target.
        """
        ...


@runtime_checkable
class Counter(Protocol):
    """A provider that counts what it asks of a target."""

    def requests(self, place: target.Target) -> Mapping[str, int]:
        """How often each kind of request was made since the target was first opened. Asks nothing of it."""
        ...


@runtime_checkable
class Installer(Protocol):
    """A provider on whose targets an agent can run."""

    def installation(self, given: agent.Installation) -> tuple[Sequence[Mapping[str, Any]], str]:
        """The documents that make an agent run there, but for its rights; and how it is given its credential."""
        ...


class Provider(Protocol):
    """The code for one kind of target."""

    def capabilities(self, place: target.Target) -> target.Capabilities:
        """What can be done with such a target."""
        ...

    def load(
        self, rendered: Rendered, facts: target.Facts, place: target.Target, namespace: str = ""
    ) -> resource.DesiredState:
        """Native documents and files → resources, each with its origin. Pure.

        `namespace` is the application's, for resources that name none. Raises `ValidationError`s, all at once (`errors.Several`).
        """
        ...

    def scopes(self, place: target.Target, ids: Collection[resource.ResourceId]) -> frozenset[str]:
        """Names of what must not be worked on by two applications at once on this target."""
        return frozenset()

    def rights(
        self, name: str, facts: target.Facts, wanted: Mapping[str, Collection[resource.Resource]]
    ) -> str:
        """The least that an agent has to be allowed for these resources, as documents of the layer called `name`.

        `wanted` is by the account that changes them ("" = the agent's own). "" where the layer knows no rights.
        """
        return ""

    async def connect(self, place: target.Target, secrets: SecretResolver) -> Session:
        """Open a session. Raises `TargetUnavailable` or `TargetDenied`."""
        ...


class Lease(Protocol):
    """The right to work on an application, with a fencing epoch."""

    epoch: int

    async def check(self) -> None:
        """Raise `LeaseLost` unless this lease still holds by the database's clock."""
        ...


class Ledger(Protocol):
    """What applying writes down: intents durably before, outcomes after. One transaction each."""

    async def begin(self, lease: Lease, wave: plan.Wave, digest: str, revision: str) -> None:
        """Inventory entries PENDING (existing ones keep their state) and journal intents, fenced by the lease."""
        ...

    async def finish(self, lease: Lease, results: Sequence[plan.ChangeResult], revision: str) -> None:
        """Inventory entries CONFIRMED or removed by outcome; journal outcomes, fenced by the lease.

        FAILED and UNKNOWN leave entries as they were; a deleted resource's entry goes when it is APPLIED.
        """
        ...


class Notifier(Protocol):
    """Sends messages, at least once; `key` lets a receiver drop the second."""

    async def send(self, happened: event.Event, text: str, key: str) -> None:
        """Deliver one message or raise."""
        ...


class Database(Protocol):
    """What we remember. Every write that changes an application's state is fenced by its lease's epoch."""

    async def recall(self, name: str) -> record.Memory:
        """Everything known about one application; empty and not resumed when it was never seen."""
        ...

    async def recall_all(self) -> Mapping[str, record.Memory]:
        """The same for every known application, for a quick start."""
        ...

    async def acquire(self, names: Collection[str], holder: str, seconds: float) -> Mapping[str, Lease]:
        """Leases on those of `names` that are free or already the holder's, in one transaction."""
        ...

    async def renew(self, holder: str, seconds: float) -> frozenset[str]:
        """Extend all leases of a holder that have not run out; returns their names."""
        ...

    async def release(self, holder: str, names: Collection[str] | None = None) -> None:
        """Give leases back."""
        ...

    def ledger(self, name: str) -> Ledger:
        """The ledger of one application."""
        ...

    async def settle(
        self, lease: Lease, name: str, decide: Callable[[record.Memory], record.Memory]
    ) -> record.Memory:
        """Remember what a reconcile came to: last good, held back, approvals left, resumed; not the inventory.

        `decide` is given what is remembered now and returns what is to be, in one transaction; it is pure, and
        may be asked more than once. Returns its answer.
        """
        ...

    async def learn(self, lease: Lease, name: str, entries: Collection[inventory.Entry]) -> None:
        """Replace the whole inventory by `entries`: what the marks on the target and earlier intents amount to."""
        ...

    async def remember_plan(self, digest: str, document: Mapping[str, Any]) -> None:
        """Keep the canonical document of a plan (secrets already replaced by keyed digests) under its digest."""
        ...

    async def plan(self, digest: str) -> Mapping[str, Any] | None:
        """The document of an earlier plan, or None when it is not remembered (any more)."""
        ...

    async def approve(self, approval: record.Approval) -> None:
        """Store an approval."""
        ...

    async def hold(self, hold: record.Hold | None, name: str) -> None:
        """Set or lift a temporary suspension."""
        ...

    async def resume(self, name: str) -> None:
        """A person has seen why: the application may change its target again."""
        ...

    async def forget(self, lease: Lease, name: str) -> None:
        """The application is gone for good: drop all but its history."""
        ...

    async def close(self) -> None:
        """Flush what is batched and close."""
        ...


class Forge(Protocol):
    """One repository on a forge. Tokens are in its client and nowhere else.

    Raises `ForgeDenied` (token, rights), `ForgeUnavailable` (no answer, 5xx, rate limit past its patience) and
    `ForgeRefused`. Lists are read to their last page.
    """

    limits: forge.Limits

    async def default_branch(self) -> str:
        """The name of the repository's default branch."""
        ...

    async def find_open(self, head: str, base: str) -> forge.PullRequest | None:
        """The open pull request from branch `head` to branch `base` of this same repository."""
        ...

    async def find_closed(self, head: str, base: str) -> Sequence[forge.PullRequest]:
        """Merged and closed ones from `head` to `base`, the newest first; the newest ten are enough."""
        ...

    async def pull_request(self, number: int) -> forge.PullRequest:
        """One pull request."""
        ...

    async def create(self, spec: forge.PullRequestSpec) -> forge.PullRequest:
        """Open a pull request; where one from `head` to `base` is open already, that one."""
        ...

    async def update(
        self,
        known: forge.PullRequest,
        *,
        title: str | None = None,
        body: str | None = None,
        labels: Sequence[str] | None = None,
    ) -> forge.PullRequest:
        """Change what is given and differs. Labels are added, none is taken off."""
        ...

    async def close(self, known: forge.PullRequest, comment: str = "") -> None:
        """Close without merging, saying why in a comment."""
        ...

    async def upsert_comment(self, number: int, marker: str, body: str) -> forge.Comment:
        """The comment of ours that holds `marker` gets this text; made when there is none, left when it is equal."""
        ...

    async def comments(self, number: int) -> Sequence[forge.Comment]:
        """All comments of a pull request, oldest first."""
        ...

    async def set_status(self, sha: str, status: forge.Status) -> None:
        """Set a status of a commit; what says the same already is left."""
        ...

    async def statuses(self, sha: str) -> Sequence[forge.Status]:
        """The newest status of each context."""
        ...

    async def reviews(self, number: int) -> Sequence[forge.Review]:
        """The newest word of each reviewer."""
        ...

    async def enable_auto_merge(self, known: forge.PullRequest, method: str) -> bool:
        """Have the forge merge once everything it asks for is there; False where it cannot."""
        ...

    def links(self) -> forge.Links:
        """Addresses for people."""
        ...

    async def close_session(self) -> None:
        """Close the connections."""
        ...
