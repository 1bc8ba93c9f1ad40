"""The keys of JSON that the documentation tells."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from cvmfs_snapshotter.adapters.sqlite.migrate import prepare_database
from cvmfs_snapshotter.domain.companions import Plan
from cvmfs_snapshotter.domain.containerd import KnownContainer
from cvmfs_snapshotter.domain.draining import DependentContainer, DependentImage, Dependents
from cvmfs_snapshotter.domain.findings import Finding, Problem
from cvmfs_snapshotter.domain.importing import Imported, ImportPlan, LeftOut, Obstacle, Recorded
from cvmfs_snapshotter.domain.layer import Digest, Reason
from cvmfs_snapshotter.domain.snapshot import Kind, Snapshot, Usage
from cvmfs_snapshotter.domain.wishes import Wish, wanted_images
from cvmfs_snapshotter.entrypoints import recipe
from cvmfs_snapshotter.entrypoints.cli import doctor, drain, importing, main, reconcile, showing
from cvmfs_snapshotter.entrypoints.doctor.result import passed
from cvmfs_snapshotter.entrypoints.draining import Download, DrainPlan
from cvmfs_snapshotter.entrypoints.explain.found import (
    Explained,
    ExplainedLayer,
    ExplainedSnapshot,
    Here,
    Remembered,
    Verdict,
)
from cvmfs_snapshotter.entrypoints.explain.output import as_json
from cvmfs_snapshotter.entrypoints.importing.planning import Planned
from cvmfs_snapshotter.entrypoints.reconciling import Compared
from cvmfs_snapshotter.entrypoints.root import database_path
from cvmfs_snapshotter.proto.cvmfs_snapshotter.admin.v1 import admin_pb2
from tests.harness.parts import ROOT

PAGE = ROOT / "docs" / "commands.md"
SECTION = re.compile(r"## Keys of the other commands\n(.*?)\n## ", re.DOTALL)
NAME = re.compile(r"`([^`]+)`")
DIGEST = Digest("a" * 64)


def told() -> dict[str, tuple[set[str], set[str]]]:
    """Read the table: by command, the keys of its object, and all words that stand for keys."""
    (section,) = SECTION.findall(PAGE.read_text())
    found: dict[str, tuple[set[str], set[str]]] = {}
    command = ""
    for line in section.strip().splitlines()[2:]:
        first, keys, meaning = (cell.strip() for cell in line.strip("|").split("|"))
        command = first.strip("`") or command
        top, every = found.setdefault(command, (set(), set()))
        top.update(NAME.findall(keys) if " of a " not in keys else ())
        every.update(NAME.findall(keys), NAME.findall(meaning))
    return found


def keys_in(shown: object) -> Iterator[str]:
    """Give all keys in an object, and in those that are in it."""
    if isinstance(shown, Mapping):
        for key, value in shown.items():
            yield str(key)
            yield from keys_in(value)
    elif isinstance(shown, list):
        for one in shown:
            yield from keys_in(one)


def status() -> object:
    """Make one in which everything is set."""
    error = admin_pb2.Error(reason="r", detail="d", at=Timestamp(seconds=1))
    source = admin_pb2.Source(circuit=admin_pb2.Circuit(cause=error), last_error=error)
    snapshots = [admin_pb2.SnapshotCount(kind="view", count=1)]
    return json.loads(
        showing.json_of(admin_pb2.StatusResponse(sources=[source], snapshots=snapshots))
    )


def explain() -> object:
    """Make one with a layer and a snapshot of it."""
    layer = ExplainedLayer(
        str(DIGEST),
        verdicts=(Verdict("s", used=True, reason="hit", detail=""),),
        remembered=(Remembered("absent", 1, 1),),
        here=(Here("n", "s"),),
    )
    snapshot = ExplainedSnapshot("n", "view", "", "d", "", layer)
    return json.loads(as_json(Explained("image", "n", "o", "", (layer,), (snapshot,))))


def wishlist() -> object:
    """Make one with an image."""
    wishes = [Wish("docker.io/library/a:1", DIGEST, Reason.ABSENT, 1, 1, 1)]
    images = wanted_images(wishes)
    return {"images": recipe.as_plain(images, {}), "misses": recipe.misses(wishes)}


def draining() -> object:
    """Make one with a container and an image."""
    image = DependentImage("n", "r.io/a:1", 1)
    containers = (DependentContainer(KnownContainer("n", "i", "k"), 1),)
    plan = DrainPlan(Dependents(containers, (image,), 0), (Download(image, 1, 1),))
    return drain._plain(plan, "overlayfs")


def taking_over() -> object:
    """Make one with a snapshot that is taken over and one that is not."""
    snapshot = Snapshot(1, "a", 0, "", Kind.ACTIVE, 1, 1, {})
    record = Recorded(2, "b", "", Kind.ACTIVE, 1, 1, {}, Usage(0, 0))
    left = LeftOut(record, Obstacle.SOURCE, "d", final=False)
    plan = ImportPlan((Imported(snapshot, Plan(), directory=True),), (left,))
    return importing._plain(Planned("/old", "/new", plan))


def reconciled() -> object:
    """Make one with a finding."""
    return reconcile._plain(Compared((Finding(Problem.LINK, "s", "d"),), ""))


@pytest.mark.parametrize(
    ("command", "make"),
    [
        ("status", status),
        ("explain", explain),
        ("wishlist", wishlist),
        ("drain", draining),
        ("import", taking_over),
        ("reconcile", reconciled),
    ],
)
def test_keys(command: str, make: Callable[[], object]) -> None:
    """Each key is told, and there is no other at the top."""
    top, every = told()[command]
    shown = make()
    assert isinstance(shown, Mapping)

    assert set(shown) == top
    assert set() == set(keys_in(shown)) - every


def test_keys_of_the_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    """The same of the checks."""
    doctor._as_json([passed("n", "w")])
    shown = json.loads(capsys.readouterr().out)
    top, every = told()["doctor"]

    assert set(shown) == top
    assert set() == set(keys_in(shown)) - every


@pytest.mark.parametrize(
    "words",
    [
        ["db", "current"],
        ["db", "check"],
        ["db", "backup"],
        ["db", "restore", "{backup}"],
        ["db", "upgrade"],
        ["db", "downgrade", "0001"],
    ],
    ids=lambda words: words[1],
)
def test_keys_of_db(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same of what is done to records."""
    root = tmp_path / "root"
    root.mkdir(mode=0o700)
    prepare_database(Path(database_path(str(root))))
    backup = tmp_path / "backup"
    assert 0 == main(["db", "backup", "--root", str(root), "--to", str(backup)])
    capsys.readouterr()
    called = [word.format(backup=backup) for word in words]

    assert 0 == main([*called, "--root", str(root), "--json"])
    assert set(json.loads(capsys.readouterr().out)) == told()[" ".join(words[:2])][0]


@pytest.mark.parametrize("words", [[], ["--uninstall"]])
def test_keys_of_containerd_setup(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same of what is done to a file."""
    where = ["--config", str(tmp_path / "config.toml"), "--containerd", "/none", "--for", "2.1"]
    main(["containerd-setup", *where, *words, "--json"])

    assert set(json.loads(capsys.readouterr().out)) == told()["containerd-setup"][0]


def test_keys_of_containerd_config(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same of what is found in a file."""
    file = tmp_path / "config.toml"
    file.write_text("version = 3\n")
    assert 1 == main(["containerd-config", "--for", "2.1", "--check", str(file), "--json"])
    shown = json.loads(capsys.readouterr().out)
    top, every = told()["containerd-config --for RELEASE --check FILE"]

    assert set(shown) == top
    assert set() == set(keys_in(shown)) - every
