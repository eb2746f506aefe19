"""What every document of Undrift's own configuration is made of."""

from __future__ import annotations

from typing import Any, Final, Literal

import pydantic
from pydantic import alias_generators

from undrift.config import fields

API_VERSION: Final = "undrift.dev/v1"
GROUP: Final = "undrift.dev/"
CONFIG_SOURCE: Final = "config"
"""The name of the source that is always there: the config repository itself."""


DELETION = Literal["approve", "delete", "orphan"]
"""What happens to what an application owns when its document leaves Git."""


def said(description: str, **more: Any) -> Any:
    """A field with its description, which editors show."""
    return pydantic.Field(description=description, **more)


class Part(pydantic.BaseModel):
    """A mapping of known fields; anything else in it is an error.

    Validators are built when the first document needs them (a command of CI needs those of one kind); so a part that
    is the default of a field is made with `model_construct`, which needs none.
    """

    model_config = pydantic.ConfigDict(
        extra="forbid",
        frozen=True,
        alias_generator=alias_generators.to_camel,
        validate_by_name=False,
        validate_by_alias=True,
        hide_input_in_errors=True,
        defer_build=True,
    )


class Metadata(Part):
    """How a document is called, and labels to select it by."""

    name: fields.Name = said("Unique among the documents of its kind; of an Application it is its identity.")
    labels: dict[fields.Word, fields.Text] = said("Free words to select and group by.", default_factory=dict)


class Document(Part):
    """What every document has."""

    api_version: Literal["undrift.dev/v1"] = said("The version of this format.")
    metadata: Metadata = said("Its name and labels.")


def exactly_one(whole: Part, *names: str) -> None:
    """Refuse a part in which not exactly one of the fields `names` is set."""
    found = [name for name in names if getattr(whole, name) is not None]
    if len(found) != 1:
        has = "none of them is there" if not found else f"there are {' and '.join(found)}"
        raise fields.refuse("exactly_one", f"needs exactly one of {', '.join(names)}; {has}")
