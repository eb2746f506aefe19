"""What pydantic says of a document → errors for people: file, line, column, plain words, the nearest valid word.

Nothing here repeats a value that may be a credential: values are shown only where one of a few words is due.
"""

from __future__ import annotations

import difflib
import functools
import re
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal

import pydantic

from undrift import errors
from undrift.config import declared, part
from undrift.lib import words

_LONGEST_WORD: Final = 40
_FEW: Final = 20
_ALIKE: Final = 0.7
_VALUES: Final = "'\"0123456789-"
_QUOTE: Final = "put it in quotes"
_PLAIN: Final[Mapping[str, tuple[str, str]]] = {
    "bool_type": ("should be true or false", ""),
    "bool_parsing": ("should be true or false", ""),
    "dict_type": ("should be a mapping", ""),
    "float_type": ("should be a number", ""),
    "float_parsing": ("should be a number", ""),
    "finite_number": ("should be a number", ""),
    "int_type": ("should be a whole number", ""),
    "int_from_float": ("should be a whole number", ""),
    "int_parsing": ("should be a whole number", ""),
    "list_type": ("should be a list", "write [a, b], or a line with - for each"),
    "model_type": ("should be a mapping", ""),
    "model_attributes_type": ("should be a mapping", ""),
    "string_too_short": ("is empty", ""),
    "string_type": ("should be text", _QUOTE),
    "tuple_type": ("should be a list", "write [a, b], or a line with - for each"),
}


def explain(
    error: pydantic.ValidationError, model: type[part.Document], places: declared.Places
) -> tuple[errors.ConfigInvalid, ...]:
    """All that is wrong with a document, in the order of its lines."""
    details = error.errors(include_url=False, include_input=True)
    unknown = {
        detail["loc"]: _nearest_field(model, detail["loc"]) for detail in details if _is_unknown(detail)
    }
    found = [
        _explain(detail, model, places, unknown)
        for detail in details
        if not _is_told_already(detail, unknown)
    ]
    return tuple(sorted(found, key=lambda each: (each.origin or errors.Origin(""), each.what)))


