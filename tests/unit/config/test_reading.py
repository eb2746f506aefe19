"""Files → configuration: what is read, what is kept between commits, and when a removal is beyond doubt."""

import dataclasses

import pytest

from tests.unit.config import declaring
from undrift import errors
from undrift.config import configuration, parsing, reading
from undrift.model import application, source


class _Upside:
    """A decryptor whose secret is to read backwards. It counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def decrypt(self, content: bytes, name: str) -> bytes | None:
        self.asked.append(name)
        if b"no key" in content:
            raise errors.DecryptionFailed(f"{name} cannot be decrypted")
        return content.removeprefix(b"# ENC[\n")[::-1] if content.startswith(b"# ENC[\n") else None


def encrypted(text: str) -> bytes:
    return b"# ENC[\n" + text.encode()[::-1]


def old(name: str, file: str = "undrift.yaml", generator: str = "") -> application.Application:
    """An application as it was declared before."""
    origin = errors.Origin(file, 1, 1) if file else None
    return application.Application(
        name, application.SourceReference("config"), "servers", origin=origin, generator=generator
    )


EVERYTHING = """---
apiVersion: undrift.dev/v1
kind: Source
metadata: {name: charts}
spec: {url: "https://git.example.org/charts", semver: ">=1 <2"}
---
apiVersion: undrift.dev/v1
kind: Application
metadata: {name: web, labels: {layer: servers}}
spec:
  source: {name: charts, path: ./charts//web/}
  renderer: {kind: helm, releaseName: web}
  target: servers
  namespace: shop
  interval: 1h30m
  dependsOn: [db]
  movedFrom: [www]
  takesFrom: [db]
  deletionPolicy: orphan
  suspend: true
  policy:
    mode: approval
    prune: false
    selfHeal: false
    onFailure: rollback
    deletionLimit: {count: 3, percent: 5}
    retry: {first: 1s, cap: 1m, factor: 3, limit: 4}
    windows: [{kind: allow, days: [mon, sun], from: "22:00", to: "06:30", zone: Europe/Zurich}]
    adopt: ["file/*"]
    recreate: ["service/*"]
    deleteProtected: ["zone/*"]
    ignore: [{resources: "file/*", path: mode}]
    allowEmpty: true
    healthTimeout: 90s
"""

ALL_OF_IT = application.Application(
    name="web",
    source=application.SourceReference("charts", "charts/web"),
    target="servers",
    renderer=application.RendererSettings("helm", {"releaseName": "web"}),
    policy=application.Policy(
        mode=application.Mode.APPROVAL,
        prune=False,
        self_heal=False,
        on_failure=application.OnFailure.ROLLBACK,
        deletion_limit=application.DeletionLimit(3, 5),
        retry=application.Retry(1.0, 60.0, 3.0, 4),
        windows=(
            application.Window(application.WindowKind.ALLOW, frozenset({1, 7}), 1320, 390, "Europe/Zurich"),
        ),
        adopt=("file/*",),
        recreate=("service/*",),
        delete_protected=("zone/*",),
        ignore=(application.Ignore("file/*", "mode"),),
        allow_empty=True,
        health_timeout=90.0,
    ),
    namespace="shop",
    interval=5400.0,
    depends_on=("db",),
    moved_from=("www",),
    takes_from=("db",),
    deletion_policy=application.DeletionPolicy.ORPHAN,
    suspended=True,
    labels={"layer": "servers"},
    origin=errors.Origin("undrift.yaml", 15, 1),
)


async def test_everything_of_an_application_arrives() -> None:
    found = await declaring.read_well(declaring.BASE + EVERYTHING + declaring.application("db"))

    assert found.applications["web"] == ALL_OF_IT


async def test_what_is_not_said_is_the_default_of_the_product() -> None:
    found = (await declaring.read_well(declaring.BASE + declaring.application("web"))).applications["web"]

    plain = application.Application("web", application.SourceReference("config", "apps/web"), "servers")
    assert dataclasses.replace(found, origin=None) == plain


async def test_errors_know_the_commit_and_the_place_in_the_repository() -> None:
    files = declaring.artifact({"teams/a.yaml": declaring.application("web", "polcy: {}")}, "undrift/prod")
    (error,) = (await reading.read(files)).errors

    assert str(error.origin) == "undrift/prod/teams/a.yaml:5:51"
    assert error.revision == f"main@sha1:{'1' * 40}"
    assert error.author == "Ada <ada@example.org>"


async def test_a_second_commit_is_named_by_errors_that_were_parsed_at_the_first() -> None:
    reader = reading.Reader()
    files = declaring.artifact({"a.yaml": declaring.application("web", "polcy: {}")})
    await reader.read(files)
    later = dataclasses.replace(files, revision=source.Revision("main", "sha1:" + "2" * 40))
    (error,) = (await reader.read(later)).errors

    assert error.revision == f"main@sha1:{'2' * 40}"


async def test_only_what_a_commit_changed_is_parsed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []
    parse = parsing.parse

    def counting(plain: parsing.Plain) -> parsing.Parsed:
        parsed.append(plain.file)
        return parse(plain)

    monkeypatch.setattr(parsing, "parse", counting)
    reader = reading.Reader()
    files = {"base.yaml": declaring.BASE} | {
        f"{name}.yaml": declaring.application(name) for name in ("a", "b", "c")
    }
    first = await reader.read(declaring.artifact(files))
    parsed.clear()
    files["b.yaml"] = declaring.application("b", "suspend: true")
    del files["c.yaml"]
    second = await reader.read(declaring.artifact(files))

    assert parsed == ["b.yaml"]
    assert second.applications["b"].suspended
    assert second.applications["a"] is first.applications["a"]
    assert set(second.applications) == {"a", "b"}


async def test_a_cached_file_that_becomes_a_link_is_no_longer_read() -> None:
    reader = reading.Reader()
    content = declaring.BASE.encode()
    await reader.read(declaring.artifact({"a.yaml": content}))
    found = await reader.read(declaring.artifact({"a.yaml": source.File(content, source.FileKind.LINK)}))

    assert not found.agents
    assert not found.complete
    assert isinstance(found.errors[0], errors.ConfigUnreadable)


async def test_a_link_to_a_file_that_is_read_anyway_is_left_out() -> None:
    link = source.File(b"../base.yaml", source.FileKind.LINK)
    found = await reading.read(declaring.artifact({"base.yaml": declaring.BASE, "x/link.yaml": link}))

    assert not found.errors
    assert list(found.agents) == ["main"]


async def test_a_change_of_an_agents_defaults_reaches_what_was_translated_before() -> None:
    reader = reading.Reader()
    apps = declaring.application("web")
    await reader.read(declaring.artifact({"base.yaml": declaring.BASE, "web.yaml": apps}))
    stricter = declaring.BASE.replace(
        "metadata: {name: main}", "metadata: {name: main}\nspec: {defaults: {policy: {mode: approval}}}"
    )
    found = await reader.read(declaring.artifact({"base.yaml": stricter, "web.yaml": apps}))

    assert found.applications["web"].policy.mode is application.Mode.APPROVAL


async def test_the_digest_of_an_application_covers_its_document_and_its_target() -> None:
    async def digest(text: str) -> str:
        return (await declaring.read_well(text)).digests["web"]

    web, other = declaring.application("web"), declaring.application("other")
    before = await digest(declaring.BASE + web)

    assert await digest(declaring.BASE + other + web) == before
    assert await digest(declaring.BASE + declaring.application("web", "namespace: x")) != before
    assert await digest(declaring.BASE.replace("/srv", "/opt") + web) != before


class TestEncryption:
    async def test_an_encrypted_document_may_hold_credentials(self) -> None:
        text = """apiVersion: undrift.dev/v1
kind: Source
metadata: {name: charts}
spec: {url: "https://git.example.org/charts", branch: main, authentication: {token: {value: hunter2}}}
"""
        found = await reading.read(declaring.artifact({"a.yaml": encrypted(text)}), _Upside())

        assert not found.errors
        token = found.sources["charts"].authentication.token
        assert token is not None
        assert token.value is not None
        assert token.value.reveal() == "hunter2"
        assert "hunter2" not in repr(found)

    async def test_decrypted_files_are_not_kept(self) -> None:
        decryptor = _Upside()
        reader = reading.Reader(decryptor)
        files = declaring.artifact(
            {"a.yaml": encrypted(declaring.BASE), "b.yaml": declaring.application("web")}
        )
        await reader.read(files)
        await reader.read(files)

        assert decryptor.asked == ["a.yaml", "a.yaml"]

    async def test_a_broken_encrypted_document_shows_nothing(self) -> None:
        text = declaring.BASE + declaring.application("web", "polcy: {password: hunter2}, policy: hunter2")
        found = await reading.read(declaring.artifact({"a.yaml": encrypted(text)}), _Upside())

        assert len(found.errors) == 2
        assert "hunter2" not in repr(found)
        assert "hunter2" not in "".join(error.why + error.hint + str(error) for error in found.errors)
        assert "hunter2" not in found.mentioned

    async def test_without_a_key_the_rest_goes_on_and_nothing_is_removed(self) -> None:
        files = {
            "base.yaml": declaring.BASE + declaring.application("web"),
            "a.yaml": b"# ENC[ no key",
        }
        found = await reading.read(declaring.artifact(files), _Upside())

        assert [error.code for error in found.errors] == ["UD302"]
        assert list(found.applications) == ["web"]
        assert found.unreadable_files == {"a.yaml"}
        assert not found.may_remove(old("api", "a.yaml"))
        assert not found.may_remove(old("api", "other.yaml"))


class TestRemoval:
    async def may_remove(
        self, text: str, before: application.Application, files: dict[str, str] | None = None
    ) -> bool:
        return (await declaring.read(declaring.BASE + text, files)).may_remove(before)

    async def test_a_document_that_is_gone_was_removed(self) -> None:
        assert await self.may_remove("", old("web"))
        assert await self.may_remove("", old("web", ""))

    async def test_a_document_that_is_there_was_not(self) -> None:
        assert not await self.may_remove(declaring.application("web"), old("web"))
        assert not await self.may_remove(declaring.application("web", "polcy: {}"), old("web"))
        assert not await self.may_remove(declaring.application("web", target="nowhere"), old("web"))

    async def test_an_application_of_another_name_that_is_broken_does_not_matter(self) -> None:
        assert await self.may_remove(declaring.application("api", "polcy: {}"), old("web"))

    async def test_a_renamed_application_was_not_removed(self) -> None:
        assert not await self.may_remove(declaring.application("www", "movedFrom: [web]"), old("web"))
        assert not await self.may_remove(declaring.application("www", "movdFrom: [web]"), old("web"))
        assert not await self.may_remove(
            declaring.application("www", "movedFrom: [web], dependsOn: [nobody]"), old("web")
        )

    async def test_while_a_file_cannot_be_read_nothing_was_removed(self) -> None:
        assert not await self.may_remove("", old("web"), {"other.yaml": "{"})
        assert not await self.may_remove("---\nkind: Application\nspec: {}\n", old("web"))

    async def test_what_an_applications_own_files_hold_does_not_matter(self) -> None:
        files = {
            "undrift.yaml": declaring.BASE + declaring.application("api"),
            "apps/api/templates/x.yaml": "{{ if }}\n",
        }
        found = await reading.read(declaring.artifact(files))

        assert not found.errors
        assert found.may_remove(old("web"))
        assert not found.may_remove(old("web", "apps/api/templates/x.yaml"))

    async def test_while_its_generator_is_broken_nothing_it_made_was_removed(self) -> None:
        generator = """---
apiVersion: undrift.dev/v1
kind: ApplicationGenerator
metadata: {name: shops}
spec:
  generators: [{directories: {source: gone, path: "shops/*"}}]
  template: {metadata: {name: "{{ name }}"}, spec: {target: servers}}
"""
        assert not await self.may_remove(generator, old("basel", generator="shops"))
        assert await self.may_remove(generator, old("basel", generator="others"))
        assert not await self.may_remove(generator.replace("path:", "pth:"), old("basel", generator="shops"))


class TestIdentity:
    @staticmethod
    async def agents(*names: str) -> configuration.Configuration:
        return await declaring.read(
            "---\n".join(
                f"apiVersion: undrift.dev/v1\nkind: Agent\nmetadata: {{name: {name}}}\n" for name in names
            )
        )

    async def test_the_only_agent_is_it(self) -> None:
        assert (await self.agents("main")).identify().name == "main"

    async def test_the_named_one_is_it(self) -> None:
        assert (await self.agents("east", "west")).identify("west").name == "west"

    @pytest.mark.parametrize("names, wanted", [((), ""), (("east", "west"), ""), (("east",), "west")])
    async def test_else_nobody_knows(self, names: tuple[str, ...], wanted: str) -> None:
        with pytest.raises(errors.AgentUnknown) as caught:
            (await self.agents(*names)).identify(wanted)
        assert caught.value.hint

    async def test_a_broken_document_is_not_taken_for_none(self) -> None:
        text = (
            declaring.BASE
            + "---\napiVersion: undrift.dev/v1\nkind: Agent\nmetadata: {name: x}\nspec: {a: 1}\n"
        )
        with pytest.raises(errors.AgentUnknown):
            (await declaring.read(text)).identify()


async def test_an_agent_serves_the_applications_of_its_targets() -> None:
    text = (
        """apiVersion: undrift.dev/v1
kind: Agent
metadata: {name: east}
---
apiVersion: undrift.dev/v1
kind: Agent
metadata: {name: west}
---
apiVersion: undrift.dev/v1
kind: Target
metadata: {name: servers}
spec: {provider: hosts, agent: east}
---
apiVersion: undrift.dev/v1
kind: Target
metadata: {name: zones}
spec: {provider: dns, agent: west}
"""
        + declaring.application("web")
        + declaring.application("dns", target="zones")
    )
    found = await declaring.read_well(text)

    assert list(found.serving("east")) == ["web"]
    assert list(found.serving("west")) == ["dns"]
