"""What CI runs, run: each snippet and each integration publishes into a real repository, and twice changes nothing."""

from __future__ import annotations

import pathlib
import re
import shlex
from collections.abc import Mapping
from typing import Any

import pytest

from tests import peers
from tests.architecture import reading
from tests.integration.publishing import places
from undrift.lib import yaml
from undrift.publishing import snippets

INTEGRATIONS = reading.ROOT / "integrations"
VARIABLES = {
    "IMAGE": places.IMAGE,
    "BUILD_BUILDID": "7",
    "BUILD_NUMBER": "7",
    "CI_PIPELINE_IID": "7",
    "GITHUB_RUN_NUMBER": "7",
    "SEQUENCE": "7",
}


@pytest.fixture
def place(tmp_path: pathlib.Path) -> places.Place:
    return places.delivered(tmp_path)


def parsed(text: str) -> Any:
    """The last document of a file."""
    return yaml.documents(text)[-1].data


def of_gitlab(text: str, inputs: Mapping[str, str]) -> str:
    job = parsed(text)["undrift publish"]
    return filled("\n".join(job["script"]), {f"inputs.{name}": value for name, value in inputs.items()})


def of_gitea(text: str) -> str:
    steps = parsed(text)["jobs"]["publish"]["steps"]
    return re.sub(r"uvx undrift@[\d.]+", "undrift", steps[-1]["run"])


def of_azure(text: str) -> str:
    steps = parsed(text)["steps"]
    return str(next(step["script"] for step in steps if step.get("displayName") == "Publish"))


def of_jenkins(text: str) -> str:
    (line,) = re.findall(r"sh '(undrift publish [^']*)'", text)
    return str(line)


def filled(text: str, known: Mapping[str, str]) -> str:
    """Text with what GitLab (`$[[ … ]]`) and GitHub (`${{ … }}`) fill in themselves."""
    return re.sub(r"\$(?:\[\[|\{\{) *(.*?) *(?:\]\]|\}\})", lambda found: known[found[1]], text)


SCRIPTS = {
    "azure": of_azure(snippets.text("azure")),
    "gitea": of_gitea(snippets.text("gitea")),
    "gitlab": of_gitlab(snippets.text("gitlab"), {}),
    "gitlab component": of_gitlab(
        (INTEGRATIONS / "gitlab" / "template.yml").read_text(encoding="utf-8"),
        {"directory": ".", "image": f"application={places.IMAGE}", "deadline": "60s", "arguments": ""},
    ),
    "jenkins": of_jenkins(snippets.text("jenkins")),
    "shell": snippets.text("shell"),
}


def sent(place: places.Place) -> None:
    for stage in places.STAGES:
        assert places.IMAGE in place.published(stage)


@pytest.mark.parametrize("system", sorted(SCRIPTS))
def test_the_script_of_a_ci_system_publishes(place: places.Place, system: str) -> None:
    done = place.run("sh", "-euc", SCRIPTS[system], env=VARIABLES)
    assert done.returncode == 0, done.stderr
    sent(place)

    assert place.git("log", "-1", "--format=%an %cn", cwd=place.gitops).strip() == "Ada Undrift"

    tip = place.tip()
    assert place.run("sh", "-euc", SCRIPTS[system], env=VARIABLES).returncode == 0
    assert place.tip() == tip


def test_the_shell_script_gets_the_history_that_a_shallow_clone_lacks(place: places.Place) -> None:
    place.git("commit", "-q", "--allow-empty", "-m", "Second")
    place.git("clone", "-q", "--depth", "1", f"file://{place.application}", "shallow", cwd=place.root)
    shallow = place.root / "shallow"
    place.git("config", "uploadpack.allowFilter", "true")
    script = place.root / "publish.sh"
    script.write_text(snippets.text("shell"), encoding="utf-8")

    done = place.run("sh", script, cwd=shallow, env=VARIABLES)

    assert done.returncode == 0, done.stderr
    assert place.git("rev-parse", "--is-shallow-repository", cwd=shallow).strip() == "false"
    sent(place)


def test_the_shell_script_says_what_it_lacks_and_hands_options_on(place: places.Place) -> None:
    script = snippets.text("shell")
    without = place.run("sh", "-c", script)
    assert without.returncode != 0
    assert "IMAGE" in without.stderr

    before = place.tip()
    dry = place.run("sh", "-c", script, "publish.sh", "--dry-run", env=VARIABLES)
    assert dry.returncode == 0, dry.stderr
    assert place.tip() == before


