"""The settings of a Target of this provider, and the connection they lead to."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from undrift import errors, interfaces
from undrift.lib import words
from undrift.model import source, target
from undrift.providers.kubernetes import borrowing, expressions, kubeconfig

_KNOWN: Final = ("kubeconfig", "context", "impersonate", "connections", "health")
_IN_CLUSTER: Final = pathlib.Path("/var/run/secrets/kubernetes.io/serviceaccount")
_CONNECTIONS: Final = 16
_MOST_CONNECTIONS: Final = 256


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """`kubeconfig` says where the credentials are (None: in-cluster, or as kubectl finds them); `loan`, which Secret
    of another cluster holds them.

    `context` is one of the kubeconfig's (default: its current one); `user` and `groups` are impersonated;
    `connections` is how many requests may be under way at once; `health` are rules by kind.
    """

    kubeconfig: source.Credential | None = None
    context: str = ""
    user: str = ""
    groups: tuple[str, ...] = ()
    connections: int = _CONNECTIONS
    health: Mapping[str, expressions.Rule] = dataclasses.field(default_factory=dict)
    loan: borrowing.Loan | None = None


def read(place: target.Target) -> Settings:
    """The settings of a target with their defaults. Raises `ConfigInvalid`, all at once."""
    given, wrong = place.settings, list[errors.UndriftError]()
    for name in given:
        if name not in _KNOWN:
            wrong.append(
                _invalid(place, str(name), "is not a known setting", words.suggestion(str(name), _KNOWN))
            )
    written = given.get("kubeconfig")
    borrowed = written if isinstance(written, Mapping) and "secret" in written else None
    made = Settings(
        kubeconfig=None if borrowed is not None else _credential(place, written, wrong),
        loan=_loan(place, borrowed, wrong) if borrowed is not None else None,
        context=_text(place, "context", given.get("context", ""), wrong),
        connections=_connections(place, given.get("connections", _CONNECTIONS), wrong),
    )
    rules, problems = expressions.read(given.get("health", {}))
    wrong += [_invalid(place, name, why, hint) for name, why, hint in problems]
    made = dataclasses.replace(made, health=rules)
    made = _impersonated(place, made, given.get("impersonate"), wrong)
    if wrong:
        raise errors.gather(wrong)
    return made


async def connection(place: target.Target, secrets: interfaces.SecretResolver) -> kubeconfig.Connection:
    """How the cluster of a target is reached. Raises `ConfigInvalid`, `CredentialMissing`."""
    given = read(place)
    found = await _connection(place, given, secrets)
    if given.user:
        found = dataclasses.replace(found, impersonate=given.user, impersonate_groups=given.groups)
    return found


async def _connection(
    place: target.Target, given: Settings, secrets: interfaces.SecretResolver
) -> kubeconfig.Connection:
    if given.loan is not None:
        holder = await connection(given.loan.holder, secrets)
        return await borrowing.borrow(given.loan, holder, place, given.context)
    if given.kubeconfig is not None:
        text = await secrets.resolve(given.kubeconfig)
        folder = _folder(given.kubeconfig.file)
        named = given.kubeconfig.file or given.kubeconfig.env or f"the kubeconfig of Target {place.name}"
        return kubeconfig.read([kubeconfig.Text(named, text, folder)], given.context)
    if (_IN_CLUSTER / "token").is_file() and not given.context:
        return kubeconfig.in_cluster(_IN_CLUSTER, os.environ)
    return kubeconfig.read(_usual(place), given.context)


def _folder(file: str) -> pathlib.Path | None:
    """What paths in a kubeconfig are relative to."""
    return pathlib.Path(file).expanduser().parent if file else None


def _usual(place: target.Target) -> list[kubeconfig.Text]:
    """The files that kubectl would read."""
    named = os.environ.get("KUBECONFIG", "") or str(pathlib.Path("~/.kube/config").expanduser())
    paths = [pathlib.Path(name).expanduser() for name in named.split(os.pathsep) if name]
    found = [
        kubeconfig.Text(str(path), path.read_text(encoding="utf-8"), path.parent)
        for path in paths
        if path.is_file()
    ]
    if not found:
        raise errors.ConfigInvalid(
            f"Target {place.name}: there is no kubeconfig",
            origin=place.origin,
            why=f"we run in no cluster, and {named} is not there",
            hint="set settings.kubeconfig to {file: /path/to/kubeconfig} or {env: NAME}",
        )
    return found


def _credential(
    place: target.Target, value: Any, wrong: list[errors.UndriftError]
) -> source.Credential | None:
    if value is None:
        return None
    if isinstance(value, str) and value:
        return source.Credential(file=value)
    if isinstance(value, Mapping) and len(value) == 1:
        [(name, where)] = value.items()
        if name in {"file", "env"} and isinstance(where, str) and where:
            return source.Credential(file=where) if name == "file" else source.Credential(env=where)
    wrong.append(
        _invalid(
            place,
            "kubeconfig",
            "cannot be used",
            "write {file: /path/to/kubeconfig}, {env: NAME} or {secret: namespace/name}",
        )
    )
    return None


def _loan(
    place: target.Target, value: Mapping[str, Any], wrong: list[errors.UndriftError]
) -> borrowing.Loan | None:
    """`secret: namespace/name`, the key in it, and under `in` the settings of the cluster that holds it."""
    known = ("secret", "key", "in")
    for name in value:
        if name not in known:
            hint = words.suggestion(str(name), known)
            wrong.append(_invalid(place, f"kubeconfig.{name}", "is not a known setting", hint))
    namespace, _, name = str(value["secret"]).partition("/")
    key, around = value.get("key", ""), value.get("in", {})
    if (
        not namespace
        or not name
        or "/" in name
        or not isinstance(key, str)
        or not isinstance(around, Mapping)
    ):
        hint = "write {secret: namespace/name, key: name, in: {kubeconfig: {file: …}}}"
        wrong.append(_invalid(place, "kubeconfig", "cannot be used", hint))
        return None
    holder = dataclasses.replace(place, settings=around, account="")
    try:
        nested = read(holder)
    except errors.UndriftError as error:
        for one in error.parts:
            name, _, why = one.what.partition("settings.")[2].partition(" ")
            wrong.append(_invalid(place, f"kubeconfig.in.{name}", why, one.hint))
        return None
    if nested.loan is not None:
        wrong.append(_invalid(place, "kubeconfig.in", "cannot be borrowed itself", "name a kubeconfig there"))
        return None
    return borrowing.Loan(namespace, name, key, holder)


def _text(place: target.Target, name: str, value: Any, wrong: list[errors.UndriftError]) -> str:
    if isinstance(value, str):
        return value
    wrong.append(_invalid(place, name, "should be text"))
    return ""


def _connections(place: target.Target, value: Any, wrong: list[errors.UndriftError]) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _MOST_CONNECTIONS:
        return value
    wrong.append(_invalid(place, "connections", f"should be a number from 1 to {_MOST_CONNECTIONS}"))
    return _CONNECTIONS


def _impersonated(
    place: target.Target, made: Settings, value: Any, wrong: list[errors.UndriftError]
) -> Settings:
    if value is None:
        return made
    user = value.get("user") if isinstance(value, Mapping) else value
    groups: Sequence[Any] = value.get("groups", ()) if isinstance(value, Mapping) else ()
    fits = isinstance(groups, list | tuple) and all(isinstance(one, str) for one in groups)
    if not isinstance(user, str) or not user or not fits:
        wrong.append(_invalid(place, "impersonate", "cannot be used", "write {user: name, groups: [name]}"))
        return made
    return dataclasses.replace(made, user=user, groups=tuple(groups))


def _invalid(place: target.Target, name: str, why: str, hint: str = "") -> errors.ConfigInvalid:
    return errors.ConfigInvalid(f"Target {place.name}: settings.{name} {why}", origin=place.origin, hint=hint)
