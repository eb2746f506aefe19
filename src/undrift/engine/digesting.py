"""Names for plans and for what they contain. Pure.

A plan's digest covers its inputs, the policy, the ordered changes and the before-values of the fields they
touch, and nothing else of the live state: otherwise no approval would ever hold. Secrets enter as keyed
fingerprints, values that are not known yet as the name of what will make them known.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

from undrift.lib import canonical
from undrift.model import application, lock, plan, resource, secret

_UNKNOWN = "$unknown"
_SECRET = "$secret"  # noqa: S105 - the tag that stands where a secret was


def fingerprint(fields: resource.Fields, key: bytes) -> str:
    """The digest of a resource's fields, by which drift and a new declaration are told apart."""
    return canonical.digest(plain(fields, key))


def plain(value: Any, key: bytes) -> Any:
    """JSON-like data in which nothing is secret any more and nothing is an `Unknown` object."""
    if isinstance(value, secret.Secret):
        return {_SECRET: value.fingerprint(key)}
    if isinstance(value, resource.Unknown):
        return {_UNKNOWN: value.source}
    if isinstance(value, Mapping):
        return {str(name): plain(item, key) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, key) for item in value]
    if isinstance(value, (frozenset, set)):
        return sorted(plain(item, key) for item in value)
    return value


@functools.lru_cache(256)
def policy_document(policy: application.Policy) -> Mapping[str, Any]:
    """A policy as data. Most applications share a few policies."""
    document = plain(dataclasses.asdict(policy), b"")
    if not isinstance(document, dict):
        raise TypeError(document)
    return document


def document(
    inputs: lock.InputLock, policy: application.Policy, waves: tuple[plan.Wave, ...], key: bytes
) -> dict[str, Any]:
    """What a digest covers, as data: kept in the database so that a later plan can be held against it."""
    return {
        "inputs": dict(inputs.inputs),
        "policy": policy_document(policy),
        "waves": [[_change(change, key) for change in wave.changes] for wave in waves],
    }


def digest(described: Mapping[str, Any]) -> str:
    """The digest of a plan document."""
    return canonical.digest(described)


def covers(approved: Mapping[str, Any], asked: Mapping[str, Any]) -> bool:
    """Whether approving one plan covers another: equal but for values that became known since."""
    return _covers(approved, asked)


def _covers(approved: Any, asked: Any) -> bool:
    if isinstance(approved, Mapping) and approved.keys() == {_UNKNOWN}:
        return True
    if isinstance(approved, Mapping) and isinstance(asked, Mapping):
        return approved.keys() == asked.keys() and all(
            _covers(approved[name], asked[name]) for name in approved
        )
    if isinstance(approved, (list, tuple)) and isinstance(asked, (list, tuple)):
        return len(approved) == len(asked) and all(map(_covers, approved, asked))
    return bool(approved == asked)


def _change(change: plan.Change, key: bytes) -> dict[str, Any]:
    described: dict[str, Any] = {
        "action": change.action.value,
        "id": list(change.id),
        "fields": [
            [field.path, plain(field.before, key), plain(field.after, key)] for field in change.fields
        ],
    }
    if change.from_owner:
        described["from"] = change.from_owner
    if change.desired is not None and change.desired.moved_from is not None:
        described["moved"] = list(change.desired.moved_from)
    return described
