"""Files that the real SOPS encrypted: read as SOPS reads them, refused when they were changed without it."""

import json
import os
import pathlib
import subprocess
from collections.abc import Iterator
from typing import Any

import pyrage
import pytest

from tests import peers, vaults
from undrift import errors, interfaces
from undrift.config import decrypting, reading
from undrift.lib import process, yaml
from undrift.model import source, target
from undrift.renderers import plain

DOCUMENT = """\
# a comment that stays
apiVersion: v1
kind: Secret   # beside
metadata:
    name: web
    mode_unencrypted: 0644
    day_unencrypted: 2001-12-14
    ratio_unencrypted: 1.50e3
    empty:
    flag_unencrypted: yes
stringData:
    password: hunter2
    number: 42
    float: 2.5
    truth: true
    looks: "true"
    zero: "0123"
    blank: ""
    unicode: "grüße 😀 \\u2028 end"
    lines: |
        one
        two: 2
    list:
        - first
        - second: deep
          y: axis
---
second: document
"""


@pytest.fixture
def vault(tmp_path: pathlib.Path) -> vaults.Vault:
    return vaults.Vault(tmp_path, peers.require_peer("sops"))


def data(content: bytes) -> list[Any]:
    return [each.data for each in yaml.documents(content)]


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"encrypted_regex": "^(data|stringData)$"},
        {"unencrypted_regex": "^(metadata|kind)$"},
        {"encrypted_suffix": "Data"},
        {"unencrypted_suffix": "_unencrypted"},
        {"mac_only_encrypted": True},
        {"mac_only_encrypted": True, "encrypted_regex": "^(password|list)$"},
    ],
    ids=json.dumps,
)
async def test_yaml_is_read_as_sops_reads_it(vault: vaults.Vault, rule: dict[str, object]) -> None:
    encrypted = vault.encrypt(DOCUMENT, "x.yaml", **rule)
    assert rule or b"hunter2" not in encrypted

    decrypted = await vault.decrypt(encrypted, "x.yaml")

    assert data(decrypted) == data(vault.read(encrypted, "x.yaml"))
    assert b"sops" not in decrypted


async def test_lines_stay_where_they_are_in_git(vault: vaults.Vault) -> None:
    encrypted = vault.encrypt(DOCUMENT, "x.yaml")
    decrypted = await vault.decrypt(encrypted, "x.yaml")

    (before, *_), (after, *_) = yaml.documents(encrypted), yaml.documents(decrypted)
    assert after.positions[("stringData", "password")] == before.positions[("stringData", "password")]
    assert len(decrypted.splitlines()) == len(encrypted.splitlines())


@pytest.mark.parametrize("value", ["1", "-7", "0x1F", "0o17", "017", "08", "1_000", "1e3", "1.0", "-0.001", "1e21",
                                   "1e-7", "0b11", "on", "y", "~", "2001-12-14", "1.2.3",
                                   "+5", ".5", "5.", "'7'", "=", "x y", "1:30"])  # fmt: skip
async def test_plain_values_enter_the_mac_as_sops_takes_them(vault: vaults.Vault, value: str) -> None:
    encrypted = vault.encrypt(f"a_unencrypted: {value}\nb: c\n", "x.yaml")

    assert data(await vault.decrypt(encrypted, "x.yaml")) == [
        {"a_unencrypted": data(encrypted)[0]["a_unencrypted"], "b": "c"}
    ]


async def test_json(vault: vaults.Vault) -> None:
    text = '{"a": "x", "b": [1, 2.5, true, null, {"c": "ü"}], "d_unencrypted": [1, 1.5, false, "z"], "e": ""}'
    decrypted = await vault.decrypt(vault.encrypt(text, "x.json"), "x.json")

    assert json.loads(decrypted) == json.loads(text)


async def test_dotenv(vault: vaults.Vault) -> None:
    text = "# comment\nA=hunter2\nB=two words\nEMPTY=\nC_unencrypted=plain\n"
    decrypted = await vault.decrypt(vault.encrypt(text, "x.env"), "x.env")

    wanted = vault.read(vault.encrypt(text, "x.env"), "x.env")
    lines = set(decrypted.decode().split("\n")) - {""}
    assert lines == {line for line in wanted.decode().split("\n") if line and not line.startswith("#")}


async def test_binary(vault: vaults.Vault) -> None:
    content = bytes(range(256)) * 3
    assert await vault.decrypt(vault.encrypt(content, "x.key"), "x.key") == content


async def test_ini_is_left_to_sops(vault: vaults.Vault) -> None:
    encrypted = vault.encrypt("[a]\nb = hunter2\n", "x.ini")
    decrypted = await vault.decrypt(encrypted, "x.ini", PATH=vault.environ["PATH"])

    assert b"hunter2" in decrypted


