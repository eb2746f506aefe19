"""Folders replaced on real servers of Git: with and without partial clones, SHA-256, empty, refusing, unreachable."""

from __future__ import annotations

import asyncio
import base64
import pathlib
from collections.abc import Iterator, Mapping

import pytest

from tests import peers
from undrift import errors
from undrift.model import source
from undrift.sources.git import grafting, login, trees
from undrift.testing import git_http, git_server

ENVIRON = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
}
FILES = {
    "a.yaml": source.File(b"a: 1\n"),
    "deep/run.sh": source.File(b"#!/bin/sh\n", source.FileKind.EXECUTABLE),
}
KINDS = ("http", "http without filters", "http, the old protocol", "file", "sha256", "sha256 over file")


def sha256(folder: pathlib.Path) -> None:
    git_server.run(["git", "init", "-q", "--bare", "-b", "main", "--object-format=sha256", str(folder)])
    for name in ("http.receivepack", "uploadpack.allowAnySHA1InWant", "uploadpack.allowFilter"):
        git_server.run(["git", "--git-dir", str(folder), "config", name, "true"])


@pytest.fixture(params=KINDS)
def repository(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[git_server.GitRepository]:
    """An empty repository on every kind of server."""
    peers.require_peer("git")
    kind = str(request.param)
    root = tmp_path / "served"
    root.mkdir()
    if kind.startswith("sha256"):
        sha256(root / "gitops.git")
    if kind.endswith("file"):
        yield git_server.GitRepository(root / "gitops.git")
        return
    behaviour = git_http.Behaviour(old="old" in kind)
    with git_server.GitServer(root, behaviour) as server:
        yield server.repository("gitops.git", partial="without" not in kind)


@pytest.fixture
def here(tmp_path: pathlib.Path) -> git_server.GitRepository:
    """A repository with two folders."""
    made = git_server.GitRepository(tmp_path / "gitops.git")
    made.commit({"staging/pet/a.yaml": "a: 0\n", "staging/other/b.yaml": "b: 0\n", "README.md": "x"}, "Begin")
    return made


async def replaced(
    bench: grafting.Workbench, folder: str, files: Mapping[str, source.File], branch: str = "main"
) -> grafting.Pushed:
    """Put files in place of a folder and push."""
    tips = await bench.fetch([branch], depth=folder.count("/") + 2)
    tip = tips.get(branch, "")
    await bench.identity()
    forest = await bench.forest(tip, [folder])
    forest.graft(folder, forest.nursery.plant(files))
    commit = await bench.commit(forest, [tip] if tip else [], "Publish\n")
    return await bench.push([grafting.Move(f"refs/heads/{branch}", tip, commit)])


def hook(repository: git_server.GitRepository, name: str, text: str) -> None:
    path = repository.path / "hooks" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)


async def test_an_empty_repository_gets_its_first_commit(repository: git_server.GitRepository) -> None:
    async with grafting.Workbench(repository.url, ENVIRON) as bench:
        pushed = await replaced(bench, "staging/pet", FILES)
        if (
            not pushed.done
        ):  # that ids are those of SHA-256 an empty repository tells late: who lost begins anew
            assert "SHA-256" in pushed.lost
            pushed = await replaced(bench, "staging/pet", FILES)
        assert pushed.done

    assert repository.files() == ["staging/pet/a.yaml", "staging/pet/deep/run.sh"]
    assert repository.git("ls-tree", "main:staging/pet/deep").startswith("100755")
    repository.git("fsck", "--strict")


async def test_a_folder_is_replaced_exactly_and_nothing_else(repository: git_server.GitRepository) -> None:
    repository.commit(
        {"staging/pet/old.yaml": "x", "staging/other/b.yaml": "b", "apps.yaml": "c", "staging.yaml": "d"},
        "Begin",
    )
    beside = repository.git("rev-parse", "main:staging/other")

    async with grafting.Workbench(repository.url, ENVIRON) as bench:
        assert (await replaced(bench, "staging/pet", FILES)).done

    assert sorted(repository.files()) == [
        "apps.yaml", "staging.yaml", "staging/other/b.yaml", "staging/pet/a.yaml", "staging/pet/deep/run.sh",
    ]  # fmt: skip
    assert repository.git("rev-parse", "main:staging/other") == beside
    assert repository.git("rev-list", "--count", "main") == "2"
    repository.git("fsck", "--strict")


