"""How an application gets from its own repository through its stages into the GitOps repository (`kind: Delivery`)."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any, Final

from undrift import errors


class Way(enum.StrEnum):
    """How a stage gets into the GitOps repository."""

    DIRECT = "direct"
    PULL_REQUEST = "pull-request"


class Severity(enum.StrEnum):
    """What a finding of a policy does."""

    ERROR = "error"
    WARNING = "warning"
    OFF = "off"


@dataclasses.dataclass(frozen=True, slots=True)
class Destination:
    """Where rendered files go: a branch of the GitOps repository, and the folder of each stage in it.

    `folder` may hold `{stage}` and `{application}`; `keep` are globs below it on files that are somebody else's.
    `forge` is a kind of forge, "" to be told by the URL, `none` for a bare Git server; `api` its address where it is
    not the URL's host.
    """

    url: str
    branch: str = "main"
    folder: str = "{stage}/{application}"
    keep: tuple[str, ...] = ()
    forge: str = ""
    api: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Recipe:
    """What a stage is rendered from: the renderer, its path in the source (`{stage}`) and its own settings.

    `files` as renderer means: any layer's native files, taken as they are.
    """

    renderer: str
    path: str
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class Image:
    """An image to set: in the containers called `name`, or wherever the image `name` is used.

    `new_name`, `new_tag` and `digest` replace the parts of its reference that they name; "" leaves one as it is.
    `given` is whether CI brought it: as an option, or in variables.
    """

    name: str
    new_name: str = ""
    new_tag: str = ""
    digest: str = ""
    origin: errors.Origin | None = dataclasses.field(default=None, compare=False)
    given: bool = dataclasses.field(default=False, compare=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Value:
    """A value to set. `path` is dotted, `a[0].b` reaches into lists; `file` and `resource` are globs on where.

    `resource` is on `kind/name`; "" means: values of a Helm chart, or every document that has the path.
    """

    path: str
    value: Any
    file: str = ""
    resource: str = ""
    create: bool = False
    origin: errors.Origin | None = dataclasses.field(default=None, compare=False)


@dataclasses.dataclass(frozen=True, slots=True)
class ConfigMap:
    """A ConfigMap made of files; its name gets a suffix by its content unless `suffix` is False.

    `files` are paths in the source, or `key=path`; `literals` are `key: value`.
    """

    name: str
    files: tuple[str, ...] = ()
    literals: Mapping[str, str] = dataclasses.field(default_factory=dict)
    stages: tuple[str, ...] = ()
    suffix: bool = True
    origin: errors.Origin | None = dataclasses.field(default=None, compare=False)


@dataclasses.dataclass(frozen=True, slots=True)
class NamespaceSettings:
    """The stage's Namespace as a resource of its own. `pull_secret` names a Secret for its default account.

    `quota` are the `hard` limits of a ResourceQuota.
    """

    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    annotations: Mapping[str, str] = dataclasses.field(default_factory=dict)
    quota: Mapping[str, str] = dataclasses.field(default_factory=dict)
    pull_secret: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Requirement:
    """What another stage has to be like before a revision may come to this one. `soak` is seconds of good health."""

    stage: str
    health: str = "Healthy"
    soak: float = 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class Gate:
    """What has to be true before a revision may come to a stage.

    `approvals` is how many people other than the author of the revision; `windows` are those of policies; `command`
    ends with 0 when the gate is open.
    """

    requires: tuple[Requirement, ...] = ()
    approvals: int = 0
    approvers: tuple[str, ...] = ()
    windows: tuple[Any, ...] = ()
    command: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class PullRequestSettings:
    """What a pull request of a stage gets."""

    labels: tuple[str, ...] = ()
    reviewers: tuple[str, ...] = ()
    draft: bool = False
    auto_merge: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Stage:
    """A step on the way to production.

    `recipe` is the Delivery's with what the stage says itself; `target` makes an Application document for the agent
    ("" makes none). `watched` are images (without tag) that this stage takes from their registry by itself.
    A `manual` stage gets nothing unless somebody names it.
    """

    name: str
    recipe: Recipe
    namespace: str = ""
    way: Way = Way.DIRECT
    folder: str = ""
    resources: tuple[str, ...] = ()
    images: tuple[Image, ...] = ()
    values: tuple[Value, ...] = ()
    config_maps: tuple[ConfigMap, ...] = ()
    namespace_settings: NamespaceSettings | None = None
    kube_version: str = ""
    gate: Gate = Gate()
    pull_request: PullRequestSettings = PullRequestSettings()
    target: str = ""
    policy: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    watched: tuple[str, ...] = ()
    manual: bool = False
    allow_empty: bool = False
    origin: errors.Origin | None = dataclasses.field(default=None, compare=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Waiver:
    """An exception from a policy: the rule's code, globs on `kind/name`, who answers for it and until when.

    `until` is an ISO date (the last day that it holds).
    """

    rule: str
    resources: tuple[str, ...]
    owner: str
    until: str
    reason: str = ""
    origin: errors.Origin | None = dataclasses.field(default=None, compare=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Validator:
    """One check of what was rendered: its kind (`yaml`, `schema`, `policy`, `helm`, `rego`, `cel`, `zones`, `exec`)."""

    kind: str
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    origin: errors.Origin | None = dataclasses.field(default=None, compare=False)


@dataclasses.dataclass(frozen=True, slots=True)
class DeletionLimit:
    """When publishing would delete too much to do so unasked: more than `count` files, and more than `percent` of all."""

    count: int = 10
    percent: int = 30

    def holds(self, gone: int, there: int) -> bool:
        """Whether so many of all that is there may go."""
        return gone <= self.count or gone * 100 <= self.percent * there


ISSUES: Final = r"(?<![\w&/])#[0-9]+|\b[A-Z][A-Z0-9]+-[0-9]+\b"
"""What names an issue where nobody says it otherwise: #42, PET-7. It takes a time in proportion to the text."""


