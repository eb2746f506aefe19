"""*Pull requests show the live plan.* A real Gitea, a real agent: what is reviewed is what is applied after merging."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from typing import Any

import pyrage
import pytest

from tests import peers
from tests.e2e.world import World
from undrift.testing import gitea_server

REPOSITORY = "ops/gitops"
SECRET = "correct-horse-battery-staple"
AGENT = """\
apiVersion: undrift.dev/v1
kind: Agent
metadata: {{name: main}}
spec:
  reviews:
  - {{authentication: {{token: {{env: REVIEW_TOKEN}}}}, forge: gitea, api: {api}, interval: 1s, refresh: {refresh}}}
---
apiVersion: undrift.dev/v1
kind: Target
metadata: {{name: host}}
spec: {{provider: hosts, agent: main, settings: {{root: {root}}}}}
"""


@pytest.fixture(scope="module")
def server() -> Iterator[gitea_server.GiteaServer]:
    with gitea_server.GiteaServer(peers.require_gitea()) as made:
        made.person("bot")
        made.person("ada")
        yield made


class Review:
    """A GitOps repository on the forge, an agent that reviews, and people who open pull requests by hand."""

    def __init__(self, world: World, server: gitea_server.GiteaServer) -> None:
        self.world, self.server = world, server
        self.name = f"{REPOSITORY}-{world.root.name[-6:].lower().strip('_-')}"
        self.url = server.repository(self.name)
        for who in ("bot", "ada"):
            server.allow(self.name, who)
        ada = server.person("ada")
        signed = self.url.replace("http://", f"http://ada:{ada.password}@")
        world.git("remote", "set-url", "origin", signed)
        world.git("fetch", "-q", "origin")
        world.git("reset", "-q", "--soft", "origin/main")
        world.environment |= {"REVIEW_TOKEN": server.person("bot").token}
        identity = pyrage.x25519.Identity.generate()
        self.recipient = str(identity.to_public())
        self.key = world.root / "age.txt"
        self.key.write_text(f"{identity}\n", encoding="ascii")
        self.declare()

    def declare(self, api: str = "", refresh: str = "5m") -> None:
        """The agent's document."""
        at = api or f"{self.server.url}/api/v1"
        text = AGENT.format(api=at, refresh=refresh, root=self.world.target)
        self.world.write("undrift/agent.yaml", text)

    def start(self) -> None:
        """The agent follows the repository on the forge."""
        command = self.world.command()
        command[command.index("--repository") + 1] = self.url
        self.world.start([*command, "--age-key-file", str(self.key), "--verbose"])

    def propose(self, branch: str, title: str = "Change it") -> int:
        """What is in the checkout as a pull request by hand; back on main afterwards."""
        self.push(branch)
        asked = {"head": branch, "base": "main", "title": title}
        return int(self.call("POST", "pulls", asked)["number"])

    def push(self, branch: str) -> str:
        """What is in the checkout as a commit on a branch of its own."""
        world = self.world
        world.git("checkout", "-q", "-B", branch)
        world.git("add", "-A")
        world.git("commit", "-q", "-m", "Proposed")
        world.git("push", "-q", "--force", "origin", branch)
        head = world.git("rev-parse", "HEAD").strip()
        world.git("checkout", "-q", "main")
        return head

    def call(self, method: str, path: str, body: Any = None) -> Any:
        return self.server.call(method, f"repos/{self.name}/{path}", body, who="ada")

    def comments(self, number: int) -> list[str]:
        return [one["body"] for one in self.call("GET", f"issues/{number}/comments")]

    def told(self, number: int, *texts: str) -> str:
        """Wait for the one comment to hold some texts."""

        def find() -> str:
            found = self.comments(number)
            assert len(found) < 2, found
            return next((one for one in found if all(text in one for text in texts)), "")

        try:
            return self.world.until(find)
        except AssertionError as error:
            raise AssertionError(f"{error}\nthe comments are:\n{self.comments(number)}") from None

    def status(self, sha: str) -> dict[str, Any]:
        found = self.call("GET", f"commits/{sha}/status")["statuses"] or ()
        return next((one for one in found if one["context"] == "undrift/plan"), {})

    def marked(self, sha: str, state: str) -> str:
        """Wait for the status of a commit; what it says."""
        self.world.until(lambda: self.status(sha).get("status") == state)
        return str(self.status(sha)["description"])

    def merge(self, number: int, method: str) -> str:
        """Merge it, and take main into the checkout."""
        self.server.merge(self.name, number, method)
        self.world.git("pull", "-q", "--ff-only", "origin", "main")
        return self.world.git("rev-parse", "HEAD").strip()

    def encrypt(self, path: str, text: str) -> None:
        """An encrypted file in the checkout."""
        self.world.write(path, text)
        subprocess.run(
            [
                peers.require_peer("sops"), "encrypt", "--age", self.recipient, "--in-place",
                self.world.checkout / path,
            ],
            check=True, timeout=30, capture_output=True,
            env={**os.environ, "SOPS_DISABLE_VERSION_CHECK": "true", "HOME": str(self.world.root)},
        )  # fmt: skip


