"""Services as systemd units: of the system where we are root, else of our own user manager.

The file of a unit begins with a comment that holds the declared fields; what runs is what systemd says. What a
service was last restarted for is kept with its mark. Units that the system brought along may be run, too: of
those nothing is written and nothing removed.
"""

from __future__ import annotations

import dataclasses
import json
import os
import posixpath
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from undrift import errors
from undrift.providers.hosts import health, kinds, managing, transport

_HEAD: Final = "# undrift "
_PROPERTIES: Final = (
    "LoadState,ActiveState,SubState,UnitFileState,NeedDaemonReload,ActiveEnterTimestampMonotonic,NRestarts"
)
_SESSION: Final = ("XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")
_SHOW: Final = f"""
cat /proc/uptime || exit 1
flag=$1
if [ -n "$2" ]; then export XDG_RUNTIME_DIR="$2"; fi
if [ -n "$3" ]; then export DBUS_SESSION_BUS_ADDRESS="$3"; fi
shift 3
systemctl "$flag" show --no-pager --property={_PROPERTIES} -- "$@"
"""
_WAIT: Final = 120.0
_RUNNING: Final = frozenset({"active", "activating", "reloading"})
_ENABLED: Final = frozenset({"enabled", "enabled-runtime", "static", "alias", "generated", "indirect"})
_ELSEWHERE: Final = frozenset({"trigger", "reload"})
_DEFINITION: Final = ("command", "directory", "environment", "user", "trigger")
_ACCESS: Final = transport.Attributes(0o644)


