"""What a machine has beside files: packages, users, units, kernel, mounts, firewall; on a real Debian host."""

import dataclasses
import hashlib
import os
import pathlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

import pytest

from tests.integration.providers import furnished, world
from undrift.model import plan, record
from undrift.testing import machines as testing_machines


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[testing_machines.Machine]:
    with furnished.booted(tmp_path_factory.mktemp("packages")) as found:
        yield found


@pytest.fixture
async def here(machine: testing_machines.Machine, tmp_path: pathlib.Path) -> AsyncIterator[world.World]:
    async with furnished.of(machine, tmp_path.name) as made:
        yield made


def drifted(told: record.Reconciliation) -> dict[str, list[str]]:
    assert told.plan is not None
    assert {change.reason for change in told.plan.changes} <= {plan.Reason.DRIFT}, told.plan.changes
    return {str(change.id): sorted(field.path for field in change.fields) for change in told.plan.changes}


@dataclasses.dataclass(frozen=True)
class Case:
    """What is declared; how to see it; what somebody does to it, what that changes; and how to see that it is gone."""

    spec: str
    there: Sequence[tuple[str, str]]
    by_hand: str
    fields: Mapping[str, list[str]]
    gone: Sequence[tuple[str, str]]


CASES = {
    "repository and packages": Case(
        furnished.REPOSITORY + "  packages: [needs-tiny, {name: tiny, version: '1.0', hold: true}]\n",
        [
            ("dpkg-query -W -f '${db:Status-Abbrev}${Version}' tiny", "hi 1.0"),
            ("cat /etc/tiny.conf", "from the package\n"),
        ],
        "apt-mark unhold tiny; dpkg --remove needs-tiny; sed -i 's/^Trusted.*/&\\nCheck-Valid-Until: no/' /etc/apt/sources.list.d/flat.sources",
        {"Package/tiny": ["hold"], "Package/needs-tiny": ["state"], "Repository/flat": ["edited"]},
        [
            ("dpkg-query -W -f '${db:Status-Abbrev}' tiny needs-tiny | tr -d '\\n'", "rc "),
            ("ls /etc/apt/sources.list.d", ""),
        ],
    ),
    "users, groups and keys": Case(
        """
  groups: [{name: crew, gid: 4321}]
  users:
    - {name: web, uid: 4322, group: crew, groups: [mail, games], home: /srv/web, shell: /bin/sh, comment: The web, locked: true}
  authorizedKeys:
    - {user: web, keys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFakeFakeFakeFakeFakeFakeFakeFakeFakeFakeFake  one@example.org"]}
""",
        [
            ("getent passwd web", "web:x:4322:4321:The web:/srv/web:/bin/sh\n"),
            ("id -Gn web | tr ' ' '\\n' | sort | tr '\\n' ' '", "crew games mail "),
            (
                "stat -c '%a %U %G' /srv/web/.ssh /srv/web/.ssh/authorized_keys",
                "700 web crew\n600 web crew\n",
            ),
            ("grep -c one@example.org /srv/web/.ssh/authorized_keys", "1\n"),
        ],
        "usermod -s /bin/bash -G mail web; groupmod -g 4399 crew; sed -i 's/one@/two@/; $ a ssh-rsa AAAA hers' /srv/web/.ssh/authorized_keys; chmod 644 /srv/web/.ssh/authorized_keys",
        {
            "Group/crew": ["gid"],
            "User/web": ["groups", "shell"],
            "AuthorizedKeys/web#keys": ["keys.0", "mode"],
        },
        [
            ("getent passwd web || echo none", "none\n"),
            ("getent group crew || echo none", "none\n"),
            ("cat /srv/web/.ssh/authorized_keys", "ssh-rsa AAAA hers\n"),
        ],
    ),
    "sudoers and cron": Case(
        """
  sudoers: [{name: ops, content: "games ALL=(root) NOPASSWD: /usr/bin/id\\n"}]
  cron: [{name: tidy, schedule: "5  4 * * *", command: "echo $(date +%F)", environment: {MAILTO: ""}}]
""",
        [
            ("stat -c '%a %U' /etc/sudoers.d/ops", "440 root\n"),
            ("runuser -u games -- sudo -n id -u", "0\n"),
            ("cat /etc/cron.d/tidy", "MAILTO=\n5 4 * * * root echo $(date +\\%F)\n"),
        ],
        "chmod 600 /etc/sudoers.d/ops; sed -i 's/^5 4/6 4/' /etc/cron.d/tidy",
        {"Sudoers/ops": ["mode"], "Cron/tidy": ["schedule"]},
        [("ls /etc/sudoers.d/ops /etc/cron.d/tidy 2>/dev/null", "")],
    ),
    "kernel": Case(
        """
  sysctl: [{name: net.ipv4.ip_forward, value: 1}, {name: net.ipv4.tcp_rmem, value: "4096 131072 6000000"}]
""",
        [
            ("sysctl -n net.ipv4.ip_forward", "1\n"),
            (
                "cat /etc/sysctl.d/90-undrift-net.ipv4.ip_forward.conf",
                "# Kept by Undrift.\nnet.ipv4.ip_forward = 1\n",
            ),
        ],
        "sysctl -qw net.ipv4.ip_forward=0; sed -i 's/6000000/5/' /etc/sysctl.d/90-undrift-net.ipv4.tcp_rmem.conf",
        {"Sysctl/net.ipv4.ip_forward": ["value"], "Sysctl/net.ipv4.tcp_rmem": ["atBoot"]},
        [("sysctl -n net.ipv4.ip_forward; ls /etc/sysctl.d | grep undrift", "0\n")],
    ),
    "mounts": Case(
        """
  mounts: [{path: "/srv/with space", device: tmpfs, type: tmpfs, options: "size=1m,noexec"}]
  files: [{path: "/srv/with space/on it", content: x}]
""",
        [
            ("grep -c 'tmpfs /srv/with.040space tmpfs rw,.*noexec' /proc/mounts", "1\n"),
            ("grep -c '^tmpfs /srv/with.040space tmpfs size=1m,noexec 0 0$' /etc/fstab", "1\n"),
            ("grep -c '^# mine' /etc/fstab", "1\n"),
            ("cat '/srv/with space/on it'", "x"),
        ],
        "sed -i s/noexec/exec/ /etc/fstab",
        {"Mount//srv/with space": ["options"]},
        [
            ("grep -c space /proc/mounts /etc/fstab", "/proc/mounts:0\n/etc/fstab:0\n"),
            ("grep -c '^# mine' /etc/fstab", "1\n"),
        ],
    ),
    "names": Case(
        "  hostname: web7\n  timeZone: Europe/Berlin\n",
        [("uname -n; cat /etc/hostname", "web7\nweb7\n"), ("date -d @0 +%H%Z", "01CET\n")],
        "hostname other; ln -sf /usr/share/zoneinfo/Asia/Tokyo /etc/localtime",
        {"Hostname/this": ["name"], "TimeZone/this": ["name"]},
        [("uname -n; date -d @0 +%Z", "web7\nCET\n")],
    ),
    "units": Case(
        """
  units:
    - {name: tick.timer, content: "[Timer]\\nOnCalendar=daily\\n[Install]\\nWantedBy=timers.target\\n", enabled: true, state: running}
    - {name: tick.service, content: "[Service]\\nType=oneshot\\nExecStart=/bin/true\\n"}
    - {name: long.service, content: "[Service]\\nExecStart=sleep 1000\\n", state: running}
  dropIns: [{unit: long.service, name: limit, content: "[Service]\\nEnvironment=A=1\\n"}]
""",
        [
            (
                "systemctl is-enabled tick.timer; systemctl is-active tick.timer long.service",
                "enabled\nactive\nactive\n",
            ),
            ("systemctl show -P Environment long.service", "A=1\n"),
            ("tr '\\0' '\\n' </proc/$(systemctl show -P MainPID long.service)/environ | grep ^A=", "A=1\n"),
        ],
        "systemctl disable -q --now tick.timer; echo '# mine' >>/etc/systemd/system/tick.service; systemctl daemon-reload; chmod 600 /etc/systemd/system/long.service.d/limit.conf",
        {
            "Unit/tick.timer": ["enabled", "state"],
            "Unit/tick.service": ["digest"],
            "DropIn/long.service/limit": ["mode"],
        },
        [
            ("ls -d /etc/systemd/system/*tick* /etc/systemd/system/long.service.d/* 2>/dev/null", ""),
            ("systemctl show -P LoadState tick.timer long.service | tr -d '\\n'", "not-foundnot-found"),
        ],
    ),
    "firewall": Case(
        """
  firewall:
    - name: main
      content: |
        set friends { type ipv4_addr; elements = { 192.0.2.1 } }
        chain in {
          type filter hook input priority 10; policy accept;
          ip saddr @friends accept
          tcp dport 9999 drop
        }
""",
        [
            ("nft list table inet undrift_main | grep -c 'dport 9999 drop'", "1\n"),
            ("systemctl is-enabled undrift-firewall-main", "enabled\n"),
            ("nft list table inet theirs | grep -c theirs", "1\n"),
        ],
        "nft add rule inet undrift_main in tcp dport 22222 accept; systemctl disable -q undrift-firewall-main",
        {"Firewall/main": ["atBoot", "loaded"]},
        [
            ("nft list tables", "table inet theirs\n"),
            ("ls /etc/nftables.d /etc/systemd/system | grep undrift", ""),
        ],
    ),
    "lines and downloads": Case(
        """
  lines:
    - {path: /etc/some.conf, name: root, line: "PermitRootLogin no", match: "^#?PermitRootLogin\\\\b"}
    - {path: /etc/some.conf, name: port, line: "Port 22"}
    - {path: /etc/some.conf, name: bad, match: "^Bad ", state: absent}
  downloads: [{path: /opt/fetched, url: "file:///srv/fetch me", sha256: DIGEST, mode: "0755"}]
""".replace("fetch me", "fetch"),
        [
            ("cat /etc/some.conf", "PermitRootLogin no\nOther 1\nPort 22\n"),
            ("stat -c %a /opt/fetched; cat /opt/fetched", "755\nfetched"),
        ],
        "sed -i 's/^PermitRootLogin no/PermitRootLogin yes/; $ a Bad thing' /etc/some.conf; echo >>/opt/fetched",
        {
            "Line//etc/some.conf#root": ["line"],
            "Line//etc/some.conf#bad": ["line"],
            "File//opt/fetched": ["digest"],
        },
        [("cat /etc/some.conf; ls /opt/fetched 2>/dev/null", "#PermitRootLogin yes\nOther 1\nBad idea\n")],
    ),
}


