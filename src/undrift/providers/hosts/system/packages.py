"""Packages by apt or dnf.

A package that was there before us is taken over without being asked, as long as nothing of it changes, and stays when
it is no longer declared. Installing is one run of the package manager for all that a wave installs. `apt-get` waits for
the lock itself; what an interrupted dpkg left behind is finished first.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from undrift import errors
from undrift.lib import process
from undrift.model import resource
from undrift.providers.hosts import kinds, transport
from undrift.providers.hosts.system import facility

BEFORE: Final = "before"
ABSENT: Final = "absent"
PRESENT: Final = "present"
BROKEN: Final = "half installed"
_APT: Final = "apt"
_DNF: Final = "dnf"
_LONGEST: Final = 280.0
_SHOWN: Final = 10
_QUESTION: Final = r"""
if command -v apt-get >/dev/null && command -v dpkg-query >/dev/null; then
  echo apt
  dpkg-query -W -f='${Package}\t${Architecture}\t${db:Status-Abbrev}\t${Version}\n' "$@" 2>/dev/null
  [ $? -le 1 ] || { dpkg-query -W "$@" >&2; exit 1; }
elif command -v dnf >/dev/null && command -v rpm >/dev/null; then
  echo dnf
  rpm -q --qf '%{NAME}\t%{ARCH}\tii\t%{VERSION}-%{RELEASE}\n' "$@" | grep -v ' is not installed$'
  dnf -q -C versionlock list 2>/dev/null | sed 's/^/held\t/'
else
  echo none
