"""Runs `git`, and says in our words what it complains about.

The environment is built from nothing, so that no setting of the machine or the user changes what the agent
does; exceptions are `writing` and `grafting`, which work with a person's own settings.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from undrift import errors
from undrift.lib import mask, process

_KEPT = ("PATH", "TMPDIR", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
_TAIL = 2_000
_OUTPUT = 256 * 2**20


class Corruption(Exception):
    """The local store is damaged. Never leaves the package: the store is made anew, or `StoreBroken` is raised."""


@dataclasses.dataclass(frozen=True, slots=True)
class Finished:
    """How a command ended: its status and what it printed."""

    status: int
    output: bytes = dataclasses.field(repr=False)
    complaint: str


def plain_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """What `git` sees of this machine: programs, proxies, certificates; no settings, no terminal."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    for name in (*_PROXIES, *(proxy.lower() for proxy in _PROXIES)):
        if name in os.environ:
            kept[name] = os.environ[name]
    return {
        **kept,
        "LC_ALL": "C.UTF-8",
        "LANGUAGE": "C",
        "HOME": os.devnull,
        # The agent may be started in somebody's checkout: that one's settings and remotes are not ours.
        "GIT_DIR": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
        **(extra or {}),
    }


_LOST: Final = frozenset(
    {
        "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX", "GIT_CEILING_DIRECTORIES",
        "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_NAMESPACE", "GIT_TRACE", "GIT_TRACE_CURL", "GIT_CURL_VERBOSE",
    }
)  # fmt: skip
"""What would lead a person's `git` elsewhere, or have it print credentials."""


def personal_environment(own: Mapping[str, str], store: str, protocols: str) -> dict[str, str]:
    """What `git` sees where it works for a person in a store of ours: his settings, helpers and keys, and none of our own.

    `protocols` are those that it may speak, separated by colons. It asks nobody unless his environment says so.
    """
    return {name: value for name, value in own.items() if name not in _LOST} | {
        "GIT_DIR": store,
        "GIT_TERMINAL_PROMPT": own.get("GIT_TERMINAL_PROMPT", "0"),
        "GIT_ALLOW_PROTOCOL": protocols,
        "LC_ALL": "C.UTF-8",
        "LANGUAGE": "C",
    }


def settings(values: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Git settings as environment variables: unlike arguments, nobody else on the machine can read them."""
    return more_settings({}, values)


def more_settings(environment: Mapping[str, str], values: Sequence[tuple[str, str]]) -> dict[str, str]:
    """As `settings`, after those that a caller's environment holds already."""
    given = environment.get("GIT_CONFIG_COUNT", "")
    count = int(given) if given.isdecimal() else 0
    found = {"GIT_CONFIG_COUNT": str(count + len(values))}
    for index, (name, value) in enumerate(values, start=count):
        found[f"GIT_CONFIG_KEY_{index}"] = name
        found[f"GIT_CONFIG_VALUE_{index}"] = value
    return found


async def run(
    arguments: Sequence[str], environment: Mapping[str, str], *, given: bytes = b"", timeout: float = 60.0
) -> Finished:
    """Run `git` to its end; it and all it started are ended when `timeout` seconds pass or we are cancelled.

    Raises `TimeoutError`, and `SourceError` when there is no `git`.
    """
    try:
        done = await process.run(
            ["git", *arguments],
            stdin=given,
            env=environment,
            limits=process.Limits(timeout=timeout, output=_OUTPUT),
        )
    except process.ProcessTimeout:
        raise TimeoutError from None
    except process.ProgramMissing:
        raise missing_git() from None
    except process.ProcessError as error:
        raise errors.SourceError(f"git {arguments[0]} failed", why=str(error)) from None
    complaint = done.stderr[-_TAIL:].decode("utf-8", "replace").strip()
    return Finished(done.returncode, done.stdout, complaint)


def missing_git() -> errors.SourceError:
    """There is no `git` on the PATH."""
    return errors.SourceError(
        "the program git is not installed", why="it is not on the PATH", hint="install Git 2.36 or newer"
    )


_KEY = (
    r"host key verification failed|remote host identification has changed|no .* host key is known"
    r"|certificate problem|certificate verif|self.signed certificate|ssl: no alternative certificate"
    r"|unable to get local issuer|server verification failed|hostname in certificate"
)
_ROOM = (
    r"no space left on device|disk quota exceeded|file too large|read-only file system"
    r"|could not lock config file|unable to create temporary file|unable to write (sha1|loose|file)"
    r"|unable to create '[^']*\.lock'|cannot mkdir|write error: "
)
_DENIAL = (
    r"authentication failed|could not read username|could not read password|permission denied"
    r"|access denied|returned error: 40[134]|repository .*not found|invalid credentials|not authori[sz]ed"
    r"|too many authentication failures|terminal prompts disabled|error in libcrypto|invalid format|load key"
    r"|dubious ownership"
)
_ABSENCE = r"couldn't find remote ref|not our ref|no such remote ref|unadvertised object"
_NETWORK = (
    r"rpc failed|curl \d+|unexpected disconnect|early eof|hung up unexpectedly|could not resolve|connection (refused|reset|closed"
    r"|timed out)|timed out|network is unreachable|no route to host|failed to connect|couldn't connect"
    r"|still expected|returned error: (429|5\d\d)|expected flush|protocol error"
)
_DAMAGE = (
    r"loose object .* is corrupt|packed object .* is corrupt|index file corrupt|bad object refs/"
    r"|missing (blob|tree|commit)|bad tree object|unable to read tree|inflate: data stream error"
    r"|packfile .* cannot be (accessed|mapped)|pack has bad object|does not match index|bad pack header"
    r"|not a git repository: |object file .* is empty|invalid sha1 pointer|unable to parse object"
    r"|bad config line|index file .* is too small|unresolved deltas|non-monotonic index"
    r"|could not parse commit|unable to find [0-9a-f]{40}|hash mismatch|broken ref|did not send all necessary"
)
_RULES: tuple[tuple[type[errors.SourceError] | None, str, str], ...] = (
    (
        errors.HostKeyRefused,
        _KEY,
        "compare the server's key or certificate with the one in the source's authentication",
    ),
    (
        errors.StoreBroken,
        _ROOM,
        "make room on the agent's disk or correct its permissions; what was fetched before is still there",
    ),
    (
        errors.SourceDenied,
        _DENIAL,
        "check the credentials of the source and what they may read; a repository they may not see looks absent",
    ),
    (errors.ReferenceMissing, _ABSENCE, "correct the source's reference, or push it"),
    (errors.SourceUnavailable, _NETWORK, "it is tried again by itself"),
    (None, _DAMAGE, ""),
)


def explain(what: str, finished: Finished, secrets: Collection[str] = ()) -> errors.SourceError:
    """The error that a failed command stands for. Raises `Corruption` when it is about our own store."""
    why = mask.Mask(secrets)(finished.complaint)
    for kind, pattern, hint in _RULES:
        if re.search(pattern, why, re.IGNORECASE):
            if kind is None:
                raise Corruption(why)
            return kind(what, why=shorten(why), hint=hint)
    return errors.SourceUnavailable(
        what,
        why=shorten(why) or f"git ended with status {finished.status}",
        hint="it is tried again by itself",
    )


def shorten(text: str) -> str:
    """What matters of git's complaint: a few lines, without its own marks and advice."""
    lines = [
        re.sub(r"^(?:(?:fatal|error|remote|warning):\s*)+", "", line).strip() for line in text.splitlines()
    ]
    kept = [
        line for line in lines if line and not line.startswith(("Please make sure", "and the repository"))
    ]
    return "\n".join(kept[-6:])
