"""Frozen values of the model ↔ JSON columns and rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from undrift.model import inventory, lock, record, resource, source


def revision_to(value: source.Revision | None) -> dict[str, Any] | None:
    """A revision as JSON data."""
    return None if value is None else dataclasses.asdict(value)


def revision_from(data: Mapping[str, Any] | None) -> source.Revision | None:
    """A revision from JSON data."""
    return None if data is None else source.Revision(**data)


def lock_to(value: lock.InputLock | None) -> dict[str, Any] | None:
    """A lock as JSON data."""
    return None if value is None else {"inputs": dict(value.inputs), "revision": value.revision}


def lock_from(data: Mapping[str, Any] | None) -> lock.InputLock | None:
    """A lock from JSON data."""
    return None if data is None else lock.InputLock(data["inputs"], data["revision"])


def held_back_to(values: Iterable[record.HeldBack]) -> list[dict[str, Any]]:
    """Held-back revisions as JSON data."""
    return [dataclasses.asdict(value) | {"phase": value.phase.value} for value in values]


def held_back_from(data: Iterable[Mapping[str, Any]]) -> tuple[record.HeldBack, ...]:
    """Held-back revisions from JSON data."""
    return tuple(record.HeldBack(**{**one, "phase": record.Phase(one["phase"])}) for one in data)


def hold_to(value: record.Hold | None) -> dict[str, Any] | None:
    """A hold as JSON data."""
    return None if value is None else dataclasses.asdict(value)


def hold_from(data: Mapping[str, Any] | None) -> record.Hold | None:
    """A hold from JSON data."""
    return None if data is None else record.Hold(**data)


def entry_to(application: str, entry: inventory.Entry) -> dict[str, Any]:
    """An inventory entry as a row."""
    return {
        "application": application,
        **id_to(entry.id),
        "state": entry.state.value,
        "fingerprint": entry.fingerprint,
        "revision": entry.revision,
        "uid": entry.uid,
        "protected": entry.protected,
    }


def entry_from(row: Any) -> inventory.Entry:
    """An inventory entry from a row."""
    return inventory.Entry(
        id_from(row),
        inventory.EntryState(row.state),
        row.fingerprint,
        row.revision,
        row.uid,
        bool(row.protected),
    )


def id_to(rid: resource.ResourceId) -> dict[str, str]:
    """A resource id as columns."""
    return {"kind": rid.kind, "namespace": rid.namespace, "name": rid.name}


def id_from(row: Any) -> resource.ResourceId:
    """A resource id from columns."""
    return resource.ResourceId(row.kind, row.namespace, row.name)