def prepare(machine: testing_machines.Machine) -> Mapping[str, str]:
    """What the cases need on the machine, and the words in them that are known only there."""
    machine.shell(
        "echo '# mine' >/etc/fstab; printf '#PermitRootLogin yes\\nOther 1\\nBad idea\\n' >/etc/some.conf"
    )
    machine.shell("printf fetched >/srv/fetch; nft add table inet theirs; sysctl -qw net.ipv4.ip_forward=0")
    return {"DIGEST": hashlib.sha256(b"fetched").hexdigest()}


@pytest.mark.parametrize("name", CASES)
async def test_it_is_made_kept_and_taken_away(
    machine: testing_machines.Machine, here: world.World, name: str
) -> None:
    case, app = CASES[name], next(furnished.names)
    known = prepare(machine)

    def fill(text: str) -> str:
        for word, value in known.items():
            text = text.replace(word, value)
        return text

    def seen(asked: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        return [(script, machine.shell(fill(script), check=False)) for script, _ in asked]

    told = await furnished.apply(here, fill(case.spec), app)

    assert told.ending is record.Ending.APPLIED, told.failure
    there = [(script, fill(said)) for script, said in case.there]
    assert seen(case.there) == there
    again = await here.reconcile(app, policy=furnished.POLICY)
    assert again.ending is record.Ending.IN_SYNC, again.plan
    machine.shell(fill(case.by_hand))
    told = await here.reconcile(app, policy=furnished.POLICY)
    assert told.ending is record.Ending.APPLIED, told.failure
    assert drifted(told) == {fill(key): value for key, value in case.fields.items()}
    assert seen(case.there) == there
    assert (await here.reconcile(app, policy=furnished.POLICY)).ending is record.Ending.IN_SYNC
    told = await furnished.apply(here, "  files: []\n", app)
    assert told.ending is record.Ending.APPLIED, told.failure
    assert seen(case.gone) == list(case.gone)


async def test_everything_at_once_is_seen_in_one_round_trip(
    machine: testing_machines.Machine, here: world.World
) -> None:
    app = next(furnished.names)
    spec = (
        furnished.REPOSITORY
        + CASES["sudoers and cron"].spec
        + CASES["names"].spec
        + "  services: [{name: cron, adopt: true, health: {command: ['true']}}]\n"
    )
    assert (await furnished.apply(here, spec, app)).ending is record.Ending.APPLIED
    session = await here.connect()
    calls: list[str] = []
    host = session._host  # type: ignore[attr-defined]  # what it asks of the machine is the question
    for name in ("look", "survey", "run"):
        counted(host, name, calls)

    told = await here.reconcile(app, policy=furnished.POLICY)

    assert told.ending is record.Ending.IN_SYNC
    assert calls == ["survey", "run"]  # the probe of the service
    facts = (await session.discover()).values
    assert (facts["distribution"], facts["packageManager"], facts["init"]) == ("debian", "apt", "systemd")
    assert facts["cpus"] == os.cpu_count()


def counted(host: Any, name: str, calls: list[str]) -> None:
    method = getattr(host, name)

    async def call(*words: Any) -> Any:
        calls.append(name)
        return await method(*words)

    setattr(host, name, call)
