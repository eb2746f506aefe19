"""What CI hears: agents' reports out of a real repository over HTTP, reviews and statuses of a forge, a gate's program."""

from __future__ import annotations

import dataclasses
import pathlib
import sys
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.e2e import world
from undrift.engine import advancing, promoting
from undrift.model import delivery, forge, health, publication, report, source
from undrift.publishing import hearing
from undrift.sources import connecting, credentials
from undrift.sources.git import grafting, remote, shelf
from undrift.testing import forge as fake
from undrift.testing import git_server

RECIPE = delivery.Recipe("manifests", "k8s")
STAGING = delivery.Stage("staging", RECIPE, folder="staging/web")
GATE = delivery.Gate(requires=(delivery.Requirement("staging", soak=60.0),))
PRODUCTION = delivery.Stage("production", RECIPE, folder="production/web", gate=GATE)
REVISION = publication.AppRevision("1" * 40)
PROVENANCE = publication.Provenance("web", "staging", REVISION, "")
NOW = 1_800_000_000.0


class Place:
    """A GitOps repository on a server, and an agent that says what a test wants."""

    def __init__(self, server: git_server.GitServer) -> None:
        self.server = server
        self.repository = server.repository("ops.git")
        self.tip = self.repository.commit({"staging/web/a.yaml": "a: 1\n", "production/web/a.yaml": "a: 0\n"})
        self.web = connecting.Web()

    def tree(self, path: str = "staging/web") -> str:
        """Git's id of a folder."""
        return self.repository.revision(f"main:{path}")

    def told(self, **parts: Any) -> report.Report:
        """A report that opens the gate."""
        good = report.Report(
            application="web-staging",
            agent="main",
            path="staging/web",
            tree=self.tree(),
            health=health.Status.HEALTHY,
            since=NOW - 100,
            observed=NOW - 10,
            within=600.0,
            ending="in sync",
        )
        return dataclasses.replace(good, **parts)

    async def say(self, *told: report.Report, files: dict[str, bytes] | None = None) -> None:
        """What an agent does."""
        declared = source.Source("ops", source.SourceKind.GIT, self.repository.url)
        place = remote.Remote(declared, credentials.EnvironmentSecrets(), self.web)
        agent = shelf.Shelf(place.access, "ops", report.REFS)
        for name in {one.agent for one in told} | ({"main"} if files else set()):
            mine = {f"{one.application}.json": one.encode() for one in told if one.agent == name}
            seen = (await agent.read(name)).get(name)
            assert await agent.replace(name, {**mine, **(files or {})}, seen) is not None
        await agent.close()

    async def hear(self) -> dict[str, promoting.Stand]:
        """What CI makes of it."""
        async with grafting.Workbench(self.repository.url) as bench:
            tips = await bench.fetch(["main"])
            found = await hearing.reports(bench.access, bench.address.shown)
            published = hearing.Published(tips["main"], {"staging": PROVENANCE, "production": None})
            return await hearing.stands(bench, [STAGING, PRODUCTION], published, found)


@pytest.fixture
async def place(tmp_path: pathlib.Path) -> AsyncIterator[Place]:
    with git_server.GitServer(tmp_path / "served") as server:
        made = Place(server)
        yield made
        await made.web.close()


def judge(stands: dict[str, promoting.Stand]) -> promoting.Verdict:
    """The gate of production."""
    return promoting.judge(GATE, promoting.Facts(REVISION, stands), NOW)


async def test_a_report_opens_a_gate(place: Place) -> None:
    assert not judge(await place.hear()).open
    await place.say(place.told())

    stands = await place.hear()
    assert judge(stands).open
    assert stands["production"].heard == ()


async def test_a_new_commit_shuts_it_until_the_agent_has_applied_it(place: Place) -> None:
    """Unless it leaves the folder alone."""
    await place.say(place.told())
    place.repository.commit({"elsewhere": "x"})
    assert judge(await place.hear()).open

    place.repository.commit({"staging/web/a.yaml": "a: 2\n"})
    assert judge(await place.hear()).reasons == ("agent main has not applied what is in staging yet",)