@pytest.fixture
def review(world: World, server: gitea_server.GiteaServer) -> Review:
    return Review(world, server)


@pytest.mark.timeout(180)
def test_what_is_reviewed_is_what_is_applied(review: Review) -> None:
    """Commented within seconds, edited when it is pushed again; approved by its digest, squashed, and applied as shown."""
    world = review.world
    world.declare("site", "policy: {mode: approval}")
    world.files("site", {"/a.txt": "one"})
    world.push()
    review.start()
    world.until(lambda: world.codes("site") == ["UD606"])
    assert world.cli("approve", "site", world.glance("site")["digest"]).returncode == 0
    world.until(lambda: world.tree() == {"/a.txt": "one"})

    world.files("site", {"/a.txt": "two", "/b.txt": "new"})
    number = review.propose("topic")
    text = review.told(
        number, "1 to create, 1 to update", "~ File//a.txt  [digest]", "\n-one\n", "\n+two\n", "+ File//b.txt"
    )
    assert "UD606" in text  # an approval will be asked for, which does not speak against merging
    first = world.git("rev-parse", "topic").strip()
    assert "1 to create, 1 to update" in review.marked(first, "success")
    assert world.tree() == {"/a.txt": "one"}

    world.files("site", {"/a.txt": "three"})
    head = review.push("topic")
    text = review.told(number, "\n-one\n", "\n+three\n")
    assert "/b.txt" not in text
    review.marked(head, "success")
    [digest] = {line for line in text.splitlines() if line.startswith("Digest `")}
    digest = digest.removeprefix("Digest ").strip("`")

    approved = world.cli("approve", "site", digest)
    assert approved.returncode == 0, approved.stderr
    merged = review.merge(number, "squash")
    assert merged != head
    world.settled("site", merged)
    assert world.tree() == {"/a.txt": "three"}
    assert any(one["digest"] == digest and one["results"] for one in world.client.history("site"))
    assert "\n+three\n" in review.told(number, "**Merged.**")


