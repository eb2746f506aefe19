"""The pages about CI show the files that `undrift init --ci` writes, and what they call is there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import click
import pytest

import undrift
from tests.architecture import reading
from tests.docs import pages
from undrift.cli import main
from undrift.publishing import snippets

PAGES = {
    "azure": ("publish-from-azure-pipelines", "yaml"),
    "gitea": ("publish-from-gitea-actions", "yaml"),
    "github": ("publish-from-github-actions", "yaml"),
    "gitlab": ("publish-from-gitlab-ci", "yaml"),
    "jenkins": ("publish-from-jenkins", "groovy"),
    "shell": ("publish-from-shell", "sh"),
}
INTEGRATIONS = reading.ROOT / "integrations"
_COMMAND = re.compile(
    r"(?:undrift|undrift@[\d.]+|uvx undrift) ((?:publish|comment|preview|init|validate|promote)\b(?!:)[^'`|\n]*)"
)
_ACTION = re.compile(r"command: ([^#\n]+?)(?: #.*)?\n(?:.*\n)*?\s+arguments: (.+)")
_VERSION = re.compile(r"(?:undrift@v?|undrift-ci:|github@v|gitlab@|version.*\n\s+default: )(\d[\d.]*\d)")


def texts() -> dict[str, str]:
    """All that CI installs, and the pages about it."""
    found = {f"snippet {system}": snippets.text(system) for system in snippets.FILES}
    found |= {f"page {name}": pages.text(f"how-to/{name}.md") for name, _ in PAGES.values()}
    found["page migrate"] = pages.text("how-to/migrate-from-gitops-build-lib.md")
    for path in sorted(INTEGRATIONS.rglob("*")):
        if path.is_file():
            found[str(path.relative_to(reading.ROOT))] = path.read_text(encoding="utf-8")
    return found


def calls() -> Iterator[tuple[str, list[str]]]:
    """Every call of undrift in them, as words."""
    for name, text in texts().items():
        for line in _COMMAND.findall(text):
            yield (
                name,
                shlex.split(
                    re.sub(r"\$(\{\{.*?\}\}|\[\[.*?\]\])", "x", line.partition(" >")[0].replace("…", ""))
                ),
            )
        for command, arguments in _ACTION.findall(text):
            words = re.sub(
                r"\$\{\{.*?(?:'(\w+)' *)?\}\}", lambda found: found[1] or "x", f"{command} {arguments}"
            )
            yield name, shlex.split(words)


def options(command: click.Command) -> set[str]:
    return {spelling for each in command.params for spelling in (*each.opts, *each.secondary_opts)}


def test_every_ci_system_has_a_page() -> None:
    assert set(PAGES) == set(snippets.FILES)


@pytest.mark.parametrize("system", sorted(PAGES))
def test_the_page_shows_the_file_that_is_written(system: str) -> None:
    name, language = PAGES[system]

    assert snippets.text(system) in pages.blocks(pages.text(f"how-to/{name}.md"), language)


def test_calls_are_found() -> None:
    assert len(list(calls())) > 25
    assert {words[0] for _, words in calls()} >= {"publish", "comment", "preview", "init"}


def test_every_command_that_is_called_exists_with_the_options_that_it_is_given() -> None:
    group = click.Context(main.cli, info_name="undrift")
    for name, words in calls():
        command = main.cli.get_command(group, words[0])
        assert command is not None, f"{name}: undrift {words[0]}"
        if isinstance(command, click.Group):
            command = command.get_command(group, words[1])
            assert command is not None, f"{name}: undrift {words[0]} {words[1]}"
        given = {word.partition("=")[0] for word in words if re.match(r"--?[a-zA-Z]", word)}
        assert given <= options(command), f"{name}: {' '.join(words)}"


def test_what_is_installed_is_this_version() -> None:
    found = {(name, version) for name, text in texts().items() for version in _VERSION.findall(text)}

    assert {version for _, version in found} == {undrift.__version__}
    assert len({name for name, _ in found}) > 8


def test_no_credential_is_ever_an_argument() -> None:
    for name, text in texts().items():
        assert not re.search(r"--(token|password)", text), name
    for name, words in calls():
        assert not [word for word in words if re.search(r"TOKEN|PASSWORD", word)], name


def test_a_checkout_is_never_shallow() -> None:
    for system in ("github", "gitea"):
        checkouts = re.findall(r"actions/checkout@v\d\n(.*)\n", snippets.text(system))
        assert checkouts
        assert all("fetch-depth: 0" in one for one in checkouts)
    assert "GIT_DEPTH: 0" in snippets.text("gitlab")
    assert 'fetchDepth: "0"' in snippets.text("azure")
    assert "GIT_DEPTH: 0" in (INTEGRATIONS / "gitlab" / "template.yml").read_text(encoding="utf-8")
