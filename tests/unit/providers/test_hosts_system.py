"""What a machine says → fields, fields → what it is told, and everything that can be wrong with a declaration."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.unit.providers import test_hosts_manifest as manifests
from undrift import errors, interfaces
from undrift.lib import process, yaml
from undrift.model import resource, secret, target
from undrift.providers.hosts import kinds, provider, transport
from undrift.providers.hosts.system import (
    accounts,
    declaring,
    facilities,
    facility,
    facts,
    firewall,
    kernel,
    keys,
    lines,
    mounts,
    naming,
    packages,
    repositories,
    snippets,
    units,
)

PLACE = target.Target("here", "hosts", settings={"root": "/"})
FACTS = target.Facts({"os": "linux", "systemd": True})


def load(spec: str, *, hidden: bool = False) -> dict[str, resource.Resource]:
    text = manifests.host(spec)
    read = tuple(
        interfaces.Document(one.data, "app/host.yaml", one.positions, secret=hidden)
        for one in yaml.documents(text)
    )
    found = provider.HostsProvider().load(interfaces.Rendered(read, {}), FACTS, PLACE)
    return {str(rid): one for rid, one in found.resources.items()}


def wrong(spec: str) -> list[str]:
    with pytest.raises(errors.UndriftError) as caught:
        load(spec)
    return [f"{one.origin}: {one.what}".removeprefix("app/host.yaml:") for one in caught.value.parts]


def told(out: str, code: int = 0, err: str = "", files: Mapping[str, bytes] | None = None) -> facility.Told:
    there = {
        path: transport.Seen(transport.Sort.FILE, 0o644, "root", "root", content=content)
        for path, content in (files or {}).items()
    }
    return facility.Told(there, process.Completed(code, out.encode(), err.encode()))


def only(one: facility.Facility, rid: resource.ResourceId, given: facility.Told) -> dict[str, Any] | None:
    known = one.answer([rid], given).get(rid)
    return None if known is None else dict(known.fields)


def test_everything_wrong_with_the_machine_is_told_at_once_with_its_place() -> None:
    assert wrong(
        """  packages: [curl, "a b", {name: x, state: absent, version: "1"}]
  repositories: [{name: x, uris: [u], suites: [s]}, {name: y.z, baseUrl: b, trusted: true}]
  users: [{name: Web}, {name: ok, password: $6$x$y}]
  cron: [{name: a.b, schedule: 5 4 * *, command: x}]
  lines: [{path: /a, name: one, line: x, match: "^y"}, {path: /a, name: m, match: "("}]
  downloads: [{path: /a, url: example.org, sha256: abc}]
  units: [{name: backup}, {name: x.timer}]
  sudoers: [{name: ops.conf, content: x}]
  authorizedKeys: [{user: a, keys: [nonsense]}]
  hostname: -web
