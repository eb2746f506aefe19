"""What fields a kind has, from the live cluster's own OpenAPI documents: unknown ones are found before anything is touched.

https://kubernetes.io/docs/concepts/overview/kubernetes-api/#openapi-interface-definition . A group's document is
read when the first of its kinds is needed, and only the shapes of what is used are kept.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from undrift import errors
from undrift.lib import words
from undrift.providers.kubernetes import client, kinds

Path = tuple[str | int, ...]
_KINDS: Final = "x-kubernetes-group-version-kind"
_OPEN: Final = "x-kubernetes-preserve-unknown-fields"
_EITHER: Final = "x-kubernetes-int-or-string"
_MOST: Final = 50
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
    """What is wrong, and where in the object."""

    path: Path
    why: str
    hint: str = ""


class Schemas:
    """The shapes of one cluster's kinds, by `apiVersion` and kind."""

    def __init__(self, api: client.Client) -> None:
        self._api = api
        self._shapes: dict[tuple[str, str], Shape | None] = {}
        self._places: Mapping[str, str] | None = None
        self._lock = asyncio.Lock()

    def forget(self) -> None:
        """A definition came, changed or went."""
        self._shapes.clear()
        self._places = None

    async def learn(self, wanted: Collection[tuple[str, str]]) -> None:
        """Read the shapes of kinds that are not known yet. What cannot be read is not checked; never raises."""
        if all(one in self._shapes for one in wanted):
            return
        async with self._lock:
            missing = [one for one in wanted if one not in self._shapes]
            try:
                for version in sorted({version for version, _ in missing}):
                    await self._read(version, {kind for each, kind in missing if each == version})
            except errors.UndriftError:
                return

    async def _read(self, version: str, wanted: Collection[str]) -> None:
        if self._places is None:
            listed = await self._api.get("/openapi/v3")
            self._places = {name: str(one["serverRelativeURL"]) for name, one in listed["paths"].items()}
        place = self._places.get(f"apis/{version}" if "/" in version else f"api/{version}")
        document = await self._api.get(place) if place else {}
        made = _Maker(
            document.get("components", {}).get("schemas", {}) if isinstance(document, Mapping) else {}
        )
        for kind in wanted:
            self._shapes[version, kind] = made.of_kind(version, kind)

    def check(self, data: Mapping[str, Any]) -> Iterator[Finding]:
        """What of an object no API server would take, as far as its kind is known."""
        shape = self._shapes.get((str(data.get("apiVersion")), str(data.get("kind"))))
        if shape is None:
            return
        left = _MOST
        for found in _check(data, shape, ()):
            yield found
            left -= 1
            if not left:
                return


class _Maker:
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

    def _shape(self, schema: Any) -> Shape:
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
            made.fields = {name: self._shape(one) for name, one in schema["properties"].items()}
        more = schema.get("additionalProperties")
        if isinstance(more, Mapping):
            made.values = self._shape(more)
        elif more is True or schema.get("x-kubernetes-embedded-resource"):
            made.values = Shape()
        if "items" in schema:
            made.items = self._shape(schema["items"])
        made.required = tuple(schema.get("required") or ())
        made.choices = tuple(schema.get("enum") or ())


def _sorts(schema: Mapping[str, Any]) -> frozenset[str]:
    if schema.get(_EITHER) or schema.get("format") == "int-or-string":
        return frozenset({"integer", "string"})
    if schema.get("type"):
        return frozenset({str(schema["type"])})
    choices = [one.get("type") for one in (*(schema.get("oneOf") or ()), *(schema.get("anyOf") or ()))]
    return frozenset(str(one) for one in choices) if choices and all(choices) else frozenset()


def _check(value: Any, shape: Shape, path: Path) -> Iterator[Finding]:
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
            yield from _check(item, shape.items, (*path, index))
    elif shape.choices and value not in shape.choices and isinstance(value, str):
        options = [str(one) for one in shape.choices]
        yield Finding(
            path, f"{_written(path)} has a value that it may not have", words.suggestion(value, options)
        )


def _check_fields(value: Mapping[str, Any], shape: Shape, path: Path) -> Iterator[Finding]:
    if shape.fields is None:
        if shape.values is not None:
            for name, item in value.items():
                yield from _check(item, shape.values, (*path, name))
        return
    for name, item in value.items():
        known = shape.fields.get(name) or shape.values
        if known is not None:
            yield from _check(item, known, (*path, name))
        else:
            where = f" in {_written(path)}" if path else ""
            yield Finding(
                (*path, name), f"there is no field {name}{where}", words.suggestion(name, shape.fields)
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