@dataclasses.dataclass(frozen=True, slots=True)
class Systemd:
    """Implements `managing.Manager`. `folder` is where our units go; `own` = the user's manager."""

    host: transport.Transport
    folder: str
    own: bool = False

    def wants(self, names: Collection[str]) -> managing.Wants:
        """See `managing.Manager`."""
        session = _session() if self.own else {}
        about = ("--user" if self.own else "--system", *(session.get(name, "") for name in _SESSION))
        units = (f"{name}.service" for name in sorted(names))
        needs = {self._path(name): transport.Need.CONTENT for name in names}
        return managing.Wants(needs, transport.Question(_SHOW, (*about, *units)))

    async def look(self, names: Collection[str], told: managing.Told) -> Mapping[str, health.Unit]:
        """See `managing.Manager`."""
        uptime, shown = _shown(told)
        found: dict[str, health.Unit] = {}
        for name, properties in zip(sorted(names), _blocks(shown), strict=True):
            file = told.seen.get(self._path(name))
            if file is not None or properties.get("LoadState") == "loaded":
                content = file.content if file is not None else None
                noted = told.notes.get(name, {})
                found[name] = await self._unit(name, content, _Now(properties, uptime), noted)
        return found

    async def put(self, name: str, fields: Mapping[str, Any], live: Mapping[str, Any] | None) -> None:
        """See `managing.Manager`."""
        before = {} if live is None else live
        unit = f"{name}.service"
        if fields["command"] is not None:
            step = transport.Write(
                self._path(name), text(name, fields, own=self.own).encode(), _ACCESS, replace=True
            )
            await self.host.change([step])
            await self._ask("daemon-reload")
        if bool(before.get("enabled")) != fields["enabled"]:
            fresh = () if fields["command"] is None else ("--no-reload",)
            await self._ask("enable" if fields["enabled"] else "disable", *fresh, "--", unit)
        alive = before.get("state") == "running"
        if fields["state"] == "stopped":
            await self._ask("stop", "--", unit)
        elif not alive:
            await self._ask("reset-failed", "--", unit, but_may_fail=True)
            await self._start("start", unit)
        elif any(before.get(part) != fields[part] for part in _DEFINITION):
            await self._start("restart", unit)
        elif before.get("reload") != fields["reload"]:
            await self._ask("reload-or-restart", "--", unit)

    async def _start(self, word: str, unit: str) -> None:
        """A program that ends at once is no refusal: systemd goes on trying, and its health tells."""
        try:
            await self._ask(word, "--", unit)
        except errors.ChangeRefused:
            state = await self._ask("show", "--value", "--property=SubState", "--", unit, but_may_fail=True)
            if state.strip() != "auto-restart":
                raise

    async def remove(self, name: str) -> None:
        """See `managing.Manager`. A unit that the system brought along stays as it is."""
        file = (await self.host.look({self._path(name): transport.Need.CONTENT})).get(self._path(name))
        if file is None or not declared(_text(file.content)):
            return
        await self._ask("disable", "--now", "--", f"{name}.service", but_may_fail=True)
        await self._ask("stop", "--", f"{name}.service", but_may_fail=True)
        await self.host.change([transport.Remove(self._path(name), transport.Sort.FILE)])
        await self._ask("daemon-reload")
        await self._ask("reset-failed", "--", f"{name}.service", but_may_fail=True)

    def _path(self, name: str) -> str:
        return posixpath.join(self.folder, f"{name}.service")

    async def _unit(
        self, name: str, content: bytes | None, now: _Now, notes: Mapping[str, Any]
    ) -> health.Unit:
        properties = now.properties
        fields = self._fields(name, content, properties, kinds.kept(notes) if "values" in notes else {})
        wanted = str(fields.get("state", "running"))
        active = properties.get("ActiveState", "")
        fields["manager"] = "systemd"
        fields["state"] = "running" if active in _RUNNING else "failed" if active == "failed" else "stopped"
        fields["enabled"] = properties.get("UnitFileState") in _ENABLED
        life = _life(now)
        wrote = await self._wrote(name) if life in {health.Life.FAILING, health.Life.STOPPED} else ""
        return health.Unit(fields, life, now.seconds, wrote, wanted)

    def _fields(
        self, name: str, content: bytes | None, properties: Mapping[str, str], noted: Mapping[str, Any]
    ) -> dict[str, Any]:
        """As declared, unless the unit is not (or no longer) what we wrote."""
        found = _text(content)
        ours = declared(found)
        if not ours:
            own = noted.get("command") is not None
            return {**noted, "command": ["(edited by hand)"] if own else None}
        fields = {**ours, **{key: value for key, value in noted.items() if key in _ELSEWHERE}}
        if text(name, fields, own=self.own) != found:
            fields["command"] = ["(edited by hand)"]
        elif properties.get("NeedDaemonReload") == "yes":
            fields["command"] = ["(another one is loaded)"]
        return fields

    async def _wrote(self, name: str) -> str:
        """The last lines in the journal, where we may read it."""
        flag = "--user-unit" if self.own else "--unit"
        order = transport.Order(
            command=("journalctl", flag, f"{name}.service", "-n", "10", "-o", "cat", "--no-pager", "-q"),
            environment=_session() if self.own else {},
            timeout=5.0,
        )
        try:
            done = await self.host.run(order)
        except errors.TargetError:
            return ""
        return done.stdout.decode("utf-8", "replace").strip()

    async def _ask(self, *words: str, but_may_fail: bool = False) -> str:
        flags = ("--user",) if self.own else ()
        order = transport.Order(
            command=("systemctl", *flags, "--no-pager", "--no-ask-password", *words),
            environment=_session() if self.own else {},
            timeout=_WAIT,
        )
        done = await self.host.run(order)
        if done.returncode and not but_may_fail:
            why = done.stderr.decode("utf-8", "replace").strip()[-1000:]
            hint = "see journalctl -xe on the target"
            if "Failed to connect" in why:
                raise errors.TargetUnavailable(
                    "systemd does not answer", why=why, hint="is it running there?"
                )
            if "Access denied" in why or "authentication required" in why:
                raise errors.TargetDenied(
                    f"systemctl {words[0]} is refused", why=why, hint="run the agent as root"
                )
            raise errors.ChangeRefused(f"systemctl {words[0]} {words[-1]} failed", why=why, hint=hint)
        return done.stdout.decode("utf-8", "replace")