fi
exit 0
"""
_AVAILABLE: Final = r"""
command -v apt-cache >/dev/null || exit 0
ls /var/lib/apt/lists | grep -q _Packages || exit 0
echo lists
apt-cache policy "$@"
"""
_ENVIRONMENT: Final = {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_MODE": "l"}
_KEEP: Final = ("-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold")
_LOCKED: Final = (
    "could not get lock",
    "unable to acquire the dpkg frontend lock",
    "is locked by another process",
)
_INTERRUPTED: Final = "dpkg was interrupted"
_STALE: Final = (
    "unable to locate package",
    "has no installation candidate",
    "404  not found",
    "was not found",
)
_AWAY: Final = ("could not resolve", "could not connect", "connection timed out", "failed to fetch")
_GOES: Final = re.compile(r"^(?:Remv|Purg) (\S+)", re.MULTILINE)


class Packages(facility.Facility):
    """The packages of a machine."""

    serves = (kinds.PACKAGE,)

    def question(self, ids: Collection[resource.ResourceId]) -> transport.Question | None:
        """See `facility.Facility`."""
        return transport.Question(_QUESTION, tuple(sorted(rid.name for rid in ids)))

    def answer(
        self, ids: Collection[resource.ResourceId], told: facility.Told
    ) -> Mapping[resource.ResourceId, facility.Known]:
        """See `facility.Facility`. What was declared absent is there, as something absent, once we saw to it."""
        manager, found = read(told.lines("packages"))
        known: dict[resource.ResourceId, facility.Known] = {}
        for rid in ids:
            fields = found.get(rid.name)
            if fields is None and rid in told.notes:
                fields = {"state": ABSENT}
            if fields is not None and manager:
                known[rid] = facility.Known(fields)
        return known

    async def put(self, host: transport.Transport, order: facility.Order) -> facility.Notes:
        """See `facility.Facility`. The first of a wave installs all others like it."""
        wanted = order.wanted
        manager = await self._manager(host)
        kept: dict[str, Any] = {
            "purge": bool(wanted.settings.get("purge")),
            "hold": bool(wanted.fields.get("hold")),
        }
        if order.adopted:
            kept[BEFORE] = True
        now = await self._now(host, wanted.id)
        if now.get("state") == BROKEN:
            await _configure(host)
        if wanted.fields["state"] == ABSENT:
            if now:
                await self._uninstall(host, manager, facility.Leave(wanted.id, now, kept))
            return kept
        if now.get("state") != PRESENT or not _fits(wanted, now):
            words = [_word(one, manager) for one in (wanted, *order.beside) if one.fields["state"] == PRESENT]
            await _install(host, manager, wanted, words)
        await self._hold(host, manager, wanted, now)
        return kept

    async def remove(self, host: transport.Transport, gone: facility.Leave) -> None:
        """See `facility.Facility`. What others that are not ours need stays, and that is said."""
        if gone.notes.get(BEFORE) or gone.fields.get("state") == ABSENT:
            return
        if await self._now(host, gone.id):
            await self._uninstall(host, await self._manager(host), gone)

    async def missing(self, host: transport.Transport, names: Sequence[str]) -> Sequence[str]:
        """Those of `names` that no repository known to the machine has; none where that cannot be told."""
        _, (done,) = await host.survey({}, [transport.Question(_AVAILABLE, tuple(sorted(names)))])
        told = done.stdout.decode("utf-8", "replace")
        if done.returncode or not told.startswith("lists"):
            return ()
        has = {
            block.partition(":")[0]
            for block in re.split(r"\n(?=\S)", told)
            if "Candidate:" in block and "Candidate: (none)" not in block
        }
        return tuple(name for name in sorted(names) if name not in has and name.partition(":")[0] not in has)

    async def _now(self, host: transport.Transport, rid: resource.ResourceId) -> Mapping[str, Any]:
        question = self.question([rid])
        _, (done,) = await host.survey({}, [question] if question is not None else [])
        return read(facility.Told({}, done).lines("packages"))[1].get(rid.name, {})

    async def _manager(self, host: transport.Transport) -> str:
        _, (done,) = await host.survey({}, [transport.Question(_QUESTION, ("undrift",))])
        manager, _ = read(facility.Told({}, done).lines("packages"))
        if not manager:
            raise errors.ChangeRefused(
                "there is no apt and no dnf on the machine", hint="install it by a command"
            )
        return manager

    async def _hold(
        self, host: transport.Transport, manager: str, wanted: resource.Resource, now: Mapping[str, Any]
    ) -> None:
        held = wanted.fields.get("hold")
        if held is None or bool(now.get("hold")) == held:
            return
        name = wanted.id.name
        if manager == _APT:
            command = ["apt-mark", "hold" if held else "unhold", name]
        else:
            command = ["dnf", "-q", "versionlock", "add" if held else "delete", name]
        await facility.run(host, command, f"holding the package {name}")

    async def _uninstall(self, host: transport.Transport, manager: str, gone: facility.Leave) -> None:
        name = gone.id.name
        doing = f"removing the package {name}"
        if manager == _DNF:
            command = ["dnf", "-y", "-q", "remove", "--noautoremove", name]
            await facility.run(host, command, doing, timeout=_LONGEST)
            return
        words = [
            *(["--allow-change-held-packages"] if gone.notes.get("hold") else []),
            "purge" if gone.notes.get("purge") else "remove",
            name,
        ]
        dry = await facility.run(host, ["apt-get", "-s", "-q", *words], doing)
        ours = {rid.name.partition(":")[0] for rid in (gone.id, *gone.beside)}
        others = sorted({found.partition(":")[0] for found in _GOES.findall(dry)} - ours)
        if others:
            raise errors.ChangeRefused(
                f"the package {name} stays: others need it",
                why=f"with it would go {', '.join(others[:_SHOWN])}" + (" …" if len(others) > _SHOWN else ""),
                hint="remove those by hand first, or declare the package again",
            )
        await _apt(host, ["apt-get", "-y", "-q", *_KEEP, *_patience(None), *words], doing)


def read(lines: Sequence[str]) -> tuple[str, dict[str, dict[str, Any]]]:
    """The package manager ("" = none) and the fields of what is installed, by name and by name:architecture."""
    manager = lines[0] if lines else ""
    found: dict[str, dict[str, Any]] = {}
    held = [line.partition("\t")[2] for line in lines[1:] if line.startswith("held\t")]
    for line in lines[1:]:
        parts = line.split("\t")
        if len(parts) != 4:  # noqa: PLR2004 - the question says so
            continue
        name, architecture, status, version = parts
        fields = _fields(status, version)
        if fields is not None:
            fields["hold"] = fields["hold"] or any(each.startswith(f"{name}-") for each in held)
            found.setdefault(name, fields)
            found[f"{name}:{architecture}"] = fields
    return ("" if manager == "none" else manager), found


def _fields(status: str, version: str) -> dict[str, Any] | None:
    """From dpkg's three letters: what is wanted, what is, and whether something is wrong (dpkg-query(1))."""
    wanted, is_now = status[:1], status[1:2]
    if is_now in {"n", "c", ""}:
        return None
    whole = is_now == "i" and status[2:3] != "R"
    return {"state": PRESENT if whole else BROKEN, "version": version, "hold": wanted == "h"}