async def test_reports_of_several_agents_and_of_parts_of_a_folder(place: Place) -> None:
    """All count; those on folders around only where there is nothing nearer."""
    place.repository.commit({"staging/web/db/b.yaml": "b: 1\n"})
    await place.say(
        place.told(),
        place.told(agent="two", application="db", path="staging/web/db", tree=place.tree("staging/web/db")),
        place.told(agent="two", application="all", path="staging", tree="0" * 40),
        place.told(agent="two", application="other", path="staging/web2", tree="0" * 40),
    )
    stands = await place.hear()

    assert {heard.report.application for heard in stands["staging"].heard} == {"web-staging", "db"}
    assert judge(stands).open


async def test_an_application_around_several_folders(place: Place) -> None:
    whole = place.told(application="all", path="staging", tree=place.tree("staging"))
    root = place.told(application="root", path=".", tree=place.repository.revision("main^{tree}"))
    await place.say(whole, root)

    stands = await place.hear()
    assert [one.report.application for one in stands["staging"].heard] == ["all"]
    assert [one.report.application for one in stands["production"].heard] == ["root"]
    assert judge(stands).open
    assert stands["production"].heard[0].tree == root.tree


async def test_what_cannot_be_read_opens_nothing(place: Place) -> None:
    """A file that is broken, one of a newer version; and a server that is away."""
    await place.say(files={"web-staging.json": b"{", "db.json": b'{"version": 9}'})
    verdict = judge(await place.hear())
    assert verdict.state is promoting.State.FAILED
    assert "web-staging.json of agent main cannot be read: it is not JSON" in verdict.reasons[0]
    assert "newer Undrift" in verdict.reasons[0]

    async with grafting.Workbench(place.repository.url) as bench:
        place.server.stop()
        found = await hearing.reports(bench.access, bench.address.shown)
    assert found.found == ()
    assert found.trouble.startswith("the reports of agents cannot be read")


# --- programs ------------------------------------------------------------------------------------------


async def run(program: str, folder: pathlib.Path, timeout: float = 30.0) -> promoting.Ended | None:
    """How a gate's program ends."""
    gate = delivery.Gate(command=(sys.executable, "-c", program))
    return await hearing.ended(gate, folder, {"UNDRIFT_STAGE": "production"}, timeout=timeout)


async def test_a_program_says_yes_or_no(tmp_path: pathlib.Path) -> None:
    assert await hearing.ended(delivery.Gate(), tmp_path, {}) is None
    assert await run("", tmp_path) == promoting.Ended(0, "")
    assert await run("raise SystemExit('not today')", tmp_path) == promoting.Ended(1, "not today")
    gone = await hearing.ended(delivery.Gate(command=("/no/such/program",)), tmp_path, {})
    assert gone is not None
    assert gone.code != 0


async def test_a_program_that_hangs_says_no(tmp_path: pathlib.Path) -> None:
    began = time.monotonic()
    found = await run("import time; time.sleep(100)", tmp_path, timeout=0.5)

    assert time.monotonic() - began < 20
    assert found is not None
    assert "took longer" in found.said
    assert found.code != 0


