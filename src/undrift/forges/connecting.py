"""Which forge a repository is on, how it is spoken to and signed in to.

    kind = connecting.kind_of(url, declared)                        # "gitea"; "none"; raises ForgeUnknown
    forge = connecting.connect(url, declared, api, os.environ)      # interfaces.Forge, or None for `none`
    login = connecting.git_login(kind, os.environ, url)             # (user, password) for Git over HTTPS, or None
    login = await connecting.git_login_of_app(url, kind, api, os.environ)   # the same for the key of a GitHub App

`KINDS` is the one table of kinds: an adapter is a class `Adapter(client, address)` named there. Nothing here talks
to anybody before the forge is asked for something.
"""

from __future__ import annotations

import dataclasses
import importlib
import ssl
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from urllib import parse

from undrift import errors, interfaces
from undrift.forges import address, credentials, places
from undrift.lib import words

if TYPE_CHECKING:
    from undrift.forges import app, requesting

NONE = "none"
Variable = credentials.Variable


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of forge.

    `adapter` is `module:class` below this package; `suffix` is where the API is below the address for people, `api`
    says it where that is not enough; `hosts` are those it is known by; `sign` makes headers of a token; `variables`
    are CI's own; `git_user` is the user that goes with a token over HTTPS; `needs` are the rights of a token, in words.
    """

    adapter: str
    suffix: str = ""
    api: Callable[[address.Address], str] | None = None
    hosts: tuple[str, ...] = ()
    sign: credentials.Sign = credentials.bearer
    variables: tuple[credentials.Variable, ...] = ()
    git_user: str = "git"
    needs: str = "write repository + pull requests"


def _github_api(where: address.Address) -> str:
    if where.host == "github.com":
        return "https://api.github.com"
    if where.host.endswith(".ghe.com"):
        return f"https://api.{where.host}"
    return f"{where.root}/api/v3"


def _gitea_sign(token: credentials.Token) -> Mapping[str, str]:
    return {"Authorization": f"token {token.text}"}


def _gitlab_sign(token: credentials.Token) -> Mapping[str, str]:
    if token.variable == "$CI_JOB_TOKEN":
        return {"JOB-TOKEN": token.text}
    return credentials.bearer(token)


def _azure_sign(token: credentials.Token) -> Mapping[str, str]:
    # A personal token is a password of nobody in particular; a pipeline's and those of Entra are JWTs.
    if token.variable == "$SYSTEM_ACCESSTOKEN" or token.text.count(".") == 2:  # noqa: PLR2004 - the dots of a JWT
        return credentials.bearer(token)
    return credentials.basic(dataclasses.replace(token, user=""))


_GITEA = Kind(
    adapter="gitea:Gitea",
    suffix="/api/v1",
    hosts=("codeberg.org", "gitea.com"),
    sign=_gitea_sign,
    variables=(Variable("GITEA_TOKEN"), Variable("FORGEJO_TOKEN")),
    git_user="oauth2",
    needs="write:repository + write:issue + read:user",
)

KINDS: dict[str, Kind] = {
    "gitea": _GITEA,
    "forgejo": _GITEA,
    "github": Kind(
        adapter="github:GitHub",
        suffix="/api/v3",
        api=_github_api,
        hosts=("github.com", "ghe.com"),
        # As the forge's own `gh` has it: the first two are for github.com, or for where CI is.
        variables=(
            Variable("GITHUB_TOKEN", "GITHUB_SERVER_URL", "https://github.com"),
            Variable("GH_TOKEN", "", "https://github.com"),
            Variable("GITHUB_ENTERPRISE_TOKEN"),
            Variable("GH_ENTERPRISE_TOKEN"),
        ),
        git_user="x-access-token",
        needs="contents: write + pull requests: write + commit statuses: write",
    ),
    "gitlab": Kind(
        adapter="gitlab:GitLab",
        suffix="/api/v4",
        hosts=("gitlab.com",),
        sign=_gitlab_sign,
        variables=(Variable("GITLAB_TOKEN"), Variable("CI_JOB_TOKEN", "CI_SERVER_URL")),
        git_user="oauth2",
        needs="scope api, role Developer or higher",
    ),
    "bitbucket": Kind(
        adapter="bitbucket:Bitbucket",
        suffix="/2.0",
        api=lambda _: "https://api.bitbucket.org/2.0",
        hosts=("bitbucket.org",),
        sign=credentials.basic_with_user,
        variables=(Variable("BITBUCKET_TOKEN", "BITBUCKET_GIT_HTTP_ORIGIN"),),
        git_user="x-token-auth",
        needs="repository: write + pull request: write + account: read",
    ),
    "bitbucket-server": Kind(
        adapter="bitbucket_server:BitbucketServer",
        suffix="/rest",
        api=lambda where: f"{places.bitbucket_server(where).root}/rest",
        git_user="x-token-auth",
        needs="repository write",
    ),
    "azure-devops": Kind(
        adapter="azure_devops:AzureDevOps",
        api=lambda where: places.azure_devops(where).root,
        hosts=("dev.azure.com", "visualstudio.com"),
        sign=_azure_sign,
        variables=(Variable("SYSTEM_ACCESSTOKEN", "SYSTEM_COLLECTIONURI"),),
        needs="code: read & write + code (status) + identity: read",
    ),
    "scm-manager": Kind(
        adapter="scm_manager:ScmManager",
        suffix="/api/v2",
        api=lambda where: f"{places.scm_manager(where).root}/api/v2",
        sign=credentials.basic_with_user,
        needs="push + create, modify, comment and read pull requests + write the CI status",
    ),
}
"""The kinds of forges by the names that `forge:` of a Delivery has."""


def kind_of(url: str, kind: str = "") -> str:
    """The kind of forge: the declared one, else told by the host; `none` for what is no forge's at all.

    Raises `ForgeUnknown`: nothing is guessed by asking a stranger.
    """
    if kind:
        if kind not in KINDS and kind != NONE:
            raise errors.ForgeUnknown(
                f"there is no kind of forge called {kind}",
                hint=words.suggestion(kind, [*KINDS, NONE]) or f"one of: {', '.join([*KINDS, NONE])}",
            )
        return kind
    where = address.read(url)
    if where is None:
        return NONE
    for name, known in KINDS.items():
        host = parse.urlsplit(where.root).hostname or ""
        if any(host == one or host.endswith(f".{one}") for one in known.hosts):
            return name
    raise errors.ForgeUnknown(
        f"cannot tell the forge of {where.host}",
        hint=f"set forge: {'|'.join([*KINDS, NONE])}",
    )


def connect(url: str, kind: str, api: str, environ: Mapping[str, str]) -> interfaces.Forge | None:
    """The repository at `url` on its forge; None for `none` and for what is no forge's.

    `kind` "" is told by the host; `api` "" by the kind. Raises `ForgeUnknown`, `ConfigInvalid` and
    `CredentialMissing` (a variable names a file that cannot be read, a certificate authority that is none).
    """
    name = kind_of(url, kind)
    where = address.read(url)
    if name == NONE or where is None:
        return None
    from undrift.forges import requesting  # noqa: PLC0415 - aiohttp is 200 ms that `none` and Git need not pay

    known = KINDS[name]
    where = address.below(where, api, known.suffix) if api else where
    base = api or (known.api(where) if known.api else where.root + known.suffix)
    settings = requesting.Settings(context=_trust(environ))
    client = requesting.Client(base, _access(known, base, where, environ), known.needs, settings)
    module, _, adapter = known.adapter.partition(":")
    found: interfaces.Forge = getattr(importlib.import_module(f"undrift.forges.{module}"), adapter)(
        client, where
    )
    return found


def git_login(kind: str, environ: Mapping[str, str], url: str = "") -> tuple[str, str] | None:
    """User and password that Git over HTTPS wants for a forge of that kind, from the variables; None: Git's own ways.

    With `url`, CI's own token goes to the host that CI is on, only. Raises `CredentialMissing`.
    """
    known = KINDS.get(kind)
    where = address.read(url) if url else None
    token = credentials.find(environ, known.variables if known else (), where.host if where else "")
    if token is None:
        return None
    if token.variable == "$CI_JOB_TOKEN":
        return "gitlab-ci-token", token.text
    return token.user or (known.git_user if known else "git"), token.text


async def git_login_of_app(
    url: str, kind: str, api: str, environ: Mapping[str, str]
) -> tuple[str, str] | None:
    """As `git_login`, for the key of a GitHub App too: its token is asked for. Raises as a Forge does."""
    where = address.read(url)
    if kind_of(url, kind) != "github" or where is None or not _is_app(environ):
        return git_login(kind, environ, url)
    access = _app_access(api or _github_api(where), where, environ)
    return "x-access-token", await access.token()


def advice(url: str, kind: str, environ: Mapping[str, str]) -> str:
    """What to do where Git is refused by a forge: whose token was shown, and what one needs."""
    known = KINDS.get(kind)
    needs = known.needs if known else "write repository"
    where = address.read(url)
    if where is None:
        return f"use credentials that may push; they need: {needs}"
    token = credentials.find(environ, known.variables if known else (), where.host)
    if token is None:
        return f"put a token into UNDRIFT_TOKEN; it needs: {needs}"
    whose = f", user {token.user}" if token.user else ""
    return f"the token from {token.variable}{whose} needs: {needs}"


def _access(known: Kind, base: str, where: address.Address, environ: Mapping[str, str]) -> requesting.Access:
    if known is KINDS["github"] and _is_app(environ):
        return _app_access(base, where, environ)
    host = _asked(known, base, where)
    token = credentials.find(environ, known.variables, host)
    if token is not None:
        return credentials.TokenAccess(token, known.sign)
    place = f"{where.root}/{where.path}" if host == where.host else base
    return credentials.HelperAccess(place, environ, known.sign)


def _asked(known: Kind, base: str, where: address.Address) -> str:
    """The host that credentials have to be for: the repository's, unless the API is declared to be somewhere else."""
    own = known.api(where) if known.api else where.root
    host = parse.urlsplit(base).netloc
    return where.host if host in (where.host, parse.urlsplit(own).netloc) else host


