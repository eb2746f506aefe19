"""Which forge a URL is on, where its API is, and which token goes there."""

import pathlib

import pytest

from undrift import errors
from undrift.forges import address, connecting, credentials, gitea, github, gitlab


@pytest.mark.parametrize(
    "url, root, path",
    [
        ("https://forge.example/acme/shop.git", "https://forge.example", "acme/shop"),
        ("https://bot:tok@forge.example:8443/acme/shop/", "https://forge.example:8443", "acme/shop"),
        ("http://127.0.0.1:3000/acme/shop.git", "http://127.0.0.1:3000", "acme/shop"),
        ("ssh://git@forge.example:2222/acme/shop.git", "https://forge.example", "acme/shop"),
        ("git@forge.example:a/b/shop.git", "https://forge.example", "a/b/shop"),
        ("ssh://git@ssh.github.com:443/acme/shop.git", "https://github.com", "acme/shop"),
    ],
)
def test_an_address_is_read_from_what_git_is_told(url: str, root: str, path: str) -> None:
    assert address.read(url) == address.Address(root, path)


@pytest.mark.parametrize("url", ["/srv/git/shop.git", "file:///srv/git/shop.git", "../shop"])
def test_a_folder_is_on_no_forge(url: str) -> None:
    assert address.read(url) is None
    assert connecting.kind_of(url) == "none"
    assert connecting.connect(url, "", "", {}) is None


def test_a_url_without_a_repository() -> None:
    with pytest.raises(errors.ConfigInvalid, match="no repository"):
        address.read("https://forge.example/")


@pytest.mark.parametrize(
    "url, kind",
    [
        ("https://github.com/acme/shop.git", "github"),
        ("git@github.com:acme/shop.git", "github"),
        ("https://acme.ghe.com/acme/shop", "github"),
        ("https://gitlab.com/acme/team/shop", "gitlab"),
        ("https://codeberg.org/acme/shop", "gitea"),
        ("https://bitbucket.org/acme/shop", "bitbucket"),
        ("https://dev.azure.com/acme/shop/_git/shop", "azure-devops"),
        ("https://acme.visualstudio.com/shop/_git/shop", "azure-devops"),
    ],
)
def test_the_host_tells_the_kind(url: str, kind: str) -> None:
    assert connecting.kind_of(url) == kind
    assert connecting.kind_of(url, "gitlab") == "gitlab"


@pytest.mark.parametrize("host", ["git.corp.example", "github.com.evil.example", "notgithub.com"])
def test_a_host_that_nobody_knows_is_not_guessed(host: str) -> None:
    with pytest.raises(errors.ForgeUnknown) as caught:
        connecting.kind_of(f"https://{host}/acme/shop")

    assert caught.value.what == f"cannot tell the forge of {host}"
    assert caught.value.hint.startswith("set forge: ")
    assert "gitea|forgejo|github|gitlab" in caught.value.hint


def test_a_kind_that_is_misspelt() -> None:
    with pytest.raises(errors.ForgeUnknown) as caught:
        connecting.kind_of("https://git.corp.example/acme/shop", "gittea")

    assert caught.value.hint == "did you mean gitea?"


def test_none_is_no_forge() -> None:
    assert connecting.connect("https://git.corp.example/acme/shop", "none", "", {}) is None


@pytest.mark.parametrize(
    "url, kind, api, base",
    [
        ("https://github.com/acme/shop", "", "", "https://api.github.com"),
        ("https://acme.ghe.com/acme/shop", "", "", "https://api.acme.ghe.com"),
        ("https://git.corp.example/acme/shop", "github", "", "https://git.corp.example/api/v3"),
        ("https://git.corp.example/acme/shop", "gitea", "", "https://git.corp.example/api/v1"),
        ("https://git.corp.example/acme/shop", "forgejo", "", "https://git.corp.example/api/v1"),
        ("https://corp.example/git/acme/shop", "gitea", "https://corp.example/git/api/v1", "https://corp.example/git/api/v1"),
        ("https://gitlab.com/acme/team/shop", "", "", "https://gitlab.com/api/v4"),
        ("ssh://git@git.corp.example:22/a/shop", "gitlab", "http://api.corp.example/api/v4/", "http://api.corp.example/api/v4"),
    ],
)  # fmt: skip
def test_where_the_api_is(url: str, kind: str, api: str, base: str) -> None:
    forge = connecting.connect(url, kind, api, {"UNDRIFT_TOKEN": "tok"})

    assert isinstance(forge, gitea.Gitea | github.GitHub | gitlab.GitLab)
    assert forge._client.base == base


def test_a_forge_in_a_folder_of_its_host() -> None:
    forge = connecting.connect(
        "https://corp.example/git/acme/shop", "gitea", "https://corp.example/git/api/v1", {}
    )

    assert forge is not None
    assert forge.links().commit == "https://corp.example/git/acme/shop/commit/{sha}"


def test_a_path_with_too_many_parts() -> None:
    with pytest.raises(errors.ConfigInvalid, match="a/b/c is not the path of a repository"):
        connecting.connect("https://git.corp.example/a/b/c", "gitea", "", {})


