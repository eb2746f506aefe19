"""Manifests as they are: which files are manifests, where documents stand, what is decrypted, what is refused."""

from collections.abc import Mapping
from typing import Any

import pytest

from undrift import errors, interfaces
from undrift.model import source, target
from undrift.renderers import plain

REVISION = source.Revision("main", "sha1:" + "1" * 40)


class _Upside:
    """A decryptor whose secret is to read backwards."""

    async def decrypt(self, content: bytes, name: str) -> bytes | None:
        if b"no key" in content:
            raise errors.DecryptionFailed(f"{name} cannot be decrypted")
        return content.removeprefix(b"# ENC[\n")[::-1] if content.startswith(b"# ENC[\n") else None


async def render(
    files: Mapping[str, str | bytes | source.File],
    settings: Mapping[str, Any] | None = None,
    decryptor: interfaces.Decryptor | None = None,
) -> interfaces.Rendered:
    made = {
        name: each
        if isinstance(each, source.File)
        else source.File(each if isinstance(each, bytes) else each.encode())
        for name, each in files.items()
    }
    artifact = source.Artifact(REVISION, "apps/web", "sha256:1", made)
    return await plain.PlainRenderer(decryptor).render(
        artifact, interfaces.Recipe(settings=settings or {}), target.NO_FACTS
    )


async def refused(*arguments: Any) -> list[str]:
    with pytest.raises(errors.UndriftError) as caught:
        await render(*arguments)
    assert all(isinstance(error, errors.RenderError) for error in caught.value.parts)
    return [str(error) for error in caught.value.parts]


FILES = {
    "b.yaml": "kind: B\n---\nkind: B2\n",
    "a.yml": "kind: A\n",
    "deep/c.json": '{"kind": "C"}',
    "files/app.yaml": "not: [a manifest",
    "templates/unit.yaml": "{{ broken",
    ".sops.yaml": "creation_rules: []\n",
    ".github/x.yaml": "on: push\n",
    "README.md": "# hello\n",
    "empty.yaml": "# nothing\n",
    "undrift.yaml": "apiVersion: undrift.dev/v1\nkind: Application\nmetadata: {name: web}\n",
    "host.yaml": "apiVersion: undrift.dev/hosts/v1\nkind: Host\n",
}


async def test_manifests_are_yaml_and_json_in_the_order_of_their_names() -> None:
    found = await render(FILES)

    assert [each.data["kind"] for each in found.documents] == ["A", "B", "B2", "C", "Host"]
    assert found.documents[2].file == "apps/web/b.yaml"
    assert found.documents[2].positions[("kind",)] == (3, 1)
    assert set(found.files) == set(FILES)
    assert not found.encrypted


async def test_globs_choose_manifests() -> None:
    include = await render(FILES, {"include": ["*.yaml"], "exclude": ["b.*", ".*", "undrift.yaml"]})
    exclude = await render(FILES, {"exclude": ["deep/**", "host.yaml"]})
    inside = await render({"files/x.yaml": "kind: X\n"}, {"include": ["files/*.yaml"]})

    assert [each.data["kind"] for each in include.documents] == ["Host"]
    assert [each.data["kind"] for each in exclude.documents] == ["A", "B", "B2"]
    assert [each.data["kind"] for each in inside.documents] == ["X"]


async def test_settings_that_are_wrong_are_all_said() -> None:
    found = await refused({}, {"inclde": ["x"], "exclude": "x", "include": []})

    assert len(found) == 3


async def test_files_that_cannot_be_read_are_all_said_with_their_place() -> None:
    found = await refused(
        {
            "good.yaml": "a: 1\n",
            "bad.yaml": "a: 1\nb: [\n",
            "image.yaml": b"\x89PNG\0",
            "twice.yaml": "a: 1\na: 2\n",
        }
    )

    assert [each.split(" ")[0] for each in found] == [
        "apps/web/bad.yaml:3:1:",
        "apps/web/image.yaml:",
        "apps/web/twice.yaml:2:1:",
    ]
    assert "binary" in found[1]


async def test_many_bytes_are_read_in_a_thread_with_the_same_outcome() -> None:
    files = {f"{number:03}.yaml": f"kind: K{number}\ntext: {'x' * 1000}\n" for number in range(200)}
    found = await render(files)

    assert [each.data["kind"] for each in found.documents] == [f"K{number}" for number in range(200)]


