"""`make demo-kubernetes` tells its story, and it comes true."""

from __future__ import annotations

import subprocess
import sys

from tests import peers
from tests.architecture import reading


def test_the_story_on_a_cluster_comes_true() -> None:
    peers.require_control_plane()
    command = [sys.executable, str(reading.ROOT / "scripts" / "demo-kubernetes"), "--once"]

    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False, cwd=reading.ROOT)

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("✓") == 5
    assert "did you mean replicas?" in done.stdout
