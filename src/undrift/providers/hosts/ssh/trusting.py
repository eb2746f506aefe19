"""Which host keys are trusted: those that were declared, and no other. Nothing is learned from the host itself."""

from __future__ import annotations

from typing import Final

import asyncssh

from undrift import errors

_MARKERS: Final = ("@cert-authority", "@revoked")


class Client(asyncssh.SSHClient):
    """Remembers the key of a host that was not trusted, to say which it was."""

    def __init__(self) -> None:
        self.shown = ""

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Refuse: what is asked here is not among the trusted keys."""
        self.shown = key.get_fingerprint()
        return False

    def validate_host_ca_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Refuse an authority that is not trusted."""
        self.shown = f"{key.get_fingerprint()} (of the authority that signed the host's key)"
        return False


def read(text: str, place: str) -> asyncssh.SSHKnownHosts:
    """Lines as in `known_hosts`; one with a key and no host name is for `place` itself.

    Raises `TargetDenied` for what is no such line.
    """
    lines = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        marker = [words.pop(0)] if words[0] in _MARKERS else []
        if words and _is_algorithm(words[0]):
            words.insert(0, "*")
        if not _is_key(" ".join(words[1:])):
            raise errors.TargetDenied(
                f"the host keys of {place} cannot be read",
                why=f"line {number} has no key",
                hint="write lines as in known_hosts: `ssh-keyscan -t ed25519 HOST`, compared at the host's console",
            )
        lines.append(" ".join([*marker, *words]))
    found = asyncssh.import_known_hosts("\n".join(lines) + "\n")
    if not lines:
        raise errors.TargetDenied(
            f"there is no host key for {place}",
            hint="write lines as in known_hosts into settings.hostKeys of the Target",
        )
    return found


def refused(place: str, why: str, shown: str) -> errors.HostUntrusted:
    """The error for a host that showed another key, or none that is trusted."""
    console = "`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` at its console"
    return errors.HostUntrusted(
        f"{place} is not the host that Git vouches for",
        why=f"it shows a key with the fingerprint {shown}" if shown else why,
        hint=f"if it was set up anew, compare that with {console} and change settings.hostKeys of the "
        "Target; else somebody sits between",
    )


def _is_key(text: str) -> bool:
    try:
        asyncssh.import_public_key(text)
    except asyncssh.KeyImportError:
        return False
    return True


def _is_algorithm(word: str) -> bool:
    return word.startswith(("ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"))
