"""Jinja2 in a sandbox: what a template may use are the manifest's `vars`, the target's own, `facts` and `root`."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Final

import jinja2
from jinja2 import sandbox

from undrift import errors
from undrift.lib import words

_LONGEST: Final = 16 << 20
_HIGHEST_POWER: Final = 64
_FAILED: Final = (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError)


class _Environment(sandbox.ImmutableSandboxedEnvironment):
    """No loader, no undefined names, no way to what Python keeps behind an underscore."""

    intercepted_binops = frozenset({"**", "*"})

    def call_binop(self, context: jinja2.runtime.Context, operator: str, left: Any, right: Any) -> Any:
        """Powers and repetitions can fill the memory with a few letters."""
        for one, other in ((left, right), (right, left)):
            if isinstance(other, int) and (
                (operator == "**" and other > _HIGHEST_POWER)
                or (isinstance(one, str | list | tuple) and len(one) * other > _LONGEST)
            ):
                message = f"{operator} makes too much"
                raise jinja2.exceptions.SecurityError(message)
        return super().call_binop(context, operator, left, right)


@functools.cache
def _environment() -> _Environment:
    made = _Environment(
        undefined=jinja2.StrictUndefined,
        loader=jinja2.DictLoader({}),
        keep_trailing_newline=True,
        trim_blocks=True,
    )
    made.globals.clear()
    made.globals["range"] = sandbox.safe_range
    return made


def fill(text: str, variables: Mapping[str, Any], origin: errors.Origin) -> str:
    """The text with its expressions filled in; `origin` is where the text begins in Git.

    Raises `TemplateInvalid` at the line that is wrong.
    """
    if not any(mark in text for mark in ("{{", "{%", "{#")):
        return text
    try:
        return _environment().from_string(text).render(variables)
    except jinja2.TemplateSyntaxError as error:
        raise _invalid(origin, error.lineno, error.message or "bad syntax", "") from None
    except jinja2.UndefinedError as error:
        said = error.message or "undefined"
        name = said.partition("'")[2].partition("'")[0]
        hint = words.suggestion(name, variables) if said == f"'{name}' is undefined" else ""
        raise _invalid(origin, _line(error), said, hint) from None
    except jinja2.TemplateNotFound as error:
        raise _invalid(
            origin, _line(error), "a template cannot bring in another", "put it all in one"
        ) from None
    except jinja2.TemplateError as error:
        raise _invalid(origin, _line(error), error.message or type(error).__name__, "") from None
    except _FAILED as error:
        raise _invalid(
            origin, _line(error), type(error).__name__, "see what the expression is given"
        ) from None


def _invalid(origin: errors.Origin, line: int, why: str, hint: str) -> errors.TemplateInvalid:
    place = errors.Origin(origin.file, max(origin.line, 1) + line - 1 if line else origin.line)
    return errors.TemplateInvalid("the template cannot be filled in", origin=place, why=why, hint=hint)


def _line(error: BaseException) -> int:
    """The line of the template that was being rendered: Jinja puts it into the traceback."""
    found = 0
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            found = trace.tb_lineno
        trace = trace.tb_next
    return found
