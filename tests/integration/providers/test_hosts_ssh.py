"""Getting in over SSH: whose keys are trusted, with what we sign in, through whom, and as whom programs run."""

import contextlib
import os
import pathlib
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests import machines as hosts
from tests.integration.providers import world
from undrift import errors
from undrift.model import record
from undrift.testing import machines

NOTE = {"host.yaml": world.manifest("  files: [{path: /srv/note, content: hello}]\n")}


@pytest.fixture(scope="module")
def machine() -> Iterator[machines.Machine]:
    with hosts.booted("people") as made:
        yield made


def keygen(*words: str) -> str:
    return subprocess.run(["ssh-keygen", "-q", *words], check=True, capture_output=True, text=True).stdout


def secret(folder: pathlib.Path, text: str) -> dict[str, str]:
    """A credential in a file."""
    path = folder / "secret"
    path.write_text(f"{text}\n")
    return {"file": str(path)}


async def refused(settings: dict[str, Any], root: str = "/tmp") -> errors.UndriftError:
    """The error of a connection that does not come about."""
    made = world.World(pathlib.Path(root), settings)
    with pytest.raises(errors.UndriftError) as caught:
        await made.connect()
    return caught.value


async def lands(made: world.World) -> record.Reconciliation:
    """A reconcile that applies `NOTE`, and one that finds nothing to do."""
    made.commit(NOTE)
    told = await made.reconcile()
    assert told.ending is record.Ending.APPLIED, told.failure
    assert (await made.reconcile()).ending is record.Ending.IN_SYNC
    await made.close()
    return told


async def test_another_key_is_refused_with_its_fingerprint(
    sshd: machines.Sshd, tmp_path: pathlib.Path
) -> None:
    machines.make_key(tmp_path / "other")
    settings = hosts.settings(sshd, sshd.user)
    settings["hostKeys"] = f"[{sshd.address}]:{sshd.port} {machines.public(tmp_path / 'other')}\n"

    error = await refused(settings)

    assert error.code == "UD511"
    shown = keygen("-l", "-f", str(sshd.host_key)).split()[1]
    assert shown in error.why
    assert "settings.hostKeys" in error.hint


@pytest.mark.parametrize(
    "keys", ["elsewhere.example.org ssh-ed25519 {other}", "ecdsa", "@revoked * {own}\n* {own}"]
)
async def test_a_key_is_never_learned(sshd: machines.Sshd, tmp_path: pathlib.Path, keys: str) -> None:
    """Nothing is known of this host, or a key of another kind, or that its key was lost to somebody."""
    keygen("-t", "ecdsa", "-N", "", "-f", str(tmp_path / "ecdsa"))
    own = machines.public(sshd.host_key)
    line = (
        f"* {machines.public(tmp_path / 'ecdsa')}"
        if keys == "ecdsa"
        else keys.format(own=own, other=own.split()[1])
    )

    assert (await refused({**hosts.settings(sshd, sshd.user), "hostKeys": line})).code == "UD511"


async def test_host_keys_that_are_no_lines_are_told(sshd: machines.Sshd, tmp_path: pathlib.Path) -> None:
    error = await refused({**hosts.settings(sshd, sshd.user), "hostKeys": secret(tmp_path, "not a line")})

    assert error.code == "UD502"
    assert "ssh-keyscan" in error.hint


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Iterator[machines.Sshd]:
    """An sshd whose host key is signed by an authority, and that lets in whom the authority signed."""
    folder = tmp_path_factory.mktemp("certified")
    server = machines.Sshd(folder)
    machines.make_key(folder / "authority")
    sign = ("-s", str(folder / "authority"), "-I", "tests")
    keygen(*sign, "-h", "-n", "web1.example.org", str(server.host_key) + ".pub")
    keygen(*sign, "-n", server.user, str(server.key) + ".pub")
    (folder / "authorized_keys").write_text("")
    server.more = [
        f"HostCertificate {server.host_key}-cert.pub",
        f"TrustedUserCAKeys {folder / 'authority'}.pub",
    ]
    with server:
        yield server


def certificates(server: machines.Sshd, **more: Any) -> dict[str, Any]:
    authority = machines.public(server.host_key.with_name("authority"))
    return {
        **hosts.settings(server, server.user),
        "hostKeys": f"@cert-authority *.example.org {authority}\n",
        "hostKeyAlias": "web1.example.org",
        "certificate": {"file": f"{server.key}-cert.pub"},
        **more,
    }


async def test_certificates_of_both_sides(certified: machines.Sshd, tmp_path: pathlib.Path) -> None:
    await lands(world.World(tmp_path, certificates(certified)))


async def test_a_certificate_for_another_name_is_refused(certified: machines.Sshd) -> None:
    assert (await refused(certificates(certified, hostKeyAlias="web2.example.org"))).code == "UD511"


