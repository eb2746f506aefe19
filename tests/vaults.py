"""Files that the real SOPS encrypts for a key of the test's own."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess

import pyrage

from undrift.config import decrypting


class Vault:
    """A key, and a SOPS that encrypts for it."""

    def __init__(self, folder: pathlib.Path, sops: pathlib.Path) -> None:
        self.folder = folder
        self.sops = sops
        self.identity = pyrage.x25519.Identity.generate()
        self.environ = {
            "PATH": os.pathsep.join([str(sops.parent), os.environ["PATH"]]),
            "HOME": str(folder),
            "SOPS_AGE_KEY": str(self.identity),
            "SOPS_DISABLE_VERSION_CHECK": "true",
        }

    def run(self, *arguments: str) -> bytes:
        done = subprocess.run(
            [self.sops, *arguments], env=self.environ, capture_output=True, check=False, timeout=30
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def encrypt(self, text: str | bytes, name: str, **rule: object) -> bytes:
        """Encrypt by a rule of `.sops.yaml`: `encrypted_regex`, `pgp` …; for our age key unless it says otherwise."""
        path = self.folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        if not rule.keys() & {"age", "pgp"}:
            rule["age"] = str(self.identity.to_public())
        settings = self.folder / ".sops.yaml"
        settings.write_text(json.dumps({"creation_rules": [rule]}))
        return self.run("--config", str(settings), "encrypt", str(path))

    def read(self, content: bytes, name: str) -> bytes:
        """What SOPS itself decrypts."""
        path = self.folder / f"encrypted-{name}"
        path.write_bytes(content)
        return self.run("decrypt", str(path))

    async def decrypt(self, content: bytes, name: str, **environ: str) -> bytes:
        """What we decrypt; without SOPS at hand unless a test says `PATH`."""
        decryptor = decrypting.SopsDecryptor("", {**self.environ, "PATH": "/nowhere", **environ})
        found = await decryptor.decrypt(content, name)
        assert found is not None
        return found
