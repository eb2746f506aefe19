"""Blocks in foreign files, archives, commands, templates and secrets on a real host."""

import io
import json
import tarfile
import zipfile
from collections.abc import Mapping

from tests.integration.providers import world
from undrift import interfaces
from undrift.model import record
from undrift.renderers import plain

WAYS = ("local", "ssh")


def manifest(spec: str, **more: str | bytes) -> dict[str, str | bytes]:
    return {
        "host.yaml": world.manifest(spec),
        **{name.replace("__", "/"): text for name, text in more.items()},
    }


BLOCK = "  blocks: [{path: /etc/hosts, name: names, content: '10.0.0.1 db'}]\n"


async def test_a_block_lives_in_a_foreign_file(here: world.World) -> None:
    (here.root / "etc").mkdir()
    hosts = here.root / "etc/hosts"
    hosts.write_text("127.0.0.1 localhost")
    hosts.chmod(0o640)
    here.commit(manifest(BLOCK))

    told = await here.reconcile()

    assert told.ending is record.Ending.APPLIED, told.failure
    block = "# BEGIN undrift names\n10.0.0.1 db\n# END undrift names\n"
    assert hosts.read_text() == f"127.0.0.1 localhost\n{block}"
    assert hosts.stat().st_mode & 0o777 == 0o640
    assert (await here.reconcile()).ending is record.Ending.IN_SYNC
    hosts.write_text(f"first\n{block.replace('10.0.0.1', '6.6.6.6')}last\n")
    told = await here.reconcile()
    assert told.plan is not None
    assert "-6.6.6.6 db" in told.plan.changes[0].text
    assert hosts.read_text() == f"first\n{block}last\n"
    here.commit(manifest("  blocks: []\n"))
    assert (await here.reconcile(policy={"allow_empty": True})).ending is record.Ending.APPLIED
    assert hosts.read_text() == "first\nlast\n"


async def test_a_block_that_never_ends_is_left_alone_and_told(here: world.World) -> None:
    (here.root / "etc").mkdir()
    (here.root / "etc/hosts").write_text("# BEGIN undrift names\nx\n")
    here.commit(manifest(BLOCK))

    told = await here.reconcile()

    assert told.failure is not None
    assert "never ends" in told.failure.error.what
    assert (here.root / "etc/hosts").read_text() == "# BEGIN undrift names\nx\n"