async def test_comments_that_rule_are_left_to_sops(vault: vaults.Vault) -> None:
    text = "# secret\na: hunter2\nb: clear\n"
    encrypted = vault.encrypt(text, "x.yaml", encrypted_comment_regex="secret")
    assert b"clear" in encrypted

    decrypted = await vault.decrypt(encrypted, "x.yaml", PATH=vault.environ["PATH"])
    assert data(decrypted) == [{"a": "hunter2", "b": "clear"}]


async def test_where_sops_is_needed_and_missing_it_is_said(vault: vaults.Vault) -> None:
    encrypted = vault.encrypt("[a]\nb = hunter2\n", "x.ini")

    with pytest.raises(errors.ToolMissing) as caught:
        await vault.decrypt(encrypted, "x.ini")
    assert "INI" in caught.value.why


class TestKeys:
    async def test_from_files(self, vault: vaults.Vault, tmp_path: pathlib.Path) -> None:
        encrypted = vault.encrypt("a: b\n", "x.yaml")
        keys = tmp_path / "keys.txt"
        keys.write_text(f"# made today\n{vault.identity}\n")
        own = tmp_path / ".config" / "sops" / "age" / "keys.txt"

        told = decrypting.SopsDecryptor(str(keys), {"HOME": "/nowhere"})
        assert await told.decrypt(encrypted, "x.yaml")
        named = decrypting.SopsDecryptor("", {"SOPS_AGE_KEY_FILE": str(keys)})
        assert await named.decrypt(encrypted, "x.yaml")
        own.parent.mkdir(parents=True)
        keys.rename(own)
        assert await decrypting.SopsDecryptor("", {"HOME": str(tmp_path)}).decrypt(encrypted, "x.yaml")

    async def test_one_of_several_is_enough(self, vault: vaults.Vault) -> None:
        other = pyrage.x25519.Identity.generate().to_public()
        encrypted = vault.encrypt("a: b\n", "x.yaml", age=f"{other},{vault.identity.to_public()}")

        assert data(await vault.decrypt(encrypted, "x.yaml")) == [{"a": "b"}]

    async def test_an_ssh_key(self, vault: vaults.Vault, tmp_path: pathlib.Path) -> None:
        key = tmp_path / "id"
        peers.require_peer("ssh-keygen")
        done = await process.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)])
        assert done.returncode == 0
        public = key.with_suffix(".pub").read_text().strip()
        encrypted = vault.encrypt("a: b\n", "x.yaml", age=public)

        found = await vault.decrypt(
            encrypted, "x.yaml", SOPS_AGE_KEY="", SOPS_AGE_SSH_PRIVATE_KEY_FILE=str(key)
        )
        assert data(found) == [{"a": "b"}]

    async def test_none_that_fits(self, vault: vaults.Vault) -> None:
        encrypted = vault.encrypt("a: b\n", "x.yaml")
        other = str(pyrage.x25519.Identity.generate())

        with pytest.raises(errors.DecryptionFailed) as caught:
            await vault.decrypt(encrypted, "x.yaml", SOPS_AGE_KEY=other)
        assert str(vault.identity.to_public()) in caught.value.why
        assert other not in str(caught.value) + caught.value.hint

    @pytest.mark.parametrize(
        "environ",
        [{"SOPS_AGE_KEY": "AGE-SECRET-KEY-1NONSENSE"}, {"SOPS_AGE_KEY_FILE": "/nowhere/keys"}],
        ids=["invalid", "missing"],
    )
    async def test_one_that_cannot_be_used(self, vault: vaults.Vault, environ: dict[str, str]) -> None:
        encrypted = vault.encrypt("a: b\n", "x.yaml")

        with pytest.raises(errors.DecryptionFailed) as caught:
            await vault.decrypt(encrypted, "x.yaml", **environ)
        assert "NONSENSE" not in str(caught.value)

    @pytest.fixture
    def gnupg(self, vault: vaults.Vault, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
        """A key ring with one key; its fingerprint."""
        vault.environ["SOPS_GPG_EXEC"] = str(peers.require_peer("gpg"))
        home = tmp_path_factory.mktemp("g")
        home.chmod(0o700)
        vault.environ["GNUPGHOME"] = str(home)
        environ = {**os.environ, **vault.environ}
        make = [
            "gpg",
            "--batch",
            "--passphrase",
            "",
            "--quick-generate-key",
            "ada@example.org",
            "default",
            "default",
        ]
        subprocess.run(make, env=environ, check=True, capture_output=True, timeout=60)
        listed = subprocess.run(
            ["gpg", "--batch", "--with-colons", "--list-keys"],
            env=environ, check=True, capture_output=True, text=True, timeout=30,
        )  # fmt: skip
        yield next(line.split(":")[9] for line in listed.stdout.splitlines() if line.startswith("fpr"))
        subprocess.run(["gpgconf", "--kill", "all"], env=environ, check=False, timeout=30)

    async def test_pgp(self, vault: vaults.Vault, gnupg: str) -> None:
        encrypted = vault.encrypt(DOCUMENT, "x.yaml", pgp=gnupg)

        assert data(await vault.decrypt(encrypted, "x.yaml")) == data(vault.read(encrypted, "x.yaml"))
        with pytest.raises(errors.DecryptionFailed) as caught:
            await vault.decrypt(encrypted, "x.yaml", GNUPGHOME="/nowhere")
        assert gnupg in caught.value.why


class TestTampering:
    async def refused(self, vault: vaults.Vault, content: bytes, name: str = "x.yaml") -> str:
        with pytest.raises(errors.DecryptionFailed) as caught:
            await vault.decrypt(content, name)
        assert "hunter2" not in str(caught.value) + caught.value.hint
        return caught.value.why

    async def test_a_value_in_clear_that_was_changed(self, vault: vaults.Vault) -> None:
        encrypted = vault.encrypt("a: hunter2\nb_unencrypted: clear\n", "x.yaml")

        assert "MAC" in await self.refused(vault, encrypted.replace(b"clear", b"clean"))

    async def test_a_value_that_was_put_in_clear(self, vault: vaults.Vault) -> None:
        encrypted = vault.encrypt("a: hunter2\nb: c\n", "x.yaml", mac_only_encrypted=True)
        lines = encrypted.split(b"\n")
        lines[1] = b"b: injected"

        assert "b should be encrypted" in await self.refused(vault, b"\n".join(lines))

    async def test_values_that_were_swapped(self, vault: vaults.Vault) -> None:
        encrypted = vault.encrypt("a: hunter2\nb: hunter3\n", "x.yaml")
        lines = encrypted.split(b"\n")
        lines[0], lines[1] = b"a" + lines[1][1:], b"b" + lines[0][1:]

        assert "without SOPS" in await self.refused(vault, b"\n".join(lines))

    async def test_a_value_that_was_taken_out(self, vault: vaults.Vault) -> None:
        encrypted = vault.encrypt("a: hunter2\nb: hunter3\n", "x.yaml")
        lines = encrypted.split(b"\n")

        assert "MAC" in await self.refused(vault, b"\n".join(lines[1:]))

    async def test_json_too(self, vault: vaults.Vault) -> None:
        encrypted = json.loads(vault.encrypt('{"a": "hunter2", "b_unencrypted": 1}', "x.json"))
        encrypted["b_unencrypted"] = 2

        assert "MAC" in await self.refused(vault, json.dumps(encrypted).encode(), "x.json")


@pytest.mark.parametrize(
    "content",
    [
        b"just: text",
        b"a: ENC[AES256_GCM,data:x]\nsops: no mapping\n",
        b"# ENC[AES256_GCM, sops\na: [",
        b"ENC[AES256_GCM, sops \xff",
        b'{"sops": "ENC[AES256_GCM,"}',
        b"",
    ],
)
@pytest.mark.parametrize("name", ["x.yaml", "x.json", "x.env", "x.key", "x.ini"])
async def test_what_is_not_encrypted_is_told_from_what_is(content: bytes, name: str) -> None:
    assert await decrypting.SopsDecryptor("", {}).decrypt(content, name) is None


async def test_configuration_and_manifests_are_decrypted(vault: vaults.Vault) -> None:
    """Both readers, with the decryptor they have in an agent; places are those in Git."""
    text = """apiVersion: undrift.dev/v1
kind: Source
metadata:
    name: charts
spec:
    url: https://git.example.org/charts
    branch: main
    authentication:
        token:
            value: hunter2
"""
    decryptor = decrypting.SopsDecryptor("", vault.environ)
    encrypted = vault.encrypt(text, "source.yaml", encrypted_regex="^value$")
    wrong = vault.encrypt(text.replace("branch", "brnch"), "wrong.yaml", encrypted_regex="^value$")
    revision = source.Revision("main", "sha1:" + "1" * 40)

    files = {"source.yaml": source.File(encrypted)}
    found = await reading.Reader(decryptor).read(source.Artifact(revision, ".", "sha256:1", files))
    token = found.sources["charts"].authentication.token
    assert not found.errors
    assert token is not None
    assert token.value is not None
    assert token.value.reveal() == "hunter2"
    assert "hunter2" not in repr(found)

    files = {"wrong.yaml": source.File(wrong)}
    broken = await reading.Reader(decryptor).read(source.Artifact(revision, ".", "sha256:1", files))
    assert [str(error.origin) for error in broken.errors] == ["wrong.yaml:7:5"]

    files = {"secret.yaml": source.File(vault.encrypt(DOCUMENT, "secret.yaml"))}
    artifact = source.Artifact(revision, "web", "sha256:1", files)
    rendered = await plain.PlainRenderer(decryptor).render(artifact, interfaces.Recipe(), target.NO_FACTS)
    assert rendered.encrypted == {"secret.yaml"}
    assert rendered.documents[0].secret
    assert rendered.documents[0].data["stringData"]["password"] == "hunter2"
    places = yaml.documents(files["secret.yaml"].content)[0].positions
    assert rendered.documents[0].positions[("stringData", "password")] == places["stringData", "password"]
