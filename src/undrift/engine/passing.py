"""Values that pass from one application to another: what one publishes, and how it reaches the rendering of others.

Whoever is rendered sees, as the fact `outputs`, those of the applications that it depends on; its renderer's settings
may name them as `${outputs.APPLICATION.NAME}`. A value that is not known yet is never rendered as anything else: using
it raises `OutputPending`, and the application waits.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from undrift import errors
from undrift.engine import digesting
from undrift.lib import mask, pointers, words
from undrift.model import application, inventory, output, resource, secret, target

FACT: Final = "outputs"
_REFERENCE: Final = re.compile(
    r"(?P<escaped>\$)?\$\{outputs\.(?P<application>[a-z0-9.-]+)\.(?P<name>[A-Za-z0-9_]+)\}"
)
_SHORTEST: Final = 4
"""Secrets of fewer characters are found in anything."""


# --- what is published ---------------------------------------------------------------------------------


def find(one: output.Output, ids: Iterable[resource.ResourceId]) -> resource.ResourceId:
    """The resource that an output names, among those that its application declares. Raises `OutputUnknown`."""
    spelled = {rid: _spellings(rid) for rid in ids}
    found = [rid for rid, names in spelled.items() if one.resource in names]
    if len(found) == 1:
        return found[0]
    if found:
        more = sorted(str(rid) for rid in found)
        raise errors.OutputUnknown(
            f"output {one.name} names {one.resource}, and there are {len(found)} of them",
            origin=one.origin,
            hint=f"write one of: {', '.join(more[:10])}",
        )
    known = {str(rid) for rid in spelled} | {f"{rid.kind}/{rid.name}" for rid in spelled}
    raise errors.OutputUnknown(
        f"output {one.name} names {one.resource}, which this application does not declare",
        origin=one.origin,
        hint=output.near(one.resource, known),
    )


def _spellings(rid: resource.ResourceId) -> frozenset[str]:
    """With and without the namespace; a kind also without its group; paths also with a single slash."""
    kinds = {rid.kind, rid.kind.partition(".")[0]}
    places = {"", f"{rid.namespace}/"} if rid.namespace else {""}
    names = {rid.name, rid.name.removeprefix("/")}
    return frozenset(f"{kind}/{place}{name}" for kind in kinds for place in places for name in names)


def check(subject: application.Application, desired: resource.DesiredState) -> None:
    """Refuse outputs of resources that are not declared. Raises `OutputUnknown`s, all at once."""
    wrong: list[errors.UndriftError] = []
    for one in subject.outputs:
        try:
            if one.resource:
                find(one, desired.resources)
        except errors.OutputUnknown as error:
            wrong.append(error)
    if wrong:
        raise errors.gather(wrong)


def wanted(
    subject: application.Application, desired: resource.DesiredState
) -> Mapping[resource.ResourceId, tuple[str, ...]]:
    """The fields of each resource that outputs are made of."""
    found: dict[resource.ResourceId, tuple[str, ...]] = {}
    for one in subject.outputs:
        if one.resource:
            rid = find(one, desired.resources)
            found[rid] = (*found.get(rid, ()), one.field)
    return found


@dataclasses.dataclass(frozen=True, slots=True)
class Sight:
    """What outputs are read from: `whole` are resources as the target shows them, where it shows more than `live`."""

    desired: resource.DesiredState
    live: resource.LiveState
    whole: Mapping[resource.ResourceId, resource.Fields]
    facts: target.Facts
    owner: inventory.Owner
    marked: bool


def publish(subject: application.Application, seen: Sight) -> output.Told:
    """The outputs as they are now."""
    values: dict[str, Any] = {}
    lacking: dict[str, str] = {}
    for one in subject.outputs:
        value = _fact(one, seen.facts) if one.fact else _field(one, seen)
        if isinstance(value, _Lack):
            lacking[one.name] = value.why
        else:
            values[one.name] = secret.Secret(_text(value)) if one.secret and not _is_secret(value) else value
    return output.Told(values, lacking)


@dataclasses.dataclass(frozen=True, slots=True)
class _Lack:
    why: str


def _fact(one: output.Output, facts: target.Facts) -> Any:
    found = _reach(facts.values, one.fact)
    return _Lack(f"the target has no fact {one.fact}{found.why}") if isinstance(found, _Lack) else found


def _field(one: output.Output, seen: Sight) -> Any:
    rid = find(one, seen.desired.resources)
    live = seen.live.resources.get(rid)
    if live is None:
        return _Lack(f"{rid} does not exist yet")
    if not seen.owner.owns(live.mark) if live.mark is not None else seen.marked:
        return _Lack(f"{rid} is not ours")
    found = _reach(seen.whole.get(rid, live.fields), one.field)
    return _Lack(f"{rid} has no {one.field} yet{found.why}") if isinstance(found, _Lack) else found


def _reach(value: Any, path: str) -> Any:
    """The value at a path; an empty one counts as not there."""
    for step in pointers.steps(path):
        found = pointers.inner(value, step)
        if found is None:
            near = words.nearest(step, map(str, value)) if isinstance(value, Mapping) else None
            return _Lack(f" (there is {near})" if near and near != step else "")
        value = found
    return value if _is_data(value) and value not in ("", [], {}) else _Lack("")


def _is_data(value: Any) -> bool:
    """Whether it is something that can be written down: facts of a provider's own use may be anything."""
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_data(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return all(map(_is_data, value))
    return isinstance(value, str | bytes | int | float | secret.Secret)


def _is_secret(value: Any) -> bool:
    return isinstance(value, secret.Secret)


def _text(value: Any) -> str | bytes:
    return value if isinstance(value, str | bytes) else str(value)


# --- what is used --------------------------------------------------------------------------------------


def inputs(given: output.Given, key: bytes) -> dict[str, str]:
    """What of the lock the outputs of others are: one entry each, secrets by a keyed digest."""
    return {
        f"output:{name}/{each}": digesting.fingerprint({each: value}, key)
        for name, told in given.items()
        for each, value in told.values.items()
    }


def facts(found: target.Facts, given: output.Given) -> target.Facts:
    """The facts of a target, with the outputs of others among them where there are any."""
    if not any(told.values or told.lacking for told in given.values()):
        return found
    return target.Facts({**found.values, FACT: output.Table(given)}, found.digest)


def references(value: Any) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    """Where the outputs of which applications are named in settings: path, application, name of the output."""
    if isinstance(value, str):
        for found in _REFERENCE.finditer(value):
            if not found["escaped"]:
                yield (), found["application"], found["name"]
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from (((str(key), *path), name, each) for path, name, each in references(item))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from (((index, *path), name, each) for path, name, each in references(item))


def fill(value: Any, given: output.Given, origin: errors.Origin | None) -> Any:
    """Settings with the outputs that they name filled in; a text that is nothing else becomes the value itself.

    Raises `OutputPending` and `OutputUnknown`.
    """
    if isinstance(value, str):
        alone = _REFERENCE.fullmatch(value)
        if alone is not None and not alone["escaped"]:
            return output.plain(output.take(given, alone["application"], alone["name"], origin))
        return _REFERENCE.sub(lambda found: _filled(found, given, origin), value) if "${" in value else value
    if isinstance(value, Mapping):
        return {key: fill(item, given, origin) for key, item in value.items()}
    return [fill(item, given, origin) for item in value] if isinstance(value, list | tuple) else value


def _filled(found: re.Match[str], given: output.Given, origin: errors.Origin | None) -> str:
    if found["escaped"]:
        return found[0][1:]
    return str(output.plain(output.take(given, found["application"], found["name"], origin)))


def awaited(error: errors.UndriftError) -> tuple[errors.OutputPending, ...]:
    """The outputs that are waited for, where nothing else is wrong."""
    found = {one.what: one for one in error.parts if isinstance(one, errors.OutputPending)}
    return tuple(found.values()) if all(isinstance(one, errors.OutputPending) for one in error.parts) else ()


def hide(error: errors.UndriftError, given: output.Given) -> errors.UndriftError:
    """The same error, without the secrets of others in its texts."""
    texts = _secrets(given)
    if texts:
        cover = mask.Mask(texts)
        for part in {id(one): one for one in (error, *error.parts)}.values():
            part.what, part.why, part.hint = cover(part.what), cover(part.why), cover(part.hint)
            part.args = (part.what,)
    return error


def guard(desired: resource.DesiredState, given: output.Given) -> None:
    """Refuse a resource in which a secret of others would stand in clear. Raises `SecretInPlain`s, all at once."""
    texts = [text for text in _secrets(given) if len(text) >= _SHORTEST]
    if not texts:
        return
    wrong: list[errors.UndriftError] = [
        errors.SecretInPlain(
            f"a secret output would stand in clear in {one.id}",
            origin=one.origin,
            why="it is shown in plans, and kept on the target as it is",
            hint="use it where secrets are kept, such as kind: Secret",
        )
        for one in desired.resources.values()
        if any(text in plain for plain in _texts([one.fields, one.settings]) for text in texts)
    ]
    if wrong:
        raise errors.gather(wrong)


def _secrets(given: output.Given) -> list[str]:
    values = (value for told in given.values() for value in told.values.values())
    return [str(output.plain(value)) for value in values if isinstance(value, secret.Secret)]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, bytes):
        yield value.decode("utf-8", "replace")
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
