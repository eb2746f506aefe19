"""JSON Schemas of the documents, for editors and for other programs.

In an editor with a YAML language server the first line of a file says it all:

    # yaml-language-server: $schema=undrift.schema.json

The schemas are made from the models, so they cannot differ from what is read. They are a little wider: what
needs arithmetic (a known time zone, exactly one of several fields) is checked when a document is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from undrift import errors
from undrift.config import delivery, documents, part
from undrift.lib import durations, words

KINDS: Final[Mapping[str, type[part.Document]]] = {**documents.KINDS, "Delivery": delivery.Delivery}
"""What an agent reads, and what CI reads."""
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def export(kind: str = "") -> Mapping[str, Any]:
    """The schema of one kind, or (empty) the one of every document: which of them, its `kind` decides.

    Raises `UsageInvalid` for a kind that there is not.
    """
    if not kind:
        return _all()
    if kind not in KINDS:
        raise errors.UsageInvalid(f"there is no kind {kind}", hint=words.suggestion(kind, KINDS))
    return {"$schema": DIALECT, **_one(kind)}


def _one(kind: str) -> dict[str, Any]:
    made = KINDS[kind].model_json_schema(by_alias=True, ref_template="#/$defs/{model}")
    _spell_defaults(made)
    return {**made, "title": kind}


def _spell_defaults(schema: Any) -> None:
    """Defaults as people write them: durations with their unit; of whole parts none, their fields have them."""
    if isinstance(schema, list):
        for each in schema:
            _spell_defaults(each)
    if not isinstance(schema, dict):
        return
    default = schema.get("default")
    if isinstance(default, dict):
        del schema["default"]
    elif isinstance(default, float) and schema.get("type") == "string":
        schema["default"] = durations.spell(default)
    for each in schema.values():
        _spell_defaults(each)


def _all() -> Mapping[str, Any]:
    parts: dict[str, Any] = {}
    for kind in KINDS:
        made = _one(kind)
        parts |= made.pop("$defs", {})
        parts[kind] = made
    return {
        "$schema": DIALECT,
        "title": f"Undrift configuration ({part.API_VERSION})",
        "type": "object",
        "required": ["apiVersion", "kind", "metadata"],
        "properties": {"kind": {"enum": list(KINDS)}},
        "oneOf": [{"$ref": f"#/$defs/{kind}"} for kind in KINDS],
        "$defs": dict(sorted(parts.items())),
    }