def action(place: places.Place, **inputs: str) -> tuple[int, str, dict[str, str]]:
    """Run the action's step with its inputs, as a runner does: exit code, what it says, its outputs."""
    found = parsed((INTEGRATIONS / "github" / "action.yml").read_text(encoding="utf-8"))
    given = {name: str(one.get("default", "")) for name, one in found["inputs"].items()} | inputs
    step = next(one for one in found["runs"]["steps"] if one.get("id") == "run")
    known = {f"inputs.{name}": value for name, value in given.items()} | {
        "inputs.token || env.UNDRIFT_TOKEN": given["token"],
        "inputs.username || env.UNDRIFT_USERNAME": given["username"],
        "inputs.forge-host || env.UNDRIFT_FORGE_HOST": given["forge-host"],
        "github.token": "",
    }
    outputs = place.root / "outputs"
    env = {name: filled(str(value), known) for name, value in step["env"].items()}
    done = place.run(
        "bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"],
        env={**env, "GITHUB_OUTPUT": str(outputs)},
    )  # fmt: skip
    lines = outputs.read_text(encoding="utf-8").splitlines() if outputs.exists() else []
    return done.returncode, done.stdout + done.stderr, dict(line.split("=", 1) for line in lines)


def test_the_github_action_publishes(place: places.Place) -> None:
    workflow = parsed(snippets.text("github"))
    step = workflow["jobs"]["publish"]["steps"][-1]
    known = {"env.IMAGE": places.IMAGE, "github.run_number": "7", "secrets.UNDRIFT_TOKEN": ""}
    inputs = {name: filled(value, known) for name, value in step["with"].items()}

    code, said, outputs = action(place, **inputs)

    assert (code, outputs) == (0, {"exit-code": "0"}), said
    sent(place)


def test_the_github_action_tells_the_exit_code_and_takes_words_apart_as_a_shell(place: places.Place) -> None:
    done = action(place, arguments=f"--image 'application={places.IMAGE}' --detailed-exitcode --dry-run")
    wrong = action(place, arguments='--stage "no such; touch broken" $(touch broken)')

    assert done[0] == 2, done[1]
    assert done[2] == {"exit-code": "2"}
    assert wrong[0] not in {0, 2}
    assert not list(place.root.rglob("broken"))


def test_the_github_action_runs_other_commands_in_other_folders(place: places.Place) -> None:
    (place.application / "part").mkdir()

    code, said, _ = action(place, command="init", directory="part", arguments="--application 'part'")

    assert code == 0, said
    assert (place.application / "part" / "undrift.yaml").exists()


GROOVY = """
class Steps {{ // what Jenkins gives to a pipeline, as far as the step asks for it
    def env = [BUILD_NUMBER: '7']
    List said = []
    def sh(Map given) {{ said << given.script }}
    def withEnv(List given, Closure run) {{ given.each {{ said << it }}; run() }}
    def junit(Map given) {{ said << "junit ${{given.testResults}}" }}
    def usernamePassword(Map given) {{ given }}
    def withCredentials(List given, Closure run) {{ said << "credentials ${{given[0].credentialsId}}"; run() }}
}}
def step = new GroovyShell(this.class.classLoader).parse(new File('{step}'))
def steps = new Steps()
step.metaClass.getProperty = {{ String name -> steps."$name" }}
step.metaClass.methodMissing = {{ String name, arguments -> steps.invokeMethod(name, arguments) }}
step.call({settings})
steps.said.each {{ println it }}
"""


def groovy(place: places.Place, settings: str) -> tuple[int, str]:
    """What the shared library's step does with settings."""
    program, java = peers.require_peer("groovy"), peers.require_peer("java")
    library = INTEGRATIONS / "jenkins"
    script = place.root / "run.groovy"
    step = library / "vars" / "undriftPublish.groovy"
    script.write_text(GROOVY.format(step=step, settings=settings), encoding="utf-8")
    home = str(java.resolve().parents[1])
    done = place.run(program, "-cp", library / "src", script, env={"JAVA_HOME": home})
    return done.returncode, done.stdout + done.stderr


def test_the_step_of_the_jenkins_library_publishes(place: places.Place) -> None:
    code, said = groovy(
        place,
        f"[images: [application: '{places.IMAGE}'], credentialsId: 'gitops', forgeHost: 'forge.example', "
        "deadline: '60s']",
    )
    assert code == 0, said
    credentials, host, line, junit = said.splitlines()

    assert credentials == "credentials gitops"
    assert host == "UNDRIFT_FORGE_HOST=forge.example"
    done = place.run("sh", "-euc", line)
    assert done.returncode == 0, done.stderr
    sent(place)
    assert (place.application / junit.removeprefix("junit ")).read_text(encoding="utf-8").startswith("<?xml")


def test_the_step_of_the_jenkins_library_quotes_and_refuses(place: places.Place) -> None:
    code, said = groovy(place, """[set: [a: "it's; rm -rf /"], stages: ['x y'], dryRun: true]""")
    assert code == 0, said
    words = shlex.split(said.splitlines()[0].partition(" >")[0])
    assert words[:6] == ["undrift", "publish", "--set", "a=it's; rm -rf /", "--stage", "x y"]
    assert "--dry-run" in words

    code, said = groovy(place, "[image: 'x']")
    assert code != 0
    assert "undriftPublish does not know image" in said
