"""*Secrets stay secret.* Never in logs, plans, diffs, the database or on pages; decrypted in memory only."""

from __future__ import annotations

import base64
import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator
from urllib import parse

import pyrage
import pytest

from tests import peers
from tests.e2e.world import World
from undrift.testing import git_http, git_server

PASSWORD = "correct-horse-9f2b"
TOKEN = "tok3n/with+signs=71c"
NEW = "another-staple-77aa"
KEY = "battery-in-a-manifest-3e1d"
SECRETS = (PASSWORD, TOKEN, NEW, KEY)


class Vault:
    """An age key, the real SOPS, and a world whose agent has the key."""

    def __init__(self, world: World, sops: pathlib.Path) -> None:
        self.world = world
        self.sops = sops
        identity = pyrage.x25519.Identity.generate()
        self.recipient = str(identity.to_public())
        self.key = world.root / "age.txt"
        self.key.write_text(f"{identity}\n", encoding="ascii")
        self.said: list[str] = []

    def write(self, path: str, text: str) -> None:
        """An encrypted file in the checkout."""
        self.world.write(path, text)
        subprocess.run(
            [self.sops, "encrypt", "--age", self.recipient, "--in-place", self.world.checkout / path],
            check=True,
            timeout=30,
            capture_output=True,
            env={**os.environ, "SOPS_DISABLE_VERSION_CHECK": "true", "HOME": str(self.world.root)},
        )

    def start(self) -> None:
        """The agent that has the key and says all that it does."""
        self.world.start([*self.world.command(), "--age-key-file", str(self.key), "--verbose"])

    def ask(self, *arguments: str) -> str:
        """What a command says, kept to be searched."""
        done = subprocess.run(
            [sys.executable, "-m", "undrift", *arguments],
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
            cwd=self.world.checkout,
            env={
                **os.environ,
                "UNDRIFT_SOCKET": str(self.world.state / "agent.sock"),
                "UNDRIFT_AGE_KEY_FILE": str(self.key),
                "UNDRIFT_TRACEBACK": "1",
            },
        )
        self.said.append(done.stdout + done.stderr)
        return done.stdout + done.stderr

    def ask_all(self, name: str) -> None:
        """Everything that shows something, for people and for machines."""
        for words in (
            ("status",),
            ("status", name),
            ("plan", name),
            ("diff", name),
            ("history", name),
            ("plan", "./"),
            ("diff", "./"),
            ("validate", "./"),
            ("doctor",),
        ):
            self.ask(*words)
            self.ask(*words, "--output", "json")

    def leaks(self) -> list[tuple[str, str]]:
        """Where a secret is found, in any form that people recognize: in what was said, and in our own files."""
        places = {f"said {number}": text.encode() for number, text in enumerate(self.said)}
        places["agent.log"] = self.world.log.read_bytes()
        for folder in (self.world.state, self.world.target / ".undrift"):
            places |= {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for pid in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                places[f"arguments of {pid.name}"] = (pid / "cmdline").read_bytes()
            except OSError:
                continue
        return [
            (place, secret)
            for place, content in places.items()
            for secret in SECRETS
            if any(form in content for form in forms(secret))
        ]


def forms(secret: str) -> Iterator[bytes]:
    """A secret as it is, and as it is often written."""
    raw = secret.encode()
    yield raw
    yield raw.hex().encode()
    yield parse.quote(secret, safe="").encode()
    yield base64.b64encode(b"x-access-token:" + raw)
    for before in range(3):
        yield base64.b64encode(b"\0" * before + raw)[4 if before else 0 : -4]


@pytest.fixture
def vault(world: World) -> Vault:
    made = Vault(world, peers.require_peer("sops"))
    world.declare("site", "policy: {mode: approval}")
    world.write(
        "site/host.yaml",
        "apiVersion: undrift.dev/hosts/v1\nkind: Host\nspec:\n  files:\n"
        "    - {path: /password, source: files/password, mode: '0600'}\n"
        "    - {path: /conf, template: templates/conf.j2}\n"
        "  commands:\n"
        "    - {name: login, command: [sh, -c, 'cat password >&2; exit $(cat code 2>/dev/null)'], directory: /,"
        " runAgain: '1', dependsOn: [/password]}\n",
    )
    made.write("site/files/password", PASSWORD)
    made.write("site/templates/conf.j2", f"key = {KEY}\nhost = {{{{ facts.hostname }}}}\n")
    return made


def approve(vault: Vault) -> None:
    """Wait for a plan, and approve it."""
    world = vault.world
    world.until(lambda: "UD606" in world.codes("site"))
    digest = str(world.glance("site")["digest"])
    assert "approved" in vault.ask("approve", "site", digest).lower()


@pytest.mark.timeout(300)
def test_through_its_whole_life(vault: Vault) -> None:
    """Planned, approved, applied, drifted, changed, failing, and taken away: the target has it, nobody else."""
    world = vault.world
    first = world.push()
    vault.start()
    world.until(lambda: "UD606" in world.codes("site"))
    vault.ask_all("site")
    assert "/password" in "".join(vault.said)
    approve(vault)
    world.settled("site", first)
    assert (world.target / "password").read_text(encoding="utf-8") == PASSWORD
    assert (world.target / "password").stat().st_mode & 0o777 == 0o600
    assert KEY in (world.target / "conf").read_text(encoding="utf-8")

    (world.target / "password").write_text(f"{PASSWORD}, by hand", encoding="utf-8")
    world.until(lambda: "UD606" in world.codes("site"))
    vault.ask_all("site")
    approve(vault)
    world.settled("site", first)

    vault.write("site/files/password", NEW)
    world.write(
        "site/host.yaml",
        (world.checkout / "site/host.yaml")
        .read_text(encoding="utf-8")
        .replace("runAgain: '1'", "runAgain: '2'"),
    )
    (world.target / "code").write_text("7", encoding="ascii")
    world.push("Change the password")
    world.until(lambda: "UD606" in world.codes("site"))
    vault.ask_all("site")
    approve(vault)
    world.until(lambda: world.glance("site").get("failure"))
    vault.ask_all("site")
    assert (world.target / "password").read_text(encoding="utf-8") == NEW

    vault.write("site/templates/conf.j2", f"key = {KEY} {{{{ nowhere.{KEY[:7]} }}}} {{% if %}}\n")
    world.push("Break the template")
    world.until(lambda: "conf.j2" in json.dumps(world.glance("site").get("failure")))
    vault.ask_all("site")
    vault.said.append(json.dumps(list(world.client.events("site"))))
    vault.said.append(json.dumps(world.client.application("site")))
    world.stop()

    assert vault.leaks() == []


def test_a_credential_in_an_encrypted_document(vault: Vault) -> None:
    """A token for a private repository: used, and shown to nobody, not even when the server refuses it."""
    world = vault.world
    with git_server.GitServer(
        world.root / "served", git_http.Behaviour(users={"x-access-token": TOKEN})
    ) as server:
        private = server.repository("private")
        private.commit(
            {
                "site/host.yaml": "apiVersion: undrift.dev/hosts/v1\nkind: Host\nspec: {files: [{path: /a, content: one}]}\n"
            }
        )
        world.write(
            "undrift/private.yaml",
            "apiVersion: undrift.dev/v1\nkind: Application\nmetadata: {name: private}\n"
            "spec: {source: {name: private, path: site}, target: host}\n",
        )
        vault.write(
            "undrift/source.yaml",
            "apiVersion: undrift.dev/v1\nkind: Source\nmetadata: {name: private}\n"
            f"spec:\n  url: {private.url}\n  branch: main\n  interval: 500ms\n"
            f"  authentication:\n    token: {{value: '{TOKEN}'}}\n",
        )
        world.push()
        vault.start()
        world.until(lambda: world.state_of("private") == "in sync")
        vault.ask_all("private")
        server.behaviour.users = {"x-access-token": "changed"}
        private.commit({"site/more": "x"})
        world.until(lambda: any(one["error"] for one in world.client.agent()["sources"]))
        vault.ask_all("private")
        vault.said.append(json.dumps(world.client.agent()))
        assert vault.leaks() == []


def test_without_the_key_nothing_is_applied_and_nothing_guessed(vault: Vault) -> None:
    """It is said for whom the file was encrypted, and where to give the key."""
    vault.world.push()
    vault.world.start()
    vault.world.until(lambda: "UD302" in vault.world.codes("site"))

    shown = vault.world.cli("status", "site").stdout

    assert vault.recipient in shown.replace("\n", "").replace(" ", "")
    assert "site/files/password" in shown
    assert "--age-key-file" in shown
    assert vault.world.tree() == {}
