"""What templates may know of a machine beside its name, asked for in one question. What changes by the minute is left out."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any, Final

from undrift.lib import process
from undrift.providers.hosts import transport

_SCRIPT: Final = r"""
exec 2>/dev/null
printf 'kernel\t%s\n' "$(uname -r)"
printf 'cpus\t%s\n' "$(getconf _NPROCESSORS_ONLN || grep -c ^processor /proc/cpuinfo)"
printf 'memory\t%s\n' "$(sed -n 's/^MemTotal: *\([0-9]*\) kB$/\1/p' /proc/meminfo)"
printf 'init\t%s\n' "$(cat /proc/1/comm)"
for manager in apt-get dnf zypper apk pacman; do
  if command -v "$manager" >/dev/null; then printf 'packages\t%s\n' "$manager"; break; fi
done
if command -v systemd-detect-virt >/dev/null; then printf 'virtualization\t%s\n' "$(systemd-detect-virt)"; fi
for file in /etc/os-release /usr/lib/os-release; do
  if [ -r "$file" ]; then sed 's/^/release\t/' "$file"; break; fi
done
if command -v ip >/dev/null; then ip -o addr show scope global | sed 's/^/address\t/'; fi
exit 0
"""
QUESTION: Final = transport.Question(_SCRIPT, timeout=20.0)
_RELEASE: Final = {
    "ID": "distribution",
    "VERSION_ID": "release",
    "VERSION_CODENAME": "codename",
    "ID_LIKE": "like",
}
_PASSING: Final = frozenset({"temporary", "tentative", "deprecated"})


def read(done: process.Completed) -> Mapping[str, Any]:
    """The facts: `distribution`, `release`, `codename`, `like`, `kernel`, `cpus`, `memory` (MiB), `init`,
    `virtualization` ("none" on bare metal), `packageManager`, `addresses`; what a machine does not tell is "" or 0.
    """
    found: dict[str, list[str]] = {}
    for line in done.stdout.decode("utf-8", "replace").splitlines():
        word, _, value = line.partition("\t")
        found.setdefault(word, []).append(value.strip())
    first = {word: values[0] for word, values in found.items() if values}
    manager = first.get("packages", "")
    return {
        **_release(found.get("release", ())),
        "kernel": first.get("kernel", ""),
        "cpus": _number(first.get("cpus", "")),
        "memory": _number(first.get("memory", "")) // 1024,
        "init": first.get("init", ""),
        "virtualization": first.get("virtualization", ""),
        "packageManager": "apt" if manager == "apt-get" else manager,
        "addresses": _addresses(found.get("address", ())),
    }


def _release(lines: Iterable[str]) -> dict[str, str]:
    """From os-release(5)."""
    told = dict(line.partition("=")[::2] for line in lines if "=" in line)
    return {name: told.get(word, "").strip("\"'") for word, name in _RELEASE.items()}


def _addresses(lines: Iterable[str]) -> list[str]:
    """Global addresses that stay, sorted as numbers: from `ip -o addr`."""
    found: set[str] = set()
    for line in lines:
        words = line.split()
        if len(words) > 3 and words[2] in {"inet", "inet6"} and not _PASSING & set(words):  # noqa: PLR2004 - its columns
            found.add(words[3].partition("/")[0])
    return sorted(found, key=lambda each: (":" in each, ipaddress.ip_address(each).packed))


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0