@pytest.mark.parametrize(
    "kind, environ, login",
    [
        ("github", {"UNDRIFT_TOKEN": "t"}, ("x-access-token", "t")),
        ("github", {"GITHUB_TOKEN": "t"}, ("x-access-token", "t")),
        ("github", {"UNDRIFT_TOKEN": "t", "GITHUB_TOKEN": "other"}, ("x-access-token", "t")),
        ("gitlab", {"UNDRIFT_TOKEN": "t", "UNDRIFT_USERNAME": "bot"}, ("bot", "t")),
        ("gitlab", {"GITLAB_TOKEN": "t", "CI_JOB_TOKEN": "job"}, ("oauth2", "t")),
        ("gitlab", {"CI_JOB_TOKEN": "job"}, ("gitlab-ci-token", "job")),
        ("gitea", {"GITEA_TOKEN": "t"}, ("oauth2", "t")),
        ("none", {"UNDRIFT_TOKEN": "t"}, ("git", "t")),
        ("none", {"GITHUB_TOKEN": "t"}, None),
        ("gitea", {"GITHUB_TOKEN": "t"}, None),
        ("github", {}, None),
    ],
)
def test_what_git_signs_in_with(kind: str, environ: dict[str, str], login: tuple[str, str] | None) -> None:
    assert connecting.git_login(kind, environ) == login


@pytest.mark.parametrize(
    "environ, host, goes",
    [
        ({"GITHUB_TOKEN": "t", "GITHUB_SERVER_URL": "https://github.com"}, "github.com", True),
        ({"GITHUB_TOKEN": "t", "GITHUB_SERVER_URL": "https://github.com"}, "git.corp.example", False),
        ({"GITHUB_TOKEN": "t", "GITHUB_SERVER_URL": "https://git.corp.example"}, "git.corp.example", True),
        ({"GITHUB_TOKEN": "t"}, "github.com", True),
        ({"GITHUB_TOKEN": "t"}, "git.corp.example", False),
        ({"GH_TOKEN": "t", "GITHUB_SERVER_URL": "https://git.corp.example"}, "git.corp.example", False),
        ({"GH_ENTERPRISE_TOKEN": "t"}, "git.corp.example", True),
        ({"UNDRIFT_TOKEN": "t"}, "git.corp.example", True),
    ],
)
def test_a_token_of_ci_goes_to_no_other_host(environ: dict[str, str], host: str, *, goes: bool) -> None:
    assert (connecting.git_login("github", environ, f"https://{host}/acme/shop") is not None) is goes


def test_a_token_may_be_bound_to_hosts() -> None:
    environ = {"UNDRIFT_TOKEN": "t", "UNDRIFT_FORGE_HOST": "git.corp.example, forge.example:3000"}

    for host in ("git.corp.example", "forge.example:3000"):
        assert connecting.git_login("gitea", environ, f"https://{host}/ops/gitops") == ("oauth2", "t")
    with pytest.raises(errors.CredentialMissing, match=r"UNDRIFT_TOKEN is not for forge\.example"):
        connecting.git_login("gitea", environ, "https://forge.example/ops/gitops")
    with pytest.raises(errors.CredentialMissing, match=r"UNDRIFT_TOKEN is not for evil\.example"):
        connecting.connect(
            "https://git.corp.example/ops/gitops", "gitea", "https://evil.example/api/v1", environ
        )


@pytest.mark.parametrize(
    "told",
    [
        {"GITHUB_SERVER_URL": "https://forge.example"},
        {"CI_SERVER_URL": "https://forge.example:443"},
        {"SYSTEM_COLLECTIONURI": "https://forge.example/acme/"},
        {"BITBUCKET_GIT_HTTP_ORIGIN": "https://forge.example/acme/shop"},
    ],
)
def test_without_a_word_a_token_goes_to_the_forge_that_ci_is_on_and_no_other(told: dict[str, str]) -> None:
    environ = {"UNDRIFT_TOKEN": "t", **told}
    here, there = "https://forge.example/ops/gitops", "https://evil.example/ops/gitops"

    assert connecting.git_login("gitea", environ, here) == ("oauth2", "t")
    with pytest.raises(errors.CredentialMissing, match=rf"is not for evil\.example.*{next(iter(told))}"):
        connecting.git_login("gitea", environ, there)
    with pytest.raises(errors.CredentialMissing, match=r"is not for evil\.example"):
        connecting.connect(there, "gitea", "", environ)
    said = {**environ, "UNDRIFT_FORGE_HOST": "evil.example"}
    assert connecting.git_login("gitea", said, there) == ("oauth2", "t")
    assert connecting.git_login("gitea", {"UNDRIFT_TOKEN": "t"}, there) == ("oauth2", "t")


def test_a_forges_own_variable_is_bound_likewise() -> None:
    environ = {"GITEA_TOKEN": "t", "UNDRIFT_FORGE_HOST": "git.corp.example"}

    assert connecting.git_login("gitea", environ, "https://git.corp.example/ops/gitops") == ("oauth2", "t")
    with pytest.raises(errors.CredentialMissing, match=r"GITEA_TOKEN is not for forge\.example"):
        connecting.git_login("gitea", environ, "https://forge.example/ops/gitops")


