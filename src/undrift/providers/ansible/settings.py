"""What `spec.settings` of a Target with `provider: ansible` may say."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Final

from undrift import errors
from undrift.lib import words
from undrift.model import source, target

STATE: Final = "/var/lib/undrift/ansible"
_PROGRAM: Final = "ansible-playbook"
_TIMEOUT: Final = 1800.0


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """`program` is a name on PATH or a path; `state` the folder of our records, on the agent's own machine.

    `inventory` is one as data, beside those of the applications. `user` and `key` sign in on hosts whose keys are
    `known_hosts` (lines of that file). `variables` are extra variables, `secrets` those that are found elsewhere.
    `collections` are folders; `timeout` is seconds for one run.
    """

    program: str = _PROGRAM
    state: str = STATE
    inventory: Mapping[str, Any] | None = None
    user: str = ""
    key: source.Credential | None = None
    known_hosts: tuple[str, ...] = ()
    become: source.Credential | None = None
    vault: source.Credential | None = None
    variables: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    secrets: Mapping[str, source.Credential] = dataclasses.field(default_factory=dict)
    collections: tuple[str, ...] = ()
    timeout: float = _TIMEOUT


def read(place: target.Target) -> Settings:
    """The settings of a target with their defaults. Raises `ConfigInvalid`, all at once."""
    wrong: list[errors.UndriftError] = []
    found: dict[str, Any] = {}
    for name, value in place.settings.items():
        if name not in _READERS:
            wrong.append(_invalid(place, name, "is not a known setting", words.suggestion(name, _READERS)))
            continue
        field, reader, hint = _READERS[name]
        try:
            found[field] = reader(value)
        except ValueError:
            wrong.append(_invalid(place, name, "cannot be used", hint))
    if wrong:
        raise errors.gather(wrong)
    return Settings(**found)


def _invalid(place: target.Target, name: str, why: str, hint: str) -> errors.ConfigInvalid:
    return errors.ConfigInvalid(f"Target {place.name}: settings.{name} {why}", origin=place.origin, hint=hint)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError
    return value


def _folder(value: Any) -> str:
    if not _text(value).startswith("/"):
        raise ValueError
    return str(value)


def _word(value: Any) -> str:
    if _text(value).startswith("-"):
        raise ValueError
    return str(value)


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise ValueError
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError  # noqa: TRY004 - the caller tells one kind of mistake
    return tuple(_text(each) for each in value)


def _folders(value: Any) -> tuple[str, ...]:
    return tuple(_folder(each) for each in _texts(value))


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise ValueError
    return float(value)


def _credential(value: Any) -> source.Credential:
    given = {"file": value} if isinstance(value, str) else value
    if isinstance(given, Mapping) and len(given) == 1:
        [(name, where)] = given.items()
        if name in {"file", "env"}:
            return (
                source.Credential(file=_text(where))
                if name == "file"
                else source.Credential(env=_text(where))
            )
    raise ValueError


def _credentials(value: Any) -> Mapping[str, source.Credential]:
    return {name: _credential(where) for name, where in _mapping(value).items()}


_REFERENCE: Final = "write {file: /path} or {env: NAME}"
_READERS: Final[Mapping[str, tuple[str, Callable[[Any], Any], str]]] = {
    "program": ("program", _word, "write the name of a program on PATH, or its path"),
    "state": ("state", _folder, "write an absolute path, such as /var/lib/undrift/ansible"),
    "inventory": (
        "inventory",
        _mapping,
        "write an inventory: {all: {hosts: {web1: {ansible_host: 192.0.2.1}}}}",
    ),
    "user": ("user", _word, "write the name of a user on the hosts"),
    "privateKey": ("key", _credential, _REFERENCE),
    "knownHosts": ("known_hosts", _texts, 'write lines of a known_hosts file: ["web1 ssh-ed25519 AAAA…"]'),
    "becomePassword": ("become", _credential, _REFERENCE),
    "vaultPassword": ("vault", _credential, _REFERENCE),
    "vars": ("variables", _mapping, "write a mapping of names and values"),
    "secretVars": ("secrets", _credentials, f"by their names, {_REFERENCE}"),
    "collections": ("collections", _folders, "write absolute paths of folders"),
    "timeout": ("timeout", _seconds, "write seconds, such as 1800"),
}