"""
    ) == [
        "4:20: spec.packages[1].name 'a b' is not a name of a package",
        "4:27: spec.packages[2] is absent and has a version or is held",
        "5:18: spec.repositories[0] has no key",
        "5:54: spec.repositories[1].name 'y.z' is not a name that is read there",
        "6:12: spec.users[0].name 'Web' is not a name of a user or group",
        "7:11: spec.cron[0].name 'a.b' is not a name that is read there",
        "7:22: spec.cron[0].schedule '5 4 * *' is not a schedule",
        "8:11: spec.lines[0] does not match its own line",
        "8:76: spec.lines[1].match is not a regular expression",
        "9:26: spec.downloads[0].url 'example.org' is not a URL",
        "9:44: spec.downloads[0].sha256 is not a SHA-256 digest",
        "10:12: spec.units[0].name 'backup' is not a name of a unit",
        "10:27: spec.units[1] says nothing",
        "11:14: spec.sudoers[0].name 'ops.conf' is not a name that is read there",
        "12:37: spec.authorizedKeys[0].keys[0] is not a public key",
        "13:3: spec.hostname '-web' is not a host name",
    ]


def test_a_hash_of_a_password_has_to_be_encrypted() -> None:
    assert wrong("  users: [{name: web, password: $6$x$y}]\n") == [
        "4:11: the password of web stands in a file that is not encrypted"
    ]


def test_what_belongs_to_the_whole_machine_needs_its_root() -> None:
    text = manifests.host("  packages: [curl]\n  lines: [{path: /a, name: one, line: x}]\n")
    assert manifests.wrong(text) == [
        ("4:14", "Package/curl cannot be declared here", "use a Target with root: /")
    ]


def test_a_package_by_its_name_alone_is_taken_over_unasked_and_nothing_else_is() -> None:
    found = load(
        "  packages: [curl, {name: a, version: '1'}, {name: b, hold: true}, {name: c, state: absent}]\n"
    )
    assert {rid: one.adopt for rid, one in found.items()} == {
        "Package/curl": True,
        "Package/a": False,
        "Package/b": False,
        "Package/c": False,
    }


def test_edges_that_everybody_expects() -> None:
    found = load(
        """  repositories: [{name: r, uris: [u], suites: [s], trusted: true}]
  packages: [nftables]
  groups: [{name: crew}]
  users: [{name: web, group: crew}]
  authorizedKeys: [{user: web, keys: [ssh-ed25519 AAAA]}]
  mounts: [{path: /data, device: d, type: ext4}, {path: /data/in, device: e, type: ext4}]
  files: [{path: /data/in/x, content: x, owner: web}, {path: /etc/x, content: "a\\n"}]
  lines: [{path: /etc/x, name: one, line: x}]
  firewall: [{name: main, content: "chain a { }"}]
