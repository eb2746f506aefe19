"""Every error Undrift raises on purpose, as one tree.

An error says *what* failed, *where* in Git it was declared, *why*, and what to do *next*; its `code` is its
name in the reference (docs/reference/errors.md) and never changes once released. `waiting_helps` tells the
scheduler whether trying the same thing again can end differently while nobody changes anything in Git.

    UndriftError
    ├── ConfigError        UD1xx  Undrift's own documents
    ├── SourceError        UD2xx  Git and other sources
    ├── RenderError        UD3xx  artifact → documents
    ├── ValidationError    UD4xx  documents → desired state
    ├── TargetError        UD5xx  looking at and changing a target
    ├── GuardError         UD6xx  a plan that may not run (yet)
    ├── DatabaseError      UD7xx  what we remember
    ├── OrderError         UD8xx  what a person asked for
    └── PublishError       UD91x  on the way into the GitOps repository

An error never holds a secret: whoever builds one from foreign output masks it first.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Self


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Origin:
    """Where in Git something is declared: a file of a source, a line and a column (both from 1, 0 = unknown)."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        parts = [self.file, *(str(number) for number in (self.line, self.column) if number)]
        return ":".join(parts)

    @classmethod
    def read(cls, text: str) -> Origin:
        """The origin that `str` wrote."""
        file = text
        numbers: list[int] = []
        while len(numbers) < 2:  # noqa: PLR2004 - line and column
            head, colon, last = file.rpartition(":")
            if not colon or not last.isdigit():
                break
            file, numbers = head, [int(last), *numbers]
        return cls(file, *numbers)


