"""One run of the user's `ansible-playbook`: arguments, credentials in files, and what it told."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from undrift import errors, interfaces
from undrift.lib import mask, process, yaml
from undrift.model import source
from undrift.providers.ansible import settings, telling, workspace

_UNREADABLE: Final = 1
_PLACE: Final = re.compile(r"(?:Origin: |in ')(/[^'\n:]+)'?(?::|: line )(\d+)")
_LONGEST: Final = 600
_INVENTORY: Final = "inventory.json"
_HOSTS: Final = "known_hosts"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to run: the `recipe` (settings of the renderer) with its `files`, in check mode or not.

    `folder` is where the files are in Git; `encrypted` names those that nobody may see in plain.
    """

    recipe: Mapping[str, Any]
    files: Mapping[str, source.File] = dataclasses.field(repr=False)
    encrypted: frozenset[str] = frozenset()
    folder: str = "."
    playbook: str = ""
    check: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class Ran:
    """What a run told. `hosts` are those that it was for."""

    tasks: tuple[telling.Task, ...]
    hosts: tuple[str, ...] = ()

    def by_outcome(self, *outcomes: str) -> tuple[telling.Task, ...]:
        """The tasks that ended so."""
        return tuple(task for task in self.tasks if task.outcome in outcomes)


@dataclasses.dataclass(frozen=True, slots=True)
class Runner:
    """Runs playbooks on the places of one target."""

    given: settings.Settings
    secrets: interfaces.SecretResolver

    async def version(self) -> str:
        """What `ansible-playbook --version` says. Raises `TargetUnavailable`."""
        try:
            with workspace.opened(workspace.Contents({}, {})) as place:
                done = await process.run(
                    [self.given.program, "--version"], env=place.environment(), limits=_limits(60.0)
                )
        except process.ProcessError as error:
            raise self._missing(error) from error
        first = done.stdout.decode("utf-8", "replace").partition("\n")[0].strip()
        if done.returncode or not first:
            why = done.stderr.decode("utf-8", "replace").strip()[:_LONGEST]
            raise errors.TargetUnavailable(f"{self.given.program} does not start", why=why)
        return first

    async def run(self, order: Order) -> Ran:
        """Run to the end. Raises `TargetUnavailable` (no program, hosts away, too late), `ChangeRefused`."""
        private = await self._private()
        contents = workspace.Contents(order.files, private)
        place_of = workspace.opened(contents)
        place = await asyncio.to_thread(place_of.__enter__)
        try:
            return await self._run(order, place, private)
        finally:
            await asyncio.shield(asyncio.to_thread(place_of.__exit__, None, None, None))

    async def _run(self, order: Order, place: workspace.Workspace, private: Mapping[str, str]) -> Ran:
        hidden = mask.Mask(_secrets(order, private, self.given))

        def clean(text: str) -> str:
            return hidden(text.replace(str(place.project), "").replace(str(place.root), ""))

        argv = [self.given.program, *_arguments(order, place, private, self.given)]
        env = place.environment() | self._environment(place, private)
        try:
            done = await process.run(argv, env=env, cwd=place.project, limits=_limits(self.given.timeout))
        except process.ProcessTimeout as error:
            kind = errors.TargetUnavailable if order.check else errors.OutcomeUnknown
            raise kind(
                f"{order.playbook} took longer than {self.given.timeout:g} s",
                hint="raise settings.timeout of the Target, or make the playbook faster",
            ) from error
        except process.ProcessError as error:
            raise self._missing(error) from error
        told = await asyncio.to_thread(place.told)
        end = next((line for line in told if line.get("kind") == "end"), None)
        if end is None:
            raise _unfinished(order, clean(_said(done)), done.returncode)
        hosts = tuple(str(host) for host in end.get("hosts", ()))
        return Ran(telling.tasks(told, clean, order.folder), hosts)

    def _missing(self, error: process.ProcessError) -> errors.TargetUnavailable:
        return errors.TargetUnavailable(
            f"{self.given.program} cannot be run",
            why=error.problem,
            hint="install ansible-core on the agent's machine, or set settings.program of the Target",
        )

    async def _private(self) -> dict[str, str]:
        """Files that only the run may read."""
        named = {"become": self.given.become, "vault": self.given.vault, "key": self.given.key}
        found = {
            name: await self.secrets.resolve(credential)
            for name, credential in named.items()
            if credential is not None
        }
        if "key" in found and not found["key"].endswith("\n"):
            found["key"] += "\n"
        hidden = {name: await self.secrets.resolve(one) for name, one in self.given.secrets.items()}
        found["vars.json"] = json.dumps({**self.given.variables, **hidden})
        if self.given.inventory is not None:
            found[_INVENTORY] = json.dumps(self.given.inventory, default=str)
        if self.given.known_hosts:
            found[_HOSTS] = "".join(f"{line}\n" for line in self.given.known_hosts)
        return found

    def _environment(self, place: workspace.Workspace, private: Mapping[str, str]) -> dict[str, str]:
        found = {"ANSIBLE_HOST_KEY_CHECKING": "1"}
        if self.given.collections:
            found["ANSIBLE_COLLECTIONS_PATH"] = ":".join(self.given.collections)
        if _HOSTS in private:
            known = place.private(_HOSTS)
            found["ANSIBLE_SSH_COMMON_ARGS"] = f"-o UserKnownHostsFile={known} -o StrictHostKeyChecking=yes"
        return found


