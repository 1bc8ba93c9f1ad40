"""The command that prints what is worth publishing."""

import json
from pathlib import Path

import pytest

from cvmfs_snapshotter.adapters.sqlite import open_store
from cvmfs_snapshotter.adapters.sqlite.migrate import prepare_database
from cvmfs_snapshotter.domain.layer import Digest, Reason
from cvmfs_snapshotter.domain.wishes import Wish, wanted_images
from cvmfs_snapshotter.entrypoints.cli import main
from cvmfs_snapshotter.entrypoints.recipe import Heading, as_recipe, cost_of, in_bytes
from cvmfs_snapshotter.entrypoints.root import claim_root, database_path

BUSYBOX = Wish("docker.io/library/busybox:1", Digest("1" * 64), Reason.ABSENT, 2, 0, 86400 * 10**9)
OTHER = Wish("r.io/a:2", Digest("2" * 64), Reason.ABSENT, 9, 0, 0)
SLOW = Wish("r.io/slow:1", Digest("3" * 64), Reason.SLOW, 99, 0, 0)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Make a state directory with wishes in it."""
    root = tmp_path / "root"
    root.mkdir(mode=0o700)
    path = Path(database_path(str(root)))
    prepare_database(path)
    store = open_store(path)
    store.write(lambda t: t.add_wishes([BUSYBOX, OTHER, SLOW], 10))
    store.close()
    return root


def wishlist(root: Path, *flags: str) -> int:
    """Run the command on a node without containerd."""
    return main(["wishlist", "--root", str(root), "--containerd-root", str(root), *flags])


def test_a_recipe(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """It has DUCC's keys, and the images in the order of their pulls, with remarks."""
    assert 0 == wishlist(root)
    shown = capfd.readouterr()
    expected = (
        "# Images that were pulled here and lie on no source, the most wanted first.\n"
        "version: 1\n"
        "user: 'cvmfsunpacker'\n"
        "cvmfs_repo: 'unpacked.cern.ch'\n"
        "output_format: '$(scheme)://$(registry)/$(repository)_thin:$(tag)'\n"
        "input:\n"
        "  # pulls: 9, the last on 1970-01-01; missed layers: 1\n"
        "  - 'https://r.io/a:2'\n"
        "  # pulls: 2, the last on 1970-01-02; missed layers: 1\n"
        "  - 'https://registry.hub.docker.com/library/busybox:1'\n"
    )

    assert expected == shown.out
    assert "sizes of layers are not known: " in shown.err


def test_what_can_be_chosen(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The recipe's heading, and how many; a quote in it ends nothing."""
    chosen = ("--user", "o'me", "--repository", "r.ch", "--output-format", "x", "--most", "1")
    assert 0 == wishlist(root, *chosen)
    shown = capfd.readouterr().out

    assert "user: 'o''me'\ncvmfs_repo: 'r.ch'\noutput_format: 'x'\n" in shown
    assert 1 == shown.count("  - ")


def test_the_repository_is_the_configured_one(
    root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A plain directory has none."""
    config = tmp_path / "config.toml"
    config.write_text(
        '[[source]]\nname = "d"\nkind = "directory"\npath = "/d"\n'
        '[[source]]\nname = "c"\nkind = "cvmfs"\nrepository = "mine.ch"\npath = "/c"\n'
    )
    assert 0 == wishlist(root, "--config", str(config))
    assert "cvmfs_repo: 'mine.ch'" in capfd.readouterr().out


def test_it_works_beside_a_daemon(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What the running daemon has recorded is read without disturbing it."""
    lock = claim_root(str(root), fresh=False)
    store = open_store(Path(database_path(str(root))))
    try:
        store.write(lambda t: t.forget_wishes([OTHER.digest]))
        assert 0 == wishlist(root)
    finally:
        store.close()
        lock.release()
    assert "r.io" not in capfd.readouterr().out


def test_json(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Everything that was missed, for whatever reason; null is what is not known."""
    assert 0 == wishlist(root, "--json")
    shown = json.loads(capfd.readouterr().out)

    assert ["r.io/a:2", "docker.io/library/busybox:1"] == [i["image"] for i in shown["images"]]
    assert shown["images"][1] == {
        "image": "docker.io/library/busybox:1",
        "url": "https://registry.hub.docker.com/library/busybox:1",
        "pulls": 2,
        "first_seen_at": "1970-01-01T00:00:00Z",
        "last_seen_at": "1970-01-02T00:00:00Z",
        "missed_bytes": None,
        "downloaded_bytes": None,
        "complete": False,
        "layers": [{"digest": str(BUSYBOX.digest), "count": 2, "bytes": None}],
    }
    assert {"absent", "slow"} == {miss["reason"] for miss in shown["misses"]}


def test_nothing_to_wish(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """It is a recipe all the same."""
    root = tmp_path / "root"
    root.mkdir(mode=0o700)
    prepare_database(Path(database_path(str(root))))

    assert 0 == wishlist(root)
    assert capfd.readouterr().out.endswith("input: []\n")


def test_without_records(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A wrong path is named, and nothing is made there."""
    assert 1 == wishlist(tmp_path / "none")
    assert f"no state directory {tmp_path}/none" in capfd.readouterr().err
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "flags", [("--user", "a\nb"), ("--repository", "\0"), ("--config", "/none")]
)
def test_what_cannot_be_meant(
    root: Path, flags: tuple[str, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    """Nothing is printed that could be taken for a recipe."""
    assert 2 == wishlist(root, *flags)
    assert "" == capfd.readouterr().out


@pytest.mark.parametrize("most", ["0", "-1", "x", "\u0661"])
def test_a_number_that_is_none(most: str, root: Path) -> None:
    """It is a matter of usage."""
    with pytest.raises(SystemExit, match="2"):
        wishlist(root, "--most", most)


def test_sizes_are_added_up() -> None:
    """Each download counts; where one size is missing, the sum says that it is not all."""
    more = Wish(BUSYBOX.image, Digest("4" * 64), Reason.ABSENT, 1, 0, 0)
    (image,) = wanted_images([BUSYBOX, more])
    sizes = {BUSYBOX.digest: 1_500_000}
    heading = Heading("u", "r", "o")

    partly, all_known = cost_of(image, sizes), cost_of(image, {**sizes, more.digest: 1})
    assert (1_500_000, 3_000_000, False) == (partly.size, partly.saved, partly.complete)
    assert (1_500_001, 3_000_001, True) == (all_known.size, all_known.saved, all_known.complete)
    assert "missed layers: 2, at least 1.5 MB; at least 3.0 MB downloaded" in as_recipe(
        heading, [image], sizes
    )


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (10**9, "1.0 GB"), (10**19, "10000.0 PB")],
)
def test_bytes(count: int, expected: str) -> None:
    """Units of a thousand, as registries count."""
    assert expected == in_bytes(count)
