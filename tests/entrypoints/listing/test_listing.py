"""The commands ``ls`` and ``tree``."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cvmfs_snapshotter.domain.snapshot import Snapshot
from cvmfs_snapshotter.entrypoints.cli import main
from cvmfs_snapshotter.entrypoints.listing import records
from cvmfs_snapshotter.entrypoints.listing.forest import ASCII, LINES, drawn, grown, with_chains

from .conftest import (
    ACTIVE,
    CONTAINER,
    EVERYTHING,
    FIRST,
    OWN,
    SECOND_LAYER,
    THIRD,
    VIEW,
    Run,
    digest,
    local,
    record,
    remote,
)

MARKER = 'labels."containerd.io/snapshot/cvmfs.layer"'


def names(shown: str) -> list[str]:
    """Give the last column of a table."""
    return [line.split("  ")[-1] for line in shown.splitlines()[1:]]


def test_a_list(run: Run) -> None:
    """Each snapshot has a line, remote ones first, with source, kind, size and age."""
    status, out, err = run("ls")

    assert (0, "") == (status, err)
    assert [s.name for s in EVERYTHING] == names(out)
    lines = [line.split() for line in out.splitlines()]
    assert ["ID", "SOURCE", "KIND", "SIZE", "CREATED", "SNAPSHOT"] == lines[0]
    assert ["1", "unpacked", "committed", "0", "B", "2027-01-15T08:00:00Z", FIRST.name] == lines[1]
    assert ["4", "(local)", "committed", "5.2", "MB"] == lines[3][:5]
    assert ["5", "(local)", "active", "-", "2027-01-15T08:01:00Z", CONTAINER] == lines[4]


@pytest.mark.parametrize("size", [1, 2, 5])
def test_pages(run: Run, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long list is read in pages, without a gap between them."""
    monkeypatch.setattr(records, "_PAGE", size)

    assert [s.name for s in EVERYTHING] == names(run("ls")[1])


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (["kind==active"], [ACTIVE]),
        (["kind==active", "kind==view"], [ACTIVE, VIEW]),
        ([MARKER], [FIRST, SECOND_LAYER]),
        ([f"parent=={SECOND_LAYER.name}"], [THIRD, VIEW]),
        ([f"{MARKER},parent=={FIRST.name}"], [SECOND_LAYER]),
        (["name~=/^k8s/"], [THIRD, ACTIVE, VIEW]),
    ],
)
def test_filters(run: Run, filters: list[str], expected: list[Snapshot]) -> None:
    """The filters are containerd's."""
    assert [s.name for s in expected] == names(run("ls", *filters)[1])


def test_a_list_for_programs(run: Run) -> None:
    """Every key is there for every snapshot; what is not known is null."""
    status, out, err = run("ls", "--json")
    first, _, third, active, _ = json.loads(out)["snapshots"]

    assert (0, "") == (status, err)
    assert {
        "name": FIRST.name,
        "kind": "committed",
        "identifier": 1,
        "parent": None,
        "source": "unpacked",
        "digest": str(digest("layer 1")),
        "chain_id": FIRST.target,
        "staged": False,
        "created_at": "2027-01-15T08:00:00Z",
        "updated_at": "2027-01-15T08:00:00Z",
        "usage": {"size": 0, "inodes": 0},
        "labels": dict(FIRST.labels),
    } == first
    assert (None, None, SECOND_LAYER.name) == (third["source"], third["digest"], third["parent"])
    assert {"size": 5 << 20, "inodes": 12} == third["usage"]
    assert (None, None) == (active["usage"], active["chain_id"])


@pytest.mark.parametrize("command", ["ls", "tree"])
def test_nothing(run: Run, command: str) -> None:
    """That nothing matches is a failure with a message, and for programs an empty list."""
    message = "cvmfs-snapshotter: there is no such snapshot\n"
    assert (1, "", message) == run(command, "name==gone")

    status, out, err = run(command, "--json", "name==gone")
    assert (1, {"snapshots": []}, "") == (status, json.loads(out), err)


