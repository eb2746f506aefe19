"""Any order of jobs, people, failures and deaths: the properties of publishing hold at every step.

A state machine on a real bare repository and a forge. Jobs are cut into the steps that others can see, and the machine
decides who goes on, who dies, and what people do in between.
"""

from __future__ import annotations

import os
import pathlib
import tempfile

import pytest
from hypothesis import settings, stateful
from hypothesis import strategies as st

from tests.properties.publishing import laws
from tests.properties.publishing import world as worlds
from undrift import errors
from undrift.model import publication
from undrift.publishing import deciding, describing, looking, running

FILES = st.dictionaries(
    st.sampled_from(["a.yaml", "b.yaml", "deep/c.yaml"]),
    st.sampled_from([b"x: 1\n", b"x: 2\n", b"x: 3\n"]),
    min_size=1,
)
STAGE = st.sampled_from([stage.name for stage in worlds.STAGES])
REVIEWED = st.sampled_from([stage.name for stage in worlds.REVIEWED])
WHO = st.integers(0, 2)
CALLS = (
    "find_open",
    "find_closed",
    "pull_request",
    "create",
    "update",
    "close",
    "upsert_comment",
    "comments",
    "set_status",
    "statuses",
)
ALL = deciding.Options(overwrite=True, resume=True, rewritten=True)
FINDINGS = publication.Findings(failed=(errors.SecretInPlain("Secret/db is plain text"),))


