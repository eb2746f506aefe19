"""What is said about bad configuration. A case is a folder: the files of a config repository, and `expected.txt`.

`GOLDEN=write` writes `expected.txt` anew; look at the difference before it is committed.
"""

import os
import pathlib

import pytest

from undrift.config import configuration, reading
from undrift.model import source

CASES = pathlib.Path(__file__).parent / "config"


def told(found: configuration.Configuration) -> str:
    """Everything that a person is told, and what becomes of the applications."""
    lines = []
    for error in found.errors:
        lines.append(f"{error.code} {error}")
        if error.hint:
            lines.append(f"    {error.hint}")
    lines.append("")
    lines.append(f"used: {', '.join(sorted(found.applications)) or 'none'}")
    lines.append(f"kept as they were: {', '.join(sorted(found.broken)) or 'none'}")
    lines.append(f"complete: {'yes' if found.complete else 'no'}")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("case", sorted(path.name for path in CASES.iterdir()))
async def test_bad_configuration_is_explained(case: str) -> None:
    folder = CASES / case
    files = {
        str(path.relative_to(folder)): source.File(path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file() and path.name != "expected.txt"
    }
    artifact = source.Artifact(source.Revision("main", "sha1:" + "0" * 40), ".", "sha256:0", files)

    text = told(await reading.read(artifact))

    expected = folder / "expected.txt"
    if os.environ.get("GOLDEN") == "write":
        expected.write_text(text, encoding="utf-8")
    assert text == expected.read_text(encoding="utf-8")


def test_there_are_cases() -> None:
    assert len(list(CASES.iterdir())) > 20