@pytest.mark.parametrize("command", ["ls", "tree"])
def test_no_snapshots(command: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A daemon that has none yet is told from a filter that matches none."""
    (tmp_path / "r").mkdir(mode=0o700)
    record(tmp_path / "r")

    assert 1 == main([command, "--root", f"{tmp_path}/r"])
    assert "cvmfs-snapshotter: no snapshots\n" == capfd.readouterr().err


@pytest.mark.parametrize("command", ["ls", "tree"])
def test_a_filter_that_cannot_be_meant(run: Run, command: str) -> None:
    """It is shown where it is wrong, and the status is that of wrong arguments."""
    status, out, err = run(command, "kind=active")

    assert (2, "") == (status, out)
    assert "operator" in err


@pytest.mark.parametrize("command", [["ls"], ["tree"], ["info", "x"]])
def test_a_root_that_is_not_there(
    command: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Nothing is made; the message names what is missing."""
    gone, empty = tmp_path / "gone", tmp_path / "empty"
    empty.mkdir(mode=0o700)

    assert 1 == main([*command, "--root", str(gone)])
    assert f"cvmfs-snapshotter: there is no state directory {gone}\n" == capfd.readouterr().err
    assert not gone.exists()
    assert 1 == main([*command, "--root", str(empty)])
    assert "there are no records in" in capfd.readouterr().err


@pytest.mark.parametrize("command", [["ls"], ["tree"], ["info", "x"]])
def test_a_root_of_somebody_else(root: Path, run: Run, command: list[str]) -> None:
    """What others could have written is not shown as if it were ours."""
    os.chown(root, 4711, 4711)
    status, out, err = run(*command)

    assert (1, "") == (status, out)
    assert "cannot be relied on" in err


@pytest.mark.parametrize("command", [["ls"], ["tree"], ["info", "x"]])
def test_another_user(run: Run, command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is not root is told to be, instead of which file cannot be opened."""
    monkeypatch.setattr(os, "geteuid", lambda: 4711)

    assert (1, "", "cvmfs-snapshotter: the records are root's: run this as root\n") == run(
        *command
    )


def test_a_tree(run: Run) -> None:
    """Chains go straight down, and where several stand on one each begins a branch."""
    status, out, err = run("tree")

    assert (0, "") == (status, err)
    assert [
        f"● {FIRST.name}",
        f"│ {SECOND_LAYER.name}",
        f"├─● {THIRD.name}",
        f"│ │ {CONTAINER}",
        f"└─● {VIEW.name}",
    ] == names(out)


def test_the_tree_of_some(run: Run) -> None:
    """What a chosen snapshot stands on is shown with it, what else stands there is not."""
    chain = [FIRST, SECOND_LAYER, THIRD, ACTIVE]
    shown = run("tree", f"name=={CONTAINER}")[1]

    assert ["● ", "│ ", "│ ", "│ "] == [line[:2] for line in names(shown)]
    assert [s.name for s in chain] == [line[2:] for line in names(shown)]


def test_a_tree_for_programs(run: Run) -> None:
    """Depths tell the tree, without nesting that a parser could refuse."""
    status, out, _ = run("tree", "--json")
    found = json.loads(out)["snapshots"]

    assert 0 == status
    assert [(s.name, depth) for s, depth in zip(EVERYTHING, (0, 1, 2, 3, 2), strict=True)] == [
        (one["name"], one["depth"]) for one in found
    ]
    listed = json.loads(run("ls", "--json", f"name=={CONTAINER}")[1])["snapshots"][0]
    assert {**listed, "depth": 3} == found[3]


def test_branches_of_branches() -> None:
    """Strokes lead past what stands elsewhere, and end with their last branch."""
    other = remote(7, digest("diff 7"), None, "layer 7")
    more = [local(8, "a", other, VIEW.kind), local(9, "b", other, VIEW.kind)]
    under = [local(10, "c", THIRD, VIEW.kind)]
    placed = list(grown([*EVERYTHING, other, *more, *under]))

    assert ["● ", "│ ", "├─● ", "│ ├─● ", "│ └─● ", "└─● ", "● ", "├─● ", "└─● "] == [
        drawn(one, LINES) for one in placed
    ]
    assert ["* ", "| ", "|-* ", "| |-* ", "| `-* ", "`-* ", "* ", "|-* ", "`-* "] == [
        drawn(one, ASCII) for one in placed
    ]


def test_long_chains() -> None:
    """A chain may be longer than functions can nest, and stays as narrow as a short one."""
    chain = [FIRST]
    for identifier in range(2, 3000):
        chain.append(local(identifier, str(identifier), chain[-1], VIEW.kind))
    placed = list(grown(with_chains(chain, [chain[-1].name])))

    assert chain == [one.snapshot for one in placed]
    assert {"● ", "│ "} == {drawn(one, LINES) for one in placed}
    assert 2998 == placed[-1].depth


def test_colours(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal remote snapshots are green and local ones yellow; NO_COLOR forbids it."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda _: True)
    lines = run("ls")[1].splitlines()

    assert [32, 32, 33, 33, 33] == [int(line.split("m")[0].strip("\x1b[")) for line in lines[1:]]
    assert lines[4].endswith(f"\x1b[1m{CONTAINER}\x1b[0m")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in run("ls")[1]


def test_what_could_steer_a_terminal(root: Path, run: Run) -> None:
    """Names from outside are shown with escapes in letters."""
    record(root, local(9, "a\x1b[2J\u202eb", VIEW, VIEW.kind))

    for command in (["ls"], ["tree"], ["info", "9"]):
        status, out, _ = run(*command)
        assert 0 == status
        assert "a\\x1b[2J\\u202eb" in out
        assert "\x1b" not in out


@pytest.mark.parametrize("command", [["ls"], ["tree"], ["info", "5"]])
def test_a_narrow_encoding(root: Path, command: list[str]) -> None:
    """Where the terminal has ASCII only, nothing fails and strokes are plain."""
    program = [sys.executable, "-m", "cvmfs_snapshotter", *command, "--root", str(root)]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii:strict"}
    shown = subprocess.run(program, capture_output=True, check=True, env=environment).stdout

    assert CONTAINER in shown.decode("ascii")


def test_a_reader_that_ends_early(root: Path) -> None:
    """There is no traceback, and the status is that of other programs."""
    record(root, *(local(n, f"{n:0100}", THIRD, VIEW.kind) for n in range(10, 3000)))
    program = (
        f"{sys.executable} -m cvmfs_snapshotter ls --root {root} | head -n 1; echo $PIPESTATUS"
    )
    done = subprocess.run(["bash", "-c", program], capture_output=True, check=True, text=True)

    assert "" == done.stderr
    assert "141" == done.stdout.splitlines()[-1]


def test_the_name_of_a_local_layer() -> None:
    """The chain ID of a layer that was downloaded is known from its label."""
    assert OWN == THIRD.chain_id
