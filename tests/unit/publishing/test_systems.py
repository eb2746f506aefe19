"""What each system of CI tells of a run and of the pull request that it builds."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from undrift.publishing import systems

GITHUB = {
    "GITHUB_ACTIONS": "true", "GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "acme/shop",
    "GITHUB_RUN_ID": "99", "GITHUB_RUN_NUMBER": "7", "GITHUB_REF": "refs/pull/12/merge", "GITHUB_BASE_REF": "main",
}  # fmt: skip
GITLAB = {
    "GITLAB_CI": "true",
    "CI_PIPELINE_IID": "8",
    "CI_PIPELINE_URL": "https://gitlab.com/p/8",
    "CI_MERGE_REQUEST_IID": "3",
}
AZURE = {
    "TF_BUILD": "True", "BUILD_BUILDID": "5", "SYSTEM_COLLECTIONURI": "https://dev.azure.com/acme/",
    "SYSTEM_TEAMPROJECT": "shop", "SYSTEM_PULLREQUEST_PULLREQUESTID": "21",
}  # fmt: skip


@pytest.mark.parametrize(
    "environ, name, url, number",
    [
        (GITHUB, "#7", "https://github.com/acme/shop/actions/runs/99", 12),
        (GITHUB | {"GITEA_ACTIONS": "true"}, "#7", "https://github.com/acme/shop/actions/runs/7", 12),
        (
            GITHUB | {"GITHUB_REF": "refs/heads/release-2"},
            "#7",
            "https://github.com/acme/shop/actions/runs/99",
            0,
        ),
        (GITLAB, "#8", "https://gitlab.com/p/8", 3),
        (AZURE, "#5", "https://dev.azure.com/acme/shop/_build/results?buildId=5", 21),
        ({"JENKINS_URL": "x", "BUILD_NUMBER": "4"}, "#4", "", 0),
    ],
)
def test_a_run_and_its_pull_request(environ: Mapping[str, str], name: str, url: str, number: int) -> None:
    run = systems.run(environ)

    assert run is not None
    assert (run.name, run.url) == (name, url)
    assert systems.proposal(environ)[0] == number


def test_outside_of_ci() -> None:
    assert systems.run({}) is None
    assert systems.proposal({}) == (0, "")