def _is_app(environ: Mapping[str, str]) -> bool:
    return bool(credentials.value(environ, "UNDRIFT_GITHUB_APP_ID")) and not credentials.value(
        environ, "UNDRIFT_TOKEN"
    )


def _app_access(base: str, where: address.Address, environ: Mapping[str, str]) -> app.AppAccess:
    from undrift.forges import app, requesting  # noqa: PLC0415 - see `connect`

    credentials.check_host(
        environ, "the key of the GitHub App", _asked(KINDS["github"], base, where), vouched=True
    )
    installation = credentials.value(environ, "UNDRIFT_GITHUB_INSTALLATION_ID")
    key = credentials.value(environ, "UNDRIFT_GITHUB_APP_KEY")
    if not installation or not key:
        raise errors.CredentialMissing(
            "the GitHub App is declared in part only",
            hint="set UNDRIFT_GITHUB_APP_ID, UNDRIFT_GITHUB_INSTALLATION_ID and UNDRIFT_GITHUB_APP_KEY_FILE",
        )
    claim = app.ClaimAccess(credentials.value(environ, "UNDRIFT_GITHUB_APP_ID"), key)
    return app.AppAccess(base, installation, claim, requesting.Settings(context=_trust(environ)))


def _trust(environ: Mapping[str, str]) -> ssl.SSLContext | None:
    """TLS that trusts the authority in UNDRIFT_GIT_CA besides the machine's; None: only the machine's."""
    text = credentials.value(environ, "UNDRIFT_GIT_CA")
    file = environ.get("SSL_CERT_FILE", "")
    if not text and not file:
        return None
    context = ssl.create_default_context()
    try:
        if file:
            context.load_verify_locations(cafile=file)
        if text:
            context.load_verify_locations(cadata=text)
    except (OSError, ValueError) as error:
        raise errors.CredentialMissing(
            "the certificate authority of the forge cannot be read",
            why=str(error),
            hint="UNDRIFT_GIT_CA has to be one or more certificates as PEM text",
        ) from None
    return context
