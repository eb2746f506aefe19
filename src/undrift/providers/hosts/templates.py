"""Jinja2 without a way out: sandboxed, and a variable that nobody declared is an error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jinja2
from jinja2 import sandbox

from undrift import errors

_ENVIRONMENT = sandbox.ImmutableSandboxedEnvironment(
    undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False
)


def render(text: str, name: str, values: Mapping[str, Any]) -> str:
    """The text with its variables filled in. Raises `TemplateInvalid` that names file and line."""
    try:
        return _ENVIRONMENT.from_string(text).render(values)
    except jinja2.TemplateSyntaxError as error:
        raise errors.TemplateInvalid(
            f"template {name} has bad syntax",
            origin=errors.Origin(name, error.lineno),
            why=str(error.message),
        ) from error
    except jinja2.UndefinedError as error:
        raise errors.TemplateInvalid(
            f"template {name} uses what nobody declared",
            origin=errors.Origin(name, _line(error)),
            why=str(error.message),
            hint="declare it under vars",
        ) from error
    except Exception as error:
        raise errors.TemplateInvalid(
            f"template {name} cannot be rendered",
            origin=errors.Origin(name, _line(error)),
            why=type(error).__name__,
        ) from error


def _line(error: Exception) -> int:
    """The template's own line: the last frame that Jinja2 made up."""
    found, frame = 0, error.__traceback__
    while frame is not None:
        if frame.tb_frame.f_code.co_filename == "<template>":
            found = frame.tb_lineno
        frame = frame.tb_next
    return found
