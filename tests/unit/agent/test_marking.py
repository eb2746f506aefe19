"""How statuses are set: signed in, and trusting, as the source is."""

import pytest

from undrift import errors
from undrift.agent import marking
from undrift.model import agent, report, source


class Secrets:
    """Knows what a declaration names."""

    async def resolve(self, credential: source.Credential) -> str:
        return {"TOKEN": "t", "CA": "no certificate"}[credential.env]


def reported() -> report.Report:
    return report.Report(application="pet", agent="main", revision="1" * 40, ending="applied")


async def test_a_private_authority_of_the_source_is_trusted() -> None:
    """What is no certificate is told: it was looked at."""
    signing_in = source.Authentication(token=source.Credential(env="TOKEN"), ca=source.Credential(env="CA"))
    written = source.Source(
        "config", source.SourceKind.GIT, "https://git.corp.example/ops/gitops.git", authentication=signing_in
    )
    made = marking.Marking(agent.Reporting("config", forge="gitea"), written, Secrets())
    made.note([reported()])

    with pytest.raises(errors.CredentialMissing, match="certificate authority of the forge cannot be read"):
        await made.work()