def text(name: str, fields: Mapping[str, Any], *, own: bool = False) -> str:
    """The file of a unit. Raises `ResourceInvalid` for what must not be written there."""
    kept = kinds.keep({key: value for key, value in fields.items() if key not in _ELSEWHERE})
    environment = kinds.reveal(fields["environment"])
    if "environment" in kept["secret"] and environment:
        raise errors.ResourceInvalid(
            f"the service {name} has secrets in its environment",
            why="systemd shows the environment of a unit to every user",
            hint="declare them as a file with mode 0600 that the program reads",
        )
    kept["values"].pop("state", None)
    lines = [
        _HEAD + json.dumps({**kept, "state": fields["state"]}, sort_keys=True),
        "[Unit]",
        f"Description={name} (kept by Undrift)",
        "StartLimitIntervalSec=0",
        *([] if own else ["After=network-online.target", "Wants=network-online.target"]),
        "",
        "[Service]",
        "Type=exec",
        "ExecStart=" + " ".join(_quote(word).replace("$", "$$") for word in kinds.reveal(fields["command"])),
        f"WorkingDirectory={fields['directory'].replace('%', '%%')}",
        "ExecReload=/bin/kill -HUP $MAINPID",
        "Restart=always",
        "RestartSec=1",
        *(f"Environment={_quote(pair)}" for pair in environment),
        *([f"User={fields['user']}"] if fields["user"] else []),
        "",
        "[Install]",
        f"WantedBy={'default.target' if own else 'multi-user.target'}",
        "",
    ]
    return "\n".join(lines)


def declared(found: str) -> dict[str, Any]:
    """The fields that a unit's file was made from; empty when it is not ours."""
    first = found.partition("\n")[0]
    try:
        data = json.loads(first.removeprefix(_HEAD))
        return {**kinds.kept(data), "state": data["state"], "trigger": "", "reload": ""}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def folder(home: str) -> str:
    """Where units of ours go: the system's folder for root, else the user's."""
    if os.geteuid() == 0:
        return "/etc/systemd/system"
    return posixpath.join(
        os.environ.get("XDG_CONFIG_HOME") or posixpath.join(home, ".config"), "systemd/user"
    )


def _quote(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def _text(content: bytes | None) -> str:
    return (content or b"").decode("utf-8", "replace")


def _blocks(told: str) -> Sequence[Mapping[str, str]]:
    """What `show` says of several units: one block of lines each."""
    return [
        dict(line.partition("=")[::2] for line in block.splitlines() if "=" in line)
        for block in told.strip("\n").split("\n\n")
    ]


@dataclasses.dataclass(frozen=True, slots=True)
class _Now:
    """What `show` says of one unit, and for how many seconds the machine is up."""

    properties: Mapping[str, str]
    uptime: float

    @property
    def seconds(self) -> float:
        """For how long the unit is active."""
        try:
            since = int(self.properties.get("ActiveEnterTimestampMonotonic") or 0) / 1e6
        except ValueError:
            return 0.0
        return max(0.0, self.uptime - since) if since else 0.0


def _shown(told: managing.Told) -> tuple[float, str]:
    """The machine's uptime and what `show` wrote. Raises where systemd did not answer."""
    done = told.done
    if done is None or done.returncode:
        why = "" if done is None else done.stderr.decode("utf-8", "replace").strip()[-1000:]
        raise errors.TargetUnavailable("systemd does not answer", why=why, hint="is it running there?")
    uptime, _, shown = done.stdout.decode("utf-8", "replace").partition("\n")
    return float(uptime.split(" ")[0]), shown


def _life(now: _Now) -> health.Life:
    active, sub = now.properties.get("ActiveState", ""), now.properties.get("SubState", "")
    if active == "failed" or sub == "auto-restart":
        return health.Life.FAILING
    if active == "activating":
        return health.Life.STARTING
    if active not in _RUNNING:
        return health.Life.STOPPED
    restarted = int(now.properties.get("NRestarts") or 0)
    young = now.seconds < 2  # noqa: PLR2004 - it restarts after one
    return health.Life.FAILING if restarted and young else health.Life.RUNNING


def _session() -> Mapping[str, str]:
    """Where a user's own manager is found."""
    return {name: os.environ[name] for name in _SESSION if name in os.environ}
