"""The page about pull requests: its words for risks, its limits, its statuses and its commit are those of the code."""

from __future__ import annotations

import pytest

from tests.docs import pages
from tests.unit.publishing import about
from undrift.forges import azure_devops, bitbucket, bitbucket_server, gitea, github, gitlab, scm_manager
from undrift.model import forge
from undrift.publishing import describing, messages, reporting

PAGE = "reference/pull-requests.md"
FORGES = {
    "GitHub, Gitea, Forgejo": (github.GitHub.limits, gitea.Gitea.limits),
    "GitLab": (gitlab.GitLab.limits,),
    "Bitbucket Cloud": (bitbucket.Bitbucket.limits,),
    "Bitbucket Data Center": (bitbucket_server.BitbucketServer.limits,),
    "Azure DevOps": (azure_devops.AzureDevOps.limits,),
    "SCM-Manager": (scm_manager.ScmManager.limits,),
}


def test_each_risk_is_explained() -> None:
    text = pages.text(PAGE)

    for words in filter(None, reporting.RISKS.values()):
        assert f"| {words} |" in text


@pytest.mark.parametrize("name", FORGES)
def test_limits_are_those_of_the_forges(name: str) -> None:
    for limits in FORGES[name]:
        unfolds = "yes" if limits.markdown_details else "no"
        assert f"| {name} | {limits.body:,} | {limits.comment:,} | {unfolds} |" in pages.text(PAGE)


def test_statuses_are_named() -> None:
    for status in describing.statuses(about.about(), forge.Limits()):
        assert f"| `{status.context}` |" in pages.text(PAGE)


def test_the_commit_is_as_it_is_written() -> None:
    made = messages.commit(messages.Commit(application="petclinic", stage="production", revision=about.NEW))

    assert f"```text\n{made}```" in pages.text(PAGE)
