"""What a pull request is about: the values that its title, body, comment and statuses are made of.

`describing` reads them and nothing else; whoever publishes fills them in. Times are seconds since the epoch, spans
are seconds, addresses are complete URLs or "" (nothing is linked then).
"""

from __future__ import annotations

import dataclasses
import enum

from undrift import errors
from undrift.model import delivery, forge, publication
from undrift.publishing import contrasting

NO_FINDINGS = publication.Findings()
NO_LINKS = forge.Links()


class Relation(enum.StrEnum):
    """How the revision that comes stands to the one that is there."""

    FIRST = "first"
    SAME = "same"
    AHEAD = "ahead"
    DOWNGRADE = "downgrade"
    APART = "not a descendant"
    REWRITTEN = "history rewritten"
    UNKNOWN = "unknown"


@dataclasses.dataclass(frozen=True, slots=True)
class Changelog:
    """What happened in the application's repository between two revisions, the newest commit first.

    AHEAD: `commits` are what comes; DOWNGRADE: what goes. APART: what comes since both had the same past. REWRITTEN
    is that the old one is not in the repository any more, UNKNOWN that the clone is too shallow to tell. `left_out`
    is how many more there are.
    """

    relation: Relation = Relation.UNKNOWN
    commits: tuple[publication.AppRevision, ...] = ()
    left_out: int = 0


UNKNOWN = Changelog()


@dataclasses.dataclass(frozen=True, slots=True)
class Chart:
    """A Helm chart and its versions; "" is none."""

    name: str
    before: str
    after: str


@dataclasses.dataclass(frozen=True, slots=True)
class Run:
    """The run of CI that made this: what people call it (`#512`), and where its log is."""

    name: str
    url: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Prior:
    """A stage before this one, as the agent reported it.

    `revision` is what is applied there (None: nobody knows), `since` when that was; `soaked` is for how long it has
    been in the wanted health. `requirement` is what the gate asks of it (None: nothing, it is only shown), `reached`
    whether the revision that comes has arrived there. `state` and `reason` are a gate's own verdict, where it has
    one; else it is told from the rest.
    """

    stage: str
    revision: publication.AppRevision | None = None
    reached: bool = False
    since: float = 0.0
    health: str = "Unknown"
    soaked: float = 0.0
    requirement: delivery.Requirement | None = None
    state: forge.StatusState | None = None
    reason: str = ""
    url: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Edit:
    """A published file that somebody changed by hand, and the commit that did it."""

    file: str
    commit: str = ""
    author: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """All there is to say of one application on its way to one stage.

    `tree` is Git's id of the folder that is proposed, `branch` the branch of the pull request; `contrast` is what is
    published now against what is proposed. `versions` are how people call the two revisions (before, after; "": told
    from the images, or the commits). `findings` are of this stage, `edits` what this would overwrite. `links` are the
    forge of the GitOps repository, `source_links` that of the application's. `report_url` is where the whole report
    is kept (an artifact of CI), `way_back` the command that goes back after merging ("": it is left out).
    """

    application: str
    stage: str
    tree: str
    branch: str
    revision: publication.AppRevision
    before: publication.AppRevision | None = None
    contrast: contrasting.Contrast = contrasting.NONE
    changelog: Changelog = UNKNOWN
    versions: tuple[str, str] = ("", "")
    charts: tuple[Chart, ...] = ()
    run: Run | None = None
    findings: publication.Findings = NO_FINDINGS
    priors: tuple[Prior, ...] = ()
    edits: tuple[Edit, ...] = ()
    rollback: publication.Rollback | None = None
    hotfix: str = ""
    approvals: int = 0
    links: forge.Links = NO_LINKS
    source_links: forge.Links = NO_LINKS
    report_url: str = ""
    way_back: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class View:
    """A stage as a change of the application's repository would make it: for the comment on its own pull request.

    `contrast` is the rendition of the base revision against that of the head; `error` is why there is none.
    """

    stage: str
    contrast: contrasting.Contrast = contrasting.NONE
    findings: publication.Findings = NO_FINDINGS
    error: errors.UndriftError | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Marker:
    """The invisible first line of a body of ours. `text` is a digest of what it says, spans of time left out."""

    application: str
    stage: str
    tree: str
    text: str = ""
