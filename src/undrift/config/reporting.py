"""How documents say what an agent tells others, and where."""

from __future__ import annotations

from undrift.config import connection, fields, part


class ReportingPart(part.Part):
    """Where the agent tells CI how applications do, so that CI needs to reach no target."""

    source: fields.Name = part.said(
        "The Source whose repository gets the reports, about its applications; left out, the config repository.",
        default=part.CONFIG_SOURCE,
    )
    authentication: connection.AuthenticationPart | None = part.said(
        "How to sign in to write; left out, as the Source says.", default=None
    )
    interval: fields.Duration = part.said("How much time lies between two writes.", default=10.0)
    heartbeat: fields.Duration = part.said(
        "After how long it writes though nothing changed; who is silent for three times that is taken to be gone.",
        default=600.0,
    )
    statuses: fields.Flag = part.said(
        "Set statuses `undrift/<application>` on the commits, too; the token of `authentication` has to allow it.",
        default=False,
    )
    forge: fields.Text = part.said(
        "The kind of forge, for statuses: gitea, github, gitlab …; left out, it is told by the URL.",
        default="",
    )
    api: fields.Url | None = part.said(
        "The address of the forge's API, where it is another host.", default=None
    )


class ReviewingPart(part.Part):
    """Where the agent says in open pull requests what it would do once they are merged."""

    source: fields.Name = part.said(
        "The Source whose repository is looked at; left out, the config repository.",
        default=part.CONFIG_SOURCE,
    )
    authentication: connection.AuthenticationPart | None = part.said(
        "Its token signs in to the forge's API: it reads pull requests, and writes comments and statuses; left out,"
        " that of the Source.",
        default=None,
    )
    interval: fields.Duration = part.said("How often the forge is asked for pull requests.", default=15.0)
    refresh: fields.Duration = part.said(
        "After how long a plan is made anew though nothing was pushed: targets change, too.", default=300.0
    )
    forge: fields.Text = part.said(
        "The kind of forge: gitea, github or gitlab; left out, it is told by the URL.", default=""
    )
    api: fields.Url | None = part.said(
        "The address of the forge's API, where it is another host.", default=None
    )
