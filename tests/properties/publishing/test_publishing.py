"""Any order of jobs, people, failures and deaths: the properties of publishing hold at every step.

A state machine on a real bare repository and a forge. Jobs are cut into the steps that others can see, and the machine
decides who goes on, who dies, and what people do in between.
"""

from __future__ import annotations

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
ALL = deciding.Options(overwrite=True, resume=True, rewritten=True)


class Publishing(stateful.RuleBasedStateMachine):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        self._place = tempfile.TemporaryDirectory(prefix="undrift-")
        self.world = worlds.World(pathlib.Path(self._place.name))
        self.tip = self.world.tip()
        self.checked: set[str] = set()
        self.closed: set[tuple[str, str]] = set()
        self.rewritten = False
        self.edited = False

    def teardown(self) -> None:
        try:
            self.settle()
        finally:
            self.world.close()
            self._place.cleanup()

    # --- what happens ----------------------------------------------------------------------------------

    @stateful.initialize(files=FILES)
    def begin(self, files: dict[str, bytes]) -> None:
        self.world.commit(files)

    @stateful.rule(files=FILES)
    def new_commit(self, files: dict[str, bytes]) -> None:
        self.world.commit(files)

    @stateful.rule(files=FILES)
    def force_push_application(self, files: dict[str, bytes]) -> None:
        if self.world.rewrite(files):
            self.rewritten = True

    @stateful.rule(data=st.data())
    def start(self, data: st.DataObject) -> None:
        if sum(not job.done for job in self.world.jobs) < 3:
            self.world.start(
                data.draw(st.sampled_from(sorted(self.world.commits, key=list(self.world.commits).index)))
            )

    @stateful.rule(index=st.integers(0, 2), count=st.integers(1, 4))
    def step(self, index: int, count: int) -> None:
        running_ = [job for job in self.world.jobs if not job.done]
        if running_:
            for _ in range(count):
                self.world.step(running_[index % len(running_)])

    @stateful.rule(index=st.integers(0, 2))
    def finish(self, index: int) -> None:
        running_ = [job for job in self.world.jobs if not job.done]
        if running_:
            self.judge(self.world.finish(running_[index % len(running_)]))

    @stateful.rule(index=st.integers(0, 2))
    def crash(self, index: int) -> None:
        running_ = [job for job in self.world.jobs if not job.done]
        if running_:
            self.world.crash(running_[index % len(running_)])

    @stateful.rule(stage=STAGE)
    def edit_by_hand(self, stage: str) -> None:
        self.world.gitops.commit({f"{stage}/pet/a.yaml": b"by: hand\n"}, "Edit by hand")
        self.edited = True

    @stateful.rule(text=st.sampled_from([b"x: 1\n", b"x: 2\n"]))
    def publish_another_application(self, text: bytes) -> None:
        self.world.gitops.commit({"other/app/x.yaml": text}, "Another application")

    @stateful.rule(method=st.sampled_from(["merge", "squash", "rebase"]), keep=st.booleans())
    def merge(self, method: str, keep: bool) -> None:
        for one in self.world.forge.opened():
            self.world.forge.merge(one.number, method, keep_branch=keep)

    @stateful.rule()
    def close(self) -> None:
        self.note_closed()
        for one in self.world.forge.opened():
            self.world.forge.close_by(one.number)

    def note_closed(self) -> None:
        for one in self.world.forge.opened():
            marker = describing.parse_marker(one.body)
            if marker is not None:
                self.closed.add((marker.stage, marker.tree))

    @stateful.rule()
    def delete_branch(self) -> None:
        """A forge closes what has no branch any more: whoever deletes it has closed the pull request."""
        tip = self.world.tip(looking.branch("pet", "production"))
        if tip:
            self.note_closed()
            self.world.gitops.delete(looking.branch("pet", "production"))

    @stateful.rule(
        call=st.sampled_from(["create", "update", "find_open", "upsert_comment", "set_status", "comments"])
    )
    def break_forge(self, call: str) -> None:
        self.world.forge.broken.add(call)

    @stateful.rule()
    def mend_forge(self) -> None:
        self.world.forge.broken.clear()

    # --- what always holds -----------------------------------------------------------------------------

    def judge(self, ended: running.Done | BaseException) -> None:
        """A job ends with a result, or with an honest error that has cause."""
        if isinstance(ended, worlds.HONEST):
            return
        if isinstance(ended, errors.Several):
            assert all(isinstance(part, worlds.HONEST) for part in ended.parts), ended
            return
        if isinstance(ended, BaseException):
            raise ended

    @stateful.invariant()
    def holds(self) -> None:
        world = self.world
        laws.p7_fast_forward(world, self.tip)
        self.tip = world.tip()
        branch = world.tip(looking.branch("pet", "production"))
        for commit in [*world.main(), *([branch] if branch else [])]:
            if commit not in self.checked and world.is_ours(commit):
                if len(world.gitops.git("log", "-1", "--format=%P", commit).split()) == 1:
                    laws.p2_frame(world, commit)
                laws.p4_no_mixture(world, commit)
                self.checked.add(commit)
        if not self.rewritten:
            laws.p5_monotone(world)
        laws.p10_one_open(world)

    # --- and in the end --------------------------------------------------------------------------------

    def settle(self) -> None:
        """All jobs end; one more of the newest revision, and all is as if nothing had ever gone wrong."""
        world = self.world
        if not world.commits:
            return
        world.forge.broken.clear()
        for job in world.jobs:
            if not job.done:
                self.judge(world.finish(job))
        newest = world.application.revision()
        done = world.publish(newest, ALL)
        assert isinstance(done, running.Done), done
        assert not done.trouble, done.trouble
        laws.p1_exact(world, "main", "staging", newest)  # P1, P6
        self.settled(done, newest)
        self.holds()
        writes, refs = len(world.forge.writes), world.gitops.git("for-each-ref")
        again = world.publish(newest)
        assert isinstance(again, running.Done), f"P3: {again!r}"
        assert world.gitops.git("for-each-ref") == refs, "P3: publishing the same again moved a ref"
        assert world.forge.writes[writes:] == [], "P3: publishing the same again wrote to the forge"

    def settled(self, done: running.Done, newest: str) -> None:
        world, production = self.world, worlds.STAGES[1]
        result = laws.results(done)["production"]
        opened = world.forge.opened()
        if result.outcome is publication.Outcome.PUBLISHED:
            assert len(opened) == 1, "P11: there is no pull request for what is proposed"
            laws.p1_exact(world, opened[0].sha, "production", newest)
            laws.p12_one_commit(world, production)
            laws.p17_fidelity(world)
            assert ("production", result.tree) not in self.closed, (
                "P13: what a person closed was opened again"
            )
        elif result.outcome is publication.Outcome.UNCHANGED:
            assert not opened, "P11: a pull request is open with nothing to merge"
            laws.p1_exact(world, "main", "production", newest)
        else:
            assert result.outcome is publication.Outcome.HELD, result
            assert ("production", result.tree) in self.closed, f"P13: held for no reason: {result.reason}"


TestPublishing = pytest.mark.timeout(600)(Publishing.TestCase)
TestPublishing.settings = settings(max_examples=12, stateful_step_count=20, deadline=None)
