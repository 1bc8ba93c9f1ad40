"""The command ``info``."""

import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import attrs
import pytest

from cvmfs_snapshotter.adapters import bolt
from cvmfs_snapshotter.adapters.sqlite import open_store
from cvmfs_snapshotter.domain.containerd import (
    ContainerdRecords,
    KnownContainer,
    KnownSnapshot,
)
from cvmfs_snapshotter.domain.errors import AlreadyExistsError
from cvmfs_snapshotter.domain.labels import LAYER_DIGEST, TARGET
from cvmfs_snapshotter.domain.layer import Layer
from cvmfs_snapshotter.domain.snapshot import Kind
from cvmfs_snapshotter.entrypoints.cli import main
from cvmfs_snapshotter.entrypoints.root import database_path
from tests.contract.wire import WireSnapshotter
from tests.harness.daemon import Daemon
from tests.harness.repository import Repository
from tests.harness.samples import image_b
from tests.harness.workspace import workspace

from .conftest import CONTAINER, FIRST, SECOND_LAYER, THIRD, VIEW, Run, digest, local, record


def info(run: Run, *arguments: str) -> dict[str, object]:
    """Run the command for programs."""
    status, out, err = run("info", "--json", *arguments)
    assert (0, "") == (status, err)
    found: dict[str, object] = json.loads(out)
    return found


def test_a_remote_layer(root: Path, run: Run) -> None:
    """Its path is where the layer lies, its companion lies beside it, and it is seen as a view."""
    found = info(run, SECOND_LAYER.name)
    layer = digest("layer 2").hex

    assert f"/cvmfs/unpacked.cern.ch/.layers/{layer[:2]}/{layer}/layerfs" == found["path"]
    assert None is found["link"]
    assert {"number": 3, "paths": [f"{root}/l/3a", f"{root}/l/3b"]} == found["companion"]
    assert [THIRD.name, VIEW.name] == found["children"]
    parents = found["parents"]
    assert isinstance(parents, list)
    assert [FIRST.name] == [parent["name"] for parent in parents]
    first = digest("layer 1").hex
    bottom = f"/cvmfs/unpacked.cern.ch/.layers/{first[:2]}/{first}/layerfs"
    lowers = ":".join((f"{root}/l/s", f"{root}/l/3a", str(found["path"]), f"{root}/l/3b", bottom))
    mount = {
        "type": "overlay",
        "source": "overlay",
        "options": ["index=off", f"lowerdir={lowers}"],
    }
    assert [mount] == found["mounts"]
    assert None is found["trouble"]


def test_a_container(root: Path, run: Run) -> None:
    """Its files are counted as they are now, and its mount has an upper directory."""
    found = info(run, CONTAINER)
    usage = found["usage"]

    assert isinstance(usage, dict)
    assert 5000 <= usage["size"]
    assert 2 == usage["inodes"]
    assert f"{root}/snapshots/5/fs" == found["path"]
    mounts = found["mounts"]
    assert isinstance(mounts, list)
    assert f"upperdir={root}/snapshots/5/fs" in mounts[0]["options"]


def test_for_people(root: Path, run: Run) -> None:
    """All of it has a line; each lower directory has one of its own."""
    status, out, err = run("info", CONTAINER)
    lines = [line.split() for line in out.splitlines()]

    assert (0, "") == (status, err)
    for expected in (
        ["name", CONTAINER],
        ["kind", "active"],
        ["source", "(local)"],
        ["path", f"{root}/snapshots/5/fs"],
        ["parents", THIRD.name, "(local)"],
        [SECOND_LAYER.name, "unpacked"],
        ["mount", "overlay", "of", "overlay,", "options:"],
        [f"lowerdir={root}/snapshots/4/fs"],
        [f"{root}/l/s"],
        [f"{root}/l/3b"],
    ):
        assert expected in lines
    layer = run("info", SECOND_LAYER.name)[1]
    assert f"layer      {digest('layer 2')}\n" in layer
    assert f"companion  {root}/l/3a\n           {root}/l/3b\n" in layer
    assert "as a view  overlay of overlay" in layer
    assert f"labels     {TARGET}={SECOND_LAYER.target}" in run("info", THIRD.name)[1].replace(
        THIRD.target, SECOND_LAYER.target
    )


def test_by_number(run: Run) -> None:
    """The number of a directory is enough, unless something has it as its name."""
    assert CONTAINER == info(run, "5")["name"]


