"""A real Debian host with a small repository of packages on it, and an application of it."""

import contextlib
import hashlib
import itertools
import pathlib
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from tests import machines
from tests.integration.providers import world
from undrift import errors
from undrift.model import record
from undrift.testing import machines as testing_machines

POLICY = {"allow_empty": True, "deletion_limit": world.UNLIMITED}
names = (f"app{number}" for number in itertools.count())
REPOSITORY = """
  repositories:
    - {name: flat, uris: ["file:/srv/repository"], suites: ["./"], trusted: true}
"""


@contextlib.contextmanager
def booted(folder: pathlib.Path) -> Iterator[testing_machines.Machine]:
    """A booted Debian with a flat repository of packages in it."""
    with machines.booted() as found:
        furnish(found, folder)
        yield found


@contextlib.asynccontextmanager
async def of(machine: testing_machines.Machine, name: str, **more: Any) -> AsyncIterator[world.World]:
    """A world on it over SSH, that leaves nothing when the block ends."""
    settings = machines.settings(machine, state=f"/var/lib/undrift/{name}", **more)
    made = world.World(pathlib.Path("/"), settings)
    yield made
    for each in made.sources:
        await apply(made, "  files: []\n", each)
    await made.close()


def package(
    folder: pathlib.Path, name: str, version: str, more: str = "", files: Mapping[str, str] | None = None
) -> str:
    """Build a package; its stanza in the index of a repository."""
    tree = folder / f"{name}_{version}"
    (tree / "DEBIAN").mkdir(parents=True)
    control = f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: T <t@example.org>\n{more}Description: {name}\n"
    (tree / "DEBIAN/control").write_text(control)
    for path, content in (files or {}).items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(content)
        if path.startswith("DEBIAN/"):
            (tree / path).chmod(0o755)
    if (tree / "etc").is_dir():
        (tree / "DEBIAN/conffiles").write_text(
            "".join(f"/{path}\n" for path in (files or {}) if path.startswith("etc/"))
        )
    file = folder / "repository" / f"{name}_{version}_all.deb"
    file.parent.mkdir(exist_ok=True)
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-Zgzip", "-b", str(tree), str(file)],
        check=True,
        capture_output=True,
    )
    raw = file.read_bytes()
    return (
        f"{control}Filename: ./{file.name}\nSize: {len(raw)}\nSHA256: {hashlib.sha256(raw).hexdigest()}\n\n"
    )


def furnish(found: testing_machines.Machine, folder: pathlib.Path) -> None:
    stanzas = [
        package(folder, "tiny", "1.0", files={"etc/tiny.conf": "from the package\n"}),
        package(folder, "tiny", "2.0", files={"etc/tiny.conf": "from the package\n"}),
        package(folder, "needs-tiny", "1.0", "Depends: tiny\n"),
        package(folder, "other", "1.0"),
        package(folder, "fragile", "1.0", files={"DEBIAN/postinst": "#!/bin/sh\n[ -e /tmp/well ]\n"}),
    ]
    (folder / "repository/Packages").write_text("".join(stanzas))
    found.run("mkdir", "-p", "/srv/repository")
    for one in sorted((folder / "repository").iterdir()):
        (found.root / "srv/repository" / one.name).write_bytes(one.read_bytes())
    found.run("rm", "-f", "/etc/apt/sources.list")


async def apply(
    here: world.World, spec: str, name: str, files: Mapping[str, str] | None = None, **policy: Any
) -> record.Reconciliation:
    here.commit({"host.yaml": world.manifest(spec), **(files or {})}, name)
    return await here.reconcile(name, policy={**POLICY, **policy})


def failed(told: record.Reconciliation) -> errors.UndriftError:
    """The first thing that went wrong."""
    assert told.failure is not None, told.plan
    return told.failure.error.parts[0]
