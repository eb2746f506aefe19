"""The documents of Undrift's own configuration, one pydantic model a kind: the only place that says how they
are written.

    apiVersion: undrift.dev/v1
    kind: Application
    metadata: {name: web, labels: {layer: servers}}
    spec: {…}

Field names are camelCase in YAML. A field that is not set keeps the default of the product, of the Agent or of
the generator (see `translating`). Every field has a description: the JSON Schema for editors is made from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import pydantic

from undrift.config import connection, fields, generation, group, output, part, reporting, window

# --- Application ---------------------------------------------------------------------------------------


class SourcePart(part.Part):
    """Where the files of an application come from."""

    name: fields.Name = part.said(
        "The Source; left out, the config repository itself.", default=part.CONFIG_SOURCE
    )
    path: fields.Path = part.said("The folder within the source.", default=".")


class RendererPart(part.Part):
    """How the files become documents. What is not `kind` are the renderer's own settings."""

    model_config = pydantic.ConfigDict(extra="allow")

    kind: fields.Word = part.said("The renderer: plain, kustomize, helm, jsonnet …", default="plain")


class DeletionLimitPart(part.Part):
    """When a plan would delete too much to do so unasked."""

    count: Annotated[int, pydantic.Field(strict=True, ge=0)] = part.said(
        "Stop when more than so many resources would be deleted.", default=10
    )
    percent: Annotated[int, pydantic.Field(strict=True, ge=0, le=100)] = part.said(
        "Stop when more than this share of what is owned (at least `count`) would be deleted.", default=30
    )


class RetryPart(part.Part):
    """How long to wait before trying again: capped exponential back-off."""

    first: fields.Duration = part.said("The first wait.", default=5.0)
    cap: fields.Duration = part.said("The longest wait.", default=300.0)
    factor: Annotated[float, pydantic.Field(ge=1, le=10, allow_inf_nan=False)] = part.said(
        "How much longer each wait is than the one before.", default=2.0
    )
    limit: Annotated[int, pydantic.Field(strict=True, ge=0)] = part.said(
        "How many attempts; 0 never gives up.", default=0
    )

    @pydantic.model_validator(mode="after")
    def _ordered(self) -> RetryPart:
        if self.cap < self.first:
            raise fields.refuse("order", "cap is shorter than first", "make cap at least as long as first")
        return self


class IgnorePart(part.Part):
    """A field that is left to others."""

    resources: fields.Glob = part.said("Globs on resource ids (kind/namespace/name).", default="*")
    path: fields.Word = part.said(
        "The path of the field, dotted or as a JSON pointer; * matches one step. Left out: any.", default=""
    )
    manager: fields.Glob = part.said(
        "Only what such a writer wrote, where the layer knows writers (Kubernetes: field managers).",
        default="",
    )

    @pydantic.model_validator(mode="after")
    def _says_what(self) -> IgnorePart:
        if not self.path and not self.manager:
            raise fields.refuse(
                "empty", "it names neither a path nor a manager", "add path: spec.replicas, or manager: name"
            )
        return self


class PolicyPart(part.Part):
    """How an application is kept true."""

    mode: Literal["automatic", "approval", "observe"] = part.said(
        "Who lets a plan run: nobody needs to, a person approves its digest, nothing is ever changed.",
        default="automatic",
    )
    prune: fields.Flag = part.said("Delete what is owned and no longer declared.", default=True)
    self_heal: fields.Flag = part.said("Repair drift; else it is only reported.", default=True)
    on_failure: Literal["stop", "rollback"] = part.said(
        "After a change failed: stop and say so, or plan back to the last good revision.", default="stop"
    )
    deletion_limit: DeletionLimitPart = part.said(
        "When a plan would delete too much to do so unasked.", default=DeletionLimitPart.model_construct()
    )
    retry: RetryPart = part.said("The waits between attempts.", default=RetryPart.model_construct())
    windows: tuple[window.WindowPart, ...] = part.said(
        "When changes may be made; left out, always.", default=()
    )
    adopt: tuple[fields.Glob, ...] = part.said(
        "Globs on ids of resources that may be taken over although they exist already.", default=()
    )
    recreate: tuple[fields.Glob, ...] = part.said(
        "Globs on ids that may be deleted and made again when a field cannot be changed in place.", default=()
    )
    delete_protected: tuple[fields.Glob, ...] = part.said(
        "Globs on ids that may be pruned although they are protected or hold data.", default=()
    )
    ignore: tuple[IgnorePart, ...] = part.said("Fields that are left to others.", default=())
    allow_empty: fields.Flag = part.said("Rendering to nothing is meant, not an accident.", default=False)
    health_timeout: fields.Duration = part.said(
        "How long a change may take to become healthy.", default=300.0
    )