async def test_only_what_is_asked_for_is_seen(repository: git_server.GitRepository) -> None:
    first = repository.commit({"a": "1"}, "One")
    repository.point("undrift/pet/production", first)
    repository.point("undrift/petrol/production", first)
    repository.point("topic", first)

    async with grafting.Workbench(repository.url, ENVIRON) as bench:
        assert await bench.fetch(["main", "gone"], "undrift/pet/") == {
            "main": first,
            "undrift/pet/production": first,
        }
        repository.delete("undrift/pet/production")
        assert await bench.fetch(["main"], "undrift/pet/") == {"main": first}


async def test_files_come_with_their_kinds(repository: git_server.GitRepository) -> None:
    repository.commit_entries(
        {
            "s/p/plain": ("100644", b"\0\xff"),
            "s/p/run": ("100755", "x"),
            "s/p/d/link": ("120000", "../plain"),
            "s/p/module": ("160000", "1" * (64 if len(repository.git("hash-object", "-t", "tree", "/dev/null")) == 64 else 40)),
        },
        "Begin",
    )  # fmt: skip

    async with grafting.Workbench(repository.url, ENVIRON) as bench:
        tips = await bench.fetch(["main"], depth=3)
        forest = await bench.forest(tips["main"], ["s/p"])
        files = await bench.files(await bench.leaves(forest.entries("s/p")))

    assert files == {
        "d/link": source.File(b"../plain", source.FileKind.LINK),
        "plain": source.File(b"\0\xff"),
        "run": source.File(b"x", source.FileKind.EXECUTABLE),
    }


async def test_history_is_fetched_as_deep_as_it_is_asked_for(repository: git_server.GitRepository) -> None:
    made = [repository.commit({f"{place}/pet/a": str(number)}, f"{place} {number}")
            for number in range(6) for place in ("staging", "production")]  # fmt: skip

    async with grafting.Workbench(repository.url, ENVIRON) as bench:
        tips = await bench.fetch(["main"], depth=3)
        near = await bench.history(tips["main"], "staging/pet", 10, depth=4)
        far = await bench.history(tips["main"], "staging/pet", 3, depth=0)

    assert [commit.subject for _, commit in near][:1] == ["staging 5"]
    assert [name for name, _ in far] == [made[10], made[8], made[6]]


# --- races ------------------------------------------------------------------------------------------------


async def test_who_is_late_is_told_so_and_nothing_moves(here: git_server.GitRepository) -> None:
    async with grafting.Workbench(here.url, ENVIRON) as bench:
        tips = await bench.fetch(["main"])
        await bench.identity()
        forest = await bench.forest(tips["main"], ["staging/pet"])
        forest.graft("staging/pet", forest.nursery.plant(FILES))
        made = await bench.commit(forest, [tips["main"]], "Late\n")
        faster = here.commit({"x": "1"}, "Faster")

        pushed = await bench.push(
            [grafting.Move("refs/heads/main", tips["main"], made), grafting.Move("refs/heads/new", "", made)]
        )

    assert not pushed.done
    assert pushed.lost
    assert here.revision() == faster
    assert here.git("for-each-ref", "refs/heads/new") == ""


async def test_a_branch_that_appeared_meanwhile_is_not_overwritten(here: git_server.GitRepository) -> None:
    async with grafting.Workbench(here.url, ENVIRON) as bench:
        tips = await bench.fetch(["main"])
        theirs = here.commit({"x": "1"}, "Theirs", branch="new")
        pushed = await bench.push([grafting.Move("refs/heads/new", "", tips["main"])])

    assert not pushed.done
    assert here.revision("new") == theirs


async def test_a_branch_is_deleted_only_as_it_was_seen(here: git_server.GitRepository) -> None:
    seen = here.point("new", "main")
    async with grafting.Workbench(here.url, ENVIRON) as bench:
        moved = here.commit({"x": "1"}, "Moved", branch="new")
        assert not (await bench.push([grafting.Move("refs/heads/new", seen, "")])).done
        assert here.revision("new") == moved
        assert (await bench.push([grafting.Move("refs/heads/new", moved, "")])).done

    assert here.git("for-each-ref", "refs/heads/new") == ""


