"""Documents that say how others are reached: `Source`, `Notifier`, and where their credentials are found.

A credential is never written in clear: it is named (`env`, `file`), or its document is encrypted with SOPS and
holds it as `value`.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import pydantic

from undrift.config import fields, part
from undrift.model import event, secret

EVENTS: Final = tuple(sorted({each.__name__ for each in event.Event.__subclasses__()}))
_HOW: Final = (
    "name it with {env: VARIABLE} or {file: PATH}, or encrypt this file with SOPS and use {value: …}"
)
_RENEW: Final = "; renew the one that was here: Git remembers"


class CredentialPart(part.Part):
    """Where a credential is found: exactly one of its fields."""

    env: fields.Variable | None = part.said("An environment variable of the agent.", default=None)
    file: fields.File | None = part.said("A file of the agent's host.", default=None)
    value: Any = part.said("The credential itself; only in a file that SOPS encrypted.", default=None)

    @pydantic.model_validator(mode="before")
    @classmethod
    def _never_in_clear(cls, found: Any, info: pydantic.ValidationInfo) -> Any:
        if isinstance(found, str | int | float):
            raise fields.refuse("clear_credential", "holds a credential in clear", _HOW + _RENEW)
        if not isinstance(found, dict) or found.get("value") is None:
            return found
        if not (info.context or {}).get("encrypted"):
            raise fields.refuse("clear_credential", "holds a credential in clear", _HOW + _RENEW)
        if not isinstance(found["value"], str) or not found["value"]:
            raise fields.refuse("credential", "value should be text")
        return {**found, "value": secret.Secret(found["value"])}

    @pydantic.model_validator(mode="after")
    def _one(self) -> CredentialPart:
        part.exactly_one(self, "env", "file", "value")
        return self


class GitHubAppPart(part.Part):
    """Signing in as an installation of a GitHub App."""

    app_id: fields.Word = part.said("The App's id, as text.")
    installation_id: fields.Word = part.said("The id of its installation, as text.")
    private_key: CredentialPart = part.said("Its private key (PEM).")
    api_url: fields.Url = part.said("Where GitHub's API is.", default="https://api.github.com")


class AuthenticationPart(part.Part):
    """How to sign in. Nothing is sent that is not named here."""

    username: CredentialPart | None = part.said("The user, with a password.", default=None)
    password: CredentialPart | None = part.said("The password, with a user.", default=None)
    token: CredentialPart | None = part.said("A token instead of user and password.", default=None)
    ssh_key: CredentialPart | None = part.said("A private SSH key.", default=None)
    known_hosts: CredentialPart | None = part.said("SSH host keys to trust, and no others.", default=None)
    ca: CredentialPart | None = part.said("A certificate authority (PEM) to trust for TLS.", default=None)
    github_app: GitHubAppPart | None = part.said("A GitHub App instead of a token.", default=None)

    @pydantic.model_validator(mode="after")
    def _one_way(self) -> AuthenticationPart:
        ways = {
            "password": self.password,
            "token": self.token,
            "sshKey": self.ssh_key,
            "githubApp": self.github_app,
        }
        found = [name for name, way in ways.items() if way is not None]
        if len(found) > 1:
            raise fields.refuse("one_way", f"has {' and '.join(found)}", "keep one way to sign in")
        if self.password is not None and self.username is None:
            raise fields.refuse("one_way", "has a password but no username", "add the username")
        return self


class VerificationPart(part.Part):
    """Who must have signed; public keys, so in Git."""

    what: Literal["commit", "tag", "either"] = part.said("What has to be signed.", default="commit")
    openpgp_keys: tuple[fields.Word, ...] = part.said("Public OpenPGP keys (armoured).", default=())
    allowed_signers: fields.Text = part.said(
        "SSH keys in the form of ssh-keygen's allowed_signers.", default=""
    )

    @pydantic.model_validator(mode="after")
    def _somebody(self) -> VerificationPart:
        if any("PRIVATE KEY" in text for text in (*self.openpgp_keys, self.allowed_signers)):
            raise fields.refuse("clear_credential", "holds a private key", "put the public key here" + _RENEW)
        if not self.openpgp_keys and not self.allowed_signers.strip():
            raise fields.refuse("nobody", "trusts nobody", "add openpgpKeys or allowedSigners")
        return self


class SourceSpec(part.Part):
    """A place, what to follow there, and how to get in."""

    kind: Literal["git", "oci"] = part.said("What kind of place it is.", default="git")
    url: fields.Url = part.said("Where it is; without credentials.")
    branch: fields.Word | None = part.said("Follow this branch.", default=None)
    tag: fields.Word | None = part.said("Follow this tag.", default=None)
    semver: fields.Word | None = part.said("Follow the highest tag in this range: >=1.2 <2.", default=None)
    commit: fields.Word | None = part.said("This commit (of OCI: this digest) and no other.", default=None)
    interval: fields.Duration = part.said("How often it is asked for something new.", default=30.0)
    timeout: fields.Duration = part.said("How long it may take to answer.", default=60.0)
    authentication: AuthenticationPart = part.said(
        "How to sign in.", default=AuthenticationPart.model_construct()
    )
    verification: VerificationPart | None = part.said("Who must have signed.", default=None)
    allow_force_push: fields.Flag = part.said(
        "Follow a branch even when its history is rewritten.", default=False
    )
    submodules: fields.Flag = part.said("Fetch submodules too.", default=False)
    lfs: fields.Flag = part.said("Fetch the content of Git LFS pointers too.", default=False)

    @pydantic.model_validator(mode="after")
    def _followable(self) -> SourceSpec:
        part.exactly_one(self, "branch", "tag", "semver", "commit")
        if self.kind == "oci" and self.branch is not None:
            raise fields.refuse(
                "oci_branch", "follows a branch, but a registry has none", "use tag, semver or commit"
            )
        if self.kind == "oci" and not self.url.startswith("oci://"):
            raise fields.refuse("oci_url", "is of kind oci, but its url does not begin with oci://")
        if self.kind == "git" and self.url.startswith("oci://"):
            raise fields.refuse("oci_url", "has a url of a registry", "say kind: oci")
        return self


class Source(part.Document):
    """Where desired state is kept."""

    kind: Literal["Source"] = part.said("What this document declares.")
    spec: SourceSpec = part.said("The place, what to follow there, and how to get in.")


def _event(value: str) -> str:
    if value in EVENTS or value == "*":
        return value
    raise fields.unknown_word(value, "an event", EVENTS)


class NotifierSpec(part.Part):
    """Where messages go, and which."""

    kind: fields.Word = part.said("What sends them: webhook, or another notifier that is installed.")
    url: CredentialPart = part.said(
        "Where they go; as a rule it holds a key, so it is named and not written."
    )
    events: Annotated[
        tuple[Annotated[fields.Word, pydantic.AfterValidator(_event)], ...], pydantic.Field(min_length=1)
    ] = part.said("Which events are sent; * is all.", default=("*",))
    applications: Annotated[tuple[fields.Glob, ...], pydantic.Field(min_length=1)] = part.said(
        "Globs on names of applications.", default=("*",)
    )


class Notifier(part.Document):
    """What sends a message when something happens."""

    kind: Literal["Notifier"] = part.said("What this document declares.")
    spec: NotifierSpec = part.said("Where messages go, and which.")
