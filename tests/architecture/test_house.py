"""The repository itself: what is locked, and what must not be in it."""

import re
import subprocess

from tests.architecture import reading


def test_the_lock_file_names_public_places_only() -> None:
    """A mirror of somebody's machine would make it useless elsewhere."""
    text = (reading.ROOT / "uv.lock").read_text(encoding="utf-8")
    hosts = set(re.findall(r"\"(\w+://[^/\"]+)", text))

    assert hosts == {"https://pypi.org", "https://files.pythonhosted.org"}
    assert set(re.findall(r"registry = \"([^\"]+)\"", text)) == {"https://pypi.org/simple"}


def test_every_exception_of_the_linter_has_its_reason() -> None:
    """In pyproject.toml beside it, in code behind it."""
    lint = (reading.ROOT / "pyproject.toml").read_text(encoding="utf-8").partition("[tool.ruff.lint]")[2]
    rules = re.findall(r"^    \"[A-Z]+\d*\",.*$", lint.partition("[tool.importlinter]")[0], re.MULTILINE)
    silent = [rule.strip() for rule in rules if "  # " not in rule]
    unexplained = re.compile(r"# (?:noqa(?:: [A-Z\d, ]+)?|type: ignore(?:\[[\w, -]+\])?)$")
    for module in reading.modules("src", "tests", "benchmarks"):
        lines = (reading.ROOT / module.path).read_text(encoding="utf-8").splitlines()
        numbered = enumerate(lines, start=1)
        silent += [f"{module.path}:{number}" for number, line in numbered if unexplained.search(line)]

    assert len(rules) > 20
    assert not silent, f"an exception without a reason: {silent}"


def test_scripts_are_sound() -> None:
    for script in [*(reading.ROOT / "scripts").iterdir(), reading.ROOT / ".ci" / "run"]:
        if script.read_text(encoding="utf-8").startswith("#!/usr/bin/env bash"):
            done = subprocess.run(["bash", "-n", script], capture_output=True, text=True, check=False)

            assert done.returncode == 0, done.stderr
