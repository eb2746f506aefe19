"""Documents that outlive themselves: an Application and its Target as data, and back.

Pruning needs the target of something already gone from Git, so the last documents are kept in the database.
Credentials are kept as what they are in a declaration: the name of a place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pydantic

from undrift import errors
from undrift.model import application, target

_APPLICATION = pydantic.TypeAdapter(application.Application)
_TARGET = pydantic.TypeAdapter(target.Target)


def pack(subject: application.Application, place: target.Target) -> dict[str, Any]:
    """Both as JSON data."""
    return {
        "application": _APPLICATION.dump_python(subject, mode="json"),
        "target": _TARGET.dump_python(place, mode="json"),
    }


def unpack(data: Mapping[str, Any]) -> tuple[application.Application, target.Target]:
    """Both from JSON data. Raises `DatabaseBroken` when an older Undrift kept something else."""
    try:
        return _APPLICATION.validate_python(data["application"]), _TARGET.validate_python(data["target"])
    except (KeyError, pydantic.ValidationError) as error:
        raise errors.DatabaseBroken(
            "the last documents of an application cannot be read back",
            hint="declare the application again in Git, then remove it again",
        ) from error
