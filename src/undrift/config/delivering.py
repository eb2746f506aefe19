"""`undrift.yaml` → deliveries: read, checked, placeholders and variables filled in; all that is wrong is told at once.

`{stage}`, `{application}` and `{namespace}` are known here; `${NAME}` and `${NAME:-default}` are variables of CI,
looked up only where the document names them, and kept (`Read.variables`), so that another stage can be rendered
later from the same.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import pydantic

from undrift import errors
from undrift.config import declared, delivery, explaining, part, staging
from undrift.lib import words, yaml
from undrift.model import delivery as model

NAMES: Final = ("undrift.yaml", "undrift.yml")


@dataclasses.dataclass(frozen=True, slots=True)
class Read:
    """A delivery, and the variables of CI that its document took, with their values."""

    delivery: model.Delivery
    variables: Mapping[str, str]


def read(content: bytes, file: str, given: staging.Given = staging.NOTHING) -> list[Read]:
    """The deliveries that a file declares, in their order; documents of other kinds are left alone.

    Raises `ConfigUnreadable`, `ConfigInvalid`, `ReferenceUnknown`, `VariableMissing`, all at once.
    """
    try:
        found = yaml.documents(content, file)
    except yaml.YamlError as error:
        raise errors.ConfigUnreadable(
            f"{file} cannot be read",
            origin=errors.Origin(file, error.line, error.column),
            why=error.problem,
            hint="correct it",
        ) from None
    made: list[Read] = []
    wrong: list[errors.UndriftError] = []
    for one in found:
        if isinstance(one.data, Mapping) and one.data.get("kind") == "Delivery":
            places = declared.FilePlaces(file, one.positions, 0, one.traps)
            try:
                made.append(_read(one.data, places, file, given))
            except errors.UndriftError as error:
                wrong += error.parts
    if wrong:
        raise errors.gather(wrong)
    return made


def choose(found: Sequence[Read], file: str, application: str = "") -> Read:
    """The delivery of an application, or the only one. Raises `DeliveryMissing`."""
    names = [one.delivery.application for one in found]
    if application:
        for one in found:
            if one.delivery.application == application:
                return one
        raise errors.DeliveryMissing(
            f"{file} declares no delivery of {application}", hint=words.suggestion(application, names)
        )
    if len(found) == 1:
        return found[0]
    if not found:
        raise errors.DeliveryMissing(
            f"{file} declares no delivery", why="it has no document with kind: Delivery", hint="undrift init"
        )
    raise errors.DeliveryMissing(
        f"{file} declares several deliveries", hint=f"say which with --application: {', '.join(names)}"
    )


def _read(data: Mapping[str, Any], places: declared.FilePlaces, file: str, given: staging.Given) -> Read:
    if data.get("apiVersion") != part.API_VERSION:
        raise errors.ConfigInvalid(
            f"apiVersion should be {part.API_VERSION}",
            origin=places.of(("apiVersion",)),
            hint=f"write apiVersion: {part.API_VERSION}",
        )
    try:
        document = delivery.Delivery.model_validate(data)
    except pydantic.ValidationError as error:
        raise errors.gather(list(explaining.explain(error, delivery.Delivery, places))) from None
    draft = staging.Draft(document, places, given)
    made = draft.made(file)
    wrong = {str(error): error for error in (*references(document, places), *draft.wrong)}
    if wrong:
        raise errors.gather(list(wrong.values()))
    return Read(made, dict(sorted(draft.taken.items())))


def references(document: delivery.Delivery, places: declared.Places) -> Iterator[errors.UndriftError]:
    """Names of stages that are not there, or there twice; requirements that no order fulfils."""
    spec = document.spec
    names = [stage.name for stage in spec.stages]
    yield from _no_branches(document, places)
    for index, name in enumerate(names):
        if name in names[:index]:
            yield errors.NameTaken(
                f"there are two stages {name}", origin=places.of(("spec", "stages", index, "name"))
            )
    for name, place in _named(spec):
        if name not in names:
            yield errors.ReferenceUnknown(
                f"there is no stage {name}", origin=places.of(place), hint=words.suggestion(name, names)
            )
        elif place[1] == "stages" and name in names[int(place[2]) :]:
            yield errors.DependencyCycle(
                f"stage {names[int(place[2])]} requires {name}, which does not come before it",
                origin=places.of(place),
                hint="order the stages as revisions go",
            )


def _no_branches(document: delivery.Delivery, places: declared.Places) -> Iterator[errors.UndriftError]:
    """Names that no branch `undrift/<application>/<stage>` can have (git-check-ref-format)."""
    named: list[tuple[str, declared.Location]] = [(document.metadata.name, ("metadata", "name"))]
    named += [(one.name, ("spec", "stages", index, "name")) for index, one in enumerate(document.spec.stages)]
    for name, place in named:
        if ".." in name or name.endswith(".lock"):
            yield errors.ConfigInvalid(
                f"{explaining.name_path(place)} cannot be {name}",
                origin=places.of(place),
                why="the branch of its pull request has that name, and Git knows none with '..' or with '.lock' at the end",
                hint="use '-' instead of '.'",
            )


def _named(spec: delivery.DeliverySpec) -> Iterator[tuple[str, declared.Location]]:
    """The names of stages in a document, and where each is said."""
    for index, stage in enumerate(spec.stages):
        for at, requirement in enumerate(stage.requires):
            yield requirement.stage, ("spec", "stages", index, "requires", at, "stage")
    for index, one in enumerate(spec.config_map_generator):
        yield from ((name, ("spec", "configMapGenerator", index, "stages")) for name in one.stages)
    for index, update in enumerate(spec.updates):
        yield from ((name, ("spec", "updates", index, "stages")) for name in update.stages)
    if spec.local.stage:
        yield spec.local.stage, ("spec", "local", "stage")
    if spec.preview is not None:
        yield spec.preview.stage, ("spec", "preview", "stage")
