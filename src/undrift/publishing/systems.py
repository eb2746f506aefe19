"""The systems of CI: what they are told by, and where the log of a run is, by the variables that each documents."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

from undrift.publishing import subject


@dataclasses.dataclass(frozen=True, slots=True)
class _System:
    """`sign` is a variable that is set in it, `number` the one with the number of the run, `url` its address.

    `proposal` has the number of the pull request that is built (the first of several that is set), `base` the branch that
    it is for.
    """

    sign: str
    number: str
    url: str
    proposal: str = ""
    base: str = ""


_NUMBER = re.compile(r"\A\d+\Z|(?<=refs/pull/)\d+(?=/)")
"""The number alone, or the one in `refs/pull/12/merge`."""
_SYSTEMS = (
    _System("GITEA_ACTIONS", "GITHUB_RUN_NUMBER", "{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}/actions/runs/{GITHUB_RUN_NUMBER}", "GITHUB_REF", "GITHUB_BASE_REF"),
    _System("GITHUB_ACTIONS", "GITHUB_RUN_NUMBER", "{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}/actions/runs/{GITHUB_RUN_ID}", "GITHUB_REF", "GITHUB_BASE_REF"),
    _System("GITLAB_CI", "CI_PIPELINE_IID", "{CI_PIPELINE_URL}", "CI_MERGE_REQUEST_IID", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME"),
    _System("JENKINS_URL", "BUILD_NUMBER", "{BUILD_URL}", "CHANGE_ID", "CHANGE_TARGET"),
    _System("TF_BUILD", "BUILD_BUILDID", "{SYSTEM_COLLECTIONURI}{SYSTEM_TEAMPROJECT}/_build/results?buildId={BUILD_BUILDID}", "SYSTEM_PULLREQUEST_PULLREQUESTNUMBER SYSTEM_PULLREQUEST_PULLREQUESTID", "SYSTEM_PULLREQUEST_TARGETBRANCHNAME"),
    _System("BITBUCKET_BUILD_NUMBER", "BITBUCKET_BUILD_NUMBER", "{BITBUCKET_GIT_HTTP_ORIGIN}/pipelines/results/{BITBUCKET_BUILD_NUMBER}", "BITBUCKET_PR_ID", "BITBUCKET_PR_DESTINATION_BRANCH"),
)  # fmt: skip
"""Gitea sets GitHub's sign, too: it comes first."""


def run(environ: Mapping[str, str]) -> subject.Run | None:
    """The run of CI, as people call it and with the address of its log; None outside of any."""
    for one in _SYSTEMS:
        if environ.get(one.sign):
            number = environ.get(one.number, "")
            return subject.Run(f"#{number}" if number else one.sign, _address(one.url, environ))
    return None


def proposal(environ: Mapping[str, str]) -> tuple[int, str]:
    """The number of the pull request that CI builds (0: none), and the branch that it is for ("": nobody tells)."""
    for one in _SYSTEMS:
        if environ.get(one.sign) and one.proposal:
            told = next(filter(None, (environ.get(name, "") for name in one.proposal.split())), "")
            found = _NUMBER.search(told)
            return (int(found[0]) if found else 0), environ.get(one.base, "")
    return 0, ""


def _address(form: str, environ: Mapping[str, str]) -> str:
    try:
        return form.format_map(environ)
    except KeyError:
        return ""
