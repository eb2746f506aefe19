"""The document `ApplicationGenerator`: elements, and the Application that each becomes."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

import pydantic

from undrift.config import fields, part
from undrift.model import application

_SHARE_PATTERN: Final = r"^(100|[0-9]{1,2})%$"


def _share(value: Any) -> application.Share:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return application.Share(value)
    if isinstance(value, str) and re.fullmatch(_SHARE_PATTERN, value):
        return application.Share(percent=int(value[:-1]))
    raise fields.refuse("share", "should be a number or a percentage", 'write 1, 10 or "25%"')


Share = Annotated[
    application.Share,
    pydantic.PlainValidator(_share),
    pydantic.WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": _SHARE_PATTERN}]}
    ),
]
"""So many of a number: a count, or a percentage of it (rounded up)."""


class DirectoriesPart(part.Part):
    """One element a folder: `path` (the whole), `name` (its last part), `parts` (all parts)."""

    source: fields.Name = part.said(
        "The Source to look in; left out, the config repository.", default=part.CONFIG_SOURCE
    )
    path: fields.Path = part.said("A glob on folders: apps/*.")
    exclude: tuple[fields.Glob, ...] = part.said("Globs on folders that are left out.", default=())


class FilesPart(part.Part):
    """One element a data file (YAML or JSON): its content, and `path` and `name` (without its ending)."""

    source: fields.Name = part.said(
        "The Source to look in; left out, the config repository.", default=part.CONFIG_SOURCE
    )
    path: fields.Path = part.said("A glob on files: stages/*.yaml.")
    exclude: tuple[fields.Glob, ...] = part.said("Globs on files that are left out.", default=())


class TargetsPart(part.Part):
    """One element a Target: `name`, `provider`, `groups` (with those that these are parts of) and `labels`."""

    labels: dict[fields.Word, fields.Glob] = part.said(
        "Labels that a Target has to have: globs on their values.", default_factory=dict
    )
    groups: tuple[fields.Name, ...] = part.said(
        "TargetGroups of which a Target has to be in one.", default=()
    )
    names: tuple[fields.Glob, ...] = part.said("Globs on names of Targets.", default=("*",))


class SimpleGeneratorPart(part.Part):
    """Where elements come from: exactly one of its fields."""

    list: tuple[dict[fields.Word, Any], ...] | None = part.said(
        "Elements as they are written here.", default=None
    )
    directories: DirectoriesPart | None = part.said("One element a folder of a source.", default=None)
    files: FilesPart | None = part.said("One element a data file of a source.", default=None)
    targets: TargetsPart | None = part.said("One element a Target that is declared.", default=None)

    @pydantic.model_validator(mode="after")
    def _one(self) -> SimpleGeneratorPart:
        part.exactly_one(self, *type(self).model_fields)
        return self


class GeneratorPart(SimpleGeneratorPart):
    """Where elements come from: exactly one of its fields."""

    matrix: Annotated[tuple[SimpleGeneratorPart, ...], pydantic.Field(min_length=2, max_length=2)] | None = (
        part.said("Each element of the first with each of the second.", default=None)
    )


class TemplateMetadata(part.Part):
    """How a generated application is called; text may hold {{ … }}."""

    name: fields.Word = part.said("Its name, made from the element: web-{{ name }}.")
    labels: dict[fields.Word, fields.Text] = part.said("Labels, made from the element.", default_factory=dict)


class TemplatePart(part.Part):
    """An Application in which every text may hold {{ … }}; checked as one when it is filled in."""

    metadata: TemplateMetadata = part.said("Its name and labels.")
    spec: dict[fields.Word, Any] = part.said("The spec of an Application.")


class RolloutPart(part.Part):
    """In which order the applications take a change: batch by batch, the next once all of the former are well."""

    batches: Annotated[tuple[Share, ...], pydantic.Field(min_length=1)] = part.said(
        "How many have the change in all after each batch; after the last one it is all of them.",
        default=(1, "25%"),
        validate_default=True,
    )
    max_unavailable: Share = part.said(
        "How many may be away, or unwell without the change, for the others to go on.",
        default="25%",
        validate_default=True,
    )


class ApplicationGeneratorSpec(part.Part):
    """Elements, and the Application each becomes."""

    generators: Annotated[tuple[GeneratorPart, ...], pydantic.Field(min_length=1)] = part.said(
        "Where elements come from; their elements are put one after the other."
    )
    template: TemplatePart = part.said("What each element becomes.")
    rollout: RolloutPart | None = part.said(
        "In which order the applications take a change; left out, all at once.", default=None
    )
    deletion_policy: part.DELETION | None = part.said(
        "For applications whose element is gone, unless the template says otherwise.", default=None
    )


class ApplicationGenerator(part.Document):
    """Makes many Applications from one template."""

    kind: Literal["ApplicationGenerator"] = part.said("What this document declares.")
    spec: ApplicationGeneratorSpec = part.said("Elements, and the Application each becomes.")
