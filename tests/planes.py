"""A Kubernetes control plane for several tests; who wants to break one for good starts their own."""

from __future__ import annotations

import contextlib
import pathlib
import tempfile
from collections.abc import Iterator

from tests import peers
from undrift.testing import control_plane


@contextlib.contextmanager
def started() -> Iterator[control_plane.ControlPlane]:
    """A cluster with controllers and one simulated node; `reader` is a user who may do nothing yet."""
    programs = peers.require_control_plane()
    with (
        tempfile.TemporaryDirectory(prefix="undrift-cp-") as folder,
        control_plane.ControlPlane(pathlib.Path(folder), programs, ["reader"]) as made,
    ):
        yield made