class Publishing(stateful.RuleBasedStateMachine):
    """See the module. `numbered` is whether CI gives numbers to builds."""

    def __init__(self) -> None:
        super().__init__()
        self._place = tempfile.TemporaryDirectory(prefix="undrift-")
        self.world = worlds.World(pathlib.Path(self._place.name))
        self.tip = self.world.tip()
        self.checked: set[str] = set()
        self.closed: set[tuple[str, str]] = set()
        self.helped: dict[str, str] = {}
        self.numbered = False
        self.rewritten = False
        self.resumed = False

    def teardown(self) -> None:
        try:
            self.settle()
        finally:
            self.world.close()
            self._place.cleanup()

    # --- the application -------------------------------------------------------------------------------

    @stateful.initialize(files=FILES, numbered=st.booleans())
    def begin(self, files: dict[str, bytes], numbered: bool) -> None:
        self.numbered = numbered
        self.world.commit(files)

    @stateful.rule(files=FILES)
    def new_commit(self, files: dict[str, bytes]) -> None:
        self.world.commit(files)

    @stateful.rule(files=FILES)
    def force_push_application(self, files: dict[str, bytes]) -> None:
        if self.world.rewrite(files):
            self.rewritten = True

    @stateful.rule(files=FILES)
    def begin_application_anew(self, files: dict[str, bytes]) -> None:
        self.world.begin_anew(files)
        self.rewritten = True

    # --- jobs ------------------------------------------------------------------------------------------

    def at_work(self) -> list[worlds.Job]:
        return [job for job in self.world.jobs if not job.done]

    def sequence(self, sha: str) -> int:
        return [*self.world.commits].index(sha) + 1 if self.numbered else 0

    @stateful.precondition(lambda self: len(self.at_work()) < 3)
    @stateful.rule(back=st.integers(0, 3), resume=st.sampled_from([False, False, False, True]))
    def start(self, back: int, resume: bool) -> None:
        """A build of one of the newest revisions."""
        known = [*self.world.commits]
        sha = known[-1 - min(back, len(known) - 1)]
        self.resumed = self.resumed or resume
        self.world.start(sha, deciding.Options(resume=resume), self.sequence(sha))

    @stateful.precondition(lambda self: len(self.at_work()) < 3)
    @stateful.rule(stage=STAGE)
    def start_rollback(self, stage: str) -> None:
        self.world.start_rollback(stage)

    @stateful.rule()
    def build_what_is_wrong(self) -> None:
        """A job whose checks fail ends at once, and has done nothing."""
        before = laws.seen(self.world)
        job = self.world.start(self.world.application.revision(), findings=FINDINGS)
        assert isinstance(job.ended, errors.ValidationError), f"P8: {job.ended!r}"
        laws.p8_nothing(self.world, before)

    @stateful.rule(index=WHO, count=st.integers(1, 4))
    def step(self, index: int, count: int) -> None:
        if jobs := self.at_work():
            for _ in range(count):
                self.world.step(jobs[index % len(jobs)])

    @stateful.rule(index=WHO)
    def finish(self, index: int) -> None:
        if jobs := self.at_work():
            self.judge(self.world.finish(jobs[index % len(jobs)]))

    @stateful.rule(index=WHO)
    def crash(self, index: int) -> None:
        if jobs := self.at_work():
            job = jobs[index % len(jobs)]
            if job.at in {"pull_request", "update", "close"}:
                # It may have deleted a branch, and not said yet that it was not a person.
                self.note_closed(gone=True)
            self.world.crash(job)

    # --- people ----------------------------------------------------------------------------------------

    @stateful.rule(stage=STAGE)
    def edit_by_hand(self, stage: str) -> None:
        self.world.edit(stage)

    @stateful.rule(stage=STAGE, name=st.sampled_from(["local/x.yaml", "y.note"]), text=st.binary(max_size=2))
    def write_what_is_kept(self, stage: str, name: str, text: bytes) -> None:
        self.world.edit(stage, name, text)

    @stateful.rule(text=st.sampled_from([b"x: 1\n", b"x: 2\n"]))
    def publish_another_application(self, text: bytes) -> None:
        self.world.gitops.commit({"other/app/x.yaml": text}, "Another application")

    @stateful.rule(stage=REVIEWED)
    def commit_on_our_branch(self, stage: str) -> None:
        if made := self.world.commit_on_branch(stage):
            self.helped[stage] = made

    @stateful.rule(method=st.sampled_from(["merge", "squash", "rebase"]), keep=st.booleans(), index=WHO)
    def merge(self, method: str, keep: bool, index: int) -> None:
        opened = self.world.forge.opened()
        if not opened:
            return
        one = opened[index % len(opened)]
        stage = one.head.rpartition("/")[2]
        before, ours = self.world.tip(), stage not in self.helped
        _, provenance = self.world.folder(one.sha, stage)
        if self.world.forge.merge(one.number, method, keep_branch=keep):
            if not keep:
                self.helped.pop(stage, None)
            if ours and provenance is not None:
                laws.p12_merged(self.world, stage, before, one.sha, provenance.revision.sha)

    @stateful.rule()
    def close(self) -> None:
        self.note_closed()
        for one in self.world.forge.opened():
            self.world.forge.close_by(one.number)

    def note_closed(self, *, gone: bool = False) -> None:
        """What is open now counts as closed by a person; `gone`: all that ever was does."""
        for one in list(self.world.forge.pulls.values()) if gone else self.world.forge.opened():
            marker = describing.parse_marker(one.body)
            if marker is not None:
                self.closed.add((marker.stage, marker.tree))

    @stateful.rule(stage=REVIEWED)
    def delete_branch(self, stage: str) -> None:
        """A forge closes what has no branch any more: whoever deletes it has closed the pull request."""
        if self.world.tip(looking.branch("pet", stage)):
            self.note_closed()
            self.world.gitops.delete(looking.branch("pet", stage))
            self.world.forge.opened()
            self.helped.pop(stage, None)

    # --- servers ---------------------------------------------------------------------------------------

    @stateful.rule(call=st.sampled_from(CALLS))
    def break_forge(self, call: str) -> None:
        self.world.forge.broken.add(call)

    @stateful.rule()
    def mend_forge(self) -> None:
        self.world.forge.broken.clear()

    @stateful.rule(
        branches=st.sampled_from(
            [(), (), ("main",), ("undrift/pet/prod-us",), ("undrift/pet/prod-eu", "main")]
        )
    )
    def protect(self, branches: tuple[str, ...]) -> None:
        self.world.protect(*branches)

    # --- what always holds -----------------------------------------------------------------------------

    def judge(self, ended: running.Done | BaseException) -> None:
        """A job ends with a result, or with an honest error that has cause."""
        if isinstance(ended, running.Done):
            laws.p6_outcome(ended)
            laws.p7_nothing_lost(self.world, ended)
            return
        parts = ended.parts if isinstance(ended, errors.UndriftError) else (ended,)
        for part in parts:
            if not isinstance(part, worlds.HONEST):
                raise ended

    @stateful.invariant()
    def holds(self) -> None:
        world = self.world
        laws.p7_fast_forward(world, self.tip)
        self.tip = world.tip()
        laws.p7_people(world, set(self.helped.values()))
        branches = [world.tip(looking.branch("pet", stage.name)) for stage in worlds.REVIEWED]
        for commit in [*world.main(), *(one for one in branches if one)]:
            if commit not in self.checked and world.is_ours(commit):
                if len(world.gitops.git("log", "-1", "--format=%P", commit).split()) == 1:
                    laws.p2_frame(world, commit)
                laws.p4_no_mixture(world, commit)
            self.checked.add(commit)
        if not self.rewritten or self.numbered:
            laws.p5_monotone(world)
        if not self.resumed:
            laws.p5_rolled_back(world)
        laws.p9_together()
        laws.p10_one_open(world)
        laws.p13_stays_closed(world, self.closed)

    # --- and in the end --------------------------------------------------------------------------------

    def settle(self) -> None:
        """All jobs end; one more of the newest revision, and all is as if nothing had ever gone wrong."""
        world = self.world
        if not world.commits:
            return
        world.forge.broken.clear()
        world.protect()
        for job in self.at_work():
            self.judge(world.finish(job))
        for helped in [*self.helped]:
            self.delete_branch(helped)
        self.holds()
        newest = world.application.revision()
        self.resumed = True
        done = world.finish(world.start(newest, ALL, self.sequence(newest)))
        assert isinstance(done, running.Done), done
        assert not done.trouble, done.trouble
        laws.p1_exact(world, "main", "staging", newest)  # P1, P6
        for stage in worlds.REVIEWED:
            self.settled(stage.name, done, newest)
        self.holds()
        before = laws.seen(world)
        again = world.finish(world.start(newest, sequence=self.sequence(newest)))
        assert isinstance(again, running.Done), f"P3: {again!r}"
        laws.p3_idempotent(world, before)

    def settled(self, stage: str, done: running.Done, newest: str) -> None:
        world = self.world
        result = laws.results(done)[stage]
        opened = world.forge.opened(looking.branch("pet", stage))
        if result.outcome is publication.Outcome.PUBLISHED:
            assert len(opened) == 1, f"P11: there is no pull request for what is proposed to {stage}"
            laws.p1_exact(world, opened[0].sha, stage, newest)
            laws.p12_one_commit(world, self.world.declared.stage(stage))
            laws.p17_fidelity(world)
        elif result.outcome is publication.Outcome.UNCHANGED:
            assert not opened, "P11: a pull request is open with nothing to merge"
            laws.p1_exact(world, "main", stage, newest)
        else:
            assert result.outcome is publication.Outcome.HELD, result
            assert (stage, result.tree) in self.closed, f"P13: held for no reason: {result.reason}"


TestPublishing = pytest.mark.timeout(3600)(Publishing.TestCase)
_THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"
TestPublishing.settings = settings(
    max_examples=300 if _THOROUGH else 10,
    stateful_step_count=40 if _THOROUGH else 20,
    deadline=None,
    derandomize=not _THOROUGH,  # the same histories each time: what is new is looked for by the thorough run
)