async def test_a_key_without_its_certificate_is_not_let_in(certified: machines.Sshd) -> None:
    settings = certificates(certified)
    del settings["certificate"]

    error = await refused(settings)

    assert error.code == "UD502"
    assert certified.user in error.what


async def test_a_key_that_is_not_there_or_no_key_is_told(sshd: machines.Sshd, tmp_path: pathlib.Path) -> None:
    no_key = {**hosts.settings(sshd, sshd.user), "identity": secret(tmp_path, "no key")}
    assert (await refused(no_key)).code == "UD502"
    unknown = {**hosts.settings(sshd, sshd.user), "identity": {"env": "UNDRIFT_NO_SUCH"}}
    assert (await refused(unknown)).code == "UD210"


async def test_a_key_with_a_passphrase(sshd: machines.Sshd, tmp_path: pathlib.Path) -> None:
    locked = tmp_path / "locked"
    locked.write_bytes(sshd.key.read_bytes())
    locked.chmod(0o600)
    keygen("-p", "-P", "", "-N", "open sesame", "-f", str(locked))
    root = tmp_path / "root"
    root.mkdir()
    settings = {**hosts.settings(sshd, sshd.user), "identity": {"file": str(locked)}}

    assert (await refused(settings)).code == "UD502"
    await lands(world.World(root, {**settings, "passphrase": secret(tmp_path, "open sesame")}))


@contextlib.contextmanager
def ssh_agent(place: pathlib.Path, key: pathlib.Path) -> Iterator[None]:
    """An SSH agent that holds one key, on a socket."""
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(place)], stdout=subprocess.DEVNULL)
    try:
        while not place.exists():
            assert agent.poll() is None
        environment = {**os.environ, "SSH_AUTH_SOCK": str(place)}
        subprocess.run(["ssh-add", "-q", str(key)], check=True, env=environment, capture_output=True)
        yield
    finally:
        agent.terminate()
        agent.wait()


async def test_keys_of_an_agent(sshd: machines.Sshd, tmp_path: pathlib.Path) -> None:
    settings = {**hosts.settings(sshd, sshd.user), "agent": str(tmp_path / "agent")}
    del settings["identity"]
    (tmp_path / "root").mkdir()
    with ssh_agent(tmp_path / "agent", sshd.key):
        await lands(world.World(tmp_path / "root", settings))
    assert (await refused(settings)).code == "UD502"


async def test_root_signs_in_and_marks_are_roots(machine: machines.Machine) -> None:
    made = world.World(pathlib.Path("/"), hosts.settings(machine, state="/var/lib/undrift/one"))

    await lands(made)

    assert (machine.root / "srv/note").read_text() == "hello"
    status = (machine.root / "var/lib/undrift/one").stat()
    assert (status.st_uid, status.st_mode & 0o7777) == (0, 0o700)


async def test_sudo_without_a_password(machine: machines.Machine) -> None:
    settings = hosts.settings(machine, "deploy", sudo=True, state="/var/lib/undrift/two", root="/opt")

    await lands(world.World(pathlib.Path("/opt"), settings))

    assert (machine.root / "opt/srv/note").stat().st_uid == 0


async def test_sudo_with_a_password(machine: machines.Machine, tmp_path: pathlib.Path) -> None:
    """It is read from standard input, and seen nowhere: not in arguments, not by the program."""
    sudo = {"password": secret(tmp_path, "secret of asker")}
    settings = hosts.settings(machine, "asker", sudo=sudo, state="/var/lib/undrift/three", root="/mnt")

    await lands(world.World(pathlib.Path("/mnt"), settings))

    # One who is not asked for it must not take it for a program either.
    settings = hosts.settings(machine, "deploy", sudo=sudo, state="/var/lib/undrift/four", root="/media")
    await lands(world.World(pathlib.Path("/media"), settings))
    journal = machine.run("journalctl", "-o", "cat", "--no-pager")
    assert "secret of asker" not in journal


@pytest.mark.parametrize("user", ["asker", "guest"])
async def test_sudo_refused(machine: machines.Machine, tmp_path: pathlib.Path, user: str) -> None:
    none = await refused(hosts.settings(machine, user, sudo=True))
    wrong = await refused(hosts.settings(machine, user, sudo={"password": secret(tmp_path, "wr0ng")}))

    for error in (none, wrong):
        assert error.code == "UD502", error.what
        assert "sudo" in error.what
        assert user in error.what
        assert "wr0ng" not in f"{error.what} {error.why} {error.hint}"


async def test_who_is_not_root_is_told_so(machine: machines.Machine) -> None:
    error = await refused(hosts.settings(machine, "guest"), "/")

    assert error.code == "UD502"
    assert "settings.sudo" in error.hint
    made = world.World(pathlib.Path("/"), hosts.settings(machine, "guest", state="/home/guest/.undrift"))
    made.commit({"host.yaml": world.manifest("  files: [{path: /etc/guest, content: hello}]\n")})
    told = await made.reconcile()
    assert told.failure is not None
    assert told.failure.error.parts[0].code == "UD502"
    assert "for guest" in told.failure.error.parts[0].why
    await made.close()


