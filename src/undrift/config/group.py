"""The document `TargetGroup`: what targets have in common."""

from __future__ import annotations

from typing import Any, Literal

from undrift.config import fields, part


class TargetGroupSpec(part.Part):
    """What targets of the group get that do not say it themselves; mappings are merged field by field."""

    parents: tuple[fields.Name, ...] = part.said(
        "Groups that this one is a part of: it has what they have, unless it says it itself.", default=()
    )
    provider: fields.Word | None = part.said("See Target.", default=None)
    agent: fields.Name | None = part.said("See Target.", default=None)
    settings: dict[fields.Word, Any] = part.said("See Target; field by field.", default_factory=dict)


class TargetGroup(part.Document):
    """What targets have in common: settings, variables among them, and labels."""

    kind: Literal["TargetGroup"] = part.said("What this document declares.")
    spec: TargetGroupSpec = part.said(
        "What its targets have in common.", default=TargetGroupSpec.model_construct()
    )
