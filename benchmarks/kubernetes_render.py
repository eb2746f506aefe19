"""kubernetes-render: what 200 applications of Kustomize and Helm cost when a commit changes one of them, and when none.

100 overlays and 100 charts in one repository. A commit that touches none of them may call no tool, one that changes one
application calls one tool once. The figure is the time from `reconcile` to applied, the floor one call of the tool.
"""

from __future__ import annotations

import json
import os
import pathlib
import statistics
import subprocess
import time

from benchmarks import clusters, figures
from undrift.testing import control_plane

COUNT = 200
ROUNDS = 10
_SPY = """\
#!/bin/sh
echo "{name} $*" >>{log}
exec {program} "$@"
"""
_CHART = "apiVersion: v2\nname: app\nversion: 1.0.0\n"
_TEMPLATE = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: "{{ .Release.Name }}"}
data: {version: "{{ .Values.version }}"}
"""


class Rendered(clusters.Clusters):
    """Every second application is a chart, the others are overlays over one base."""

    @property
    def log(self) -> pathlib.Path:
        """A line for each call of a tool."""
        return self.root / "calls"

    def application(self, number: int) -> str:
        """One application."""
        kind = "helm" if number % 2 else "kustomize"
        return super().application(number).replace("target:", f"renderer: {{kind: {kind}}}, target:")

    def write(self, number: int, version: str) -> None:
        """The files of one application."""
        name = f"app-{number:04d}"
        folder = self.checkout / "apps" / name
        (folder / "templates").mkdir(parents=True, exist_ok=True)
        if number % 2:
            (folder / "Chart.yaml").write_text(_CHART)
            (folder / "templates" / "all.yaml").write_text(_TEMPLATE)
            (folder / "values.yaml").write_text(f'version: "{version}"\n')
            return
        settings = json.dumps(clusters.settings("app", version))
        (folder / "settings.yaml").write_text(settings)
        (folder / "kustomization.yaml").write_text(
            f"resources: [settings.yaml]\nnameSuffix: '-{number:04d}'\n"
        )

    def spy(self) -> None:
        """Note each call of a tool that the agent makes."""
        place = self.root / "bin"
        place.mkdir()
        for name in ("helm", "kubectl"):
            program = control_plane.find_tool(name)
            if program is None:
                raise SystemExit(f"{name} is not built: make peers")
            (place / name).write_text(_SPY.format(name=name, log=self.log, program=program))
            (place / name).chmod(0o755)
        os.environ["PATH"] = f"{place}{os.pathsep}{os.environ['PATH']}"
        self.log.touch()

    def calls(self) -> int:
        """How often a tool was called to render; asking for its version is not that."""
        lines = self.log.read_text().splitlines()
        return sum(line.startswith(("helm template", "kubectl kustomize")) for line in lines)


def main() -> None:
    """An unrelated commit, then changes of one application at a time."""
    with clusters.clusters(COUNT, sort=Rendered) as found:
        assert isinstance(found, Rendered)
        found.spy()
        found.start()
        found.until(found.all_in_sync, 0.5)
        cold, before = found.calls(), found.cpu()
        (found.checkout / "README.md").write_text("nothing that anybody renders\n")
        found.push("unrelated")
        found.client.reconcile("app-0000", wait=60)
        time.sleep(2)
        print(
            f"cold: {cold} calls; an unrelated commit: {found.calls() - cold} calls, {found.cpu() - before:.2f} s of CPU"
        )
        if found.calls() != cold:
            raise SystemExit("something was rendered that did not change")
        took = [_change(found, number) for number in range(ROUNDS)]
        print("each: " + " ".join(f"{one:.3f}" for one in took))
        if found.calls() != cold + ROUNDS:
            raise SystemExit(f"{found.calls() - cold} calls for {ROUNDS} changes")
        helm = [
            str(control_plane.find_tool("helm")),
            "template",
            "x",
            str(found.checkout / "apps" / "app-0001"),
        ]
        least = figures.best(lambda: subprocess.run(helm, check=True, capture_output=True, timeout=60))
        figures.tell("kubernetes-render", statistics.median(took), "s", least)


def _change(found: Rendered, number: int) -> float:
    """Seconds from `reconcile` to applied."""
    found.write(number, "2")
    found.push("one")
    begun = time.perf_counter()
    found.client.reconcile(f"app-{number:04d}", wait=60)
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
