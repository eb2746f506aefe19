"""Real Debian hosts for tests: systemd as their first process, sshd, sudo, nftables; and a bare sshd where none can be booted.

    with machines.Machine(folder, machines.find()) as machine:
        machine.address, machine.port       # its sshd, in a network that is between it and us only
        machine.known_hosts                 # a line that vouches for its host key
        machine.key                         # a private key (file) that root, deploy, asker and guest let in
        machine.run("systemctl", "is-system-running")       # as root, past sshd
        machine.root / "etc/motd"           # its files, from outside

What `make peers` made is used (`scripts/testbed-machine`); nothing is downloaded here. A machine boots in half a second
and costs some 25 MB; all writes stay in memory and are gone with it, but survive `reboot`. It needs root here. Users
on it: `deploy` may become root by sudo without a password, `asker` with it, `guest` may not; the password of each is
`secret of NAME`. `without` names programs that the machine shall not have.

    with machines.Sshd(folder) as server:   # as whoever runs the tests, on loopback, on this machine's own files

All addresses are of 198.18.0.0/15, which belongs to nobody's network.
"""

from __future__ import annotations

import contextlib
import fcntl
import getpass
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from typing import Self

from undrift.testing import control_plane

ROOT = control_plane.ROOT
PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin"
_PATIENCE = 60.0
_NETWORKS = 1 << 14
_WATCHES = 4096
_ENVIRONMENT = {"SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network"}


class MachineError(Exception):
    """A machine or server did not start; the message ends with what it wrote last."""


def find(root: pathlib.Path = ROOT) -> pathlib.Path | None:
    """The root file system that was made last, or None."""
    made = [one for one in root.glob("machine-*") if one.is_dir() and not one.name.endswith(".part")]
    return max(made, key=lambda one: one.stat().st_mtime) if made else None


def missing() -> str:
    """Why no machine can be booted here; "" where one can."""
    if os.geteuid() != 0:
        return "machines are booted by root"
    for program in ("systemd-nspawn", "nsenter", "ip", "mount"):
        if shutil.which(program, path=PATH) is None:
            return f"{program} is not installed"
    return (
        "" if find() is not None else "the machine's file system is not made; `make peers` as root makes it"
    )