def _fits(wanted: resource.Resource, now: Mapping[str, Any]) -> bool:
    return "version" not in wanted.fields or wanted.fields["version"] == now.get("version")


def _word(one: resource.Resource, manager: str) -> str:
    version = one.fields.get("version")
    if version is None:
        return one.id.name
    return f"{one.id.name}={version}" if manager == _APT else f"{one.id.name}-{version}"


def _patience(wanted: resource.Resource | None) -> tuple[str, ...]:
    seconds = 60.0 if wanted is None else float(wanted.settings.get("lock_timeout", 60.0))
    return ("-o", f"DPkg::Lock::Timeout={int(seconds)}")


async def _install(
    host: transport.Transport, manager: str, wanted: resource.Resource, words: Sequence[str]
) -> None:
    doing = f"installing {', '.join(words)}"
    lean = not wanted.settings.get("recommends", True)
    if manager == _DNF:
        weak = ["--setopt=install_weak_deps=False"] if lean else []
        await _dnf(host, ["dnf", "-y", "-q", *weak, "install", *words], doing)
        return
    flags = [*_KEEP, *_patience(wanted), *(["--no-install-recommends"] if lean else [])]
    if any("=" in word for word in words):
        flags += ["--allow-downgrades", "--allow-change-held-packages"]
    command = ["apt-get", "-y", "-q", *flags, "install", "--", *words]
    try:
        await _apt(host, command, doing)
    except errors.ChangeRefused as error:
        if not any(said in error.why.lower() for said in _STALE):
            raise
        await refresh(host)
        await _apt(host, command, doing)


async def refresh(host: transport.Transport, only: str = "") -> None:
    """Fetch the lists of packages: all, or those of the one file in /etc/apt/sources.list.d."""
    one = (
        "-o",
        f"Dir::Etc::sourcelist={only}",
        "-o",
        "Dir::Etc::sourceparts=-",
        "-o",
        "APT::Get::List-Cleanup=0",
    )
    strict = ("-o", "APT::Update::Error-Mode=any") if only else ()
    command = ["apt-get", "-q", *(one if only else ()), *strict, *_patience(None), "update"]
    await _apt(host, command, "fetching the lists of packages")


async def _apt(host: transport.Transport, command: Sequence[str], doing: str) -> None:
    """Run apt-get; once more when dpkg was interrupted some time before."""
    done = await facility.attempt(host, command, timeout=_LONGEST, environment=_ENVIRONMENT)
    if done.returncode and _INTERRUPTED in _said(done):
        await _configure(host)
        done = await facility.attempt(host, command, timeout=_LONGEST, environment=_ENVIRONMENT)
    judge(done, doing)


async def _configure(host: transport.Transport) -> None:
    """Finish what an interrupted dpkg left behind."""
    command = ["dpkg", "--force-confdef", "--force-confold", "--configure", "-a"]
    done = await facility.attempt(host, command, timeout=_LONGEST, environment=_ENVIRONMENT)
    judge(done, "finishing what an interrupted dpkg left behind")


async def _dnf(host: transport.Transport, command: Sequence[str], doing: str) -> None:
    judge(await facility.attempt(host, command, timeout=_LONGEST), doing)


def judge(done: process.Completed, doing: str) -> None:
    """Raise what a package manager that failed means: busy, away, denied, or refused."""
    if not done.returncode:
        return
    said = _said(done)
    why = facility.tail(done.stderr or done.stdout)
    if any(word in said for word in _LOCKED):
        raise errors.TargetBusy(
            f"{doing} waits for the package database",
            why=why,
            hint="another package manager is at work on the machine; it is tried again",
        )
    if any(word in said for word in _AWAY) and not any(word in said for word in _STALE):
        raise errors.TargetUnavailable(
            f"{doing} failed: a repository does not answer", why=why, hint="it is tried again"
        )
    raise facility.refusal(doing, done)


def _said(done: process.Completed) -> str:
    return (done.stderr + b"\n" + done.stdout).decode("utf-8", "replace").lower()
