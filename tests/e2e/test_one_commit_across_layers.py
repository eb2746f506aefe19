"""The page docs/tutorial/across-layers.md, done word by word: a booted host over SSH and a real name server."""

from __future__ import annotations

import itertools
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from tests import machines as hosts
from tests import nameservers
from tests.e2e import tutorial
from tests.e2e import world as worlds
from undrift.testing import machines

PAGE = "tutorial/across-layers.md"
ZONE = "example.org"
LAYERS = ["web1", "web1-firewall", "web1-site", "web1-dns"]
BROKEN = {"File//srv/www/index.html", "Service/site", "Firewall/web1"}
BY_HAND = "table inet theirs {\n\tchain kept {\n\t}\n}\n"


@pytest.fixture(scope="module")
def machine() -> Iterator[machines.Machine]:
    """A booted Debian with a table of nftables and a file that nobody declares."""
    with hosts.booted("web1") as found:
        found.run("nft", "-f", "-", stdin=BY_HAND)
        found.shell("mkdir -p /srv/theirs; echo theirs >/srv/theirs/file")
        yield found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[nameservers.NameServer]:
    """BIND with a zone in which others have a record."""
    with nameservers.bind(tmp_path_factory.mktemp("bind"), ZONE) as found:
        found.update(ZONE, ("add", "theirs", "60", "A", "192.0.2.1"))
        yield found


class Story:
    """Whoever follows the page."""

    def __init__(
        self, world: worlds.World, machine: machines.Machine, server: nameservers.NameServer
    ) -> None:
        self.world, self.machine, self.server = world, machine, server
        self.sections = tutorial.sections(PAGE)
        key = world.root / "tsig.key"
        key.write_text(server.key)
        self._words = {
            "https://forge.example/acme/gitops.git": str(world.repository),
            "/home/ada/state": str(world.state),
            "host: 192.0.2.53, port: 53": f"host: 127.0.0.1, port: {server.port}",
            "/home/ada/tsig.key": str(key),
            "192.0.2.10 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGqPw0bDy2yCJrP7K8NlRjDRxOBN0bB2hJcV1oGnWvLe": (
                machine.known_hosts.strip()
            ),
            "192.0.2.10": machine.address,
            "/home/ada/.ssh/id_ed25519": str(machine.key),
        }

    def adapted(self, text: str) -> str:
        """The page's text, with the places that there are here."""
        for word, real in self._words.items():
            text = text.replace(word, real)
        return text

    def follow(self, heading: str, first: int = 0, end: int | None = None) -> str:
        """Do what blocks of a section say; what commands print is what the page shows. All that was printed."""
        [title] = [one for one in self.sections if one.startswith(heading)]
        printed = ""
        for block in self.sections[title][first:end]:
            body = self.adapted(block.body)
            if block.language != "console":
                self.world.write(block.title.removeprefix("gitops/"), body)
                continue
            for line, shown in tutorial.Block(block.language, block.title, body).commands():
                said = self._give(line, block.title)
                printed += said
                assert not shown or len(shown) == len(said.splitlines()), f"{line} said:\n{said}"
                for one, other in zip(shown, said.splitlines() if shown else [], strict=True):
                    assert tutorial.alike(one, other), f"the page shows\n{one}\nand {line} said\n{other}"
        return printed

    def _give(self, line: str, where: str) -> str:
        if where == "agent":
            self.world.start([sys.executable, "-m", *line.split()])
            return ""
        if where == "web1":
            return self.machine.shell(line)
        environment = {
            **os.environ,
            "PATH": f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}",
            "UNDRIFT_STATE_DIR": str(self.world.state),
            "GIT_CONFIG_GLOBAL": os.devnull,
        }
        for role in ("AUTHOR", "COMMITTER"):
            environment |= {f"GIT_{role}_NAME": "Ada Example", f"GIT_{role}_EMAIL": "ada@example.org"}
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=self.world.checkout,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 3 * line.startswith("undrift plan"), f"{line}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def history(self) -> list[dict[str, Any]]:
        """What was done, in its order."""
        found = [one for one in self.world.client.history(None, 100) if one["results"]]
        return sorted(found, key=lambda one: one["started"])

    def until_gone(self, names: Sequence[str]) -> None:
        """Wait until none of some applications is known any more."""
        self.world.until(lambda: not {one["name"] for one in self.world.client.status()} & set(names))

    def site(self) -> str:
        """The page that the site serves; "" while it serves none."""
        return self.machine.shell("curl -fs -m 5 http://127.0.0.1:8080/ || true")


@pytest.fixture
def story(world: worlds.World, machine: machines.Machine, server: nameservers.NameServer) -> Story:
    """At its beginning."""
    return Story(world, machine, server)


@pytest.mark.timeout(180)
def test_one_commit_across_layers(story: Story) -> None:
    """A server, its firewall, its service and its name come in this order, are kept, and go in the reverse one."""
    world, machine, server = story.world, story.machine, story.server
    story.follow("1.")
    story.follow("2.")
    story.follow("3.")
    commit = world.git("rev-parse", "HEAD").strip()
    for name in LAYERS:
        world.settled(name, commit)
    assert server.ask(f"web1.{ZONE}.", "A") == [machine.address]
    assert story.site() == "<p>Hello from web1</p>\n"
    done = story.history()
    assert [one["application"] for one in done] == LAYERS
    assert all(
        one["started"] + sum(one["seconds"].values()) <= two["started"]
        for one, two in itertools.pairwise(done)
    )

    story.follow("4.")
    world.until(lambda: story.site() == "<p>Hello from web1</p>\n")
    world.until(lambda: "tcp dport" in machine.run("nft", "list", "ruleset"))
    world.until(
        lambda: (
            {one["id"] for told in story.history() for one in told["results"] if one["reason"] == "drift"}
            == BROKEN
        )
    )

    before = len(story.history())
    story.follow("5.")
    story.until_gone(LAYERS)
    gone = story.history()[before:]
    assert [one["application"] for one in gone] == LAYERS[::-1]
    assert {one["action"] for told in gone for one in told["results"]} == {"delete"}
    assert server.ask(f"web1.{ZONE}.", "A") == []
    assert server.ask(f"_undrift.{ZONE}.", "TXT") == []
    assert server.ask(f"theirs.{ZONE}.", "A") == ["192.0.2.1"]
    assert machine.shell("ls /srv; id web 2>&1; systemctl is-active site", check=False).splitlines() == [
        "theirs",
        "id: 'web': no such user",
        "inactive",
    ]
    assert machine.run("nft", "list", "ruleset") == BY_HAND
    assert world.client.agent()["errors"] == []
    assert [one["name"] for one in world.client.agent()["targets"]] == ["names"]
