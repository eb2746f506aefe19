"""Documents → the frozen values that everything else works with.

Defaults have an order: what the document says itself, then its generator, its Project and its Agent (each where
it has a say), then the product. Whether a document *says* something is known from the fields it sets.
"""

from __future__ import annotations

import dataclasses
from typing import Final, TypeVar

from undrift import errors
from undrift.config import connection, documents, part, reporting, window
from undrift.model import agent, application, notifier, output, source, target

_PRODUCT: Final = documents.AgentDefaults()
_P = TypeVar("_P", bound=part.Part)


@dataclasses.dataclass(frozen=True, slots=True)
class Above:
    """What stands above an application: its Project, its Agent's defaults, the generator that made it."""

    project: application.Project = application.DEFAULT_PROJECT
    defaults: documents.AgentDefaults = _PRODUCT
    generator: str = ""
    generator_policy: str | None = None
    rollout: application.Rollout | None = None


NOTHING_ABOVE: Final = Above()


def to_application(
    found: documents.Application, origin: errors.Origin, above: Above = NOTHING_ABOVE
) -> application.Application:
    """The application that a document declares, with the defaults of what stands above it."""
    spec = found.spec
    said = (
        spec.deletion_policy
        or above.generator_policy
        or above.project.deletion_policy
        or above.defaults.deletion_policy
        or application.DeletionPolicy.APPROVE
    )
    own_interval = "interval" in spec.model_fields_set or above.defaults.interval is None
    return application.Application(
        name=found.metadata.name,
        source=application.SourceReference(spec.source.name, spec.source.path),
        target=spec.target,
        renderer=application.RendererSettings(spec.renderer.kind, dict(spec.renderer.model_extra or {})),
        policy=to_policy(_over(spec.policy, above.defaults.policy)),
        project=spec.project,
        namespace=spec.namespace,
        account=spec.account,
        interval=spec.interval if own_interval else above.defaults.interval or spec.interval,
        depends_on=spec.depends_on,
        moved_from=spec.moved_from,
        takes_from=spec.takes_from,
        deletion_policy=application.DeletionPolicy(said),
        suspended=spec.suspend,
        labels=found.metadata.labels,
        origin=origin,
        generator=above.generator,
        outputs=tuple(
            output.Output(name, each.resource or "", each.field or "", each.fact or "", each.secret, origin)
            for name, each in spec.outputs.items()
        ),
        rollout=above.rollout,
    )


def to_policy(found: documents.PolicyPart) -> application.Policy:
    """How an application is kept true."""
    limit, retry = found.deletion_limit, found.retry
    return application.Policy(
        mode=application.Mode(found.mode),
        prune=found.prune,
        self_heal=found.self_heal,
        on_failure=application.OnFailure(found.on_failure),
        deletion_limit=application.DeletionLimit(limit.count, limit.percent),
        retry=application.Retry(retry.first, retry.cap, retry.factor, retry.limit),
        windows=tuple(window.to_window(each) for each in found.windows),
        adopt=found.adopt,
        recreate=found.recreate,
        delete_protected=found.delete_protected,
        ignore=tuple(application.Ignore(each.resources, each.path, each.manager) for each in found.ignore),
        allow_empty=found.allow_empty,
        health_timeout=found.health_timeout,
    )


def _over(own: _P, default: _P) -> _P:
    """`own`, with every field that it does not set taken from `default` where that one does; part by part."""
    if not default.model_fields_set:
        return own
    if not own.model_fields_set:
        return default
    more = {}
    for name in default.model_fields_set:
        mine, theirs = getattr(own, name), getattr(default, name)
        if name not in own.model_fields_set:
            more[name] = theirs
        elif isinstance(mine, part.Part):
            more[name] = _over(mine, theirs)
    return own.model_copy(update=more)


def to_project(found: documents.Project, origin: errors.Origin) -> application.Project:
    """What applications of a project may use."""
    spec = found.spec
    policy = application.DeletionPolicy(spec.deletion_policy) if spec.deletion_policy else None
    return application.Project(
        name=found.metadata.name,
        sources=spec.sources,
        targets=spec.targets,
        namespaces=spec.namespaces,
        kinds=spec.kinds,
        accounts=spec.accounts,
        deletion_policy=policy,
        origin=origin,
    )


def to_target(found: documents.Target, origin: errors.Origin, served_by: str) -> target.Target:
    """A place; `served_by` is the agent that serves it, also where the document leaves it out."""
    return target.Target(
        name=found.metadata.name,
        provider=found.spec.provider or "",
        agent=served_by,
        settings=found.spec.settings,
        labels=found.metadata.labels,
        file=origin.file,
        origin=origin,
    )


def to_agent(found: documents.Agent, origin: errors.Origin) -> agent.Agent:
    """How an agent works."""
    spec = found.spec
    return agent.Agent(
        found.metadata.name,
        spec.interval,
        spec.workers,
        spec.retention,
        found.metadata.labels,
        origin,
        tuple(_to_reporting(one, origin) for one in spec.reports),
        tuple(_to_reviewing(one, origin) for one in spec.reviews),
    )


def _to_reporting(found: reporting.ReportingPart, origin: errors.Origin) -> agent.Reporting:
    own = _to_authentication(found.authentication) if found.authentication else None
    return agent.Reporting(
        found.source,
        own,
        found.interval,
        found.heartbeat,
        found.statuses,
        found.forge,
        found.api or "",
        origin,
    )


def _to_reviewing(found: reporting.ReviewingPart, origin: errors.Origin) -> agent.Reviewing:
    own = _to_authentication(found.authentication) if found.authentication else None
    return agent.Reviewing(
        found.source, own, found.interval, found.refresh, found.forge, found.api or "", origin
    )


def to_notifier(found: connection.Notifier, origin: errors.Origin) -> notifier.Notifier:
    """Where messages go, and which."""
    spec = found.spec
    return notifier.Notifier(
        name=found.metadata.name,
        kind=spec.kind,
        url=_to_credential(spec.url) or source.Credential(),
        events=spec.events,
        applications=spec.applications,
        labels=found.metadata.labels,
        origin=origin,
    )


def to_source(found: connection.Source, origin: errors.Origin) -> source.Source:
    """Where desired state is kept, and how to get in."""
    spec = found.spec
    signers = spec.verification
    return source.Source(
        name=found.metadata.name,
        kind=source.SourceKind(spec.kind),
        url=spec.url,
        reference=source.GitReference(
            spec.branch or "", spec.tag or "", spec.semver or "", spec.commit or ""
        ),
        interval=spec.interval,
        timeout=spec.timeout,
        authentication=_to_authentication(spec.authentication),
        verification=source.Verification(signers.what, signers.openpgp_keys, signers.allowed_signers)
        if signers
        else None,
        allow_force_push=spec.allow_force_push,
        submodules=spec.submodules,
        lfs=spec.lfs,
        labels=found.metadata.labels,
        origin=origin,
    )


def _to_authentication(found: connection.AuthenticationPart) -> source.Authentication:
    app = found.github_app
    return source.Authentication(
        username=_to_credential(found.username),
        password=_to_credential(found.password),
        token=_to_credential(found.token),
        ssh_key=_to_credential(found.ssh_key),
        known_hosts=_to_credential(found.known_hosts),
        ca=_to_credential(found.ca),
        github_app=source.GitHubApp(
            app.app_id,
            app.installation_id,
            _to_credential(app.private_key) or source.Credential(),
            app.api_url,
        )
        if app
        else None,
    )


def _to_credential(found: connection.CredentialPart | None) -> source.Credential | None:
    if found is None:
        return None
    return source.Credential(found.env or "", found.file or "", found.value)
