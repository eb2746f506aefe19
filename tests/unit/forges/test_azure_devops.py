"""What of Azure DevOps can be told without it: how one signs in, and who voted when."""

import base64

import pytest

from undrift.forges import address, azure_devops, connecting, credentials, requesting

SIGN = connecting.KINDS["azure-devops"].sign


@pytest.mark.parametrize(
    "token",
    [
        credentials.Token("a-pat", "", "$UNDRIFT_TOKEN"),
        credentials.Token("a-pat", "ada@acme.example", "$UNDRIFT_TOKEN"),
    ],
)
def test_a_personal_token_is_a_password_of_nobody(token: credentials.Token) -> None:
    assert SIGN(token) == {"Authorization": f"Basic {base64.b64encode(b':a-pat').decode()}"}


@pytest.mark.parametrize(
    "token",
    [
        credentials.Token("e.y.J", "", "$UNDRIFT_TOKEN"),
        credentials.Token("opaque", "", "$SYSTEM_ACCESSTOKEN"),
    ],
)
def test_a_token_of_a_pipeline_or_of_entra_is_a_bearers(token: credentials.Token) -> None:
    assert SIGN(token) == {"Authorization": f"Bearer {token.text}"}


@pytest.mark.parametrize(
    "base, people",
    [
        ("https://dev.azure.com/acme", "https://vssps.dev.azure.com/acme"),
        ("https://acme.visualstudio.com", "https://acme.vssps.visualstudio.com"),
        ("https://tfs.corp.example/tfs/Main", "https://tfs.corp.example/tfs/Main"),
    ],
)
def test_the_service_has_another_host_for_people(base: str, people: str) -> None:
    client = requesting.Client(base, credentials.TokenAccess(None, credentials.bearer))
    where = address.Address(base.rpartition("/")[0], f"{base.rpartition('/')[2]}/shop/_git/gitops")

    assert azure_devops.AzureDevOps(client, where)._people() == people


def thread(**properties: str) -> dict[str, object]:
    told = {"CodeReviewThreadType": "VoteUpdate", **properties}
    return {
        "publishedDate": "2016-11-01T16:30:36.58Z",
        "properties": {name: {"$type": "System.String", "$value": value} for name, value in told.items()},
        "identities": {"1": {"id": "ADA"}},
    }


def test_who_voted_is_told_in_two_ways() -> None:
    when = 1478017836.58

    assert azure_devops._voted(thread(CodeReviewVotedByTfId="ada"), "ada") == when
    assert azure_devops._voted(thread(CodeReviewVotedByIdentity="1"), "ada") == when
    assert azure_devops._voted(thread(CodeReviewVotedByIdentity="1"), "bob") == 0.0
    assert (
        azure_devops._voted(thread(CodeReviewThreadType="RefUpdate", CodeReviewVotedByTfId="ada"), "ada")
        == 0.0
    )
    assert azure_devops._voted({"properties": None, "identities": None}, "ada") == 0.0