@pytest.mark.parametrize("key", ["5f1d0c7a9e2b", "shop"])
def test_by_what_containerd_says(key: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key of its clients and the identifier of a container lead to our name."""
    known = ContainerdRecords(
        snapshots=(KnownSnapshot("k8s.io", "5f1d0c7a9e2b", CONTAINER, ""),),
        containers=(KnownContainer("k8s.io", "shop", "5f1d0c7a9e2b"),),
        images={},
    )
    monkeypatch.setattr(bolt, "read_records", lambda *_: known)

    assert CONTAINER == info(run, key)["name"]


@pytest.mark.parametrize("key", ["gone", "0", "77", "9" * 5000, "\u0665"])
def test_what_is_not_there(run: Run, key: str) -> None:
    """The message says what was looked for, and where it was not."""
    status, out, err = run("info", key, "--containerd-root", "/nonexistent")

    assert (1, "") == (status, out)
    assert f"there is no snapshot {key!r}" in err
    assert "containerd's records were not looked at: " in err


def test_what_is_gone_from_the_disk(root: Path, run: Run) -> None:
    """Records without directories are shown with that, not refused."""
    shutil.rmtree(root / "snapshots" / "5")

    assert None is info(run, CONTAINER)["path"]
    assert {"size": 0, "inodes": 0} == info(run, CONTAINER)["usage"]
    assert "path       nothing is there\n" in run("info", CONTAINER)[1]
    shutil.rmtree(root / "snapshots")
    (root / "snapshots").symlink_to("/")
    assert None is info(run, CONTAINER)["usage"]
    assert "usage      not to be counted\n" in run("info", CONTAINER)[1]


def test_a_source_of_which_nothing_is_known(root: Path, run: Run) -> None:
    """No daemon has recorded where it is: the layer has no path, and links name what is below."""
    layer = Layer("new", digest("layer 3"))
    lone = attrs.evolve(FIRST, identifier=30, name="lone", labels={}, layer=layer)
    store = open_store(Path(database_path(str(root))))
    store.write(lambda t: t.insert(lone))
    store.close()
    found = info(run, "lone")

    assert None is found["path"]
    assert "path       not known\n" in run("info", "lone")[1]
    assert f"lowerdir={root}/l/s:{root}/l/30" in str(found["mounts"])


@pytest.mark.parametrize("name", [FIRST.name, THIRD.name])
def test_a_link_is_shown_where_there_is_one(root: Path, run: Run, name: str) -> None:
    """Few snapshots have one; where it leads to does not matter."""
    number = str(info(run, name)["identifier"])
    assert None is info(run, name)["link"]
    assert "\nlink " not in run("info", name)[1]
    (root / "l" / number).symlink_to("/nowhere")

    assert f"{root}/l/{number}" == info(run, name)["link"]
    assert f"\nlink       {root}/l/{number}\n" in run("info", name)[1]


def test_a_view(run: Run) -> None:
    """It takes nothing, and is never a lower directory."""
    found = info(run, VIEW.name)

    assert {"size": 0, "inodes": 0} == found["usage"]
    assert None is found["link"]


def test_a_chain_that_cannot_be_mounted(root: Path, run: Run) -> None:
    """Why not is said in the place of the mounts."""
    chain = [THIRD]
    for number in range(10, 520):
        below = chain[-1]
        above = local(number, str(number), below, Kind.COMMITTED)
        chain.append(attrs.evolve(above, usage=THIRD.usage))
    record(root, *chain[1:])
    found = info(run, "519")

    assert None is found["mounts"]
    assert "lower directories" in str(found["trouble"])
    assert "as a view  none: " in run("info", "519")[1]


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    """Start a daemon whose source has two layers of three."""
    with workspace() as space:
        repository = Repository.make(space.base / "layers")
        repository.publish(*image_b().layers[::2])
        made = Daemon.make(space.base / "d", repository.path)
        try:
            yield made.start()
        finally:
            made.stop()


def test_beside_a_daemon(daemon: Daemon, capfd: pytest.CaptureFixture[str]) -> None:
    """The mounts are those that the daemon gives, and its records tell remote and local apart."""
    image = image_b()
    with closing(WireSnapshotter(daemon.socket)) as client:
        parent = ""
        for layer, target in zip(image.layers, image.chain_ids, strict=True):
            labels = {TARGET: target, LAYER_DIGEST: layer.digest}
            try:
                client.prepare("extract", parent, labels)
                client.commit(target, "extract", labels, "")
                parent = target
            except AlreadyExistsError:
                ((found,),) = client.list([f'labels."{TARGET}"=={target}'])
                parent = found.name
        given = client.prepare("container", parent, {})
        seen = client.view("view", parent, {})
        committed = client.stat("view").parent
        expected = {"container": given, "view": seen, committed: seen}
        used = client.usage("container")

    places = ["--root", str(daemon.root), "--json"]
    for key, mounts in expected.items():
        assert 0 == main(["info", key, *places])
        shown = json.loads(capfd.readouterr().out)
        assert [json.loads(json.dumps(attrs.asdict(one))) for one in mounts] == shown["mounts"]
    assert 0 == main(["info", "container", *places])
    assert attrs.asdict(used) == json.loads(capfd.readouterr().out)["usage"]
    assert 0 == main(["tree", *places])
    shown = json.loads(capfd.readouterr().out)["snapshots"]
    assert ["tests", None, "tests", None, None] == [one["source"] for one in shown]
    daemon.kill()
    assert 0 == main(["tree", *places])
    assert shown == json.loads(capfd.readouterr().out)["snapshots"]