async def test_a_password_signs_in(machine: machines.Machine, tmp_path: pathlib.Path) -> None:
    settings = hosts.settings(
        machine, "guest", root="/home/guest", password=secret(tmp_path, "secret of guest")
    )
    del settings["identity"]

    await lands(world.World(pathlib.Path("/home/guest"), settings))


async def test_through_another_host(
    machine: machines.Machine, sshd: machines.Sshd, tmp_path: pathlib.Path
) -> None:
    """Each of the chain is verified by its own key."""
    jump = hosts.settings(sshd, sshd.user)
    settings = hosts.settings(machine, root="/srv/jumped", jump=jump)
    machine.run("mkdir", "-p", "/srv/jumped")

    await lands(world.World(pathlib.Path("/srv/jumped"), settings))

    machines.make_key(tmp_path / "other")
    wrong = {**jump, "hostKeys": f"* {machines.public(tmp_path / 'other')}"}
    error = await refused({**settings, "jump": wrong})
    assert error.code == "UD511"
    assert sshd.address in error.what


async def test_a_host_without_python_and_bash() -> None:
    """A shell of POSIX is enough: dash here, and busybox with nothing else below it."""
    with hosts.booted("plain", without=["/usr/bin/python3.11", "/usr/bin/bash"]) as machine:
        machine.run("usermod", "-s", "/bin/sh", "root")
        await lands(world.World(pathlib.Path("/"), hosts.settings(machine)))
        machine.run(
            "sh",
            "-c",
            "for p in stat sha256sum base64 readlink sync mv ln chmod chown mkdir rmdir rm cat uname id timeout "
            "tail head sleep; do ln -sf /usr/bin/busybox /usr/local/bin/$p; done; ln -sf busybox /usr/bin/sh; "
            "rm /usr/bin/flock",
        )
        made = world.World(pathlib.Path("/opt"), hosts.settings(machine, root="/opt"))
        made.commit(
            {
                "host.yaml": world.manifest(
                    "  directories: [{path: /d, mode: '0711'}]\n  links: [{path: /l, to: d/x}]\n"
                    "  files: [{path: /d/x, content: 'a', owner: daemon, mode: '0750'}]\n"
                    "  blocks: [{path: /d/y, name: b, content: 'line'}]\n"
                )
            }
        )
        told = await made.reconcile()
        assert told.ending is record.Ending.APPLIED, told.failure
        assert (await made.reconcile()).ending is record.Ending.IN_SYNC
        found = (machine.root / "opt/d/x").stat()
        assert (found.st_mode & 0o7777, found.st_uid) == (0o750, 1)
        await made.close()


async def test_a_host_that_is_away_is_away_and_comes_back(
    sshd: machines.Sshd, tmp_path: pathlib.Path
) -> None:
    """Waiting helps: sessions that are open go on by a new connection."""
    server = machines.Sshd(tmp_path / "server")
    root = tmp_path / "root"
    root.mkdir()
    made = world.World(root, hosts.settings(server, server.user))
    assert (await refused(made.settings)).waiting_helps
    with server:
        made.commit(NOTE)
        assert (await made.reconcile()).ending is record.Ending.APPLIED
    (root / "srv/note").write_text("drift")
    told = await made.reconcile()
    assert told.failure is not None
    assert told.failure.error.parts[0].code == "UD501"
    with server:
        assert (await made.reconcile()).ending is record.Ending.APPLIED
        assert (root / "srv/note").read_text() == "hello"
        await made.close()


async def test_a_service_is_probed_from_the_host_itself(machine: machines.Machine) -> None:
    """What listens on the loopback of the host is reached, and nothing on ours."""
    made = world.World(pathlib.Path("/"), hosts.settings(machine, state="/var/lib/undrift/five"))
    listen = "import http.server as h; h.HTTPServer(('127.0.0.1', 8099), h.SimpleHTTPRequestHandler).serve_forever()"
    command = ["python3", "-c", listen]
    health = "{http: 'http://127.0.0.1:8099/', tcp: '127.0.0.1:8099', command: [test, -d, /srv], within: 8s}"
    made.commit(
        {
            "host.yaml": world.manifest(
                f"  services: [{{name: web, command: {command!r}, health: {health}}}]\n"
            )
        }
    )

    told = await made.reconcile()

    assert told.ending is record.Ending.APPLIED, told.failure
    assert told.health.status.value == "Healthy", told.health
    assert (await made.reconcile()).ending is record.Ending.IN_SYNC
    machine.run("systemctl", "stop", "web")
    assert (await made.reconcile()).ending is record.Ending.APPLIED
    await made.close()