def test_the_key_of_an_app_may_be_bound_to_hosts() -> None:
    environ = {
        "UNDRIFT_GITHUB_APP_ID": "1", "UNDRIFT_GITHUB_INSTALLATION_ID": "2", "UNDRIFT_GITHUB_APP_KEY": "k",
        "UNDRIFT_FORGE_HOST": "github.com",
    }  # fmt: skip

    assert connecting.connect("https://github.com/ops/gitops", "", "", environ) is not None
    with pytest.raises(errors.CredentialMissing, match=r"the key of the GitHub App is not for evil\.example"):
        connecting.connect("https://github.com/ops/gitops", "", "https://evil.example/api/v3", environ)


@pytest.mark.parametrize(
    "api, whence",
    [
        ("", "$GITHUB_TOKEN"),
        ("https://api.github.com", "$GITHUB_TOKEN"),
        ("https://github.com/api/v3", "$GITHUB_TOKEN"),
        ("https://evil.example/api/v3", "git credential"),
    ],
)
def test_a_token_of_ci_goes_to_no_other_api(api: str, whence: str) -> None:
    """The Delivery says where the API is, and a pull request may change it."""
    found = connecting.connect("https://github.com/ops/gitops", "github", api, {"GITHUB_TOKEN": "t"})

    assert isinstance(found, github.GitHub)
    assert found._client._access.whence == whence


@pytest.mark.parametrize(
    "api, asked",
    [
        ("", "https://git.corp.example/ops/gitops"),
        ("https://git.corp.example/api/v1", "https://git.corp.example/ops/gitops"),
        ("https://evil.example/api/v1", "https://evil.example/api/v1"),
    ],
)
def test_helpers_of_git_are_asked_about_the_host_that_is_spoken_to(api: str, asked: str) -> None:
    found = connecting.connect("https://git.corp.example/ops/gitops", "gitea", api, {})

    assert isinstance(found, gitea.Gitea)
    assert isinstance(found._client._access, credentials.HelperAccess)
    assert found._client._access._url == asked


def test_a_token_that_a_person_named_for_a_kind_goes_where_that_is() -> None:
    """In CI of GitHub, for a GitOps repository on a Gitea."""
    environ = {"GITEA_TOKEN": "t", "GITHUB_TOKEN": "other", "GITHUB_SERVER_URL": "https://github.com"}

    assert connecting.git_login("gitea", environ, "https://git.corp.example/ops/gitops") == ("oauth2", "t")


def test_a_token_in_a_file(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "token"
    file.write_text("tok-in-file\n")

    assert connecting.git_login("gitea", {"UNDRIFT_TOKEN_FILE": str(file)}) == ("oauth2", "tok-in-file")
    with pytest.raises(errors.CredentialMissing, match="UNDRIFT_TOKEN_FILE"):
        connecting.git_login("gitea", {"UNDRIFT_TOKEN_FILE": str(tmp_path / "missing")})


async def test_headers_of_each_way_to_sign_in() -> None:
    token = credentials.Token("tok", "bot", "$UNDRIFT_TOKEN")

    assert credentials.bearer(token) == {"Authorization": "Bearer tok"}
    assert credentials.basic(token) == {"Authorization": "Basic Ym90OnRvaw=="}
    assert credentials.basic_with_user(credentials.Token("tok")) == {"Authorization": "Bearer tok"}
    assert connecting.KINDS["gitea"].sign(token) == {"Authorization": "token tok"}
    assert connecting.KINDS["gitlab"].sign(credentials.Token("j", "", "$CI_JOB_TOKEN")) == {"JOB-TOKEN": "j"}
    assert await credentials.TokenAccess(None, credentials.bearer).headers() == {}


def test_no_token_is_shown() -> None:
    token = credentials.Token("s3cr3t-token", "bot", "$UNDRIFT_TOKEN")
    forge = connecting.connect("https://github.com/acme/shop", "", "", {"UNDRIFT_TOKEN": "s3cr3t-token"})

    assert "s3cr3t" not in f"{token!r} {token} {forge!r} {forge}"


def test_half_an_app_is_said() -> None:
    with pytest.raises(errors.CredentialMissing, match="in part"):
        connecting.connect("https://github.com/acme/shop", "", "", {"UNDRIFT_GITHUB_APP_ID": "7"})


def test_an_authority_that_is_none() -> None:
    environ = {"UNDRIFT_TOKEN": "t", "UNDRIFT_GIT_CA": "not a certificate"}

    with pytest.raises(errors.CredentialMissing, match="authority of the forge"):
        connecting.connect("https://github.com/acme/shop", "", "", environ)


@pytest.mark.parametrize("kind", sorted(connecting.KINDS))
def test_each_kind_says_what_its_token_needs(kind: str) -> None:
    assert connecting.KINDS[kind].needs
    assert connecting.KINDS[kind].git_user
