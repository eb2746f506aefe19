"""Log lines: text on a terminal, JSON elsewhere; the reconcile's id on each, secrets masked on all."""

from __future__ import annotations

import logging
import sys
from typing import Any, TextIO

import structlog

from undrift.lib import mask


def configure(*, verbose: bool, stream: TextIO | None = None, text: bool | None = None) -> None:
    """Set up logging for the process. `text`: for people or as JSON (None: as `stream` is a terminal or not)."""
    out = stream or sys.stderr
    renderer: Any = structlog.processors.JSONRenderer()
    if out.isatty() if text is None else text:
        renderer = structlog.dev.ConsoleRenderer(pad_event_to=24)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper("iso", utc=True),
            structlog.processors.format_exc_info,
            _masked,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if verbose else logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(out),
        cache_logger_on_first_use=True,
    )


def _masked(_: Any, __: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Credentials in URLs never reach a log, whoever put them into a message."""
    return {
        key: mask.without_credentials(value) if isinstance(value, str) else value
        for key, value in line.items()
    }
