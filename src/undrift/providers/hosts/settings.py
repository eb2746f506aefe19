"""What `spec.settings` of a Target with `provider: hosts` may say."""

from __future__ import annotations

import dataclasses
import posixpath
from collections.abc import Mapping
from typing import Any, Final

from undrift import errors
from undrift.lib import words
from undrift.model import target
from undrift.providers.hosts import login, reaching

MANAGERS: Final = ("auto", "systemd", "supervisor")
_KNOWN: Final = ("root", "state", "manager", "vars", *reaching.KNOWN)


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """`root` is the folder that all paths are below; `state` the folder of our own records on the target.

    Paths in manifests begin at `root`, as after a chroot. `variables` are for templates and win over the
    manifests' own. `manager` runs services where a manifest leaves it open. `remote` is the host over SSH; None is the
    machine that the agent runs on.
    """

    root: str
    state: str
    manager: str
    variables: Mapping[str, Any]
    remote: login.Remote | None = None

    def real(self, path: str) -> str:
        """The path on the machine itself."""
        return path if self.root == "/" else self.root + path

    def is_state(self, path: str) -> bool:
        """Whether a manifest's path lies in our own records."""
        real = self.real(path)
        return real == self.state or real.startswith(f"{self.state}/")


def read(place: target.Target) -> Settings:
    """The settings of a target with their defaults. Raises `ConfigInvalid`, all at once."""
    given = place.settings
    wrong: list[errors.UndriftError] = [
        errors.ConfigInvalid(
            f"Target {place.name}: settings.{name} is not a known setting",
            origin=place.origin,
            hint=words.suggestion(str(name), _KNOWN),
        )
        for name in given
        if name not in _KNOWN
    ]
    root = _folder(place, "root", given.get("root", "/"), wrong)
    usual = "/var/lib/undrift" if root == "/" else f"{root}/.undrift"
    state = _folder(place, "state", given.get("state", usual), wrong)
    manager = given.get("manager", "auto")
    if manager not in MANAGERS:
        wrong.append(_invalid(place, "manager", words.suggestion(str(manager), MANAGERS)))
    variables = given.get("vars", {})
    if not isinstance(variables, Mapping):
        wrong.append(_invalid(place, "vars", "write a mapping of names and values"))
    remote, problems = reaching.read(given)
    wrong += [_invalid(place, problem.name, problem.hint) for problem in problems]
    if remote is not None and manager == "supervisor":
        wrong.append(_invalid(place, "manager", "a host over SSH runs its services by systemd"))
    if wrong:
        raise errors.gather(wrong)
    return Settings(root, state, manager, variables, remote)


def _folder(place: target.Target, name: str, value: Any, wrong: list[errors.UndriftError]) -> str:
    if not isinstance(value, str) or not value.startswith("/") or "\0" in value:
        wrong.append(_invalid(place, name, "write an absolute path, such as /srv/site"))
        return "/"
    return "/" + posixpath.normpath(value).lstrip("/")


def _invalid(place: target.Target, name: str, hint: str) -> errors.ConfigInvalid:
    return errors.ConfigInvalid(
        f"Target {place.name}: settings.{name} cannot be used", origin=place.origin, hint=hint
    )