# --- refusals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, text",
    [
        ("pre-receive", "echo 'GH006: Protected branch update failed for refs/heads/main.' >&2; exit 1"),
        (
            "pre-receive",
            "echo 'GL-HOOK-ERR: You are not allowed to push code to protected branches' >&2; exit 1",
        ),
        ("pre-receive", "echo 'Gitea: Not allowed to push to protected branch main' >&2; exit 1"),
        ("pre-receive", "exit 1"),
        ("update", '[ "$1" = refs/heads/main ] && echo no >&2 && exit 1; exit 0'),
    ],
)
async def test_a_rule_of_the_server_is_no_race(here: git_server.GitRepository, name: str, text: str) -> None:
    hook(here, name, text)
    before = here.git("for-each-ref")
    async with grafting.Workbench(here.url, ENVIRON) as bench:
        tips = await bench.fetch(["main"])
        await bench.identity()
        forest = await bench.forest(tips["main"], ["staging/pet"])
        forest.graft("staging/pet", forest.nursery.plant(FILES))
        made = await bench.commit(forest, [tips["main"]], "No\n")
        moves = [
            grafting.Move("refs/heads/main", tips["main"], made),
            grafting.Move("refs/heads/undrift/pet/production", "", made),
        ]
        with pytest.raises(errors.BranchProtected) as caught:
            await bench.push(moves)

    assert "is protected" in caught.value.what
    assert "publish: pull-request" in caught.value.hint
    said = text.partition("'")[2].partition("'")[0]
    assert said in caught.value.why
    assert here.git("for-each-ref") == before


async def test_a_server_that_cannot_move_refs_together_is_not_asked_to_move_them_apart(
    here: git_server.GitRepository,
) -> None:
    here.git("config", "receive.advertiseAtomic", "false")
    tip = here.revision()
    async with grafting.Workbench(here.url, ENVIRON) as bench:
        await bench.fetch(["main"])
        with pytest.raises(errors.ConfigInvalid, match="cannot move several branches at once") as caught:
            await bench.push([grafting.Move(f"refs/heads/{name}", "", tip) for name in ("a", "b")])
        assert (await bench.push([grafting.Move("refs/heads/c", "", tip)])).done

    assert "--stage" in caught.value.hint
    assert here.git("for-each-ref", "refs/heads/a", "refs/heads/b") == ""


async def test_a_server_that_is_not_there_is_said(tmp_path: pathlib.Path) -> None:
    with git_server.GitServer(tmp_path) as server:
        url = server.repository("gitops.git").url
    async with grafting.Workbench(url, ENVIRON) as bench:
        with pytest.raises(errors.SourceUnavailable):
            await bench.fetch(["main"])


@pytest.mark.parametrize(
    "status, kind", [(403, errors.SourceDenied), (404, errors.SourceDenied), (503, errors.SourceUnavailable)]
)
async def test_a_server_that_says_no_is_said(
    tmp_path: pathlib.Path, status: int, kind: type[errors.UndriftError]
) -> None:
    with git_server.GitServer(tmp_path) as server:
        repository = server.repository("gitops.git")
        repository.commit({"a": "1"}, "Begin")
        server.behaviour.refuse = status
        async with grafting.Workbench(repository.url, ENVIRON) as bench:
            with pytest.raises(kind):
                await bench.fetch(["main"])


# --- signing in, and who it was ---------------------------------------------------------------------------


async def test_a_login_opens_the_door_and_is_nowhere_to_be_seen(tmp_path: pathlib.Path) -> None:
    password = "s3cret-hunter2"
    header = base64.b64encode(f"git:{password}".encode()).decode()
    with git_server.GitServer(tmp_path, git_http.Behaviour(users={"git": password})) as server:
        repository = server.repository("gitops.git")
        repository.commit({"a": "1"}, "Begin")
        async with grafting.Workbench(repository.url, ENVIRON, login.Login("git", password)) as bench:
            assert (await replaced(bench, "staging/pet", FILES)).done
        async with grafting.Workbench(repository.url, ENVIRON, login.Login("git", "wrong-one")) as bench:
            with pytest.raises(errors.SourceDenied) as caught:
                await bench.fetch(["main"])

    told = f"{caught.value!r} {caught.value} {vars(caught.value)} {bench!r}"
    for hidden in (password, header, "wrong-one"):
        assert hidden not in told


class Listening(git_http.Behaviour):
    """Lets everybody in, and remembers who they said they are."""

    shown: list[str]

    def admits(self, authorization: str) -> bool:
        self.shown.append(authorization)
        return True