def _arguments(
    order: Order, place: workspace.Workspace, private: Mapping[str, str], given: settings.Settings
) -> list[str]:
    """Everything after the program's name; no secret is among it."""
    recipe = order.recipe
    found = ["--diff", *(["--check"] if order.check else [])]
    inventories = [str(place.project / name) for name in recipe.get("inventory", ())]
    if _INVENTORY in private:
        inventories.append(place.private(_INVENTORY))
    for path in inventories:
        found += ["--inventory", path]
    found += ["--extra-vars", f"@{place.private('vars.json')}"]
    for name in recipe.get("varsFiles", ()):
        found += ["--extra-vars", f"@{place.project / name}"]
    if recipe.get("vars"):
        found += ["--extra-vars", json.dumps(recipe["vars"], default=str)]
    pairs = {
        "--become-password-file": place.private("become") if "become" in private else "",
        "--vault-password-file": place.private("vault") if "vault" in private else "",
        "--private-key": place.private("key") if "key" in private else "",
        "--user": given.user,
        "--tags": ",".join(recipe.get("tags", ())),
        "--skip-tags": ",".join(recipe.get("skipTags", ())),
        "--limit": str(recipe.get("limit", "")),
    }
    found += [f"{option}={value}" for option, value in pairs.items() if value]
    return [*found, str(place.project / order.playbook)]


def _limits(seconds: float) -> process.Limits:
    return process.Limits(timeout=seconds)


def _said(done: process.Completed) -> str:
    told = done.stderr.strip() or done.stdout.strip()
    return told.decode("utf-8", "replace")


def _unfinished(order: Order, said: str, code: int) -> errors.UndriftError:
    """The error for a run that did not even begin, or was killed."""
    place = _PLACE.search(said)
    origin = None
    if place is not None:
        file = place[1].lstrip("/")
        origin = errors.Origin(f"{order.folder}/{file}" if order.folder != "." else file, int(place[2]))
    lines = [line for line in said.splitlines() if line.strip() and not line.startswith("[WARNING]")]
    why = " ".join(line.strip() for line in lines[:4])[:_LONGEST] or f"it ended with code {code}"
    return errors.ChangeRefused(
        f"{order.playbook} cannot be run",
        origin=origin,
        why=why,
        hint="correct it; `ansible-playbook --syntax-check` tells more",
    )


def _secrets(order: Order, private: Mapping[str, str], given: settings.Settings) -> Sequence[str]:
    """Every value that must not be seen: credentials, secret variables, whatever was encrypted in Git."""
    found = [private[name] for name in ("become", "vault", "key") if name in private]
    variables = json.loads(private.get("vars.json", "{}"))
    found += [str(variables[name]) for name in given.secrets if name in variables]
    for name in order.encrypted:
        content = order.files[name].content
        found += [line.strip() for line in content.decode("utf-8", "replace").splitlines()]
        try:
            documents = yaml.documents(content)
        except yaml.YamlError:
            continue
        found += [text for one in documents for text in _texts(one.data)]
    return found


def _texts(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [str(value)] if value is not None and not isinstance(value, bool) else []
