"""ApplicationGenerator → applications: each element is filled into the template and checked as if a person had
written it. What is wrong with one element never stops the others; a generator that cannot tell its elements, or
the name of one, is broken as a whole, and what it made before stays.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any, Final

import pydantic

from undrift import errors
from undrift.config import declared, documents, elements, explaining, generation, part, templating
from undrift.lib import canonical, words
from undrift.model import application

Generator = declared.Declared[generation.ApplicationGenerator]
_TEMPLATE: Final[declared.Location] = ("spec", "template")


@dataclasses.dataclass(frozen=True, slots=True)
class Generated:
    """What one generator makes: applications, and what is broken."""

    sound: tuple[declared.Declared[part.Document], ...] = ()
    spoiled: tuple[declared.Spoiled, ...] = ()


Memo = MutableMapping[str, tuple[Generator, tuple[elements.Element, ...], Generated]]
"""What each generator made last, of which elements: the same again costs nothing."""


async def generate(generator: Generator, around: elements.Surroundings, memo: Memo) -> Generated:
    """What the generator makes now. Raises nothing: what it cannot do is in the result."""
    try:
        found = await elements.find(generator, around)
    except errors.UndriftError as error:
        memo.pop(generator.name, None)
        return Generated(spoiled=(_spoil(generator, error.parts),))
    known = memo.get(generator.name)
    if known is not None and known[0] is generator and known[1] == found:
        return known[2]
    made = make(generator, found)
    memo[generator.name] = (generator, found, made)
    return made


def make(generator: Generator, found: Sequence[elements.Element]) -> Generated:
    """The applications that the elements become. Pure."""
    sound: list[declared.Declared[part.Document]] = []
    spoiled: list[declared.Spoiled] = []
    nameless: list[errors.UndriftError] = []
    for element in found:
        filling = _Filling(generator, element)
        name = filling.fill(
            generator.document.spec.template.metadata.name, ("metadata", "name"), native=False
        )
        if filling.wrong:
            nameless += filling.wrong
            continue
        made = _one(filling, name)
        if isinstance(made, declared.Spoiled):
            spoiled.append(made)
        else:
            sound.append(made)
    if nameless:
        spoiled.append(_spoil(generator, nameless))
    return Generated(tuple(sound), tuple(spoiled))


def _spoil(generator: Generator, found: Sequence[errors.UndriftError]) -> declared.Spoiled:
    return declared.Spoiled("ApplicationGenerator", generator.name, generator.origin, tuple(found))


def _one(filling: _Filling, name: str) -> declared.Declared[part.Document] | declared.Spoiled:
    generator, template = filling.generator, filling.generator.document.spec.template
    labels = {
        key: filling.fill(text, ("metadata", "labels", key), native=False)
        for key, text in template.metadata.labels.items()
    }
    data = {
        "apiVersion": part.API_VERSION,
        "kind": "Application",
        "metadata": {"name": name, "labels": labels},
        "spec": filling.fill(template.spec, ("spec",), native=True),
    }
    places = declared.Below(generator.places, _TEMPLATE)
    origin = places.of(("metadata", "name"))
    if not filling.wrong:
        try:
            document = documents.Application.model_validate(data)
        except pydantic.ValidationError as error:
            said = explaining.explain(error, documents.Application, places)
            filling.wrong.extend(_of_element(each, filling.element, name) for each in said)
        else:
            policy = generator.document.spec.deletion_policy
            return declared.Declared(
                ("Application", name),
                document,
                origin,
                places,
                canonical.digest(data),
                generator.name,
                policy,
                rollout_of(generator),
            )
    mentions = frozenset(declared.words_in(data))
    return declared.Spoiled("Application", name, origin, tuple(filling.wrong), mentions)


def rollout_of(generator: Generator) -> application.Rollout | None:
    """The order in which the applications of a generator take a change."""
    found = generator.document.spec.rollout
    return application.Rollout(generator.name, found.batches, found.max_unavailable) if found else None


def _of_element(error: errors.ConfigInvalid, element: elements.Element, name: str) -> errors.ConfigInvalid:
    why = f"in {name}, generated from {element.label}"
    return errors.ConfigInvalid(error.what, origin=error.origin, why=why, hint=error.hint)


@dataclasses.dataclass(frozen=True, slots=True)
class _Filling:
    """A template on its way to being filled in from one element, and what went wrong with it."""

    generator: Generator
    element: elements.Element
    wrong: list[errors.UndriftError] = dataclasses.field(default_factory=list)

    def fill(self, value: Any, path: declared.Location, *, native: bool) -> Any:
        """`value` with every text in it filled in; a text that cannot be is left as it is and noted."""
        if isinstance(value, str):
            return self._text(value, path, native=native)
        if isinstance(value, Mapping):
            return {key: self.fill(inner, (*path, key), native=native) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.fill(inner, (*path, place), native=native) for place, inner in enumerate(value)]
        return value

    def _text(self, text: str, path: declared.Location, *, native: bool) -> Any:
        values = self.element.values
        try:
            return templating.fill(text, values, native=native)
        except templating.Unfilled as error:
            nearest = words.nearest(error.name, values) if error.name else None
            known = f"an element has {', '.join(sorted(values))}" if error.name else ""
            whole = (*_TEMPLATE, *path)
            found = errors.TemplateInvalid(
                f"{explaining.name_path(whole)} cannot be filled in",
                origin=self.generator.places.of(whole),
                why=f"{error.why.rstrip('.')}, for {self.element.label}",
                hint=explaining.ask(nearest) or known,
            )
            self.wrong.append(found)
            return text
