"""Answers as JSON data: one shape a thing, the same over the socket, in `--output json` and in the history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from undrift import errors
from undrift.engine import digesting
from undrift.model import application, health, output, plan, record, resource, secret, source, target, view

_SHOWN = b"shown"


def error(value: errors.UndriftError) -> dict[str, Any]:
    """An error: code, what, where in Git, commit and author, why, and the next step. `parts` if it is several."""
    told: dict[str, Any] = {
        "code": value.code,
        "what": value.what,
        "where": str(value.origin) if value.origin else "",
        "why": value.why,
        "hint": value.hint,
        "revision": value.revision,
        "author": value.author,
        "waiting_helps": errors.waiting_helps(value),
    }
    if len(value.parts) > 1:
        told["parts"] = [error(part) for part in value.parts]
    return told


def revision(value: source.Revision | None) -> dict[str, Any] | None:
    """A revision: what it is called in full and in short, who made it and what they said."""
    if value is None:
        return None
    return {
        "name": str(value),
        "short": value.short,
        "author": value.author,
        "message": value.message,
        "time": value.time,
        "signer": value.signer,
    }


def change(value: plan.Change) -> dict[str, Any]:
    """One change: what, why, field by field, and as text."""
    declared = value.desired
    return {
        "action": value.action.value,
        "id": str(value.id),
        "kind": value.id.kind,
        "reason": value.reason.value,
        "origin": str(declared.origin) if declared and declared.origin else "",
        "fields": [
            {"path": field.path, "before": shown(field.before), "after": shown(field.after)}
            for field in value.fields
        ],
        "text": value.text,
        "from": value.from_owner,
    }


def shown(value: Any) -> Any:
    """A value as people may see it: secrets masked, what is not known yet said so."""
    if isinstance(value, resource.Unknown):
        return str(value)
    return _masked(digesting.plain(value, _SHOWN))


def _masked(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"$secret"}:
            return "***"
        return {name: _masked(item) for name, item in value.items()}
    return [_masked(item) for item in value] if isinstance(value, list) else value


def planned(
    value: plan.Plan, verdict: plan.Verdict | None, warnings: Iterable[errors.UndriftError] = ()
) -> dict[str, Any]:
    """A plan with its digest, its waves, what is withheld or blocked, what stops it and what was noticed."""
    return {
        "application": value.application,
        "digest": value.digest,
        "revision": value.lock.revision,
        "inputs": dict(value.lock.inputs),
        "news": list(value.news),
        "waves": [[change(one) for one in wave.changes] for wave in value.waves],
        "withheld": [change(one) for one in (*value.withheld, *value.awaited)],
        "owned": value.owned,
        "unchanged": value.unchanged,
        "stops": [error(stop) for stop in verdict.stops] if verdict else [],
        "approved_by": verdict.approved_by if verdict else "",
        "warnings": [error(one) for one in warnings],
    }


def situated(subject: application.Application, place: target.Target) -> dict[str, Any]:
    """Where an application is, and what it waits for (or lets go first, where it leaves): beside a plan among several."""
    return {
        "target": place.name,
        "provider": place.provider,
        "depends_on": list(subject.depends_on),
        "leaving": subject.decommissioned,
    }


def result(value: plan.ChangeResult) -> dict[str, Any]:
    """What became of one change."""
    return {
        "action": value.change.action.value,
        "id": str(value.change.id),
        "reason": value.change.reason.value,
        "outcome": value.outcome.value,
        "error": error(value.error) if value.error else None,
        "seconds": round(value.seconds, 4),
        "text": value.change.text,
    }


def reconciliation(value: record.Reconciliation) -> dict[str, Any]:
    """One reconcile, as history keeps it."""
    return {
        "id": value.id,
        "application": value.application,
        "started": value.started,
        "ending": value.ending.value,
        "revision": revision(value.revision),
        "applied_revision": revision(value.applied_revision),
        "digest": value.plan.digest if value.plan else "",
        "inputs": dict(value.plan.lock.inputs) if value.plan else {},
        "news": list(value.plan.news) if value.plan else [],
        "results": [result(one) for one in value.results],
        "stops": [error(stop) for stop in value.verdict.stops] if value.verdict else [],
        "health": {"status": value.health.status.value, "reason": value.health.reason},
        "failure": failure(value.failure),
        "drift": [str(one.id) for one in drifted(value)],
        "held_back": value.held_back is not None,
        "warnings": [error(one) for one in value.warnings],
        "seconds": {phase.value: round(took, 4) for phase, took in value.seconds.items()},
        "rollback": reconciliation(value.rollback) if value.rollback else None,
        "outputs": outputs(value.outputs) if value.outputs else None,
        "newest": dict(value.newest.inputs) if value.newest else None,
    }


def outputs(value: output.Told) -> dict[str, Any]:
    """What an application publishes, by name; of a secret one only that there is one, of others why they are lacking."""
    hidden = sorted(name for name, one in value.values.items() if isinstance(one, secret.Secret))
    return {
        "values": {name: shown(one) for name, one in value.values.items() if name not in hidden},
        "secret": hidden,
        "lacking": dict(value.lacking),
    }


def drifted(value: record.Reconciliation) -> list[plan.Change]:
    """Differences that nobody declared, whether they are repaired or left alone."""
    every = (*value.plan.changes, *value.plan.withheld) if value.plan else ()
    return [one for one in every if one.reason is plan.Reason.DRIFT]


def peer(document: Mapping[str, Any], declared: tuple[output.Output, ...] = ()) -> view.Peer:
    """What those see that depend on it, from the newest of what `reconciliation` made; `declared` are its outputs."""
    found = document["health"]
    how = health.Health(health.Status(found["status"]), found["reason"])
    done = document["ending"] in (record.Ending.IN_SYNC.value, record.Ending.APPLIED.value)
    return view.Peer(document["application"], how, done, _published(document.get("outputs"), declared))


def _published(document: Mapping[str, Any] | None, declared: tuple[output.Output, ...]) -> output.Told:
    """Secrets are in no database: another replica has to be asked that cannot be."""
    names = {one.name for one in declared}
    found = document or {}
    values = {name: value for name, value in found.get("values", {}).items() if name in names}
    lacking = {**output.unseen(declared).lacking, **found.get("lacking", {})}
    for name in found.get("secret", ()):
        lacking[name] = (
            "it is secret, and another replica works there: secrets are not shared by the database"
        )
    return output.Told(values, {name: why for name, why in lacking.items() if name in names - values.keys()})


def failure(value: record.Failure | None) -> dict[str, Any] | None:
    """Where in the story something failed, and with what."""
    return None if value is None else {"phase": value.phase.value, **error(value.error)}
