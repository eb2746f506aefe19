"""A login shell that greets whoever comes in: what it says is no part of any answer."""

import pathlib

from tests import machines as hosts
from tests.integration.providers import world
from undrift.model import record

_GREETING = r"""
touch /root/greeted
echo '=k 0'
echo Welcome
printf '\033]0;web1\007'
"""
_SPEC = """
  files:
    - {path: /srv/note, content: hello}
    - {path: /srv/large, source: files/large}
  commands: [{name: once, command: [/bin/sh, -c, "echo x >>/srv/once"]}]
  services: [{name: naps, command: [/bin/sleep, "1000"]}]
"""


async def test_a_shell_that_greets_is_not_listened_to(tmp_path: pathlib.Path) -> None:
    """Neither where its line has no end, nor where it looks like an answer; else nothing would be there, or all done."""
    with hosts.booted("greeter") as machine:
        machine.run("tee", "/root/.bashrc", stdin=_GREETING)
        made = world.World(pathlib.Path("/"), hosts.settings(machine))
        files = {"host.yaml": world.manifest(_SPEC), "files/large": "line\n" * 100_000}
        made.commit(files)

        told = await made.reconcile()
        assert told.ending is record.Ending.APPLIED, told.failure
        assert (await made.reconcile()).ending is record.Ending.IN_SYNC
        await made.close()

        assert (machine.root / "root/greeted").exists()
        assert (machine.root / "srv/large").read_text() == files["files/large"]
        assert (machine.root / "srv/once").read_text() == "x\n"