async def test_a_login_is_shown_to_no_other_server(tmp_path: pathlib.Path) -> None:
    """The one it is for may send us elsewhere (a repository that was renamed, or a trick)."""
    other = Listening()
    other.shown = []
    (tmp_path / "other").mkdir()
    (tmp_path / "ours").mkdir()
    with git_server.GitServer(tmp_path / "other", other) as elsewhere:
        elsewhere.repository("gitops.git").commit({"a": "1"}, "Begin")
        with git_server.GitServer(tmp_path / "ours", git_http.Behaviour(redirect=elsewhere.url)) as server:
            signed_in = login.Login("git", "s3cret-hunter2")
            async with grafting.Workbench(f"{server.url}/gitops.git", ENVIRON, signed_in) as bench:
                assert await bench.fetch(["main"])

    assert other.shown
    assert set(other.shown) == {""}


@pytest.mark.parametrize(
    "person, name, mail",
    [
        ("Ada Lovelace <ada@example.com>", "Ada Lovelace", "ada@example.com"),
        (" <>", "unknown", ""),
        (" <ada@example.com>", "ada@example.com", "ada@example.com"),
        ("... <ada@example.com>", "ada@example.com", "ada@example.com"),
        ("Ada\n<x> <ada@example.com>", "Adax", "ada@example.com"),
        ("Ada", "Ada", ""),
    ],
)
async def test_any_author_of_an_application_is_taken(
    here: git_server.GitRepository, person: str, name: str, mail: str
) -> None:
    async with grafting.Workbench(here.url, ENVIRON) as bench:
        tips = await bench.fetch(["main"])
        await bench.identity()
        forest = await bench.forest(tips["main"], ["staging/pet"])
        made = await bench.commit(forest, [tips["main"]], "x\n", grafting.Signature(person, -1.0))
        known = (await bench.commits([made]))[made]

    assert known.author == f"{name} <{mail}>"


async def test_nobody_has_to_tell_git_who_commits(here: git_server.GitRepository) -> None:
    """As on a runner of CI; who commits is also the author."""
    async with grafting.Workbench(here.url, ENVIRON) as bench:
        assert (await replaced(bench, "staging/pet", FILES)).done

    assert (
        here.git("log", "-1", "--format=%an %ae %cn %ce")
        == "Undrift undrift@localhost Undrift undrift@localhost"
    )


async def test_settings_of_the_caller_hold(here: git_server.GitRepository, tmp_path: pathlib.Path) -> None:
    config = tmp_path / "config"
    config.write_text(
        f'[user]\nname = Bot\nemail = bot@example.com\n[url "{here.file_url}"]\ninsteadOf = https://forge.example/x\n'
    )
    environ = {
        **ENVIRON,
        "GIT_CONFIG_GLOBAL": str(config),
        "GIT_AUTHOR_NAME": "Somebody",
        "GIT_DIR": "/nowhere",
    }
    async with grafting.Workbench("https://forge.example/x", environ) as bench:
        assert (await replaced(bench, "staging/pet", FILES)).done

    assert here.git("log", "-1", "--format=%an %ce") == "Bot bot@example.com"


async def test_commits_are_signed_where_the_caller_signs(
    here: git_server.GitRepository, tmp_path: pathlib.Path
) -> None:
    peers.require_peer("ssh-keygen")
    signer = git_server.make_ssh_signer(tmp_path / "keys")
    config = tmp_path / "config"
    config.write_text(
        f"[user]\nname = Bot\nemail = ada@example.com\nsigningKey = {signer.key}\n[gpg]\nformat = ssh\n[commit]\ngpgSign = true\n"
    )
    async with grafting.Workbench(here.url, {**ENVIRON, "GIT_CONFIG_GLOBAL": str(config)}) as bench:
        assert (await replaced(bench, "staging/pet", FILES)).done

    (tmp_path / "signers").write_text(signer.public)
    here.git("-c", f"gpg.ssh.allowedSignersFile={tmp_path / 'signers'}", "verify-commit", "main")


async def test_a_key_that_is_missing_is_said(here: git_server.GitRepository, tmp_path: pathlib.Path) -> None:
    config = tmp_path / "config"
    config.write_text("[user]\nsigningKey = /nowhere\n[gpg]\nformat = ssh\n[commit]\ngpgSign = true\n")
    async with grafting.Workbench(here.url, {**ENVIRON, "GIT_CONFIG_GLOBAL": str(config)}) as bench:
        with pytest.raises(errors.UsageInvalid, match="cannot be made") as caught:
            await replaced(bench, "staging/pet", FILES)

    assert "signingKey" in caught.value.hint