"""
    )
    needs = {rid: [str(need) for need in one.depends_on] for rid, one in found.items() if one.depends_on}
    assert needs == {
        "Package/nftables": ["Repository/r"],
        "User/web": ["Group/crew"],
        "AuthorizedKeys/web#keys": ["User/web"],
        "Mount//data/in": ["Mount//data"],
        "File//data/in/x": ["Mount//data/in", "User/web"],
        "Line//etc/x#one": ["File//etc/x"],
        "Firewall/main": ["Package/nftables"],
    }


def test_every_kind_has_a_list_a_facility_and_an_order() -> None:
    assert set(facilities.SERVING) <= set(kinds.ORDER)
    assert len(facilities.SERVING) == len(declaring.READERS) - 1  # downloads are files


def test_a_look_that_failed_is_no_absence() -> None:
    failed = told("", 1, "boom")
    for one in facilities.ALL:
        rid = resource.ResourceId.of(one.serves[0], "x.timer")
        if one.question([rid]) is not None:
            with pytest.raises(errors.TargetUnavailable):
                one.answer([rid], failed)


def test_packages_of_dpkg_in_all_their_states() -> None:
    out = "apt\n" + "".join(
        f"{name}\tamd64\t{status}\t{version}\n"
        for name, status, version in (
            ("whole", "ii ", "1.0-1"),
            ("held", "hi ", "2:3.4"),
            ("removed", "rc ", "1"),
            ("purged", "pn ", ""),
            ("unpacked", "iU ", "1"),
            ("failed", "iF ", "1"),
            ("must-reinstall", "iiR", "1"),
        )
    )
    manager, found = packages.read(out.splitlines())

    assert manager == "apt"
    assert {name: tuple(one.values()) for name, one in found.items() if ":" not in name} == {
        "whole": ("present", "1.0-1", False),
        "held": ("present", "2:3.4", True),
        "unpacked": ("half installed", "1", False),
        "failed": ("half installed", "1", False),
        "must-reinstall": ("half installed", "1", False),
    }
    assert found["whole:amd64"] == found["whole"]


def test_packages_of_rpm_and_its_locks() -> None:
    out = "dnf\nbash\tx86_64\tii\t5.1.8-9.el9\nkernel\tx86_64\tii\t5.14.0-1.el9\nheld\tkernel-0:5.14.0-1.el9.*\n"
    assert packages.read(out.splitlines())[1]["kernel"]["hold"]
    assert packages.read(out.splitlines())[1]["bash"] == {
        "state": "present",
        "version": "5.1.8-9.el9",
        "hold": False,
    }
    assert packages.read(["none"]) == ("", {})


SAID = (
    (
        "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 212 (apt-get)",
        errors.TargetBusy,
    ),
    ("Err:1 http://x\n  Could not resolve 'x'\nE: Failed to fetch http://x", errors.TargetUnavailable),
    ("E: Unable to locate package nonsense", errors.ChangeRefused),
    ("E: Could not open lock file - open (13: Permission denied)\nE: are you root?", errors.TargetDenied),
)


@pytest.mark.parametrize("said, kind", SAID)
def test_what_apt_says_is_told_in_our_words(said: str, kind: type[errors.UndriftError]) -> None:
    with pytest.raises(kind) as caught:
        packages.judge(process.Completed(100, b"", said.encode()), "installing x")
    assert type(caught.value) is kind


def test_a_user_as_getent_tells_it() -> None:
    out = (
        "user\tweb:x:1001:100:The web,,,:/srv/web:/bin/sh\ngroup\tusers\ngroups\tusers mail games\n"
        "shadow\tweb:!$6$salt$hash:19700:0:99999:7:::\n"
    )
    found = only(accounts.Users(), resource.ResourceId.of(kinds.USER, "web"), told(out))
    assert found == {
        "uid": 1001,
        "group": "users",
        "groups": ["games", "mail"],
        "home": "/srv/web",
        "shell": "/bin/sh",
        "comment": "The web,,,",
        "locked": True,
        "password": kinds.hide("$6$salt$hash"),
    }
    assert only(accounts.Users(), resource.ResourceId.of(kinds.USER, "none"), told(out)) is None


def test_keys_are_read_whole_or_as_our_part() -> None:
    out = "user\tweb\t/home/web\tusers\nfolder\nfile\t600 web users\n=ssh-rsa AAAA theirs\n=# BEGIN undrift keys\n=ssh-ed25519 BBBB\tours\n=# END undrift keys\n"
    ours = only(keys.AuthorizedKeys(), keys.key_id("web", whole=False), told(out))
    assert ours == {"keys": ["ssh-ed25519 BBBB\tours"], "mode": "0600", "owner": "web"}
    whole = only(keys.AuthorizedKeys(), keys.key_id("web", whole=True), told(out))
    assert whole is not None
    assert len(whole["keys"]) == 4
    found = load("  authorizedKeys: [{user: w, keys: ['from=\"10.0.0.0/8\"  ssh-ed25519   AAAA  a b']}]\n")
    assert found["AuthorizedKeys/w#keys"].fields["keys"] == ['from="10.0.0.0/8" ssh-ed25519 AAAA a b']


def test_cron_goes_there_and_back() -> None:
    fields = {
        "schedule": "@daily",
        "user": "root",
        "command": "echo 100% a=b",
        "environment": ["MAILTO=", "A=b c"],
    }
    text = snippets.write_cron(fields)
    assert text == "MAILTO=\nA=b c\n@daily root echo 100\\% a=b\n"
    assert snippets.read_cron(text) == fields
    assert snippets.read_cron("# x\n5 4 * * *  www  run  it\nextra\n") == {
        "schedule": "5 4 * * *",
        "user": "www",
        "command": "run  it\nextra",
        "environment": [],
    }


def test_sources_go_there_and_back_and_a_hand_in_them_is_seen() -> None:
    fields = {
        "types": ["deb"],
        "uris": ["https://a.example", "https://b.example"],
        "suites": ["bookworm"],
        "components": ["main", "contrib"],
        "architectures": [],
        "trusted": False,
        "enabled": True,
        "edited": False,
    }
    text = repositories.write_sources(fields, "/etc/apt/keyrings/x.asc")
    assert repositories.read_sources(text) == fields
    folded = text.replace("main contrib", "main\n contrib").replace("Types", "types")
    assert repositories.read_sources(folded) == fields
    assert repositories.read_sources(text + "Check-Valid-Until: no\n")["edited"]
    assert repositories.read_sources(text + "Enabled: no\n")["enabled"] is False


def test_lines_of_fstab() -> None:
    assert mounts.entry_of("UUID=1 /mnt/a\\040b ext4 noatime,x 0 2  # c") == {
        "device": "UUID=1",
        "path": "/mnt/a b",
        "type": "ext4",
        "options": "noatime,x",
        "dump": 0,
        "fsck": 2,
    }
    assert mounts.entry_of("tmpfs /tmp tmpfs") == {
        "device": "tmpfs",
        "path": "/tmp",
        "type": "tmpfs",
        "options": "defaults",
        "dump": 0,
        "fsck": 0,
    }
    assert mounts.entry_of("# /dev/sda1 / ext4") is None
    mountinfo = "36 35 98:0 / /mnt/a\\040b rw,noatime master:1 - ext4 /dev/x rw\n"
    rid = resource.ResourceId.of(kinds.MOUNT, "/mnt/a b")
    assert only(mounts.Mounts(), rid, told(mountinfo)) == {"state": "mounted"}


def test_a_line_is_replaced_appended_taken_out_and_put_back() -> None:
    text = "a 1\n#b 2\nb 3\n"
    after = lines.put(text, "^#?b ", "b 4")
    assert after == "a 1\nb 4\nb 3\n"
    assert lines.find(after, "^#?b ") == "b 4"
    assert lines.put(after, "^#?b ", "#b 2", exact="b 4") == text
    assert lines.put(after, "^#?b ", "#b 2", exact="b 5") == after
    assert lines.put("a", "^c$", "c") == "a\nc\n"
    assert lines.put("a\nc\n", "^c$", "", exact="c") == "a\n"
    assert lines.put(text, "b", "") == "a 1\n"


def test_parameters_of_the_kernel_by_both_spellings() -> None:
    parameters = kernel.Parameters()
    for name, path in (
        ("net.ipv4.ip_forward", "net/ipv4/ip_forward"),
        ("net/ipv4/conf/eth0.5/forwarding", "net/ipv4/conf/eth0.5/forwarding"),
        ("net.ipv4.conf.eth0/5.forwarding", "net/ipv4/conf/eth0.5/forwarding"),
    ):
        question = parameters.question([resource.ResourceId.of(kinds.SYSCTL, name)])
        assert question is not None
        assert question.words == (path,)
    rid = resource.ResourceId.of(kinds.SYSCTL, "net.ipv4.tcp_rmem")
    given = told(
        "net/ipv4/tcp_rmem\t4096 131072 6291456 \n",
        files={"/etc/sysctl.d/90-undrift-net.ipv4.tcp_rmem.conf": b"# x\nnet.ipv4.tcp_rmem = 4096  5 6\n"},
    )
    assert only(parameters, rid, given) == {"value": "4096 131072 6291456", "atBoot": "4096 5 6"}


def test_a_module_is_loaded_and_stays_so() -> None:
    rid = resource.ResourceId.of(kinds.MODULE, "br-netfilter")
    files = {"/etc/modules-load.d/undrift-br-netfilter.conf": b"# x\nbr-netfilter\n"}
    assert only(kernel.Modules(), rid, told("br_netfilter\n", files=files)) == {
        "loaded": True,
        "atBoot": True,
        "options": "",
    }
    assert only(kernel.Modules(), rid, told("br_netfilter\n")) is None


def test_a_table_is_wholly_ours_and_its_state_is_told() -> None:
    rid = resource.ResourceId.of(kinds.FIREWALL, "ip/main")
    body = "chain a {\n}"
    text = firewall.write(rid, body)
    assert text == (
        "# Kept by Undrift.\ntable ip undrift_main\ndelete table ip undrift_main\n"
        "table ip undrift_main {\nchain a {\n}\n}\n"
    )
    file = {"/etc/nftables.d/undrift-ip-main.nft": text.encode()}
    listed = "ip undrift_main\tone\nip undrift_main\tterse\n"
    for notes, said in (({"listed": {"whole": "one", "terse": "x"}}, "as declared"), ({}, "changed by hand")):
        given = told(listed, files=file)
        given = facility.Told(given.seen, given.done, {rid: notes})
        found = only(firewall.Firewall(), rid, given)
        assert found is not None
        assert found["loaded"] == said
    gone = only(firewall.Firewall(), rid, told("", files=file))
    assert gone is not None
    assert gone["loaded"] == "not loaded"


def test_units_of_one_answer_belong_to_their_names() -> None:
    rids = [resource.ResourceId.of(kinds.UNIT, name) for name in ("b.timer", "a.service")]
    out = (
        "LoadState=loaded\nActiveState=failed\nUnitFileState=static\nNeedDaemonReload=no\nResult=exit-code\n\n"
        "LoadState=loaded\nActiveState=active\nUnitFileState=disabled\nNeedDaemonReload=no\nResult=success\n"
    )
    known = units.Units().answer(rids, told(out))
    assert {rid.name: dict(one.fields) for rid, one in known.items()} == {
        "a.service": {"enabled": True, "state": "failed", "trigger": ""},
        "b.timer": {"enabled": False, "state": "running", "trigger": ""},
    }
    assert known[rids[1]].health.reason == "a.service failed: exit-code"


def test_a_zone_is_told_by_its_link() -> None:
    rid = resource.ResourceId.of(kinds.TIME_ZONE, naming.NAME)
    link = transport.Seen(
        transport.Sort.LINK, 0o777, "root", "root", points_to="../usr/share/zoneinfo/Asia/Tokyo"
    )
    assert only(naming.TimeZone(), rid, facility.Told({"/etc/localtime": link})) == {"name": "Asia/Tokyo"}
    assert only(naming.TimeZone(), rid, facility.Told({})) == {"name": "Etc/UTC"}


def test_facts_of_a_machine() -> None:
    out = (
        "kernel\t6.1.0-23-amd64\ncpus\t4\nmemory\t8131072\ninit\tsystemd\npackages\tapt-get\nvirtualization\tkvm\n"
        'release\tPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nrelease\tVERSION_ID="12"\nrelease\tID=debian\n'
        "release\tVERSION_CODENAME=bookworm\n"
        "address\t2: eth0    inet 10.0.0.9/24 brd 10.0.0.255 scope global eth0\\       valid_lft forever\n"
        "address\t2: eth0    inet 9.0.0.9/24 scope global eth0\n"
        "address\t2: eth0    inet6 2001:db8::9/64 scope global temporary dynamic \\  valid_lft 1sec\n"
        "address\t2: eth0    inet6 2001:db8::1/64 scope global\n"
    )
    assert facts.read(process.Completed(0, out.encode(), b"")) == {
        "distribution": "debian",
        "release": "12",
        "codename": "bookworm",
        "like": "",
        "kernel": "6.1.0-23-amd64",
        "cpus": 4,
        "memory": 7940,
        "init": "systemd",
        "virtualization": "kvm",
        "packageManager": "apt",
        "addresses": ["9.0.0.9", "10.0.0.9", "2001:db8::1"],
    }


def test_what_was_encrypted_is_secret_in_fields_and_settings() -> None:
    found = load(
        "  sudoers: [{name: x, content: hush}]\n  cron: [{name: c, schedule: '@daily', command: hush}]\n",
        hidden=True,
    )
    assert "hush" not in repr(found)
    assert isinstance(found["Cron/c"].fields["command"], secret.Secret)
