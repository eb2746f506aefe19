"""The pages of how-to, followed step by step with a real agent."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator

import pytest

from tests.e2e import world

_SHOP = """\
apiVersion: undrift.dev/hosts/v1
kind: Host
spec:
  files:
    - {{path: /shop/page, content: {page}}}
  commands:
    - {{name: count, command: [/bin/sh, -c, "echo x >> {root}/ran"], runAgain: "{again}"}}
"""


@pytest.fixture
def place(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[world.World]:
    """A world whose checkout belongs to Ada, with the application `shop` in sync."""
    for role in ("AUTHOR", "COMMITTER"):  # else these come before what the checkout says
        for part in ("NAME", "EMAIL"):
            monkeypatch.delenv(f"GIT_{role}_{part}", raising=False)
    with world.world(tmp_path / "w") as made:
        made.git("config", "user.name", "Ada")
        made.git("config", "user.email", "ada@example.org")
        made.declare("shop")
        _shop(made, "one", 1)
        commit = made.push("Set up")
        made.start()
        made.settled("shop", commit)
        yield made


def _shop(place: world.World, page: str, again: int) -> None:
    place.write("shop/host.yaml", _SHOP.format(page=page, again=again, root=place.target))


def _ran(place: world.World) -> int:
    return len((place.target / "ran").read_text(encoding="utf-8").split())


def test_approve_changes(place: world.World) -> None:
    """Nothing happens by itself; eight digits of the digest are enough; the history names who approved."""
    place.declare("gated", "policy: {mode: approval}")
    place.files("gated", {"/gated": "1"})
    place.push("Gate")
    place.until(lambda: place.codes("gated") == ["UD606"])
    assert "/gated" not in place.tree()

    digest = json.loads(place.cli("plan", "gated", "-o", "json").stdout)["digest"]
    wrong = place.cli("approve", "gated", "00000000")
    right = place.cli("approve", "gated", digest.removeprefix("sha256:")[:8])

    assert (wrong.returncode, "UD803" in wrong.stderr) == (1, True)
    assert right.returncode == 0, right.stderr
    place.until(lambda: place.tree().get("/gated") == "1")


def test_suspend_for_a_while(place: world.World) -> None:
    """A hold keeps a commit from being applied until it is ended."""
    assert place.cli("suspend", "shop", "--for", "2h", "--reason", "moving the disk").returncode == 0
    _shop(place, "two", 1)
    place.push("Two")
    place.until(lambda: place.codes("shop") == ["UD605"])
    assert place.tree()["/shop/page"] == "one"

    assert place.cli("resume", "shop").returncode == 0
    place.until(lambda: place.tree()["/shop/page"] == "two")


def test_suspend_until_somebody_ends_it(place: world.World) -> None:
    """`suspend` and `resume` are commits of the caller that change one line of one file, and undo it."""
    before = "apiVersion: undrift.dev/v1\nkind: Application\nmetadata: {name: shop}\nspec:\n  source: {path: shop}  # here\n  target: host\n"
    place.write("undrift/shop.yaml", before)
    place.push("In lines of their own")
    done = place.cli("suspend", "shop", "--repository", ".", "--reason", "broken disk")
    assert done.returncode == 0, done.stderr
    place.git("pull", "-q")
    suspended = place.git("show", "HEAD:undrift/shop.yaml")
    who = place.git("log", "-1", "--format=%an: %s%n%b").strip()

    assert suspended.replace("  suspend: true\n", "") == before != suspended
    assert who == "Ada: Suspend shop\nbroken disk"
    place.until(lambda: place.client.application("shop")["suspended"])

    assert place.cli("resume", "shop", "--repository", ".").returncode == 0
    place.git("pull", "-q")
    assert place.git("show", "HEAD:undrift/shop.yaml") == before


def test_operate_by_commit_and_roll_back(place: world.World) -> None:
    """A value that changes runs a command again; a rollback is a commit that restores the folder."""
    assert _ran(place) == 1
    _shop(place, "two", 2)
    place.settled("shop", place.push("Again"))
    assert _ran(place) == 2

    done = place.cli("rollback", "shop", "--repository", ".")
    assert done.returncode == 0, done.stderr
    place.git("pull", "-q")
    assert place.git("log", "-1", "--format=%an").strip() == "Ada"
    place.settled("shop", place.git("rev-parse", "HEAD").strip())
    assert place.tree()["/shop/page"] == "one"


def test_adopt(place: world.World) -> None:
    """What was there is not touched until Git says that it may be; the plan shows first what would change."""
    motd = place.target / "motd"
    motd.write_text("by hand\n", encoding="utf-8")
    place.declare("motd")
    place.files("motd", {"/motd": "ours\n"})
    place.push("Claim")
    place.until(lambda: place.codes("motd") == ["UD609"])
    assert motd.read_text(encoding="utf-8") == "by hand\n"

    place.declare("motd", 'policy: {mode: approval, adopt: ["File//motd"]}')
    place.push("Adopt, after a look")
    place.until(lambda: place.codes("motd") == ["UD606"])
    shown = place.cli("diff", "motd").stdout
    assert "» File//motd" in shown
    assert "-by hand" in shown
    place.declare("motd", 'policy: {adopt: ["File//motd"]}')
    place.settled("motd", place.push("Adopt"))
    assert motd.read_text(encoding="utf-8") == "ours\n"


def test_recover_a_lost_database(place: world.World) -> None:
    """Without its database the agent waits where something would change, and goes on when told to."""
    place.stop()
    for file in place.state.glob("undrift.db*"):
        file.unlink()
    (place.target / "shop" / "page").write_text("by hand", encoding="utf-8")
    place.start()
    place.until(lambda: place.codes("shop") == ["UD612"])
    assert place.tree()["/shop/page"] == "by hand"

    assert place.cli("resume", "shop").returncode == 0
    place.until(lambda: place.tree()["/shop/page"] == "one")
