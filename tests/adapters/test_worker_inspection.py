"""What the probe worker tells of images, and of how a source is served."""

import errno
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from cvmfs_snapshotter.adapters.layers import inspection
from cvmfs_snapshotter.adapters.layers.prober import WORKER_MODULE
from cvmfs_snapshotter.adapters.layers.settings import SourceKind, SourceSettings
from cvmfs_snapshotter.adapters.layers.worker import surveying
from cvmfs_snapshotter.adapters.layers.worker.__main__ import answer
from cvmfs_snapshotter.adapters.layers.worker.metadata import MAX_BYTES
from cvmfs_snapshotter.adapters.probes import ProbePool, worker_command
from cvmfs_snapshotter.domain.layer import Miss, Reason

NAMES = ("registry.example.org", "a", "b:1")


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Give the path of a published manifest."""
    path = tmp_path / ".metadata" / "/".join(NAMES) / "manifest.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(b'{"Layers": []}\xff')
    return path


def ask(do: str, root: Path, path: Sequence[str] = ()) -> dict[str, object]:
    """Put a request about a plain directory."""
    source = {"root": str(root), "repository": None}
    return answer({"do": do, "source": source, "path": list(path)}, lambda _: None)


def test_a_manifest(tmp_path: Path, manifest: Path) -> None:
    """It comes byte by byte as it is there."""
    source = SourceSettings("s", SourceKind.DIRECTORY, "", str(tmp_path))
    pool = ProbePool(worker_command(WORKER_MODULE))
    try:
        found = inspection.published_manifest(pool, source, "/".join(NAMES), 30.0)
        missing = inspection.published_manifest(pool, source, "none:1", 30.0)
        surveyed = inspection.survey(pool, source, 30.0)
    finally:
        pool.close()

    assert manifest.read_bytes() == found
    assert isinstance(missing, Miss)
    assert Reason.ABSENT == missing.reason
    assert isinstance(surveyed, inspection.Survey)
    assert surveyed.proven
    assert surveyed.kind


def test_an_image_that_is_not_published(tmp_path: Path, manifest: Path) -> None:
    """Neither without its directory nor without the file in it."""
    assert "absent" == ask("image", tmp_path, [*NAMES, "more"])["reason"]
    manifest.unlink()
    found = ask("image", tmp_path, NAMES)
    assert "absent" == found["reason"]
    assert str(manifest) in str(found["detail"])


@pytest.mark.parametrize("names", [["..", "x"], [""], ["a/b"], ["."], ["a"] * 65])
def test_names_that_lead_elsewhere(tmp_path: Path, names: list[str]) -> None:
    """They are refused before anything is opened."""
    assert "failed" == ask("image", tmp_path, names)["reason"]


def test_links_are_not_followed(tmp_path: Path, manifest: Path) -> None:
    """Neither as a directory nor as the file."""
    (tmp_path / ".metadata/link").symlink_to(manifest.parent)
    assert "absent" == ask("image", tmp_path, ["link"])["reason"]
    kept = manifest.rename(tmp_path / "kept")
    manifest.symlink_to(kept)
    assert "bad-metadata" == ask("image", tmp_path, NAMES)["reason"]


def test_a_manifest_without_end(tmp_path: Path, manifest: Path) -> None:
    """It is not read to its end."""
    os.truncate(manifest, MAX_BYTES + 1)
    assert "bad-metadata" == ask("image", tmp_path, NAMES)["reason"]


def make_layer(root: Path, digits: str, owner: int, *names: str) -> None:
    """Publish a layer with directories of an owner."""
    layer = root / ".layers" / digits[:2] / digits / "layerfs"
    layer.mkdir(parents=True)
    for name in names:
        (layer / name).mkdir()
        os.chown(layer / name, owner, owner)


def test_owners(tmp_path: Path) -> None:
    """Of directories that are root's in any image; of others they say nothing."""
    assert [] == ask("survey", tmp_path)["owners"]
    make_layer(tmp_path, "aa0", 7, "home", "data")
    (tmp_path / ".layers/ab/ab0").mkdir(parents=True)
    (tmp_path / ".layers/file").touch()
    assert [] == ask("survey", tmp_path)["owners"]
    make_layer(tmp_path, "aa1", 998, "etc", "usr")
    assert [998] == ask("survey", tmp_path)["owners"]
    make_layer(tmp_path, "ac1", 0, "etc")
    assert [0, 998] == ask("survey", tmp_path)["owners"]


def test_attributes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that can be read; the client's user is that of its process."""
    values = {"user.fqrn": b"unpacked.example.org\n", "user.pid": str(os.getpid()).encode()}

    def getxattr(_: int, name: str) -> bytes:
        if name not in values:
            raise OSError(errno.ENODATA, "none")
        return values[name]

    monkeypatch.setattr(os, "getxattr", getxattr)
    found = ask("survey", tmp_path)
    assert {"fqrn": "unpacked.example.org", "pid": str(os.getpid())} == found["attributes"]
    assert os.geteuid() == found["client"]
    for pid in (b"x", b"-1", b"99999999999", b""):
        values["user.pid"] = pid
        assert ask("survey", tmp_path)["client"] is None


@pytest.mark.parametrize(
    ("blocks", "available", "limit"),
    [(2000, 1500, 2000 * 512), (2000, 0, None), (0, 0, None)],
    ids=["limited", "what is in it", "not managed"],
)
def test_the_limit_of_the_cache(
    blocks: int, available: int, limit: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the size of the client's file system, if anything of that is free."""
    told = os.statvfs_result((512, 512, blocks, available, available, 0, 0, 0, 0, 255))
    monkeypatch.setattr(os, "fstatvfs", lambda _: told)
    assert limit == ask("survey", tmp_path)["limit"]


def test_a_source_that_fails_while_it_is_looked_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its error has its class."""

    def fails(_: int) -> None:
        raise OSError(errno.EIO, "no")

    monkeypatch.setattr(surveying, "_samples", fails)
    assert "io-error" == ask("survey", tmp_path)["reason"]


def test_numbers_of_attributes() -> None:
    """What is no number is not known."""
    survey = inspection.Survey(True, "", "", {"a": "12", "b": "x", "c": "\u0661"}, None, ())
    assert [12, None, None, None] == [survey.number(name) for name in "abcd"]
