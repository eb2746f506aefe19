"""What a value may be, read out of OpenAPI, and what of a value no API server would take. Pure: nothing is fetched here.

https://kubernetes.io/docs/concepts/overview/kubernetes-api/#openapi-interface-definition
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, Final

from undrift.lib import words
from undrift.providers.kubernetes import kinds

Path = tuple[str | int, ...]
_KINDS: Final = "x-kubernetes-group-version-kind"
_OPEN: Final = "x-kubernetes-preserve-unknown-fields"
_EITHER: Final = "x-kubernetes-int-or-string"
_NAMES: Final = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
}


@dataclasses.dataclass(slots=True)
class Shape:
    """What a value may be: with `fields` a mapping of known names, with `values` one of any names, with `items` a list.

    `sorts` are the OpenAPI types that fit, empty when anything does.
    """

    sorts: frozenset[str] = frozenset()
    fields: dict[str, Shape] | None = None
    values: Shape | None = None
    items: Shape | None = None
    required: tuple[str, ...] = ()
    choices: tuple[Any, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong, and where in the object; `unknown` when it is a field that the kind does not have."""

    path: Path
    why: str
    hint: str = ""
    unknown: bool = False


class Maker:
    """Shapes out of one OpenAPI document; each schema once."""

    def __init__(self, schemas: Mapping[str, Any]) -> None:
        self._schemas = schemas
        self._made: dict[str, Shape] = {}

    def of_kind(self, version: str, kind: str) -> Shape | None:
        """The shape of a kind; None when the document does not have it."""
        group = kinds.group_of(version)
        wanted = {"group": group, "version": version.rpartition("/")[2], "kind": kind}
        for name, schema in self._schemas.items():
            if wanted in schema.get(_KINDS, ()):
                return self._named(name)
        return None

    def _named(self, name: str) -> Shape:
        if name not in self._made:
            made = self._made[name] = Shape()
            self._fill(made, self._schemas.get(name) or {})
        return self._made[name]

    def shape(self, schema: Any) -> Shape:
        """The shape that a schema describes."""
        if not isinstance(schema, Mapping):
            return Shape()
        reference = schema.get("$ref")
        parts: list[Mapping[str, Any]] = list(schema.get("allOf") or ())
        if reference is None and len(parts) == 1 and "properties" not in schema:
            reference = parts[0].get("$ref")
        if reference is not None:
            return self._named(str(reference).rpartition("/")[2])
        made = Shape()
        self._fill(made, schema)
        return made

    def _fill(self, made: Shape, schema: Mapping[str, Any]) -> None:
        made.sorts = _sorts(schema)
        if schema.get(_OPEN):
            made.sorts = frozenset()
            return
        if "properties" in schema:
            made.fields = {name: self.shape(one) for name, one in schema["properties"].items()}
        more = schema.get("additionalProperties")
        if isinstance(more, Mapping):
            made.values = self.shape(more)
        elif more is True or schema.get("x-kubernetes-embedded-resource"):
            made.values = Shape()
        if "items" in schema:
            made.items = self.shape(schema["items"])
        made.required = tuple(schema.get("required") or ())
        made.choices = tuple(schema.get("enum") or ())


def _sorts(schema: Mapping[str, Any]) -> frozenset[str]:
    if schema.get(_EITHER) or schema.get("format") == "int-or-string":
        return frozenset({"integer", "string"})
    if schema.get("type"):
        return frozenset({str(schema["type"])})
    choices = [one.get("type") for one in (*(schema.get("oneOf") or ()), *(schema.get("anyOf") or ()))]
    return frozenset(str(one) for one in choices) if choices and all(choices) else frozenset()


def check(value: Any, shape: Shape, path: Path = ()) -> Iterator[Finding]:
    """What of a value does not fit its shape, each with its path; a value that is null is taken for left out."""
    if value is None:
        return
    if shape.sorts and not _fits(value, shape.sorts):
        wanted = " or ".join(_NAMES.get(one, one) for one in sorted(shape.sorts))
        yield Finding(
            path, f"{_written(path)} should be {wanted}, not {_sort_of(value)}", _remedy(value, shape.sorts)
        )
    elif isinstance(value, Mapping):
        yield from _check_fields(value, shape, path)
    elif isinstance(value, list) and shape.items is not None:
        for index, item in enumerate(value):
            yield from check(item, shape.items, (*path, index))
    elif shape.choices and value not in shape.choices and isinstance(value, str):
        options = [str(one) for one in shape.choices]
        yield Finding(
            path, f"{_written(path)} has a value that it may not have", words.suggestion(value, options)
        )


def _check_fields(value: Mapping[str, Any], shape: Shape, path: Path) -> Iterator[Finding]:
    if shape.fields is None:
        if shape.values is not None:
            for name, item in value.items():
                yield from check(item, shape.values, (*path, name))
        return
    for name, item in value.items():
        known = shape.fields.get(name) or shape.values
        if known is not None:
            yield from check(item, known, (*path, name))
        else:
            where = f" in {_written(path)}" if path else ""
            yield Finding(
                (*path, name),
                f"there is no field {name}{where}",
                words.suggestion(name, shape.fields),
                unknown=True,
            )
    for name in shape.required:
        if name not in value and path:
            yield Finding(path, f"{_written((*path, name))} is missing")


def _fits(value: Any, sorts: frozenset[str]) -> bool:
    found = _openapi(value)
    return found in sorts or (found == "integer" and "number" in sorts)


def _openapi(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "integer" if value.is_integer() else "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list | tuple) else "object"


def _sort_of(value: Any) -> str:
    return _NAMES[_openapi(value)]


def _remedy(value: Any, sorts: frozenset[str]) -> str:
    if "string" in sorts and not isinstance(value, Mapping | list):
        return "put it in quotes"
    return (
        "take the quotes off" if isinstance(value, str) and sorts <= {"integer", "number", "boolean"} else ""
    )


def _written(path: Path) -> str:
    return ".".join(str(step) for step in path) or "it"
