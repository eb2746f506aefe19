"""Ownership marks: a label to find what is ours, and an annotation that names the resource itself.

Controllers copy labels and annotations to what they make of a resource (EndpointSlices, ReplicaSets), so a mark
that names something else is not ours.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from typing import Any, Final

import orjson

from undrift.model import inventory, resource

LABEL: Final = "undrift.dev/application"
ANNOTATION: Final = "undrift.dev/mark"
OURS: Final = "undrift.dev/"
_LONGEST: Final = 63
_WORD: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")


def label(application: str) -> str:
    """The value of the label for an application: its name, or a digest where that is no label's value."""
    fits = len(application) <= _LONGEST and application[:1].isalnum() and application[-1:].isalnum()
    if fits and _WORD.issuperset(application):
        return application
    return "sha256-" + hashlib.sha256(application.encode()).hexdigest()[:40]


def write(mark: inventory.Mark) -> str:
    """The value of the annotation."""
    told = {
        "agent": mark.agent,
        "application": mark.application,
        "id": str(mark.names),
        "revision": mark.revision,
        "fingerprint": mark.fingerprint,
    }
    if mark.protected:
        told["protected"] = True  # type: ignore[assignment]  # the one value that is no text
    return orjson.dumps(told).decode()


def read(metadata: Mapping[str, Any]) -> inventory.Mark | None:
    """The mark on a resource; None when there is none, or half of one only."""
    labels, annotations = metadata.get("labels"), metadata.get("annotations")
    written = annotations.get(ANNOTATION) if isinstance(annotations, Mapping) else None
    if not isinstance(written, str) or not isinstance(labels, Mapping):
        return None
    try:
        told = orjson.loads(written)
        mark = inventory.Mark(
            agent=sys.intern(told["agent"]),
            application=sys.intern(told["application"]),
            names=parse_id(told["id"]),
            revision=sys.intern(told.get("revision", "")),
            fingerprint=told.get("fingerprint", ""),
            protected=told.get("protected", False) is True,
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return None
    return mark if labels.get(LABEL) == label(mark.application) else None


def parse_id(written: str) -> resource.ResourceId:
    """The id that `str` wrote: kind/namespace/name, or kind/name. Raises `ValueError`."""
    parts = written.split("/")
    if len(parts) == 2 and all(parts):  # noqa: PLR2004 - kind and name
        return resource.ResourceId(parts[0], "", parts[1])
    if len(parts) == 3 and all(parts):  # noqa: PLR2004 - kind, namespace and name
        return resource.ResourceId(*parts)
    raise ValueError(written)
