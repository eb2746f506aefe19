"""Filling in templates of generators: Jinja2, sandboxed and strict. Nothing a template says can run long,
grow large or reach anything but its element.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import jinja2
from jinja2 import nodes, sandbox

_LONGEST: Final = 65_536
_ALONE: Final = re.compile(r"\s*\{\{((?:(?!\{\{|\}\}).)*)\}\}\s*", re.DOTALL)
_FILTERS: Final = (
    "default", "first", "int", "last", "length", "list", "lower", "map", "reject", "select", "sort", "string",
    "title", "trim", "unique", "upper",
)  # fmt: skip


class Unfilled(Exception):
    """A text cannot be filled in. `why` is for people; `name` is the variable that is not there."""

    def __init__(self, why: str, name: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.name = name


class _Sandbox(sandbox.ImmutableSandboxedEnvironment):
    """No globals, few filters, and no operator that makes much of little."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "**":
            raise jinja2.exceptions.SecurityError("** makes much of little")
        if not all(isinstance(each, int | float) for each in (left, right)):
            raise jinja2.exceptions.SecurityError(f"{operator} is for numbers only")
        return super().call_binop(context, operator, left, right)


def _replace(text: Any, old: str, new: str) -> str:
    """Jinja's own, with an end to what it may make."""
    whole = str(text)
    _bound(whole.count(str(old)) * len(str(new)))
    return whole.replace(str(old), str(new))


def _join(values: Iterable[Any], between: str = "") -> str:
    """Jinja's own, with an end to what it may make."""
    texts = [str(value) for value in values]
    _bound(len(texts) * len(str(between)) + sum(len(text) for text in texts))
    return str(between).join(texts)


def _bound(size: int) -> None:
    if size > _LONGEST:
        raise Unfilled(f"becomes longer than {_LONGEST} characters")


@functools.cache
def _environment() -> jinja2.Environment:
    made = _Sandbox(
        undefined=jinja2.StrictUndefined,
        autoescape=False,
        keep_trailing_newline=True,
        optimized=False,  # else constants are computed while compiling, again at each step of a chain
    )
    made.globals.clear()
    made.filters = {name: made.filters[name] for name in _FILTERS} | {"replace": _replace, "join": _join}
    return made


def fill(text: str, element: Mapping[str, Any], *, native: bool = True) -> Any:
    """`text` with its {{ … }} filled in from `element`.

    A text that is one {{ … }} and nothing else becomes that value itself where `native` is set (a number stays
    one). Raises `Unfilled`.
    """
    if "{{" not in text and "{%" not in text and "{#" not in text:
        return text
    try:
        value = _evaluate(text, element, native=native)
    except jinja2.UndefinedError as error:
        name = re.search(r"'([^']+)' is undefined", str(error))
        raise Unfilled(str(error), name[1] if name else "") from None
    except (
        jinja2.TemplateError,
        ArithmeticError,
        TypeError,
        ValueError,
        LookupError,
        AttributeError,
    ) as error:
        raise Unfilled(str(error) or type(error).__name__) from None
    except RecursionError:
        raise Unfilled("is nested too deeply") from None
    _bound(len(value) if isinstance(value, str) else 0)
    return value


def _evaluate(text: str, element: Mapping[str, Any], *, native: bool) -> Any:
    alone = _ALONE.fullmatch(text) if native else None
    if alone is None:
        return _template(text).render(element)
    value = _expression(alone[1])(dict(element))
    if isinstance(value, jinja2.Undefined):
        str(value)  # a strict one raises here, and says which
    if isinstance(value, str | int | float | bool | list | dict | tuple | None):
        return value
    raise Unfilled("is not a value")


@functools.lru_cache(2048)
def _template(text: str) -> jinja2.Template:
    for statement in _environment().parse(text).find_all(nodes.Stmt):
        if not isinstance(statement, nodes.Output | nodes.If):
            raise Unfilled(f"{type(statement).__name__.lower()} is not for templates of applications")
    return _environment().from_string(text)


@functools.lru_cache(2048)
def _expression(text: str) -> Any:
    return _environment().compile_expression(text, undefined_to_none=False)
