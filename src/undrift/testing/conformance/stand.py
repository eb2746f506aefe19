"""What the laws need of a layer: somewhere to work, and people who do things there without us."""

from __future__ import annotations

import abc
import contextlib
from collections.abc import Mapping

from undrift import errors, interfaces
from undrift.model import resource, source, target
from undrift.renderers import plain


class NoSecrets:
    """For targets that need no credentials."""

    async def resolve(self, credential: source.Credential) -> str:
        """Raise `CredentialMissing`."""
        raise errors.CredentialMissing("this stand has no credentials")


class Stand(abc.ABC):
    """One place of a kind, fresh for each law.

    Laws speak of *things*: each is a resource with a short lower-case name that holds one short text, its value.
    What a thing is (a file, a record, a ConfigMap), how it is declared, and how a person sees and changes it, is
    said here. What people do and see goes to the target itself, never through the provider.

    `field` is the path of the field of a resource that holds the value. `agent` is the agent that applies: where
    tests share a target, one of the test's own. `namespace` is the applications'. `planted` are credentials of the target, which must be seen nowhere.
    """

    place: target.Target
    field: str
    agent: str = "agent"
    namespace: str = ""
    planted: tuple[str, ...] = ()
    secrets: interfaces.SecretResolver = NoSecrets()

    @abc.abstractmethod
    def provider(self) -> interfaces.Provider:
        """A new provider, that knows nothing of earlier ones."""

    def renderer(self, decryptor: interfaces.Decryptor) -> interfaces.Renderer:
        """What turns the files into documents: the plain one, unless the layer has its own."""
        return plain.PlainRenderer(decryptor)

    @abc.abstractmethod
    def files(self, things: Mapping[str, str], application: str) -> Mapping[str, str]:
        """The files in Git by which an application declares these things (name → value), in the layer's form.

        Things of two applications need not be in the same part of the target.
        """

    @abc.abstractmethod
    def id(self, thing: str, application: str) -> resource.ResourceId:
        """The id that the provider gives a thing."""

    @abc.abstractmethod
    async def read(self, application: str) -> Mapping[str, str]:
        """Every thing that is there now, whosever it is (name → value), read apart from the provider."""

    @abc.abstractmethod
    async def put(self, thing: str, value: str, application: str) -> None:
        """Somebody makes a thing by hand, or gives one that is there another value and leaves its mark alone."""

    @abc.abstractmethod
    async def remove(self, thing: str, application: str) -> None:
        """Somebody removes a thing by hand."""

    @abc.abstractmethod
    def away(self) -> contextlib.AbstractAsyncContextManager[None]:
        """A time in which nobody can look at the target."""

    @abc.abstractmethod
    def refusing(self, thing: str, application: str) -> contextlib.AbstractAsyncContextManager[None]:
        """A time in which the target refuses to make a thing that is not there."""
