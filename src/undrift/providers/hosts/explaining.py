"""What pydantic says of a manifest → errors for people: file, line, column, plain words, the nearest valid word."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pydantic

from undrift import errors, interfaces
from undrift.lib import words, yaml

Location = tuple[str | int, ...]

_SAID: Final[Mapping[str, tuple[str, str]]] = {
    "bool_type": ("should be true or false", ""),
    "int_type": ("should be a whole number", ""),
    "string_type": ("should be text", "put it in quotes"),
    "string_too_short": ("is empty", ""),
    "tuple_type": ("should be a list", "write a line with - for each, or [a, b]"),
    "dict_type": ("should be a mapping", ""),
    "model_type": ("should be a mapping", ""),
    "model_attributes_type": ("should be a mapping", ""),
    "too_short": ("should not be empty", ""),
}


def explain(
    error: pydantic.ValidationError, model: type[pydantic.BaseModel], document: interfaces.Document
) -> list[errors.UndriftError]:
    """All that is wrong with a document, in the order of its lines."""
    details = error.errors(include_url=False, include_input=True)
    nearest = {
        detail["loc"]: words.nearest(str(detail["loc"][-1]), _fields(_model_at(model, detail["loc"][:-1])))
        for detail in details
        if detail["type"] == "extra_forbidden"
    }
    misspelt = {(*location[:-1], word) for location, word in nearest.items() if word}
    found = [
        _explain(detail, model, document, nearest)
        for detail in details
        if not (detail["type"] == "missing" and detail["loc"] in misspelt)
    ]
    return sorted(found, key=lambda each: (each.origin or errors.Origin(""), each.what))


def origin(document: interfaces.Document, location: Location) -> errors.Origin:
    """Where in Git a part of a document is declared."""
    line, column = yaml.nearest(document.positions, location)
    return errors.Origin(document.file, line, column)


def name_path(location: Location) -> str:
    """A path as people write it: `spec.files[0].path`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return text.removeprefix(".") or "the document"


def _explain(
    detail: Any,
    model: type[pydantic.BaseModel],
    document: interfaces.Document,
    nearest: Mapping[Location, str | None],
) -> errors.ResourceInvalid:
    kind, location = detail["type"], tuple(step for step in detail["loc"] if step != "[key]")
    path = name_path(location)
    if kind == "extra_forbidden":
        near = nearest.get(detail["loc"])
        known = sorted(_fields(_model_at(model, location[:-1])))
        hint = f"did you mean {near}?" if near else f"known are {', '.join(known)}"
        return errors.ResourceInvalid(
            f"{path} is not a known field", origin=origin(document, location), hint=hint
        )
    if kind == "missing":
        return errors.ResourceInvalid(f"{path} is missing", origin=origin(document, location[:-1]))
    said, hint = _say(kind, detail)
    return errors.ResourceInvalid(f"{path} {said}", origin=origin(document, location), hint=hint)


def _say(kind: str, detail: Any) -> tuple[str, str]:
    context = detail.get("ctx", {})
    if "said" in context:
        return context["said"], context.get("hint", "")
    if kind == "literal_error":
        known = context["expected"].replace("'", "")
        near = words.nearest(str(detail["input"]), known.replace(" or ", ", ").split(", "))
        return f"should be {known}", f"did you mean {near}?" if near else ""
    if detail["input"] is None:
        return "is empty", "give it a value, or leave the field out"
    return _SAID.get(kind) or (str(detail["msg"]).removeprefix("Input ").lower(), "")


def _fields(model: type[pydantic.BaseModel] | None) -> Mapping[str, Any]:
    if model is None:
        return {}
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _model_at(model: type[pydantic.BaseModel], location: Location) -> type[pydantic.BaseModel] | None:
    found: type[pydantic.BaseModel] | None = model
    for step in location:
        if not isinstance(step, int):
            field = _fields(found).get(step)
            found = next(_models(field.annotation), None) if field is not None else None
    return found


def _models(annotation: Any) -> Iterator[type[pydantic.BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        yield annotation
    for inner in typing.get_args(annotation):
        yield from _models(inner)