async def test_a_program_sees_no_credentials(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor the home in which some are kept; it is where the checkout is, and knows what it is asked about."""
    home = tmp_path / "home"
    home.mkdir()
    (home / ".netrc").write_text("machine example.org password s3cret", "utf-8")
    monkeypatch.setenv("HOME", str(home))
    for name in ("UNDRIFT_TOKEN", "GITEA_TOKEN", "AWS_SECRET_ACCESS_KEY", "SSH_AUTH_SOCK"):
        monkeypatch.setenv(name, "s3cret")
    program = (
        "import os, sys; sys.exit(repr((dict(os.environ), os.listdir(os.environ['HOME']), os.getcwd())))"
    )
    found = await run(f"import os; assert os.environ['UNDRIFT_STAGE'] == 'production'; {program}", tmp_path)

    assert found is not None
    assert "s3cret" not in found.said
    assert found.said.endswith(f"[], '{tmp_path}')")


# --- people --------------------------------------------------------------------------------------------


async def test_who_made_it_and_who_approved_it(place: Place) -> None:
    """Whoever opened the pull request is one of the authors; what is approved is its present head."""
    host = fake.FakeForge(place.repository)
    place.repository.point("undrift/web/production", "main")
    spec = forge.PullRequestSpec("undrift/web/production", "main", "t", "b")
    made = await host.create(spec)
    host.approve(made.number, "grace")
    found = await hearing.people(host, made, ["ada"])
    unknown = await hearing.people(host, made, None)

    assert found.authors == frozenset({"ada", fake.ME})
    assert unknown.authors is None
    gate = delivery.Gate(approvals=1)
    facts = promoting.Facts(REVISION, {}, reviews=found.reviews, authors=found.authors, head=found.head)
    assert promoting.judge(gate, facts, NOW).open
    assert not promoting.judge(gate, dataclasses.replace(facts, authors=frozenset({"Grace"})), NOW).open
    place.repository.commit({"x": "y"}, branch="undrift/web/production")
    moved = await hearing.people(host, await host.pull_request(made.number), ["ada"])
    later = dataclasses.replace(facts, reviews=moved.reviews, head=moved.head)
    assert not promoting.judge(gate, later, NOW).open


# --- telling -------------------------------------------------------------------------------------------


async def test_the_application_s_commits_say_what_became_of_them(place: Place) -> None:
    """A status for each stage, by the agent's own reason; nothing is written twice."""
    host = fake.FakeForge(place.repository)
    await place.say(
        place.told(tree="0" * 40, ending="failed", reason="Deployment/web: no such image\nbuild it")
    )
    told = await hearing.tell_source(host, await place.hear(), NOW)

    assert list(told) == ["staging"]
    [status] = await host.statuses(REVISION.sha)
    assert (status.context, status.state) == ("undrift/staging", forge.StatusState.FAILURE)
    assert status.description == "web-staging: not applied: Deployment/web: no such image build it"

    await place.say(place.told())
    await hearing.tell_source(host, await place.hear(), NOW)
    [status] = await host.statuses(REVISION.sha)
    assert (status.state, status.description) == (
        forge.StatusState.SUCCESS,
        "web-staging: applied, Healthy",
    )


# --- with a real agent ---------------------------------------------------------------------------------


@pytest.fixture
def agent(tmp_path: pathlib.Path) -> Iterator[world.World]:
    with world.world(tmp_path / "world") as made:
        yield made


async def test_from_a_real_agent_to_an_open_gate(agent: world.World, tmp_path: pathlib.Path) -> None:
    """Published, applied, soaked: the revision may move; and no sooner."""
    text = world.AGENT.format(root=agent.target)
    agent.write(
        "undrift/agent.yaml",
        text.replace(
            "metadata: {name: main}", "metadata: {name: main}\nspec: {reports: [{interval: 200ms}]}", 1
        ),
    )
    agent.declare("web", "interval: 1s")
    agent.files("web", {"/etc/motd": "one"})
    agent.push()
    stages = (
        delivery.Stage("staging", RECIPE, folder="web"),
        delivery.Stage(
            "production",
            RECIPE,
            folder="production",
            gate=delivery.Gate(requires=(delivery.Requirement("staging", soak=2.0),)),
        ),
    )

    async def look() -> advancing.Choice:
        async with grafting.Workbench(agent.repository.as_uri()) as bench:
            tips = await bench.fetch(["main"])
            found = await hearing.reports(bench.access, "ops")
            stands = await hearing.stands(
                bench, stages, hearing.Published(tips["main"], {"staging": PROVENANCE}), found
            )
            asked = hearing.Question("web", stages[1], REVISION, tmp_path)
            facts = {"production": await hearing.facts(asked, stands)}
            [choice] = advancing.choose(stages, stands, facts, lambda *_: True, time.time())
            return choice

    first = await look()
    assert first.verdict.state is promoting.State.FAILED
    agent.start()
    seen: list[str] = []
    until = time.monotonic() + world.PATIENCE
    while not (choice := await look()).moves:
        assert time.monotonic() < until, seen
        seen += [one for one in choice.verdict.reasons if one not in seen]

    assert choice.revision == REVISION
    assert any("of 2s" in one for one in seen)
