"""Zones made and removed by `rndc` (BIND) or `knotc` (Knot), for servers whose zones RFC 2136 cannot make."""

from __future__ import annotations

import string
import subprocess

from undrift import errors
from undrift.providers.dns import settings

_ABSENT = ("not found", "no such zone", "no exact match", "unknown zone")


class Control:
    """One server's control program."""

    def __init__(self, given: settings.Control, timeout: float) -> None:
        self._given = given
        self._timeout = timeout
        self._knot = given.program.rpartition("/")[2] == "knotc"

    def has(self, zone: str) -> bool:
        """Whether the server says that it has a zone. Raises `TargetUnavailable` when it says nothing."""
        done = self._run(["zone-status" if self._knot else "zonestatus", zone])
        if done.returncode == 0:
            return True
        said = f"{done.stdout}{done.stderr}"
        if any(text in said.lower() for text in _ABSENT):
            return False
        raise errors.TargetUnavailable(
            f"{self._given.program} cannot say whether there is a zone {zone}", why=said.strip()[-500:],
            hint="check settings.control of the Target",
        )  # fmt: skip

    def create(self, zone: str) -> None:
        """Make a zone. Raises `ChangeRefused`."""
        name = zone.rstrip(".")
        if not self._knot:
            self._do(["addzone", name, string.Template(self._given.zone).safe_substitute(zone=name)], zone)
            return
        settings_of = [line.split() for line in self._given.zone.splitlines() if line.strip()]
        self._configured(zone, [["conf-set", f"zone[{name}]"], *(
            ["conf-set", f"zone[{name}].{words[0]}", *words[1:]] for words in settings_of
        )])  # fmt: skip

    def delete(self, zone: str) -> None:
        """Remove a zone and its files. Raises `ChangeRefused`."""
        name = zone.rstrip(".")
        if self._knot:
            self._do(["-f", "zone-purge", name], zone)
            self._configured(zone, [["conf-unset", f"zone[{name}]"]])
        else:
            self._do(["delzone", "-clean", name], zone)

    def _configured(self, zone: str, steps: list[list[str]]) -> None:
        """Steps of one transaction of Knot's configuration."""
        self._do(["conf-begin"], zone)
        try:
            for step in steps:
                self._do(step, zone)
            self._do(["conf-commit"], zone)
        except errors.UndriftError:
            self._run(["conf-abort"])
            raise

    def _do(self, arguments: list[str], zone: str) -> None:
        done = self._run(arguments)
        if done.returncode:
            raise errors.ChangeRefused(
                f"{self._given.program} {arguments[0]} refuses {zone}",
                why=f"{done.stdout}{done.stderr}".strip()[-500:],
                hint="check settings.control of the Target, and the server's log",
            )

    def _run(self, arguments: list[str]) -> subprocess.CompletedProcess[str]:
        command = [self._given.program, *self._given.arguments, *arguments]
        try:
            return subprocess.run(command, capture_output=True, text=True, timeout=self._timeout, check=False)
        except subprocess.TimeoutExpired as late:
            raise errors.TargetUnavailable(
                f"{self._given.program} took longer than {self._timeout:g} s"
            ) from late
        except OSError as error:
            raise errors.TargetUnavailable(
                f"{self._given.program} cannot be run", why=error.strerror or type(error).__name__,
                hint="install it where the agent runs, or correct settings.control.program",
            ) from error  # fmt: skip
