"""Decrypts what SOPS encrypted, in memory: with age keys and PGP here, with anything else through `sops` itself.

age keys are found where SOPS looks for them (`SOPS_AGE_KEY`, `SOPS_AGE_KEY_FILE`, its own folder), and in the file
that the agent is told. PGP keys are those of the user's `gpg`. For a cloud's key service, and for the rare formats
that only SOPS reads, the program has to be installed. Nothing decrypted is kept, logged or put in an error.
"""

from __future__ import annotations

import asyncio
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from undrift import errors
from undrift.lib import mask, process
from undrift.lib.sops import decrypting, sealed

_GROUPS: Final = frozenset({"key_groups", "shamir_threshold"})
_KEY_MARK: Final = "AGE-SECRET-KEY-"
_LONGEST_COMPLAINT: Final = 500
_NOT_OURS: Final = b"ENC[AES256_GCM,"


class SopsDecryptor:
    """Implements `interfaces.Decryptor`. `age_key_file` names a file of age identities beside SOPS's own places."""

    def __init__(
        self, age_key_file: str = "", environ: Mapping[str, str] | None = None, *, timeout: float = 30.0
    ) -> None:
        self._age_key_file = age_key_file
        self._environ = os.environ if environ is None else environ
        self._timeout = timeout

    async def decrypt(self, content: bytes, name: str) -> bytes | None:
        """See `interfaces.Decryptor`. Raises `DecryptionFailed`, or `ToolMissing` where `sops` is needed."""
        if _NOT_OURS not in content:
            return None
        try:
            found = await asyncio.to_thread(sealed.inspect, content, name)
            if found is None:
                return None
            key = await self._data_key(found.metadata, name)
            return await asyncio.to_thread(decrypting.decrypt, found, key)
        except sealed.Unsupported as unsupported:
            return await self._ask_sops(content, name, unsupported.problem)
        except sealed.SopsError as error:
            raise _failed(
                name, error.problem, "encrypt it again with sops, or take the change back"
            ) from None

    async def _data_key(self, metadata: sealed.Metadata, name: str) -> bytes:
        """The key of a file. Raises `Unsupported` when only SOPS may have it, `DecryptionFailed` when nobody has."""
        if _GROUPS & set(metadata.elsewhere):
            raise sealed.Unsupported("it takes several keys to decrypt")
        identities = await asyncio.to_thread(self._identities, name) if metadata.age else []
        for wrapped in metadata.age:
            key = await asyncio.to_thread(_unwrap, wrapped.encrypted, identities)
            if key is not None:
                return key
        for wrapped in metadata.pgp:
            key = await self._ask_gpg(wrapped.encrypted)
            if key is not None:
                return key
        if metadata.elsewhere:
            raise sealed.Unsupported(f"its key is kept by {', '.join(metadata.elsewhere)}")
        who = [each.recipient for each in (*metadata.age, *metadata.pgp)]
        raise _failed(
            name,
            f"no key here fits; it is encrypted for {', '.join(who) or 'nobody'}",
            "give the agent one of these keys (SOPS_AGE_KEY_FILE, --age-key-file, gpg), or encrypt it for the agent's",
        )

    def _identities(self, name: str) -> list[Any]:
        """Every age identity there is."""
        import pyrage  # noqa: PLC0415 - only who decrypts needs it

        texts = [self._environ.get("SOPS_AGE_KEY", "")]
        named = [each for each in (self._environ.get("SOPS_AGE_KEY_FILE", ""), self._age_key_file) if each]
        files = [pathlib.Path(each).expanduser() for each in named]
        own = self._own_file()
        texts.extend(_read(path, name) for path in (*files, *([own] if own.is_file() else [])))
        lines = [line.strip() for text in texts for line in text.splitlines()]
        try:
            found = [pyrage.x25519.Identity.from_str(line) for line in lines if line.startswith(_KEY_MARK)]
        except pyrage.IdentityError:
            raise _failed(name, "an age key is not valid", "make one with age-keygen") from None
        ssh = self._environ.get("SOPS_AGE_SSH_PRIVATE_KEY_FILE", "")
        if ssh:
            text = _read(pathlib.Path(ssh).expanduser(), name)
            try:
                found.append(pyrage.ssh.Identity.from_buffer(text.encode()))
            except pyrage.IdentityError:
                raise _failed(
                    name, f"the SSH key {ssh} cannot be used", "use one without a passphrase"
                ) from None
        return found

    def _own_file(self) -> pathlib.Path:
        """Where SOPS looks when it is told nothing."""
        folder = self._environ.get("XDG_CONFIG_HOME", "")
        root = (
            pathlib.Path(folder)
            if folder
            else pathlib.Path(self._environ.get("HOME", "/nowhere")) / ".config"
        )
        return root / "sops" / "age" / "keys.txt"

    async def _ask_gpg(self, encrypted: str) -> bytes | None:
        """The data key that gpg decrypts, or None when it cannot."""
        program = self._environ.get("SOPS_GPG_EXEC", "") or "gpg"
        argv = [program, "--batch", "--quiet", "--no-tty", "--pinentry-mode", "error", "--decrypt"]
        try:
            done = await self._run(argv, encrypted.encode())
        except process.ProcessError:
            return None
        return done.stdout if done.returncode == 0 and done.stdout else None

    async def _ask_sops(self, content: bytes, name: str, why: str) -> bytes:
        argv = ["sops", "decrypt", "--filename-override", name, "/dev/stdin"]
        try:
            done = await self._run(argv, content)
        except process.ProgramMissing:
            raise errors.ToolMissing(
                f"{name} can be decrypted by sops only, and sops is not installed",
                why=why,
                hint="install sops on the agent's host, or encrypt the file for an age or PGP key",
            ) from None
        except process.ProcessError as error:
            raise _failed(
                name, f"sops {error.problem}", "see whether its key service can be reached"
            ) from None
        if done.returncode != 0:
            raise _failed(name, _complaint(done.stderr), "give the agent the rights to the file's key")
        return done.stdout

    async def _run(self, argv: Sequence[str], stdin: bytes) -> process.Completed:
        environ = {**self._environ, "SOPS_DISABLE_VERSION_CHECK": "true"}
        if self._age_key_file:
            environ.setdefault("SOPS_AGE_KEY_FILE", self._age_key_file)
        return await process.run(argv, stdin=stdin, env=environ, limits=process.Limits(timeout=self._timeout))


def _unwrap(encrypted: str, identities: Sequence[Any]) -> bytes | None:
    import pyrage  # noqa: PLC0415 - only who decrypts needs it

    if not identities:
        return None
    try:
        key: bytes = pyrage.decrypt(encrypted.encode(), list(identities))
    except pyrage.DecryptError:
        return None
    return key


def _read(path: pathlib.Path, name: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise _failed(
            name, f"the key file {path} cannot be read: {why}", "put it there, readable by the agent"
        ) from None


def _failed(name: str, why: str, hint: str) -> errors.DecryptionFailed:
    return errors.DecryptionFailed(f"{name} cannot be decrypted", why=why, hint=hint)


def _complaint(stderr: bytes) -> str:
    """What sops says, without addresses' credentials and at a length that can be read."""
    text = " ".join(mask.without_credentials(stderr.decode("utf-8", "replace")).split())
    return text if len(text) <= _LONGEST_COMPLAINT else text[:_LONGEST_COMPLAINT] + " …"
