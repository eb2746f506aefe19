"""Who signed a commit or a tag: checked by `git` against the keys that a source names, and no others."""

from __future__ import annotations

import asyncio
import hashlib
import pathlib
import re
import shutil
import tempfile

from undrift import errors
from undrift.lib import process
from undrift.model import source
from undrift.sources.git import command, references, repository

_TIMEOUT = 30.0
_SSH_GOOD = re.compile(r'^Good "git" signature for (?P<who>.+) with (?P<key>.+)$', re.MULTILINE)
_PGP_GOOD = re.compile(r"^\[GNUPG:\] GOODSIG \S+ (?P<who>.+)$", re.MULTILINE)
_PGP_VALID = re.compile(r"^\[GNUPG:\] VALIDSIG (?P<key>[0-9A-F]+) ", re.MULTILINE)
_PGP_WHY = {
    "NO_PUBKEY": "it is signed with an OpenPGP key that the source does not name",
    "EXPKEYSIG": "the key that signed it has expired",
    "EXPSIG": "the signature has expired",
    "REVKEYSIG": "the key that signed it was revoked",
    "BADSIG": "the signature does not fit the content: it was changed after signing",
}


class Verifier:
    """Verifies for one source. Verdicts are kept by object id, which names the content for good."""

    def __init__(self, wanted: source.Verification, owner: repository.Repository) -> None:
        self._wanted = wanted
        self._owner = owner
        self._verdicts: dict[str, str] = {}
        self._folder: pathlib.Path | None = None
        self._lock = asyncio.Lock()

    async def signer(self, selected: references.Selected) -> str:
        """Who signed, for people. Raises `SignatureRefused`, which says what is wrong with it."""
        tried: list[errors.SignatureRefused] = []
        for kind, object_id in self._candidates(selected):
            try:
                return await self._verify(kind, object_id, selected.shown)
            except errors.SignatureRefused as error:
                tried.append(error)
        if tried:
            raise tried[0]
        raise errors.SignatureRefused(
            f"{selected.shown} is not a signed tag",
            why="the source asks for signed tags, and this is a branch, a commit or a tag without a message",
            hint="let the source follow tags (`git tag -s`), or verify commits",
        )

    def _candidates(self, selected: references.Selected) -> list[tuple[str, str]]:
        found = []
        if self._wanted.what in {"tag", "either"} and selected.tag:
            found.append(("tag", selected.tag))
        if self._wanted.what in {"commit", "either"}:
            found.append(("commit", selected.commit))
        return found

    async def _verify(self, kind: str, object_id: str, shown: str) -> str:
        if object_id not in self._verdicts:
            async with self._lock:
                folder = await self._prepare()
                self._verdicts[object_id] = await self._ask(kind, object_id, shown, folder)
        return self._verdicts[object_id]

    async def _ask(self, kind: str, object_id: str, shown: str, folder: pathlib.Path) -> str:
        settings = [
            ("gpg.minTrustLevel", "undefined"),
            ("gpg.ssh.allowedSignersFile", str(folder / "signers")),
        ]
        environment = {
            **self._owner.store.reading_environment(),
            **command.settings(settings),
            "GNUPGHOME": str(folder / "gnupg"),
        }
        try:
            done = await command.run([f"verify-{kind}", "--raw", object_id], environment, timeout=_TIMEOUT)
        except TimeoutError:
            raise errors.StoreBroken(
                f"the signature of {shown} cannot be checked", why=f"git said nothing for {_TIMEOUT:g} s"
            ) from None
        who = _who(done.complaint) if done.status == 0 else ""
        if who:
            return who
        raise errors.SignatureRefused(
            f"{kind} {object_id[:12]} of {shown} is not signed by anybody the source trusts",
            why=_why(kind, done.complaint),
            hint="sign it with a key that is named under verification of the source, or add the signer's key there",
        )

    async def _prepare(self) -> pathlib.Path:
        """A private folder with the trusted keys, made once; everything in it is public."""
        if self._folder is None or not self._folder.exists():
            try:
                folder = pathlib.Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="undrift-keys-"))
                (folder / "gnupg").mkdir(mode=0o700)
                (folder / "signers").write_text(self._wanted.allowed_signers, "utf-8")
            except OSError as error:
                raise errors.StoreBroken("the keys of a source cannot be written", why=str(error)) from None
            self._folder = folder
            for key in self._wanted.openpgp_keys:
                await self._learn(folder / "gnupg", key)
        return self._folder

    async def _learn(self, home: pathlib.Path, key: str) -> None:
        try:
            done = await process.run(
                ["gpg", "--batch", "--no-autostart", "--quiet", "--import"],
                stdin=key.encode(),
                env={**command.plain_environment(), "GNUPGHOME": str(home)},
                limits=process.Limits(timeout=_TIMEOUT),
            )
        except process.ProgramMissing:
            raise errors.SignatureRefused(
                "OpenPGP signatures cannot be checked",
                why="the program gpg is not installed on the agent's host",
                hint="install GnuPG, or sign with SSH keys",
            ) from None
        except process.ProcessError as error:
            raise errors.SignatureRefused("an OpenPGP key cannot be read", why=str(error)) from None
        if done.returncode:
            name = hashlib.sha256(key.encode()).hexdigest()[:12]
            raise errors.SignatureRefused(
                f"an OpenPGP key of the source (sha256 {name}…) cannot be read",
                why=done.stderr.decode("utf-8", "replace").strip(),
                hint="export it with `gpg --armor --export`",
            )

    def close(self) -> None:
        """Delete the folder with the keys."""
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


def _who(said: str) -> str:
    ssh = _SSH_GOOD.search(said)
    if ssh:
        return f"{ssh['who']} (ssh {ssh['key'].rpartition(' ')[2]})"
    good, valid = _PGP_GOOD.search(said), _PGP_VALID.search(said)
    return f"{good['who']} (openpgp {valid['key']})" if good and valid else ""


def _why(kind: str, said: str) -> str:
    for word, why in _PGP_WHY.items():
        if f"[GNUPG:] {word}" in said:
            return why
    if 'Good "git" signature with' in said:
        return (
            "it is signed with an SSH key that the source does not name: "
            + said.rsplit(" key ", maxsplit=1)[-1].split("\n", maxsplit=1)[0]
        )
    if not said or "no signature found" in said:
        return f"the {kind} has no signature"
    return command.shorten(said)