@dataclasses.dataclass(frozen=True, slots=True)
class CommitSettings:
    """How commits in the GitOps repository look. `message` may hold `{stage}`, `{issues}`, `{application}`,
    `{repository}`, `{sha}` and `{subject}`; `author` is `app` (who wrote the revision) or `committer`.
    """

    message: str = "[{stage}] {issues} {repository}@{sha}"
    author: str = "app"
    issues: str = ISSUES


@dataclasses.dataclass(frozen=True, slots=True)
class Local:
    """What `undrift apply --local` may do: the stage it renders, the contexts it may touch, and other values."""

    stage: str = ""
    contexts: tuple[str, ...] = ("kind-*", "k3d-*", "minikube", "docker-desktop")
    images: tuple[Image, ...] = ()
    values: tuple[Value, ...] = ()
    target: str = "kubernetes"


@dataclasses.dataclass(frozen=True, slots=True)
class Preview:
    """A stage for each pull request of the application: `name` and `namespace` may hold `{number}` and `{slug}`.

    `stage` is the one it is made like, `ttl` seconds until it goes by itself (0: never).
    """

    stage: str
    name: str = "preview-{number}"
    namespace: str = "{application}-{number}"
    ttl: float = 0.0
    images: tuple[Image, ...] = ()
    values: tuple[Value, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Update:
    """A registry to watch for new images. `follow` is `semver`, `newest`, `alphabetical` or `digest`.

    `range` is a semver range (of `digest`: the tag), `tags` a regular expression that is found in tags; its group
    `version`, where it has one, is what is compared. `stages` are never empty.
    """

    image: str
    follow: str = "semver"
    range: str = ""
    tags: str = ""
    stages: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Delivery:
    """A declared delivery. `application` is its name; `file` is where it is declared; `stages` are in order."""

    application: str
    destination: Destination
    stages: tuple[Stage, ...]
    validators: tuple[Validator, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    commit: CommitSettings = CommitSettings()
    deletion_limit: DeletionLimit = DeletionLimit()
    local: Local = Local()
    preview: Preview | None = None
    updates: tuple[Update, ...] = ()
    train: str = ""
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    file: str = "undrift.yaml"

    def stage(self, name: str) -> Stage:
        """The stage of that name. Raises `StageMissing`."""
        for one in self.stages:
            if one.name == name:
                return one
        known = ", ".join(one.name for one in self.stages)
        raise errors.StageMissing(
            f"{self.application} has no stage {name}",
            origin=errors.Origin(self.file),
            hint=f"one of: {known}",
        )