class UndriftError(Exception):
    """What failed, where, why, and what next.

    `what` is one line; `why` may be several; `hint` is the next step. `origin` is the place in Git,
    `revision` and `author` name the commit where they are known.
    """

    code: ClassVar[str] = "UD000"
    waiting_helps: ClassVar[bool] = False

    def __init__(self, what: str, *, origin: Origin | None = None, why: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.origin = origin
        self.why = why
        self.hint = hint
        self.revision = ""
        self.author = ""

    def __str__(self) -> str:
        where = f"{self.origin}: " if self.origin else ""
        why = f": {self.why}" if self.why else ""
        return f"{where}{self.what}{why}"

    def __reduce__(self) -> tuple[object, ...]:
        return (_revive, (type(self), self.what, self.__dict__))

    def at(self, revision: str, author: str = "") -> Self:
        """The same error, knowing the commit it comes from."""
        self.revision = self.revision or revision
        self.author = self.author or author
        return self

    @property
    def parts(self) -> tuple[UndriftError, ...]:
        """The single errors this one stands for: itself, unless it gathers several."""
        return (self,)


def _revive(cls: type[UndriftError], what: str, state: dict[str, object]) -> UndriftError:
    error = cls.__new__(cls)
    Exception.__init__(error, what)
    error.__dict__.update(state)
    return error


# --- UD1xx ---------------------------------------------------------------------------------------------


class ConfigError(UndriftError):
    """Undrift's own configuration in Git, or its settings, cannot be used."""

    code = "UD100"


class ConfigUnreadable(ConfigError):
    """A configuration file is not YAML: bad syntax, not UTF-8, a duplicate key, a binary file."""

    code = "UD101"


class ConfigInvalid(ConfigError):
    """A document has an unknown field, a wrong type or a missing value."""

    code = "UD102"


class ReferenceUnknown(ConfigError):
    """A document names another (Target, Source, Project, Application) that is not declared."""

    code = "UD103"


class DependencyCycle(ConfigError):
    """Applications depend on one another in a circle."""

    code = "UD104"


class NameTaken(ConfigError):
    """Two documents of one kind have the same name."""

    code = "UD105"


class TargetInUse(ConfigError):
    """A Target (or Source) was removed from Git while applications still use it."""

    code = "UD106"


class AgentUnknown(ConfigError):
    """The config in Git does not say which agent this one is, or names another."""

    code = "UD107"


class DeliveryMissing(ConfigError):
    """There is no `undrift.yaml` that says how an application gets into the GitOps repository, or several."""

    code = "UD108"


class StageMissing(ConfigError):
    """What a stage is rendered from is not there, or there is no stage of that name."""

    code = "UD109"


class VariableMissing(ConfigError):
    """The configuration uses a variable that has no value."""

    code = "UD110"


class ForgeUnknown(ConfigError):
    """Nobody can tell which kind of forge a repository is on."""

    code = "UD111"


# --- UD2xx ---------------------------------------------------------------------------------------------


class SourceError(UndriftError):
    """A source could not be read."""

    code = "UD200"


class SourceUnavailable(SourceError):
    """The source's server cannot be reached or does not answer."""

    code = "UD201"
    waiting_helps = True


class SourceDenied(SourceError):
    """The source refuses our credentials, or there are none."""

    code = "UD202"


class ReferenceMissing(SourceError):
    """The branch, tag, commit or range names nothing in the source."""

    code = "UD203"


class HistoryRewritten(SourceError):
    """The branch was force-pushed: the last revision is no longer in its history."""

    code = "UD204"


class SignatureRefused(SourceError):
    """A commit or tag that has to be signed is not, or by nobody we know."""

    code = "UD205"


class PathMissing(SourceError):
    """The path of an application does not exist at this revision."""

    code = "UD206"


class ArtifactRefused(SourceError):
    """The content of a revision may not be used: a link that leaves the tree, a file too large, a bad name."""

    code = "UD207"


class HostKeyRefused(SourceError):
    """The server's SSH host key or TLS certificate is not the one we were told to expect."""

    code = "UD208"


class StoreBroken(SourceError):
    """The local copy of a repository is corrupt or cannot be written; it is fetched anew."""

    code = "UD209"
    waiting_helps = True


class CredentialMissing(SourceError):
    """A credential that the config names (environment variable, file) is not there."""

    code = "UD210"


# --- UD3xx ---------------------------------------------------------------------------------------------


class RenderError(UndriftError):
    """An artifact could not be rendered."""

    code = "UD300"


class RenderFailed(RenderError):
    """The renderer reports an error in what it was given."""

    code = "UD301"


class DecryptionFailed(RenderError):
    """An encrypted file cannot be decrypted: no key fits, or it was tampered with."""

    code = "UD302"


class RenderTimeout(RenderError):
    """Rendering took longer, or needed more memory, than it may."""

    code = "UD303"


class ToolMissing(RenderError):
    """A program that rendering needs is not installed."""

    code = "UD304"


class ContainerUnknown(RenderError):
    """An image is declared for a container that no manifest has."""

    code = "UD305"


class ValueUnknown(RenderError):
    """A value is set at a path that is not there."""

    code = "UD306"


class RenderUnrepeatable(RenderError):
    """Rendering the same twice gives two results."""

    code = "UD307"


# --- UD4xx ---------------------------------------------------------------------------------------------


class ValidationError(UndriftError):
    """What is declared cannot be true on this target."""

    code = "UD400"


class ResourceInvalid(ValidationError):
    """A resource has an unknown field, a wrong value or a reference that nothing satisfies."""

    code = "UD401"


class ResourceTwice(ValidationError):
    """Two places of one application declare the same resource."""

    code = "UD402"


class OrderCycle(ValidationError):
    """Resources depend on one another in a circle."""

    code = "UD403"


class TemplateInvalid(ValidationError):
    """A template has bad syntax or uses a variable that nobody declared."""

    code = "UD404"


class ScalarSurprising(ValidationError):
    """A word without quotes is read as something else than it looks like."""

    code = "UD405"


class ReferenceUnsatisfied(ValidationError):
    """A resource names another one that nobody declares and that does not exist."""

    code = "UD406"


class VersionRemoved(ValidationError):
    """The declared Kubernetes version does not serve this kind in that version any more."""

    code = "UD407"


class SecretInPlain(ValidationError):
    """A secret would be published that anybody can read."""

    code = "UD408"


class ImageMutable(ValidationError):
    """An image is named by a tag that may be another image tomorrow."""

    code = "UD409"


class NamespaceForeign(ValidationError):
    """A resource lies in another namespace than that of its stage."""

    code = "UD410"


class LimitsMissing(ValidationError):
    """A container says nothing of the memory or CPU that it needs."""

    code = "UD411"


class PolicyViolated(ValidationError):
    """A policy of yours says no."""

    code = "UD412"


class CheckFailed(ValidationError):
    """A validator that was declared found something, or could not be run."""

    code = "UD413"


class WaiverExpired(ValidationError):
    """A waiver is out of date, or nothing needs it."""

    code = "UD414"


class OutputUnknown(ValidationError):
    """A value of another application is used that it does not publish, or published that it does not have."""

    code = "UD415"


class RecordSurprising(ValidationError):
    """A record can be as it is declared, but is hardly meant so."""

    code = "UD416"


# --- UD5xx ---------------------------------------------------------------------------------------------


class TargetError(UndriftError):
    """A target could not be looked at or changed.

    `about` is the resource that it is about, as text, or a path on the target; "" when nobody knows.
    """

    code = "UD500"
    about: str = ""


class TargetUnavailable(TargetError):
    """The target cannot be reached or does not answer."""

    code = "UD501"
    waiting_helps = True


class TargetDenied(TargetError):
    """The target refuses us: permissions, a read-only file system, credentials."""

    code = "UD502"
    waiting_helps = True


class ChangeRefused(TargetError):
    """The target says no to one change, and will again."""

    code = "UD503"


class ChangeConflict(TargetError):
    """Something changed on the target between plan and apply; it is planned anew."""

    code = "UD504"
    waiting_helps = True


class OutcomeUnknown(TargetError):
    """A change was sent and nobody knows whether it was made; the next look tells."""

    code = "UD505"
    waiting_helps = True


class VerifyFailed(TargetError):
    """The target acknowledged a change that it did not make."""

    code = "UD506"
    waiting_helps = True


class Unhealthy(TargetError):
    """What was applied did not become healthy in time."""

    code = "UD507"
    waiting_helps = True


class TargetFull(TargetError):
    """The target has no room (disk, quota)."""

    code = "UD508"
    waiting_helps = True


class PathEscapes(TargetError):
    """A path would lead out of the target's root."""

    code = "UD509"


class TargetBusy(TargetError):
    """Another application works on what this one shares with it, and goes on for long."""

    code = "UD510"
    waiting_helps = True


class HostUntrusted(TargetError):
    """The host does not prove to be the one that Git vouches for: its key is another one."""

    code = "UD511"
    waiting_helps = True


class ChangePutBack(TargetError):
    """What was applied did not work on the target, and what was there before was put back."""

    code = "UD512"


class PlanInexact(TargetError):
    """A plan is only as exact as the dry run of the tool that made it."""

    code = "UD513"


# --- UD6xx ---------------------------------------------------------------------------------------------


class GuardError(UndriftError):
    """A plan may not run, or not yet."""

    code = "UD600"


class DeletionLimitExceeded(GuardError):
    """The plan would delete more than the application's limit."""

    code = "UD601"


class RenderEmpty(GuardError):
    """The application renders to nothing although it owns resources."""

    code = "UD602"


class ProjectForbids(GuardError):
    """The application's project does not allow this source, target, namespace or kind."""

    code = "UD603"


class Protected(GuardError):
    """A protected resource or data would be deleted and Git does not say so."""

    code = "UD604"


class Suspended(GuardError):
    """The application is suspended, in Git or by a temporary hold."""

    code = "UD605"


class ApprovalRequired(GuardError):
    """The plan waits for a person to approve its digest."""

    code = "UD606"


class WindowClosed(GuardError):
    """No time window allows changes now."""

    code = "UD607"
    waiting_helps = True


class DependencyNotReady(GuardError):
    """An application that this one depends on is not healthy yet."""

    code = "UD608"
    waiting_helps = True


class AdoptionRequired(GuardError):
    """A resource exists already and is not ours; adopting it has to be asked for."""

    code = "UD609"


class ClaimedTwice(GuardError):
    """Two applications declare the same resource of one target."""

    code = "UD610"


class RecreateForbidden(GuardError):
    """A field cannot be changed in place and the policy does not allow to recreate the resource."""

    code = "UD611"


class MemoryLost(GuardError):
    """The database is new but the target bears our marks: nothing changes before a person has seen why."""

    code = "UD612"


class ObserveOnly(GuardError):
    """The policy of the application is to look, not to touch."""

    code = "UD613"


class RevisionHeldBack(GuardError):
    """This revision failed before; the last good state stays until the next commit."""

    code = "UD614"


class HandoverPending(GuardError):
    """What an application no longer declares stays until those that take from it are known."""

    code = "UD615"
    waiting_helps = True


class Contested(GuardError):
    """Somebody keeps changing what we keep changing back; we stop, so that a person ends the fight."""

    code = "UD616"
    waiting_helps = True


class PlanUnsafe(GuardError):
    """The tool that plans for a layer does not carry out its plan before a person has looked at it."""

    code = "UD617"


class OutputPending(GuardError):
    """A value that another application publishes is used and not known yet."""

    code = "UD618"
    waiting_helps = True


class RolloutWaiting(GuardError):
    """Other targets have their turn first; this one goes on with what it has."""

    code = "UD619"
    waiting_helps = True


class RolloutStopped(GuardError):
    """A target did not take the change well, or too many are away: the others keep what they have."""

    code = "UD620"
    waiting_helps = True


class DependentsRemain(GuardError):
    """An application leaves, and others that depend on it are still there: those go first."""

    code = "UD621"
    waiting_helps = True


# --- UD7xx ---------------------------------------------------------------------------------------------


class DatabaseError(UndriftError):
    """What we remember cannot be read or written."""

    code = "UD700"
    waiting_helps = True


class DatabaseUnavailable(DatabaseError):
    """The database cannot be reached, is locked or its disk is full."""

    code = "UD701"


class LeaseLost(DatabaseError):
    """Another agent works on this application now; this one yields."""

    code = "UD702"


class DatabaseBroken(DatabaseError):
    """The database file is corrupt, or was written by a newer Undrift."""

    code = "UD703"
    waiting_helps = False


# --- UD8xx ---------------------------------------------------------------------------------------------


class OrderError(UndriftError):
    """What a person asked for cannot be done."""

    code = "UD800"


class AgentUnavailable(OrderError):
    """No agent answers on the socket."""

    code = "UD801"
    waiting_helps = True


class ApplicationUnknown(OrderError):
    """There is no application of that name."""

    code = "UD802"


class PlanMoved(OrderError):
    """The digest to approve is not the one of the present plan."""

    code = "UD803"


class RollbackImpossible(OrderError):
    """The revision to go back to is unknown or equals the present one."""

    code = "UD804"


class UsageInvalid(OrderError):
    """An argument of a command makes no sense."""

    code = "UD805"


class InternalError(UndriftError):
    """A defect of Undrift: what happened was not foreseen. Other applications go on."""

    code = "UD900"
    waiting_helps = True


# --- UD91x ---------------------------------------------------------------------------------------------


class PublishError(UndriftError):
    """A revision could not be brought into the GitOps repository."""

    code = "UD910"


class ForgeDenied(PublishError):
    """The forge refuses our token, or there is none."""

    code = "UD911"


class BranchProtected(PublishError):
    """The branch may not be pushed to directly."""

    code = "UD912"


class PushDeadline(PublishError):
    """Others pushed all the time, until the deadline passed."""

    code = "UD913"
    waiting_helps = True


class ForgeUnavailable(PublishError):
    """The forge does not answer, or has a fault of its own."""

    code = "UD914"
    waiting_helps = True


class ForgeRefused(PublishError):
    """The forge says no to what was asked of it, and will again."""

    code = "UD915"


class OrderUnknown(PublishError):
    """Nobody can tell which of two revisions is the newer one."""

    code = "UD916"


class HandEdited(PublishError):
    """Somebody changed published files in the GitOps repository by hand."""

    code = "UD917"


class Superseded(PublishError):
    """A newer revision is published already."""

    code = "UD918"


class BranchTaken(PublishError):
    """Somebody else's commits are on the branch of a pull request of ours."""

    code = "UD919"


class GateClosed(PublishError):
    """A revision may not go to the next stage, or not yet."""

    code = "UD920"
    waiting_helps = True


class ContextForbidden(PublishError):
    """What is meant for a local cluster is not applied to another one."""

    code = "UD921"


class TrainParted(PublishError):
    """Applications of one train are in different repositories, and only some of them moved."""

    code = "UD922"
    waiting_helps = True


class Several(UndriftError):
    """More than one error, found in one go; it stands for all of them."""

    code = "UD001"

    def __init__(self, found: tuple[UndriftError, ...]) -> None:
        flat = tuple(part for error in found for part in error.parts)
        super().__init__(f"{len(flat)} errors")
        self.found = flat

    def __str__(self) -> str:
        return "\n".join(str(error) for error in self.found)

    def at(self, revision: str, author: str = "") -> Self:
        """The same errors, knowing the commit they come from."""
        for error in self.found:
            error.at(revision, author)
        return super().at(revision, author)

    @property
    def parts(self) -> tuple[UndriftError, ...]:
        """The errors found."""
        return self.found


def gather(found: list[UndriftError] | tuple[UndriftError, ...]) -> UndriftError:
    """One error for one or several found together; `found` must not be empty."""
    return found[0] if len(found) == 1 else Several(tuple(found))


def waiting_helps(error: UndriftError) -> bool:
    """Whether trying again without a change in Git can end differently, for every part of `error`."""
    return all(part.waiting_helps for part in error.parts)


def kinds(kind: type[UndriftError] = UndriftError) -> dict[str, type[UndriftError]]:
    """Every class of the tree by its code, but the one that only gathers others."""
    found = {kind.code: kind} if "code" in vars(kind) and kind is not Several else {}
    for below in kind.__subclasses__():
        found |= kinds(below)
    return found