class Machine:
    """One host. `name` is its host name; `folder` (empty) holds what it needs while it is there."""

    def __init__(
        self, folder: pathlib.Path, base: pathlib.Path, name: str = "machine", without: Sequence[str] = ()
    ) -> None:
        self.name = name
        self.port = 22
        self.key = folder / "key"
        self.host_key = folder / "host_key"
        self._folder = folder
        self._base = base
        self._without = tuple(without)
        self._process: subprocess.Popen[bytes] | None = None
        self._leader = 0
        self._number = 0
        self._open = contextlib.ExitStack()

    @property
    def root(self) -> pathlib.Path:
        """Its root folder, as we see it."""
        return self._folder / "root"

    @property
    def address(self) -> str:
        """Where it is."""
        return self._address(2)

    @property
    def known_hosts(self) -> str:
        """A line that vouches for its host key."""
        return f"{self.address} {public(self.host_key)}\n"

    def __enter__(self) -> Self:
        """Boot it. Raises `MachineError`."""
        try:
            _allow_watches()
            self._mount()
            self._connect()
            self._furnish()
            self.boot()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Take it away."""
        self.close()

    def close(self) -> None:
        """Switch it off, and leave nothing of it."""
        self.switch_off()
        self._open.close()

    def boot(self) -> None:
        """Switch it on, and wait for its sshd."""
        self.start()
        self.wait()

    def start(self) -> None:
        """Switch it on."""
        command = [
            "systemd-nspawn", "--quiet", "-D", str(self.root), "--boot", f"--machine={self._label}",
            f"--hostname={self.name}", "--register=no", "--keep-unit", "--link-journal=no",
            "--capability=CAP_NET_ADMIN", f"--network-namespace-path=/run/netns/{self._label}",
            "--resolv-conf=off", "--timezone=off",
        ]  # fmt: skip
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "PATH": PATH, **_ENVIRONMENT},
                start_new_session=True,
            )

    def wait(self) -> None:
        """Wait until its sshd answers. Raises `MachineError`."""
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end and self._process is not None and self._process.poll() is None:
            if _answers(self.address, self.port):
                # Before, what nspawn itself starts may stand there.
                self._leader = next(iter(_children(self._process.pid)), 0)
                return
            time.sleep(0.02)
        said = (self._folder / "log").read_text(errors="replace")[-500:]
        raise MachineError(f"{self.name} did not boot: {said}")

    def switch_off(self) -> None:
        """As if the power went: nothing on it has time for anything."""
        if self._process is None:
            return
        for child in _children(self._process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        self._process.kill()
        self._process.wait()
        self._process, self._leader = None, 0

    def reboot(self) -> None:
        """Switch it off and on."""
        self.switch_off()
        self.boot()

    def run(self, *command: str, stdin: str | None = None, check: bool = True) -> str:
        """Run a program on it as root; what it wrote. Raises `subprocess.CalledProcessError`."""
        done = subprocess.run(
            ["nsenter", "-t", str(self._leader), "-a", "--", *command],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"},
            timeout=120,
        )
        if check and done.returncode:
            raise subprocess.CalledProcessError(done.returncode, command, done.stdout, done.stderr)
        return done.stdout

    def shell(self, script: str, *words: str, check: bool = True) -> str:
        """The same for a shell program."""
        return self.run("sh", "-c", script, "sh", *words, check=check)

    @contextlib.contextmanager
    def unplugged(self) -> Iterator[None]:
        """For the time of a block nothing reaches it, as when a cable is pulled."""
        _do("ip", "link", "set", self._label, "down")
        try:
            yield
        finally:
            _do("ip", "link", "set", self._label, "up")

    def _mount(self) -> None:
        memory = self._folder / "memory"
        for folder in (memory, self.root):
            folder.mkdir(parents=True)
        _do("mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", str(memory))
        self._open.callback(_do, "umount", "-l", str(memory))
        for folder in (memory / "upper", memory / "work"):
            folder.mkdir()
        over = f"lowerdir={self._base},upperdir={memory / 'upper'},workdir={memory / 'work'}"
        _do("mount", "-t", "overlay", "-o", over, "overlay", str(self.root))
        self._open.callback(_do, "umount", "-l", str(self.root))

    def _connect(self) -> None:
        """A cable between it and us. Numbers are shared by everybody on this machine who tests."""
        with (ROOT / "machines.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            taken = set(_said("ip", "-o", "link").replace("@", " ").replace(":", " ").split())
            self._number = next(number for number in range(_NETWORKS) if f"undrift{number}" not in taken)
            _do("ip", "netns", "add", self._label)
            self._open.callback(_do, "ip", "netns", "del", self._label)
            _do(
                "ip",
                "link",
                "add",
                self._label,
                "type",
                "veth",
                "peer",
                "name",
                "host0",
                "netns",
                self._label,
            )
            self._open.callback(_maybe, "ip", "link", "del", self._label)
        _do("ip", "addr", "add", f"{self._address(1)}/30", "dev", self._label)
        _do("ip", "link", "set", self._label, "up")
        inside = ("ip", "-n", self._label)
        _do(*inside, "addr", "add", f"{self.address}/30", "dev", "host0")
        _do(*inside, "link", "set", "host0", "up")
        _do(*inside, "link", "set", "lo", "up")

    def _furnish(self) -> None:
        """Give it a host key, and let our key in."""
        for program in self._without:
            (self.root / program.lstrip("/")).unlink()
        for path in (self.key, self.host_key):
            make_key(path)
        place = self.root / "etc/ssh"
        shutil.copy(self.host_key, place / "ssh_host_ed25519_key")
        shutil.copy(self.host_key.with_suffix(".pub"), place / "ssh_host_ed25519_key.pub")
        shutil.copy(self.key.with_suffix(".pub"), place / "authorized_keys")
        (place / "sshd_config.d/tests.conf").write_text(
            "HostKey /etc/ssh/ssh_host_ed25519_key\nUseDNS no\nMaxStartups 100\nPermitRootLogin prohibit-password\n"
            "AuthorizedKeysFile .ssh/authorized_keys /etc/ssh/authorized_keys\n"
        )

    @property
    def _label(self) -> str:
        return f"undrift{self._number}"

    def _address(self, last: int) -> str:
        return f"198.{18 + (self._number >> 14)}.{self._number >> 6 & 255}.{(self._number & 63) * 4 + last}"


class Sshd:
    """An sshd on loopback that lets `key` in as whoever we are; its commands run on this very machine."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.address = "127.0.0.1"
        self.user = getpass.getuser()
        self.key = folder / "key"
        self.host_key = folder / "host_key"
        self.more: list[str] = []
        """Lines of its configuration, before it is started."""
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        for path in (self.key, self.host_key):
            make_key(path)
        shutil.copy(self.key.with_suffix(".pub"), folder / "authorized_keys")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]

    @property
    def known_hosts(self) -> str:
        """A line that vouches for its host key."""
        return f"[{self.address}]:{self.port} {public(self.host_key)}\n"

    def __enter__(self) -> Self:
        """Start it. Raises `MachineError`."""
        if os.geteuid() == 0:
            pathlib.Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        lines = [
            *self.more, f"ListenAddress {self.address}:{self.port}", f"HostKey {self.host_key}", "PidFile none",
            "UsePAM no", "StrictModes no", f"AuthorizedKeysFile {self._folder}/authorized_keys", "UseDNS no",
            "PasswordAuthentication no", "KbdInteractiveAuthentication no", "PermitRootLogin yes", "MaxStartups 100",
            # bash reads ~/.bashrc of whoever runs the tests, but for this: it may take a second.
            "SetEnv SHLVL=9",
        ]  # fmt: skip
        (self._folder / "config").write_text("\n".join(lines) + "\n")
        program = shutil.which("sshd", path=PATH)
        if program is None:
            raise MachineError("sshd is not installed")
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [program, "-D", "-e", "-f", str(self._folder / "config")],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        end = time.monotonic() + _PATIENCE
        while not _answers(self.address, self.port):
            if time.monotonic() > end or self._process.poll() is not None:
                raise MachineError((self._folder / "log").read_text(errors="replace")[-500:])
            time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it; connections end too."""
        if self._process is not None:
            family = _descendants(self._process.pid)
            self._process.kill()
            self._process.wait()
            for one in family:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(one, signal.SIGKILL)
            self._process = None


def _allow_watches() -> None:
    """All machines share what this one allows root: a systemd takes a dozen watches, and few are given."""
    most = pathlib.Path("/proc/sys/fs/inotify/max_user_instances")
    with contextlib.suppress(OSError, ValueError):
        if int(most.read_text()) < _WATCHES:
            most.write_text(str(_WATCHES))


def make_key(path: pathlib.Path) -> None:
    """A new key pair, unless there is one."""
    if not path.exists():
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "tests", "-f", str(path)]
        subprocess.run(command, check=True)


def public(path: pathlib.Path) -> str:
    """The public half of a key pair: algorithm and key."""
    return " ".join(path.with_suffix(".pub").read_text().split()[:2])


def _answers(address: str, port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((address, port), timeout=1) as found:
        return found.recv(4) == b"SSH-"
    return False


def _children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(one) for one in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def _descendants(pid: int) -> list[int]:
    children = _children(pid)
    return [*children, *(below for child in children for below in _descendants(child))]


def _do(*command: str) -> None:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "PATH": PATH}, timeout=30
    )
    if done.returncode:
        raise MachineError(f"{' '.join(command)}: {done.stderr.strip()}")


def _maybe(*command: str) -> None:
    with contextlib.suppress(MachineError):
        _do(*command)


def _said(*command: str) -> str:
    return subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "PATH": PATH}, timeout=30
    ).stdout
