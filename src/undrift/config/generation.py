"""The document `ApplicationGenerator`: elements, and the Application that each becomes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pydantic

from undrift.config import fields, part


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


class SimpleGeneratorPart(part.Part):
    """Where elements come from: exactly one of its fields."""

    list: tuple[dict[fields.Word, Any], ...] | None = part.said(
        "Elements as they are written here.", default=None
    )
    directories: DirectoriesPart | None = part.said("One element a folder of a source.", default=None)
    files: FilesPart | None = part.said("One element a data file of a source.", default=None)

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


class ApplicationGeneratorSpec(part.Part):
    """Elements, and the Application each becomes."""

    generators: Annotated[tuple[GeneratorPart, ...], pydantic.Field(min_length=1)] = part.said(
        "Where elements come from; their elements are put one after the other."
    )
    template: TemplatePart = part.said("What each element becomes.")
    deletion_policy: part.DELETION | None = part.said(
        "For applications whose element is gone, unless the template says otherwise.", default=None
    )


class ApplicationGenerator(part.Document):
    """Makes many Applications from one template."""

    kind: Literal["ApplicationGenerator"] = part.said("What this document declares.")
    spec: ApplicationGeneratorSpec = part.said("Elements, and the Application each becomes.")