class ApplicationSpec(part.Part):
    """What is applied, from where, to where and how."""

    project: fields.Name = part.said("The Project whose limits hold.", default="default")
    source: SourcePart = part.said("Where the files come from.", default=SourcePart.model_construct())
    renderer: RendererPart = part.said(
        "How the files become documents.", default=RendererPart.model_construct()
    )
    target: fields.Name = part.said("The Target it is applied to.")
    namespace: fields.Text = part.said("The namespace of resources that do not name theirs.", default="")
    account: fields.Text = part.said(
        "As whom changes are made on the target, where the layer can do that; left out: as its credentials say.",
        default="",
    )
    interval: fields.Duration = part.said(
        "How often the target is looked at where it cannot tell.", default=300.0
    )
    depends_on: tuple[fields.Name, ...] = part.said(
        "Applications that have to be healthy before.", default=()
    )
    moved_from: tuple[fields.Name, ...] = part.said("Names this application had before.", default=())
    takes_from: tuple[fields.Name, ...] = part.said(
        "Applications whose resources it may take over in one step.", default=()
    )
    deletion_policy: part.DELETION | None = part.said(
        "What happens to what it owns when this document leaves Git: wait for approval, delete, leave it.",
        default=None,
    )
    outputs: dict[fields.Variable, output.OutputPart] = part.said(
        "Values that it publishes, by name, for applications that depend on it.", default_factory=dict
    )
    suspend: fields.Flag = part.said("Look, but change nothing until this is false again.", default=False)
    policy: PolicyPart = part.said("How it is kept true.", default=PolicyPart.model_construct())


class Application(part.Document):
    """The unit that is reconciled: a source, a renderer, a target and a policy."""

    kind: Literal["Application"] = part.said("What this document declares.")
    spec: ApplicationSpec = part.said("What is applied, from where, to where and how.")


# --- Project, Target, Agent ----------------------------------------------------------------------------


class ProjectSpec(part.Part):
    """What applications of the project may use: globs; an empty list allows nothing."""

    description: fields.Text = part.said("What the project is for.", default="")
    sources: tuple[fields.Glob, ...] = part.said("Names or URLs of sources.", default=("*",))
    targets: tuple[fields.Glob, ...] = part.said("Names of targets.", default=("*",))
    namespaces: tuple[fields.Glob, ...] = part.said("Namespaces of resources.", default=("*",))
    kinds: tuple[fields.Glob, ...] = part.said("Kinds of resources.", default=("*",))
    accounts: tuple[fields.Glob, ...] = part.said(
        "Accounts of targets that changes are made as; an application that names none has an empty one.",
        default=("*",),
    )
    deletion_policy: part.DELETION | None = part.said(
        "For applications that leave Git and do not say it themselves.", default=None
    )


class Project(part.Document):
    """Limits that hold for all applications which name it."""

    kind: Literal["Project"] = part.said("What this document declares.")
    spec: ProjectSpec = part.said("What its applications may use.", default=ProjectSpec.model_construct())


class TargetSpec(part.Part):
    """A place, and what its provider has to know of it."""

    provider: fields.Word | None = part.said(
        "The kind of place: hosts, kubernetes, dns …; may be left out where a group says it.", default=None
    )
    agent: fields.Name | None = part.said(
        "The Agent that serves it; may be left out where there is only one.", default=None
    )
    groups: tuple[fields.Name, ...] = part.said(
        "TargetGroups that it is in: it has what they have, unless it says it itself.", default=()
    )
    settings: dict[fields.Word, Any] = part.said("The provider's own settings.", default_factory=dict)

    @pydantic.model_validator(mode="after")
    def _placed(self) -> TargetSpec:
        if self.provider is None and not self.groups:
            raise fields.refuse(
                "provider",
                "needs a provider, or a group that says one",
                "say what kind of place it is: provider: hosts",
            )
        return self


class Target(part.Document):
    """One configured place that applications are applied to."""

    kind: Literal["Target"] = part.said("What this document declares.")
    spec: TargetSpec = part.said("The place.")


class AgentDefaults(part.Part):
    """What applications get that do not say it themselves."""

    interval: fields.Duration | None = part.said("See Application.", default=None)
    deletion_policy: part.DELETION | None = part.said(
        "See Application; a Project's or generator's comes first.", default=None
    )
    policy: PolicyPart = part.said("See Application; field by field.", default=PolicyPart.model_construct())


class AgentSpec(part.Part):
    """How an agent works."""

    interval: fields.Duration = part.said(
        "How often the config repository is asked for a new commit.", default=30.0
    )
    workers: Annotated[int, pydantic.Field(strict=True, ge=1, le=256)] = part.said(
        "How many applications are reconciled at once.", default=32
    )
    retention: fields.Duration = part.said("How long history is kept.", default=90 * 86400.0)
    defaults: AgentDefaults = part.said(
        "For applications on targets that this agent serves.", default=AgentDefaults.model_construct()
    )
    reports: tuple[reporting.ReportingPart, ...] = part.said(
        "Where CI is told how applications do: a ref of the agent's own in a repository; left out, nowhere.",
        default=(),
    )
    reviews: tuple[reporting.ReviewingPart, ...] = part.said(
        "Where open pull requests are told what the agent would do; left out, nowhere.", default=()
    )


class Agent(part.Document):
    """A process that keeps targets true. Its name is its identity: ownership marks bear it."""

    kind: Literal["Agent"] = part.said("What this document declares.")
    spec: AgentSpec = part.said("How it works.", default=AgentSpec.model_construct())


KINDS: Final[Mapping[str, type[part.Document]]] = {
    "Agent": Agent,
    "Application": Application,
    "ApplicationGenerator": generation.ApplicationGenerator,
    "Notifier": connection.Notifier,
    "Project": Project,
    "Source": connection.Source,
    "Target": Target,
    "TargetGroup": group.TargetGroup,
}
"""Every kind of document by its name in YAML."""