@pytest.mark.timeout(180)
def test_what_would_stop_it_is_told(review: Review) -> None:
    """A deletion over the limit, what is broken, what conflicts; an application that comes, and one that goes."""
    world = review.world
    many = {f"/d/{number}.txt": str(number) for number in range(12)}
    world.declare("site")
    world.files("site", many)
    world.declare("other")
    world.files("other", {"/o.txt": "o"})
    commit = world.push()
    review.start()
    world.settled("site", commit)
    world.settled("other", commit)

    world.files("site", {"/d/0.txt": "0"})
    number = review.propose("fewer")
    assert "11 to delete" in review.told(number, "would delete 11 of 12")
    assert "would delete" in review.marked(world.git("rev-parse", "fewer").strip(), "failure")

    world.declare("fresh")
    world.files("fresh", {"/f.txt": "f"})
    world.write("undrift/other.yaml", None)
    number = review.propose("come-and-go")
    text = review.told(number, "#### `fresh`", "#### `other`: its document leaves Git")
    assert "/f.txt" in text
    assert "1 to create, 1 to delete" in text
    assert "site" not in text

    world.write("site/host.yaml", "kind: Nonsense\n")
    number = review.propose("broken")
    review.told(number, "`site` cannot be planned", "✗")
    review.marked(world.git("rev-parse", "broken").strip(), "failure")

    world.write("README.md", "theirs\n")
    review.push("theirs")
    world.write("README.md", "mine\n")
    world.push()
    asked = {"head": "theirs", "base": "main", "title": "Conflicting"}
    number = int(review.call("POST", "pulls", asked)["number"])
    review.told(number, "it conflicts with its base", "`README.md`")

    world.write("docs/nothing.md", "of ours\n")
    number = review.propose("silent")
    head = world.git("rev-parse", "silent").strip()
    assert review.marked(head, "success") == "nothing changes for agent main"
    assert review.comments(number) == []
    assert world.tree() == {**many, "/o.txt": "o"}


@pytest.mark.timeout(180)
def test_a_place_that_is_only_proposed_is_not_connected_to(review: Review) -> None:
    """Who proposes chooses neither the target nor the server that credentials are shown to."""
    world = review.world
    world.declare("site")
    world.files("site", {"/a.txt": "one"})
    commit = world.push()
    review.start()
    world.settled("site", commit)

    text = (world.checkout / "undrift/agent.yaml").read_text(encoding="utf-8")
    world.write("undrift/agent.yaml", text.replace(f"root: {world.target}", f"root: {world.root}/elsewhere"))
    world.files("site", {"/a.txt": "two"})
    number = review.propose("elsewhere")

    review.told(number, "`site` is not planned", "its target host is not declared like that yet")
    assert not (world.root / "elsewhere").exists()


@pytest.mark.timeout(180)
def test_a_secret_never_appears(review: Review) -> None:
    """Not as it was, not as it is to be; that it changes is said."""
    world = review.world
    world.declare("site")
    world.write(
        "site/host.yaml",
        "apiVersion: undrift.dev/hosts/v1\nkind: Host\nspec:\n  files:\n"
        "    - {path: /password, source: files/password, mode: '0600'}\n",
    )
    review.encrypt("site/files/password", f"{SECRET}-old")
    commit = world.push()
    review.start()
    world.settled("site", commit)

    review.encrypt("site/files/password", f"{SECRET}-new")
    number = review.propose("rotate")
    text = review.told(number, "/password", "***")

    assert SECRET not in text
    assert SECRET not in world.log.read_text(encoding="utf-8")
    merged = review.merge(number, "merge")
    world.settled("site", merged)
    assert (world.target / "password").read_text(encoding="utf-8") == f"{SECRET}-new"


@pytest.mark.timeout(180)
def test_a_forge_that_is_away_holds_up_nobody(review: Review) -> None:
    """It is told once; applications go on; when it is back, what waits is told."""
    world = review.world
    review.declare(api="http://127.0.0.1:9/api/v1")
    world.declare("site")
    world.files("site", {"/a.txt": "one"})
    commit = world.push()
    review.start()
    world.settled("site", commit)
    world.files("site", {"/a.txt": "two"})
    number = review.propose("topic")

    def alerts() -> list[dict[str, Any]]:
        told = [one for one in world.client.events(None, limit=200) if "reviews/config" in str(one)]
        return [one for one in told if "fails" in str(one)]

    world.until(alerts)
    world.files("site", {"/a.txt": "three"})
    commit = world.push()
    world.settled("site", commit)
    assert len(alerts()) == 1
    assert review.comments(number) == []

    review.declare()
    world.push()
    review.told(number, "it conflicts with its base", "`site/host.yaml`")