def name_path(location: Sequence[str | int]) -> str:
    """A path as people write it: `spec.policy.windows[0].from`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return text.removeprefix(".")


def _is_unknown(detail: Any) -> bool:
    return bool(detail["type"] == "extra_forbidden")


def _is_told_already(detail: Any, unknown: Mapping[declared.Location, str | None]) -> bool:
    """A missing field whose misspelling is complained about beside it; a list too short for its bad entries."""
    location = detail["loc"]
    if detail["type"] == "too_short":
        return bool(len(detail["input"]) >= detail["ctx"]["min_length"])
    return detail["type"] == "missing" and any(
        other[:-1] == location[:-1] and nearest == location[-1] for other, nearest in unknown.items()
    )


def _explain(
    detail: Any,
    model: type[part.Document],
    places: declared.Places,
    unknown: Mapping[declared.Location, str | None],
) -> errors.ConfigInvalid:
    kind, location, context = detail["type"], detail["loc"], detail.get("ctx", {})
    if location and location[-1] == "[key]":
        location = location[:-1]
    path = name_path(location) or "the document"
    if kind == "extra_forbidden":
        return _unknown_field(location, model, places.of(location), unknown.get(detail["loc"]))
    if kind == "missing":
        what = f"{path} is missing"
        return errors.ConfigInvalid(what, origin=places.of(location[:-1]), hint=_describe(model, location))
    said, hint = _say(kind, detail, context)
    joint = ": " if said[:1] in _VALUES else " "
    return errors.ConfigInvalid(f"{path}{joint}{said}", origin=places.of(location), hint=hint)


def _say(kind: str, detail: Any, context: Mapping[str, Any]) -> tuple[str, str]:
    if kind == "literal_error":
        return _wrong_word(detail["input"], re.findall(r"'([^']*)'", context["expected"]))
    if kind == "unknown_word":
        return _far_word(context["said"], context["got"], context["words"])
    if "said" in context:
        return context["said"], context.get("hint", "")
    if detail["input"] is None and kind.endswith("_type"):
        return "is empty", "give it a value, or leave the field out"
    if kind in _PLAIN:
        return _PLAIN[kind]
    return _limit(kind, context, detail)


def _limit(kind: str, context: Mapping[str, Any], detail: Any) -> tuple[str, str]:
    match kind:
        case "too_short":
            return f"should have at least {_entries(context['min_length'])}", ""
        case "too_long":
            return f"should have at most {_entries(context['max_length'])}", ""
        case "greater_than_equal":
            return f"should be at least {context['ge']:g}", ""
        case "less_than_equal":
            return f"should be at most {context['le']:g}", ""
        case _:
            return str(detail["msg"]).removeprefix("Input ").lower(), ""


def _entries(count: int) -> str:
    return "1 entry" if count == 1 else f"{count} entries"


def _wrong_word(got: Any, known: Sequence[str]) -> tuple[str, str]:
    if not isinstance(got, str) or "\n" in got or len(got) > _LONGEST_WORD:
        return f"should be one of {', '.join(known)}", ""
    if len(known) == 1:
        return f"is {got!r}, should be {known[0]}", ""
    nearest = words.nearest(got, known)
    alike = nearest is not None and difflib.SequenceMatcher(None, got, nearest).ratio() > _ALIKE
    return f"is {got!r}, should be one of {', '.join(known)}", ask(nearest) if alike else ""


def _far_word(said: str, got: str, known: Sequence[str]) -> tuple[str, str]:
    nearest = words.nearest(got, known)
    few = f"one of {', '.join(known)}" if len(known) <= _FEW else ""
    return said, ask(nearest) or few


def ask(nearest: str | None) -> str:
    """The question a hint asks."""
    return f"did you mean {nearest}?" if nearest else ""


def _unknown_field(
    location: declared.Location, model: type[part.Document], origin: errors.Origin, nearest: str | None
) -> errors.ConfigInvalid:
    known = sorted(_fields(_model_at(model, location[:-1])))
    return errors.ConfigInvalid(
        f"{name_path(location)} is not a known field",
        origin=origin,
        hint=ask(nearest) or f"known are {', '.join(known)}",
    )


def _nearest_field(model: type[part.Document], location: declared.Location) -> str | None:
    return words.nearest(str(location[-1]), _fields(_model_at(model, location[:-1])))


def _describe(model: type[part.Document], location: declared.Location) -> str:
    """What to add: the only value that is possible, or the description of the field."""
    field = _fields(_model_at(model, location[:-1])).get(str(location[-1]))
    if field is None:
        return ""
    if typing.get_origin(field.annotation) is Literal and len(typing.get_args(field.annotation)) == 1:
        return f"add {location[-1]}: {typing.get_args(field.annotation)[0]}"
    return field.description or ""


@functools.lru_cache(4096)
def _fields(model: type[pydantic.BaseModel] | None) -> Mapping[str, Any]:
    if model is None:
        return {}
    return {field.alias or name: field for name, field in model.model_fields.items()}


@functools.lru_cache(4096)
def _model_at(
    model: type[pydantic.BaseModel], location: declared.Location
) -> type[pydantic.BaseModel] | None:
    """The model that holds the fields at a path."""
    found: type[pydantic.BaseModel] | None = model
    named = False
    for step in location:
        if isinstance(step, int):
            continue
        if named:
            named = False
            continue
        field = _fields(found).get(step)
        found = next(_models(field.annotation), None) if field is not None else None
        named = field is not None and _is_named(field.annotation)
    return found


def _is_named(annotation: Any) -> bool:
    """Whether the next step of a path is a name that people chose, and no field: the annotation is a mapping."""
    return typing.get_origin(annotation) is dict or any(
        _is_named(inner) for inner in typing.get_args(annotation)
    )


def _models(annotation: Any) -> Iterator[type[pydantic.BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        yield annotation
    for inner in typing.get_args(annotation):
        yield from _models(inner)
