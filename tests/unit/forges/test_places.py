"""Where repositories are on the forges whose addresses have more than owner and name."""

import pytest

from undrift import errors
from undrift.forges import address, connecting, places


def where(url: str) -> address.Address:
    found = address.read(url)
    assert found is not None
    return found


@pytest.mark.parametrize(
    "url, root, owner, name",
    [
        ("https://git.corp.example/scm/ops/gitops.git", "https://git.corp.example", "OPS", "gitops"),
        ("https://corp.example/bitbucket/scm/OPS/gitops.git", "https://corp.example/bitbucket", "OPS", "gitops"),
        ("https://git.corp.example:8443/scm/~ada/notes.git", "https://git.corp.example:8443", "~ada", "notes"),
        ("ssh://git@git.corp.example:7999/ops/gitops.git", "https://git.corp.example", "OPS", "gitops"),
    ],
)  # fmt: skip
def test_bitbucket_data_center(url: str, root: str, owner: str, name: str) -> None:
    assert places.bitbucket_server(where(url)) == places.Place(root, owner, name)


@pytest.mark.parametrize(
    "url, root, owner, name",
    [
        ("https://dev.azure.com/acme/Platform%20Team/_git/gitops", "https://dev.azure.com/acme", "Platform Team", "gitops"),
        ("https://acme@dev.azure.com/acme/shop/_git/gitops", "https://dev.azure.com/acme", "shop", "gitops"),
        ("https://dev.azure.com/acme/_git/shop", "https://dev.azure.com/acme", "shop", "shop"),
        ("https://acme.visualstudio.com/shop/_git/gitops", "https://acme.visualstudio.com", "shop", "gitops"),
        ("https://acme.visualstudio.com/_git/shop", "https://acme.visualstudio.com", "shop", "shop"),
        (
            "https://acme.visualstudio.com/DefaultCollection/shop/_git/gitops",
            "https://acme.visualstudio.com/DefaultCollection",
            "shop",
            "gitops",
        ),
        ("https://tfs.corp.example/tfs/Main/shop/_git/gitops", "https://tfs.corp.example/tfs/Main", "shop", "gitops"),
        ("git@ssh.dev.azure.com:v3/acme/Platform%20Team/gitops", "https://dev.azure.com/acme", "Platform Team", "gitops"),
        ("acme@vs-ssh.visualstudio.com:v3/acme/shop/gitops", "https://dev.azure.com/acme", "shop", "gitops"),
    ],
)  # fmt: skip
def test_azure_devops(url: str, root: str, owner: str, name: str) -> None:
    assert places.azure_devops(where(url)) == places.Place(root, owner, name)


@pytest.mark.parametrize(
    "url, root",
    [
        ("https://corp.example/scm/repo/ops/gitops", "https://corp.example/scm"),
        ("https://scm.corp.example/repo/ops/gitops", "https://scm.corp.example"),
        ("ssh://ada@scm.corp.example:2222/repo/ops/gitops", "https://scm.corp.example"),
    ],
)
def test_scm_manager(url: str, root: str) -> None:
    assert places.scm_manager(where(url)) == places.Place(root, "ops", "gitops")


@pytest.mark.parametrize(
    "kind, url",
    [
        ("bitbucket-server", "https://git.corp.example/gitops.git"),
        ("azure-devops", "https://dev.azure.com/acme/shop/gitops"),
        ("azure-devops", "https://tfs.corp.example/_git/gitops"),
        ("scm-manager", "https://scm.corp.example/ops/gitops"),
        ("bitbucket", "https://bitbucket.org/acme/team/gitops"),
    ],
)
def test_what_is_no_repository_there_is_said(kind: str, url: str) -> None:
    with pytest.raises(errors.ConfigInvalid, match="is not the path of a repository") as caught:
        connecting.connect(url, kind, "", {})

    assert "it has to be " in caught.value.why


@pytest.mark.parametrize(
    "url, kind",
    [
        ("https://bitbucket.org/acme/gitops.git", "bitbucket"),
        ("git@bitbucket.org:acme/gitops.git", "bitbucket"),
        ("https://dev.azure.com/acme/shop/_git/gitops", "azure-devops"),
        ("git@ssh.dev.azure.com:v3/acme/shop/gitops", "azure-devops"),
        ("https://acme.visualstudio.com/shop/_git/gitops", "azure-devops"),
    ],
)
def test_the_kind_is_told_by_the_host(url: str, kind: str) -> None:
    assert connecting.kind_of(url) == kind
