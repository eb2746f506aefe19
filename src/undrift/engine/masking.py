"""What a target says may repeat what it was given: secrets that are declared are taken out of it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from typing import Any

from undrift import errors
from undrift.lib import mask
from undrift.model import resource, secret


def error(found: errors.UndriftError, desired: resource.DesiredState) -> errors.UndriftError:
    """The same error, with every declared secret masked in its texts."""
    hide = _mask(desired)
    for part in {id(one): one for one in (found, *found.parts)}.values():
        part.what, part.why, part.hint = hide(part.what), hide(part.why), hide(part.hint)
        part.args = (part.what,)
    return found


def live(found: resource.LiveState, desired: resource.DesiredState) -> resource.LiveState:
    """The same look, with every declared secret masked in the reasons of what is not healthy."""
    told = [one for one in found.resources.values() if one.health.reason]
    if not told:
        return found
    hide = _mask(desired)
    masked = {
        one.id: dataclasses.replace(
            one, health=dataclasses.replace(one.health, reason=hide(one.health.reason))
        )
        for one in told
    }
    return dataclasses.replace(found, resources={**found.resources, **masked})


def _mask(desired: resource.DesiredState) -> mask.Mask:
    return mask.Mask(
        text for one in desired.resources.values() for text in _secrets([one.fields, one.settings])
    )


def _secrets(value: Any) -> Iterator[str]:
    if isinstance(value, secret.Secret):
        raw = value.reveal()
        text = raw if isinstance(raw, str) else raw.decode("utf-8", "replace")
        yield text
        yield from _strings(text)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _secrets(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _secrets(item)


def _strings(text: str) -> Iterator[str]:
    """The strings in a secret that is JSON data: each of them is one, too."""
    if text[:1] in {'"', "[", "{"}:
        try:
            yield from _leaves(json.loads(text))
        except ValueError:
            return


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from (leaf for item in value.values() for leaf in _leaves(item))
    elif isinstance(value, list):
        yield from (leaf for item in value for leaf in _leaves(item))
