"""The story, step by step. A step that does not come true within its time ends the demo with an error."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from http import HTTPStatus

from undrift.cli import telling
from undrift.cli.demo import folder, looking, narrating, repository
from undrift.cli.showing import plan
from undrift.lib import textdiff

_STAGING = "website-staging"
_PRODUCTION = "website-production"


class Story:
    """Tells, does and checks."""

    def __init__(self, sandbox: folder.Sandbox, narrator: narrating.Narrator) -> None:
        self.sandbox = sandbox
        self.ports = {stage: looking.free_port() for stage in repository.STAGES}
        self.look = looking.Looker(sandbox)
        self._narrator = narrator
        self._repository = repository.Repository(sandbox, self.ports)

    def tell(self) -> float:
        """All of it; returns how many seconds it took. Raises `OrderError` for a step that does not come true."""
        begun = time.monotonic()
        self._first_apply()
        self._commit()
        self._drift()
        self._bad_commit()
        self._prune()
        self._approve()
        return time.monotonic() - begun

    def url(self, stage: str) -> str:
        """Where a stage's site is."""
        return f"http://127.0.0.1:{self.ports[stage]}/"

    def _start(self) -> None:
        """Start the agent as a process of its own: Ctrl-C is for us, we end it."""
        command = [
            sys.executable, "-m", "undrift", "agent",
            "--repository", str(self.sandbox.repository),
            "--path", "undrift",
            "--state-dir", str(self.sandbox.state),
            "--socket", str(self.sandbox.socket),
            "--interval", "1s",
        ]  # fmt: skip
        foreign = {name: value for name, value in os.environ.items() if not name.startswith("UNDRIFT_")}
        with self.sandbox.log.open("wb") as log:
            self.look.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**foreign, "PYTHONUNBUFFERED": "1"},
                start_new_session=True,
            )

    def _serves(self, stage: str, version: str) -> bool:
        return looking.page(self.ports[stage]) == (HTTPStatus.OK, repository.page("Welcome", version))

    def _first_apply(self) -> None:
        tell = self._narrator
        tell.step("First apply")
        tell.say(
            "A Git repository declares a small website and its web server, in two stages. Nothing runs yet."
            " An agent begins to follow the repository:"
        )
        for stage in repository.STAGES:
            self.sandbox.stage(stage).mkdir()
        self._repository.create()
        tell.does("undrift agent --repository repository.git --path undrift")
        self._start()
        took = self.look.until("staging serves version 1", lambda: self._serves("staging", "1"))
        tell.seen(f"{self.url('staging')} serves version 1", took)
        self.look.until(f"{_STAGING} is in sync", lambda: self.look.state(_STAGING) == "in sync")
        written = (self.sandbox.stage("staging") / "www" / "stage.txt").read_text(encoding="utf-8")
        self.look.check("the template is filled in", true=written == "This is staging.\n")
        tell.seen("pages, a template and a process are as declared, and Undrift's marks say whose they are")

    def _commit(self) -> None:
        tell = self._narrator
        tell.step("A commit goes out")
        for stage in repository.STAGES:
            self._repository.write(f"{stage}/files/www/index.html", repository.page("Welcome", "2"))
        message = "Version 2 of the welcome page"
        tell.does(f"git commit -m '{message}' && git push")
        revision = self._repository.push(message)
        took = self.look.until("version 2 is live", lambda: self._serves("staging", "2"))
        tell.seen(f"{revision} is live: the site serves version 2", took)
        self.look.until(f"{_STAGING} is in sync", lambda: self.look.state(_STAGING) == "in sync")

    def _drift(self) -> None:
        tell = self._narrator
        tell.step("Somebody changes a file by hand: that is drift")
        path = self.sandbox.stage("staging") / "www" / "index.html"
        declared = path.read_text(encoding="utf-8")
        before = self.look.event("DriftFound", _STAGING)
        tell.does("sed -i 's/Version 2/Version 3, hacked/' staging/www/index.html")
        path.write_text(declared.replace("Version 2", "Version 3, hacked"), encoding="utf-8")
        took = self.look.until("the file is healed", lambda: path.read_text(encoding="utf-8") == declared)
        found = self.look.wait(
            "the drift is on record",
            lambda: one if (one := self.look.event("DriftFound", _STAGING)) != before else None,
        )
        tell.seen("it was noticed and healed", took)
        tell.seen("what had drifted is on record (undrift logs, undrift history):")
        tell.diff(str(found["text"]))
        self.look.check("the site serves version 2", true=self._serves("staging", "2"))

    def _bad_commit(self) -> None:
        tell = self._narrator
        tell.step("A bad commit is refused, and the site stays up")
        good = self._repository.manifest("staging")
        bad = good.replace("directory: /www", "directroy: /www")
        self._repository.write("staging/host.yaml", bad)
        tell.does("git commit -m 'Tidy up' && git push")
        tell.diff(textdiff.unified(good.encode(), bad.encode(), "host.yaml", 0))
        self._repository.push("Tidy up")
        failure = self.look.wait("the commit is refused", lambda: self.look.failure(_STAGING))
        tell.seen("it is held back, before anything was touched:")
        tell.quote(telling.lines(failure))
        self.look.check("the site serves version 2", true=self._serves("staging", "2"))
        tell.seen("the last good state stays: the site still serves version 2")
        tell.does("git revert HEAD && git push")
        self._repository.revert()
        took = self.look.until(f"{_STAGING} is in sync", lambda: self.look.state(_STAGING) == "in sync")
        tell.seen("in sync again", took)

    def _prune(self) -> None:
        tell = self._narrator
        tell.step("What leaves Git leaves the target")
        path = self.sandbox.stage("staging") / "www" / "about.html"
        stranger = path.with_name("notes.txt")
        stranger.write_text("not declared, so not Undrift's\n", encoding="utf-8")
        found = looking.page(self.ports["staging"], "/about.html")[0]
        self.look.check("about.html is served", true=found == HTTPStatus.OK)
        for stage in repository.STAGES:
            self._repository.write(f"{stage}/files/www/about.html", None)
        message = "Nobody reads the about page"
        tell.does(f"git rm */files/www/about.html && git commit -m '{message}' && git push")
        self._repository.push(message)
        took = self.look.until("about.html is gone", lambda: not path.exists())
        found = looking.page(self.ports["staging"], "/about.html")[0]
        self.look.check("the server says so", true=found == HTTPStatus.NOT_FOUND)
        tell.seen("about.html was pruned, and the server answers 404", took)
        self.look.until(f"{_STAGING} is in sync", lambda: self.look.state(_STAGING) == "in sync")
        self.look.check("a file that is nobody's stays", true=stranger.exists())
        tell.seen("notes.txt beside it, which nobody declared, was not touched")

    def _approve(self) -> None:
        tell = self._narrator
        tell.step("Production waits for a person")
        self.look.until("production waits", lambda: self.look.waits_for(_PRODUCTION, "UD606"))
        www = self.sandbox.stage("production") / "www"
        self.look.check("production is untouched", true=not www.exists())
        self.look.check("nobody serves production", true=looking.page(self.ports["production"])[0] == 0)
        tell.seen("its policy asks for an approval, so nothing was touched there until now")
        tell.does(f"undrift plan {_PRODUCTION}")
        found = self.look.agent.plan(_PRODUCTION)
        tell.quote(plan.plan({**found, "stops": []}, text=False))
        tell.does(plan.approving(found))
        self.look.agent.approve(_PRODUCTION, found["digest"])
        took = self.look.until("production serves version 2", lambda: self._serves("production", "2"))
        tell.seen(f"{self.url('production')} serves version 2", took)
        self.look.until("production is in sync", lambda: self.look.state(_PRODUCTION) == "in sync")
        applied = self.look.wait(
            "that very plan was applied", lambda: self.look.applied(_PRODUCTION, found["digest"])
        )
        changes = sum(len(wave) for wave in found["waves"])
        self.look.check("every change was made", true=len(applied["results"]) == changes)
        tell.seen("what was applied is what was approved: the digests are equal")