def tar(**files: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(name.replace("__", "/"))
            info.size = len(text)
            info.mode = 0o755 if name.endswith("run") else 0o600
            archive.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


def zipped(**files: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in files.items():
            archive.writestr(name.replace("__", "/"), text)
    return out.getvalue()


async def test_an_archive_is_unpacked_kept_and_pruned_file_by_file(here: world.World) -> None:
    spec = "  archives: [{path: /opt/app, source: files/app.pack, strip: 1}]\n"
    here.commit(manifest(spec) | {"files/app.pack": tar(v1__bin__run="#!/bin/sh\n", v1__old="x")})
    told = await here.reconcile()
    assert told.ending is record.Ending.APPLIED, told.failure
    assert (here.root / "opt/app/bin/run").stat().st_mode & 0o777 == 0o755
    (here.root / "opt/app/old").write_text("hacked")
    assert (await here.reconcile()).ending is record.Ending.APPLIED
    assert (here.root / "opt/app/old").read_text() == "x"

    here.commit(manifest(spec) | {"files/app.pack": zipped(v2__bin__run="#!/bin/sh\n", v2__new="y")})
    told = await here.reconcile(policy={"deletion_limit": world.UNLIMITED})

    assert told.ending is record.Ending.APPLIED, told.failure
    assert sorted(each.name for each in (here.root / "opt/app").iterdir()) == ["bin", "new"]


async def test_an_archive_that_leads_out_is_refused(here: world.World) -> None:
    spec = "  archives: [{path: /opt/app, source: files/app.pack}]\n"
    here.commit(manifest(spec) | {"files/app.pack": tar(**{"..__evil": "x"})})

    told = await here.reconcile()

    assert told.failure is not None
    assert told.failure.error.code == "UD401"
    assert "leads out" in told.failure.error.why
    here.commit(manifest(spec) | {"files/app.pack": b"no archive"})
    told = await here.reconcile()
    assert told.failure is not None
    assert "no archive that can be read" in told.failure.error.what


COMMAND = "  commands: [{name: init, command: [sh, -c, 'echo run >> log'], directory: /, runAgain: %s}]\n"


async def test_a_command_runs_once_and_again_when_asked(here: world.World) -> None:
    here.commit(manifest(COMMAND % "a"))
    told = await here.reconcile()
    assert told.ending is record.Ending.APPLIED, told.failure
    assert (await here.reconcile()).ending is record.Ending.IN_SYNC
    assert (here.root / "log").read_text() == "run\n"
    here.commit(manifest(COMMAND % "b"))
    assert (await here.reconcile()).ending is record.Ending.APPLIED
    assert (here.root / "log").read_text() == "run\nrun\n"
    here.commit(manifest("  commands: []\n"))
    assert (await here.reconcile(policy={"allow_empty": True})).ending is record.Ending.APPLIED


async def test_a_failing_command_tells_what_it_wrote_and_runs_again_only_when_changed(
    here: world.World,
) -> None:
    here.commit(
        manifest(
            "  commands: [{name: init, command: [sh, -c, 'echo no space >&2; echo x >> log; exit 3']}]\n"
        )
    )

    told = await here.reconcile()

    assert told.failure is not None
    assert "exit code 3" in told.failure.error.what
    assert "no space" in told.failure.error.why
    here.commit(manifest("  commands: [{name: init, command: [no-such-program]}]\n"))
    told = await here.reconcile()
    assert told.failure is not None
    assert "no-such-program cannot be run" in told.failure.error.what


async def test_a_template_knows_vars_facts_and_what_the_target_says(here: world.World) -> None:
    here.settings["vars"] = {"stage": "production"}
    here.commit(
        manifest(
            "  vars: {stage: none, names: [a, b]}\n  files: [{path: /conf, template: templates/conf.j2}]\n"
        )
        | {
            "templates/conf.j2": "{{ stage }} {% for n in names %}{{ n }},{% endfor %} {{ facts.os }} {{ root }}\n"
        }
    )

    told = await here.reconcile()

    assert told.ending is record.Ending.APPLIED, told.failure
    assert (here.root / "conf").read_text() == f"production a,b, linux {here.root}\n"


class Decryptor:
    """Reads "ENC[" files as they would be once decrypted."""

    async def decrypt(self, content: bytes, name: str) -> bytes | None:
        return content.removeprefix(b"ENC[AES256_GCM sops")


async def test_a_secret_is_written_and_seen_nowhere(here: world.World) -> None:
    renderer: interfaces.Renderer = plain.PlainRenderer(Decryptor())
    spec = "  files: [{path: /key, source: files/key, mode: '0600'}]\n"
    for secret in ("hunter2", "correct horse"):
        here.commit(manifest(spec) | {"files/key": f"ENC[AES256_GCM sops{secret}"})

        told = await here.reconcile(renderer=renderer)

        assert told.ending is record.Ending.APPLIED, told.failure
        assert (here.root / "key").read_text() == secret
        assert told.plan is not None
        assert told.plan.changes[0].text == "*** (secret, changed)\n"
        shown = repr(told) + json.dumps(
            [str(field) for change in told.plan.changes for field in change.fields]
        )
        assert secret not in shown
        assert (await here.reconcile(renderer=renderer)).ending is record.Ending.IN_SYNC
    (here.root / "key").write_text("hacked")
    told = await here.reconcile(renderer=renderer)
    assert told.plan is not None
    assert "hacked" not in told.plan.changes[0].text
    assert (here.root / "key").read_text() == "correct horse"
    _no_secret_in(here, {"key"})


def _no_secret_in(here: world.World, but_in: set[str]) -> None:
    found = {path.name: path.read_bytes() for path in here.root.rglob("*") if path.is_file()}
    leaks: Mapping[str, bool] = {name: b"correct horse" in content for name, content in found.items()}
    assert {name for name, leaked in leaks.items() if leaked} == but_in