def test_nothing_is_left_behind(here: git_server.GitRepository) -> None:
    async def work() -> pathlib.Path:
        async with grafting.Workbench(here.url, ENVIRON) as bench, bench.access() as access:
            await bench.fetch(["main"])
            return pathlib.Path(access.environment["GIT_DIR"])

    store = asyncio.run(work())

    assert not store.parent.exists()


async def test_an_object_that_nobody_has_is_said(here: git_server.GitRepository) -> None:
    async with grafting.Workbench(here.url, ENVIRON) as bench:
        await bench.fetch(["main"])
        with pytest.raises(errors.SourceError):
            await bench.read(["1" * 40])


async def test_a_tree_that_is_none_has_nothing_in_it(here: git_server.GitRepository) -> None:
    async with grafting.Workbench(here.url, ENVIRON) as bench:
        tips = await bench.fetch(["main"])
        forest = await bench.forest(tips["main"], ["README.md/x", "nowhere/at/all"])

    assert forest.in_the_way("README.md/x") == "README.md"
    assert forest.entries("nowhere/at/all") == {}
    assert isinstance(forest.entries("")["README.md"], trees.Entry)


async def test_names_beside_our_folders_may_be_anything(here: git_server.GitRepository) -> None:
    tip = here.git("rev-parse", "main")
    empty = here.git("hash-object", "-w", "--stdin")
    listed = here.git("ls-tree", tip).encode() + f"\n100644 blob {empty}\t".encode() + b"caf\xe9\n"
    tree = here.git("mktree", given=listed)
    person = ("-c", "user.name=a", "-c", "user.email=b@c")
    here.git("update-ref", "refs/heads/main", here.git(*person, "commit-tree", tree, "-p", tip, "-m", "odd"))

    async with grafting.Workbench(here.url, ENVIRON) as bench:
        await bench.identity()
        tips = await bench.fetch(["main"])
        forest = await bench.forest(tips["main"], ["staging/pet"])
        forest.graft("staging/pet", forest.nursery.plant(FILES))
        made = await bench.commit(forest, [tips["main"]], "ours")
        assert (await bench.push([grafting.Move("refs/heads/main", tips["main"], made)])).done

    assert "caf\udce9" in here.git("ls-tree", "-z", "main")
    assert here.git("ls-tree", "-r", "--name-only", "main", "staging/pet").split() == [
        "staging/pet/a.yaml",
        "staging/pet/deep/run.sh",
    ]


async def test_submodules_are_seen(here: git_server.GitRepository) -> None:
    tip = here.git("rev-parse", "main")
    async with grafting.Workbench(here.url, ENVIRON) as bench:
        await bench.fetch(["main"])
        file = trees.Entry(trees.PLAIN, here.git("rev-parse", "main:staging/pet/a.yaml"))
        leaves = await bench.leaves({"a.yaml": file, "lib": trees.Entry(trees.SUBMODULE, tip)})
        files = await bench.files(leaves)

    assert sorted(leaves) == ["a.yaml", "lib"]
    assert sorted(files) == ["a.yaml"]


@pytest.mark.parametrize(
    "there, wanted", [("undrift", "undrift/pet/staging"), ("undrift/pet/staging/x", "undrift/pet/staging")]
)
async def test_a_branch_in_the_way_is_no_race(
    here: git_server.GitRepository, there: str, wanted: str
) -> None:
    here.git("branch", there, "main")
    async with grafting.Workbench(here.url, ENVIRON) as bench:
        tips = await bench.fetch(["main"])
        with pytest.raises(errors.BranchTaken, match=f"branch {wanted} cannot be made") as taken:
            await bench.push([grafting.Move(f"refs/heads/{wanted}", "", tips["main"])])

    assert f"there is a branch {there}," in taken.value.why


async def test_somebodys_checkout_is_not_published_into(tmp_path: pathlib.Path) -> None:
    git_server.run(["git", "init", "-q", "-b", "main", str(tmp_path / "work")])
    async with grafting.Workbench(str(tmp_path / "work"), ENVIRON) as bench:
        await bench.identity()
        await bench.fetch(["main"])
        forest = await bench.forest("", ["staging/pet"])
        forest.graft("staging/pet", forest.nursery.plant(FILES))
        made = await bench.commit(forest, [], "ours")
        with pytest.raises(errors.BranchProtected, match="is somebody's checkout"):
            await bench.push([grafting.Move("refs/heads/main", "", made)])
