"""What is refused, put back and undone on a real Debian host, and package managers in trouble."""

import contextlib
import hashlib
import pathlib
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import pytest

from tests import machines, peers
from tests.integration.providers import furnished, world
from undrift import errors
from undrift.model import record
from undrift.providers.hosts import serving
from undrift.providers.hosts.system import deadman
from undrift.testing import machines as testing_machines


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[testing_machines.Machine]:
    with furnished.booted(tmp_path_factory.mktemp("packages")) as found:
        yield found


@pytest.fixture
async def here(machine: testing_machines.Machine, tmp_path: pathlib.Path) -> AsyncIterator[world.World]:
    async with furnished.of(machine, tmp_path.name) as made:
        yield made


@contextlib.contextmanager
def holding(machine: testing_machines.Machine, path: str) -> Iterator[None]:
    """For the time of a block another package manager has the lock."""
    code = "import fcntl,sys,time; f=open(sys.argv[1],'w'); fcntl.lockf(f,fcntl.LOCK_EX); time.sleep(60)"
    start = 'nohup python3 -c "$1" "$2" >/dev/null 2>&1 & echo $!; sleep 0.3'
    pid = machine.shell(start, code, path).strip()
    try:
        yield
    finally:
        machine.run("kill", pid)


REFUSED = {
    "sudoers": ("  sudoers: [{name: bad, content: 'games ALL=('}]\n", "/etc/sudoers.d/bad"),
    "nftables": (
        "  firewall: [{name: bad, content: 'chain in { typo }'}]\n",
        "/etc/nftables.d/undrift-bad.nft",
    ),
    "nginx": (
        "  files: [{path: /etc/nginx/bad.conf, content: 'events { } http { serverr { } }', check: [nginx, -t, -c, '{}']}]\n",
        "/etc/nginx/bad.conf",
    ),
    "all of sshd": (
        "  files: [{path: /etc/ssh/sshd_config.d/bad.conf, content: 'Prot 2', check: [/usr/sbin/sshd, -t]}]\n",
        "/etc/ssh/sshd_config.d/bad.conf",
    ),
    "a line": (
        "  lines: [{path: /etc/ssh/sshd_config, name: bad, line: Prot 2, check: [/usr/sbin/sshd, -t, -f, '%s']}]\n",
        "/etc/ssh/sshd_config.bad",
    ),
    "another digest": (
        f"  downloads: [{{path: /opt/bad, url: 'file:///etc/passwd', sha256: '{'0' * 64}'}}]\n",
        "/opt/bad",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_a_check_refuses_changes_nothing(
    machine: testing_machines.Machine, here: world.World, name: str
) -> None:
    spec, path = REFUSED[name]
    app = next(furnished.names)

    told = await furnished.apply(here, spec, app)

    error = furnished.failed(told)
    assert error.code == "UD503"
    assert str(error.origin).startswith(f"{app}/host.yaml:4")
    assert (
        machine.shell(
            'ls -A "$@" 2>/dev/null; grep -c ^Prot /etc/ssh/sshd_config; ls -A /etc/ssh /etc/nginx /etc/sudoers.d | grep "undrift$"',
            path,
            check=False,
        )
        == "0\n"
    )
    again = await here.reconcile(app, policy=furnished.POLICY)
    assert again.verdict is not None
    assert [stop.code for stop in again.verdict.stops] == ["UD614"]


def nginx(port: int, more: str = "", check: str = "") -> str:
    return f"""
  files:
    - path: /etc/nginx/nginx.conf
      adopt: true
      content: |
        events {{ }}
        http {{ server {{ listen 127.0.0.1:{port}; location / {{ return 200 "here"; }} }} }}
        {more}
      {check}
  services:
    - name: nginx
      adopt: true
      restartOn: [/etc/nginx/nginx.conf]
      health: {{command: [curl, -fs, "http://127.0.0.1:8088/"], within: 2s}}
"""


async def test_a_service_that_does_not_run_with_new_files_gets_the_former_back(
    machine: testing_machines.Machine, here: world.World
) -> None:
    """Its restart fails, or its probe does; also when whoever changed the file died before the restart."""
    app = next(furnished.names)
    told = await furnished.apply(here, nginx(8088), app)
    assert told.ending is record.Ending.APPLIED, told.failure
    good = machine.run("cat", "/etc/nginx/nginx.conf")
    for broken in (nginx(8089), nginx(8088, "nonsense;")):
        told = await furnished.apply(here, broken, app)

        error = furnished.failed(told)
        assert error.code == "UD512", error
        assert "put back: File//etc/nginx/nginx.conf" in error.why
        assert machine.run("cat", "/etc/nginx/nginx.conf") == good
        assert machine.run("curl", "-fs", "http://127.0.0.1:8088/") == "here"
        again = await here.reconcile(app, policy=furnished.POLICY)
        assert again.verdict is not None
        assert [stop.code for stop in again.verdict.stops] == ["UD614"]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(serving.Server, "put", died)
        told = await furnished.apply(here, nginx(8088, "more nonsense;"), app)
    assert furnished.failed(told).code == "UD505"
    assert "more nonsense" in machine.run("cat", "/etc/nginx/nginx.conf")
    told = await here.reconcile(app, policy=furnished.POLICY)
    assert furnished.failed(told).code == "UD512"
    assert machine.run("cat", "/etc/nginx/nginx.conf") == good
    told = await furnished.apply(here, nginx(8088, "# better"), app)
    assert told.ending is record.Ending.APPLIED, told.failure
    assert machine.shell('find "$1" -path "*/former/*"', here.settings["state"]) == ""


async def died(*_: object) -> Mapping[str, Any]:
    raise errors.OutcomeUnknown("the agent is gone")


async def test_a_service_that_does_not_start_as_declared_runs_as_before(
    machine: testing_machines.Machine, here: world.World
) -> None:
    app = next(furnished.names)
    good = "  services: [{name: worker, command: [sleep, '1000']}]\n"
    assert (await furnished.apply(here, good, app)).ending is record.Ending.APPLIED

    told = await furnished.apply(here, good.replace("'1000'", "soon"), app)

    assert furnished.failed(told).code == "UD512"
    pid = machine.run("systemctl", "show", "-P", "MainPID", "worker").strip()
    assert machine.shell("tr '\\0' ' ' </proc/$1/cmdline", pid) == "sleep 1000 "
    assert (await furnished.apply(here, good, app)).ending in {record.Ending.IN_SYNC, record.Ending.APPLIED}


async def test_a_unit_that_does_not_start_gets_its_former_content_back(
    machine: testing_machines.Machine, here: world.World
) -> None:
    app = next(furnished.names)
    spec = "  units: [{{name: once.service, content: '[Service]\n\n{}'}}]\n"
    good = spec.format("ExecStart=sleep 1000").replace("}]", ", state: running}]")
    assert (await furnished.apply(here, good, app)).ending is record.Ending.APPLIED

    told = await furnished.apply(here, good.replace("sleep 1000", "/none"), app)

    assert furnished.failed(told).code == "UD512", str(furnished.failed(told))
    assert machine.run("systemctl", "is-active", "once.service") == "active\n"


async def test_packages_in_trouble(machine: testing_machines.Machine, here: world.World) -> None:
    app = next(furnished.names)
    spec = furnished.REPOSITORY + "  packages: [{name: other, lockTimeout: 1s}, curl]\n"
    with holding(machine, "/var/lib/dpkg/lock-frontend"):
        told = await furnished.apply(here, spec, app)
        assert furnished.failed(told).code == "UD510", furnished.failed(told)
    told = await here.reconcile(app, policy=furnished.POLICY)
    assert told.ending is record.Ending.APPLIED, told.failure
    machine.run("apt-get", "-q", "-y", "install", "fragile", check=False)
    assert machine.shell("dpkg-query -W -f '${db:Status-Abbrev}' fragile") == "iF "
    machine.run("touch", "/tmp/well", "/var/lib/dpkg/updates/0001")

    told = await furnished.apply(
        here,
        f"{spec}    - fragile\n".replace("[{", "\n    - {").replace(", curl]", "\n    - curl"),
        app,
        adopt=("Package/fragile",),
    )

    assert told.ending is record.Ending.APPLIED, told.failure
    assert machine.shell("dpkg-query -W -f '${db:Status-Abbrev}' fragile") == "ii "
    assert (await here.reconcile(app, policy=furnished.POLICY)).ending is record.Ending.IN_SYNC
    told = await furnished.apply(here, furnished.REPOSITORY + "  packages: [nonsense]\n", app)
    assert furnished.failed(told).code == "UD503"
    assert [one.code for one in told.warnings] == ["UD406"]


async def test_a_package_that_was_there_stays_and_one_that_others_need_does_too(
    machine: testing_machines.Machine, here: world.World
) -> None:
    app = next(furnished.names)
    told = await furnished.apply(
        here,
        furnished.REPOSITORY
        + "  packages: [curl, tiny]\n  files: [{path: /etc/tiny.conf, content: mine, adopt: true}]\n",
        app,
    )
    assert told.ending is record.Ending.APPLIED, told.failure
    assert machine.run("cat", "/etc/tiny.conf") == "mine"
    machine.run("apt-get", "-q", "-y", "install", "needs-tiny")

    told = await furnished.apply(here, furnished.REPOSITORY, app)

    assert "needs-tiny" in furnished.failed(told).why
    machine.run("apt-get", "-q", "-y", "remove", "needs-tiny")
    told = await furnished.apply(here, "  files: []\n", app)
    assert told.ending is record.Ending.APPLIED, told.failure
    assert machine.shell("dpkg-query -W -f '${db:Status-Abbrev} ' curl tiny") == "ii  rc  "
    told = await furnished.apply(here, "  packages: [{name: curl, version: '1'}]\n", app)
    assert told.verdict is not None
    assert [stop.code for stop in told.verdict.stops] == ["UD609"]


def sign(machine: testing_machines.Machine, folder: pathlib.Path) -> tuple[str, str]:
    """Make a signed repository of the flat one; the key that it is signed with, and another one."""
    gpg = [str(peers.require_peer("gpg")), "--homedir", str(folder), "--batch", "--pinentry-mode", "loopback"]

    def run(*words: str, stdin: bytes = b"") -> bytes:
        return subprocess.run([*gpg, *words], input=stdin, capture_output=True, check=True).stdout

    folder.chmod(0o700)
    for name in ("ours@example.org", "theirs@example.org"):
        run("--passphrase", "", "--quick-generate-key", name, "ed25519", "sign", "never")
    machine.run("cp", "-r", "/srv/repository", "/srv/signed")
    raw = (machine.root / "srv/signed/Packages").read_bytes()
    release = f"Date: Thu, 01 Jan 2026 00:00:00 UTC\nSHA256:\n {hashlib.sha256(raw).hexdigest()} {len(raw)} Packages\n"
    signed = run("--local-user", "ours@example.org", "--clearsign", stdin=release.encode())
    (machine.root / "srv/signed/InRelease").write_bytes(signed)
    subprocess.run(["gpgconf", "--homedir", str(folder), "--kill", "all"], check=False)
    ours, theirs = (run("--armor", "--export", f"{who}@example.org").decode() for who in ("ours", "theirs"))
    return ours, theirs


async def test_a_repository_counts_when_its_signature_holds_and_is_taken_back_when_not(
    machine: testing_machines.Machine, here: world.World, tmp_path: pathlib.Path
) -> None:
    ours, theirs = sign(machine, tmp_path)
    app = next(furnished.names)
    spec = """
  repositories: [{name: signed, uris: ["file:/srv/signed"], suites: ["./"], key: files/key.asc}]
  packages: [other]
"""
    for key in (theirs, "nonsense"):
        told = await furnished.apply(here, spec, app, {"files/key.asc": key})

        assert furnished.failed(told).code == "UD503", str(furnished.failed(told))
        assert (
            machine.shell("ls -A /etc/apt/sources.list.d /etc/apt/keyrings | grep signed", check=False) == ""
        )
    told = await furnished.apply(here, spec, app, {"files/key.asc": ours})
    assert told.ending is record.Ending.APPLIED, told.failure
    assert machine.run("cat", "/etc/apt/keyrings/signed.asc") == ours
    assert machine.shell("dpkg-query -W -f '${db:Status-Abbrev}' other") == "ii "


SHUT = {
    "everything": "iif lo accept",
    "new connections": "ct state established accept\n iif lo accept",
}


@pytest.mark.parametrize("name", SHUT)
async def test_a_firewall_that_shuts_us_out_is_undone_by_the_machine(
    machine: testing_machines.Machine, here: world.World, name: str
) -> None:
    app = next(furnished.names)
    spec = """
  firewall:
    - name: main
      confirm: 4s
      content: |
        chain in {
          type filter hook input priority 0; policy drop;
          RULES
        }
"""
    good = spec.replace("RULES", "tcp dport 22 accept\n          icmp type echo-request accept")
    assert (await furnished.apply(here, good, app)).ending is record.Ending.APPLIED
    former = machine.run("nft", "list", "table", "inet", "undrift_main")
    assert "dport 22" in former

    told = await furnished.apply(here, spec.replace("RULES", SHUT[name].replace("\n", "\n         ")), app)

    assert furnished.failed(told).code == "UD512", str(furnished.failed(told))
    assert machine.run("nft", "list", "table", "inet", "undrift_main") == former
    assert "dport 22" in machine.run("cat", "/etc/nftables.d/undrift-main.nft")
    assert machine.shell("ls /run/undrift; systemctl list-units --plain --no-legend 'undrift-undo*'") == ""
    again = await here.reconcile(app, policy=furnished.POLICY)
    assert again.verdict is not None
    assert [stop.code for stop in again.verdict.stops] == ["UD614"]


async def test_an_sshd_that_lets_nobody_in_is_undone_by_the_machine(
    machine: testing_machines.Machine, here: world.World
) -> None:
    told = await furnished.apply(
        here,
        """
  files: [{path: /etc/ssh/sshd_config.d/elsewhere.conf, content: "Port 2222\\n", check: [/usr/sbin/sshd, -t]}]
  services: [{name: ssh, adopt: true, reloadOn: [/etc/ssh/sshd_config.d/elsewhere.conf], confirm: 4s}]
""",
        next(furnished.names),
    )

    assert furnished.failed(told).code == "UD512", str(furnished.failed(told))
    assert (
        machine.shell("ls /etc/ssh/sshd_config.d /run/undrift")
        == "/etc/ssh/sshd_config.d:\ntests.conf\n\n/run/undrift:\n"
    )
    assert (
        await furnished.apply(here, "  files: []\n", next(furnished.names))
    ).ending is record.Ending.IN_SYNC


@pytest.fixture
async def operator(machine: testing_machines.Machine, tmp_path: pathlib.Path) -> AsyncIterator[world.World]:
    """One who signs in as a user that may use sudo, and leaves what was done."""
    place = f"/var/lib/undrift/{tmp_path.name}"
    settings = machines.settings(machine, "deploy", sudo=True, state=place)
    made = world.World(pathlib.Path("/"), settings)
    yield made
    await made.close()


async def test_who_we_sign_in_as_goes_on_to_get_in(
    machine: testing_machines.Machine, operator: world.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadman, "USUAL", 4.0)
    before = machine.run("getent", "passwd", "deploy")
    spec = "  users: [{name: deploy, shell: %s, comment: us, adopt: true}]\n"

    told = await furnished.apply(operator, spec % "/bin/false", "own")

    assert furnished.failed(told).code == "UD512", str(furnished.failed(told))
    assert machine.run("getent", "passwd", "deploy") == before
    told = await furnished.apply(operator, spec % "/bin/sh", "own")
    assert told.ending is record.Ending.APPLIED, told.failure
    assert ":us:" in machine.run("getent", "passwd", "deploy")
