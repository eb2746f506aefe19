"""Publishing through a server that has bad days: answers that get lost, a push that is cut, others at work."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterator, Mapping

import pytest

from tests import peers
from undrift import errors
from undrift.model import delivery, publication, source
from undrift.publishing import deciding, publishing
from undrift.sources.git import grafting
from undrift.testing import git_server

ENVIRON = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}
RECIPE = delivery.Recipe("manifests", "k8s")
STAGES = (
    delivery.Stage("staging", RECIPE, folder="staging/pet"),
    delivery.Stage("production", RECIPE, way=delivery.Way.PULL_REQUEST, folder="production/pet"),
)
FILES = {"a.yaml": source.File(b"a: 1\n"), "deep/b.yaml": source.File(b"b: 1\n")}


@dataclasses.dataclass
class Desk:
    """A server with a GitOps repository."""

    server: git_server.GitServer
    repository: git_server.GitRepository
    keep: tuple[str, ...] = ()

    async def publish(
        self,
        number: int = 1,
        files: Mapping[str, source.File] = FILES,
        options: deciding.Options | None = None,
        deadline: float = 20.0,
        application: str = "pet",
    ) -> dict[str, publication.StageResult]:
        """Build number `number` of it: its sequence orders it."""
        declared = delivery.Delivery(
            application, delivery.Destination(self.repository.url, keep=self.keep), STAGES
        )
        revision = publication.AppRevision(f"{number:040x}", "https://forge.example/pet", sequence=number)
        wanted = [
            publishing.Wanted(stage, files, publication.Provenance(application, stage.name, revision, ""))
            for stage in STAGES
        ]
        async with grafting.Workbench(self.repository.url, ENVIRON) as bench:
            done = await publishing.Publisher(bench, None, declared, options).publish(
                wanted, deadline=deadline
            )
        return {one.stage: one for one in done.results}

    def refs(self) -> str:
        return self.repository.git("for-each-ref")

    def count(self) -> int:
        return int(self.repository.git("rev-list", "--count", "main"))


@pytest.fixture(params=[True, False], ids=["partial", "whole"])
def desk(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[Desk]:
    peers.require_peer("git")
    with git_server.GitServer(tmp_path) as server:
        repository = server.repository("gitops.git", partial=bool(request.param))
        repository.commit({"README.md": "x"}, "Begin")
        yield Desk(server, repository)


async def test_stages_are_published_in_their_ways(desk: Desk) -> None:
    done = await desk.publish()

    assert {one.outcome for one in done.values()} == {publication.Outcome.PUBLISHED}
    assert desk.repository.revision() == done["staging"].commit
    assert desk.repository.revision("undrift/pet/production") == done["production"].commit
    assert desk.repository.git("rev-parse", "undrift/pet/production^") == desk.repository.revision()
    assert desk.repository.git("rev-parse", "main:staging/pet/deep") != ""
    before = desk.refs()
    assert (await desk.publish())["staging"].outcome is publication.Outcome.UNCHANGED
    assert desk.refs() == before


async def test_an_answer_that_is_lost_makes_no_second_commit(desk: Desk) -> None:
    """P7: the server took the push, and the client never heard of it."""
    await desk.publish(1)
    count = desk.count()
    push = grafting.Workbench.push
    lost: list[grafting.Pushed] = []

    async def deaf(self: grafting.Workbench, moves: list[grafting.Move]) -> grafting.Pushed:
        pushed = await push(self, moves)
        if not lost:
            lost.append(pushed)
            raise errors.SourceUnavailable("the connection was cut")
        return pushed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grafting.Workbench, "push", deaf)
        done = await desk.publish(2)

    assert lost[0].done
    assert done["staging"].outcome is publication.Outcome.UNCHANGED
    assert done["production"].outcome is publication.Outcome.PUBLISHED
    assert desk.count() == count + 1


async def test_a_server_that_comes_back_is_waited_for(desk: Desk) -> None:
    fetch = grafting.Workbench.fetch
    tries = []

    async def late(self: grafting.Workbench, *given: object, **more: object) -> dict[str, str]:
        tries.append(1)
        desk.server.behaviour.refuse = 503 if len(tries) == 1 else 0
        return await fetch(self, *given, **more)  # type: ignore[arg-type]  # passed on as it came

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grafting.Workbench, "fetch", late)
        done = await desk.publish()

    assert len(tries) == 2
    assert done["staging"].attempts == 2


async def test_a_server_that_is_away_is_said_soon(desk: Desk) -> None:
    desk.server.behaviour.refuse = 503

    with pytest.raises(errors.SourceUnavailable):
        await desk.publish(deadline=600.0)


async def test_an_older_build_is_superseded_in_both_ways(desk: Desk) -> None:
    await desk.publish(7)
    before = desk.refs()

    done = await desk.publish(6, {"a.yaml": source.File(b"a: 0\n")})

    assert {one.outcome for one in done.values()} == {publication.Outcome.SUPERSEDED}
    assert desk.refs() == before


async def test_what_is_kept_stays_through_everything(desk: Desk) -> None:
    desk.keep = ("notes/**", "*.md")
    desk.repository.commit({"staging/pet/notes/a/b": "mine\n", "staging/pet/x.md": "mine\n"}, "Keep")

    await desk.publish(1)
    await desk.publish(2, {"c.yaml": source.File(b"c: 1\n")})

    assert {name for name in desk.repository.files() if name.startswith("staging/pet/")} == {
        "staging/pet/c.yaml",
        "staging/pet/hydrator.metadata",
        "staging/pet/notes/a/b",
        "staging/pet/x.md",
    }


@pytest.mark.parametrize("theirs, ours", [("notes", "notes/a.yaml"), ("notes/a", "notes")])
async def test_what_is_kept_is_not_replaced_by_a_folder_nor_by_a_file(
    desk: Desk, theirs: str, ours: str
) -> None:
    desk.keep = (theirs,)
    desk.repository.commit({f"staging/pet/{theirs}": "mine\n"}, "Keep")
    before = desk.refs()

    with pytest.raises(errors.ArtifactRefused, match="is a file itself"):
        await desk.publish(1, {ours: source.File(b"x: 1\n")})

    assert desk.refs() == before


async def test_another_applications_folder_is_not_taken(desk: Desk) -> None:
    await desk.publish(1)
    before = desk.refs()

    with pytest.raises(errors.HandEdited) as caught:
        await desk.publish(2, {"a.yaml": source.File(b"a: 9\n")}, application="other")

    assert "it was published for stage staging of pet" in caught.value.why
    assert desk.refs() == before


async def test_the_files_that_were_edited_are_named(desk: Desk) -> None:
    await desk.publish(1)
    edits: dict[str, str | bytes | None] = {
        "staging/pet/a.yaml": "by: hand\n", "staging/pet/deep/b.yaml": None, "staging/pet/more/c.yaml": "c: 1\n",
    }  # fmt: skip
    desk.repository.commit(edits, "Help out", "Grace <grace@example.com>")

    with pytest.raises(errors.HandEdited) as caught:
        await desk.publish(2, {"a.yaml": source.File(b"a: 2\n")})

    files, commit = caught.value.why.splitlines()
    assert files == "changed: a.yaml; new: more/c.yaml; gone: deep/b.yaml"
    assert "Help out (Grace <grace@example.com>)" in commit


async def test_most_of_a_stage_is_not_deleted_by_an_accident(desk: Desk) -> None:
    many = {f"part-{number % 3}/{number}.yaml": source.File(b"a: 1\n") for number in range(20)}
    await desk.publish(1, many)
    before = desk.refs()

    with pytest.raises(
        errors.DeletionLimitExceeded, match=r"staging/pet would lose 19 of 20 files"
    ) as caught:
        await desk.publish(2, {"part-0/0.yaml": source.File(b"a: 2\n")})
    assert "10 files and 30 %; part-0/12.yaml, part-0/15.yaml" in caught.value.why
    assert "--allow-deletions" in caught.value.hint
    assert desk.refs() == before

    few = dict(list(many.items())[10:])
    assert (await desk.publish(2, few))["staging"].outcome is publication.Outcome.PUBLISHED
    allowed = deciding.Options(deletions=True)
    one = {"x.yaml": source.File(b"a: 2\n")}
    assert (await desk.publish(3, one, allowed))["staging"].outcome is publication.Outcome.PUBLISHED
    assert desk.repository.files()[1:] == ["staging/pet/hydrator.metadata", "staging/pet/x.yaml"]


async def test_all_that_stands_in_the_way_is_told_at_once(desk: Desk) -> None:
    await desk.publish(1)
    desk.repository.commit({"staging/pet/a.yaml": "by: hand\n"}, "Help out", "Grace <grace@example.com>")
    desk.repository.commit({"production/pet/a.yaml": "by: hand\n"}, "Too", branch="undrift/pet/production")

    with pytest.raises(errors.Several) as caught:
        await desk.publish(2, {"a.yaml": source.File(b"a: 2\n")})

    assert {type(one) for one in caught.value.parts} == {errors.HandEdited, errors.BranchTaken}
    told = str(caught.value)
    assert "Help out" in told
    assert "Too" in told