class TestLinks:
    async def test_a_link_to_another_file_is_followed(self) -> None:
        link = source.File(b"../real.txt", source.FileKind.LINK)
        found = await render({"a/link.yaml": link, "real.txt": "kind: R\n"})

        assert [each.data["kind"] for each in found.documents] == ["R"]
        assert found.documents[0].file == "apps/web/a/link.yaml"
        assert found.files["a/link.yaml"] == link

    @pytest.mark.parametrize("points_to", [b"gone.yaml", b"../../etc/passwd", b"/etc/passwd", b"link.yaml"])
    async def test_one_that_leads_nowhere_is_refused(self, points_to: bytes) -> None:
        (found,) = await refused({"link.yaml": source.File(points_to, source.FileKind.LINK)})

        assert "link" in found


class TestEncryption:
    async def test_what_is_encrypted_is_decrypted_and_named(self) -> None:
        files: dict[str, str | bytes | source.File] = {
            "a.yaml": b"# ENC[\n" + b"password: hunter2\n"[::-1],
            "files/key": b"# ENC[\n" + b"hunter2"[::-1],
            "b.yaml": "note: ENC[ is just text\n",
        }
        found = await render(files, {}, _Upside())

        assert found.encrypted == {"a.yaml", "files/key"}
        assert found.files["files/key"].content == b"hunter2"
        assert [(each.data, each.secret) for each in found.documents] == [
            ({"password": "hunter2"}, True),
            ({"note": "ENC[ is just text"}, False),
        ]

    async def test_what_cannot_be_decrypted_is_said_beside_other_errors(self) -> None:
        found = await refused({"a.yaml": "# ENC[ no key", "b.yaml": "a: [\n"}, {}, _Upside())

        assert len(found) == 2
        assert found[0].startswith("apps/web/a.yaml: ")

    async def test_what_was_decrypted_is_never_quoted(self) -> None:
        (found,) = await refused({"a.yaml": b"# ENC[\n" + b"a: hunter2\na: hunter2\n"[::-1]}, {}, _Upside())

        assert found == "apps/web/a.yaml: a.yaml cannot be read as a manifest: what was decrypted is not YAML"

    async def test_without_a_decryptor_encrypted_files_are_refused_and_others_are_not(self) -> None:
        sops = "a: ENC[AES256_GCM,data:x,iv:y,tag:z,type:str]\nsops: {mac: x}\n"
        (found,) = await refused({"a.yaml": sops, "b.yaml": "a: ENC[ x\n"})

        assert "encrypted" in found


def test_its_version_names_undrift() -> None:
    assert plain.PlainRenderer().version().startswith("plain ")


async def test_values_are_filled_in_where_any_are_declared() -> None:
    files = {"a.yaml": "kind: A\ncount: ${COUNT:=2}\nname: ${NAME}\nkept: $${NAME}\n"}

    found = await render(files, {"substitute": {"NAME": "web"}})
    untouched = await render(files)

    assert found.documents[0].data == {"kind": "A", "count": 2, "name": "web", "kept": "${NAME}"}
    assert untouched.documents[0].data["name"] == "${NAME}"


async def test_a_value_that_nobody_declared_is_an_error_at_its_line() -> None:
    with pytest.raises(errors.RenderFailed, match=r"\$\{NAEM\} has no value") as caught:
        await render({"a.yaml": "kind: A\nname: ${NAEM}\n"}, {"substitute": {"NAME": "web"}})
    assert (str(caught.value.origin), caught.value.hint) == ("apps/web/a.yaml:2", "did you mean NAME?")


async def test_words_that_are_not_what_they_look_like_are_warned_of() -> None:
    """But not those in text, in quotes, of permissions, and nothing of what is or was a secret."""
    files: dict[str, str | bytes] = {
        "a.yaml": 'kind: A\nswitch: on\nnumber: 0123\nquoted: "no"\ntext: yes please\ndefaultMode: 0644\ny: 1\n',
        "plain.yaml": "kind: Secret\nstringData: {pin: 0123, other: on}\n",
        "secret.yaml": b"# ENC[\n" + b"kind: B\nswitch: off\n"[::-1],
    }

    found = await render(files, decryptor=_Upside())

    assert [(str(one.origin), one.what) for one in found.warnings] == [
        ("apps/web/a.yaml:2:9", "on without quotes means true"),
        ("apps/web/a.yaml:3:9", "0123 without quotes means 83"),
        ("apps/web/a.yaml:7:1", "y without quotes means true"),
    ]
