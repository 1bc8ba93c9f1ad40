"""Sources, as surveys and mounts tell of them."""

from pathlib import Path

import attrs
import pytest

from cvmfs_snapshotter.adapters.layers.inspection import Survey
from cvmfs_snapshotter.adapters.layers.prober import WORKER_MODULE, Message
from cvmfs_snapshotter.adapters.layers.settings import SourceKind, SourceSettings
from cvmfs_snapshotter.adapters.probes import ProbePool, worker_command
from cvmfs_snapshotter.domain.layer import Miss, Reason
from cvmfs_snapshotter.domain.policy import Ownership, Policy
from cvmfs_snapshotter.entrypoints.doctor import sources
from cvmfs_snapshotter.entrypoints.doctor.mounts import Mounted, mount_for, mounts_of
from cvmfs_snapshotter.entrypoints.doctor.result import Outcome
from tests.harness.fuse.file_system import FileSystem

SOURCE = SourceSettings("s", SourceKind.CVMFS, "r.example.org", "/cvmfs/r.example.org")
DIRECTORY = attrs.evolve(SOURCE, kind=SourceKind.DIRECTORY, repository="")
WELL = Survey(
    proven=True,
    kind="fuse",
    mounted="cvmfs2",
    attributes={"revision": "7", "ncleanup24": "0", "nioerr": "0", "host": "http://s1"},
    client=998,
    owners=(0,),
)


def with_attributes(**attributes: str) -> Survey:
    """Give a survey with other attributes."""
    return attrs.evolve(WELL, attributes={**WELL.attributes, **attributes})


def test_a_source_that_answers() -> None:
    """Which repository in which revision; whether that is proven."""
    found = sources.check_reached(SOURCE, WELL)
    assert (Outcome.PASS, "/cvmfs/r.example.org is r.example.org, revision 7") == (
        found.outcome,
        found.what,
    )
    assert Outcome.WARN == sources.check_reached(SOURCE, attrs.evolve(WELL, proven=False)).outcome
    assert Outcome.PASS == sources.check_reached(DIRECTORY, WELL).outcome


@pytest.mark.parametrize("reason", [r for r in Reason if not r.healthy])
@pytest.mark.parametrize("source", [SOURCE, DIRECTORY], ids=["cvmfs", "directory"])
def test_a_source_that_does_not(source: SourceSettings, reason: Reason) -> None:
    """Its fault by name, and a command for each."""
    found = sources.check_reached(source, Miss(reason, "why"))
    assert Outcome.FAIL == found.outcome
    assert f"{reason.value}: why" == found.what
    assert found.mend
    assert not any("cvmfs_config" in m for m in found.mend) or source is SOURCE


def test_commands_have_paths_as_one_word() -> None:
    """Whatever the path is."""
    source = attrs.evolve(DIRECTORY, path="/a b; c")
    found = sources.check_reached(source, Miss(Reason.FAILED, "why"))
    assert "findmnt --target '/a b; c'" in found.mend


def autofs(*options: str, at: str = "/cvmfs") -> list[Mounted]:
    """Give the mounts of a node with an automounter."""
    return [
        Mounted("/", "ext4", "/dev/sda", ("rw",), shared=True),
        Mounted(at, "autofs", "/etc/auto.cvmfs", options, shared=True),
    ]


@pytest.mark.parametrize(
    ("mounts", "held", "outcome"),
    [
        ([], False, Outcome.PASS),
        (autofs("timeout=300"), True, Outcome.PASS),
        (autofs("timeout=300"), False, Outcome.WARN),
        (autofs("timeout=300", at=SOURCE.path), False, Outcome.WARN),
        (autofs("timeout=0"), False, Outcome.PASS),
        (autofs("rw"), False, Outcome.PASS),
        (autofs("timeout=300", at="/net"), False, Outcome.PASS),
    ],
    ids=["none", "held", "not held", "direct", "no expiry", "not said", "elsewhere"],
)
def test_expiry(mounts: list[Mounted], held: bool, outcome: Outcome) -> None:
    """An automounter takes away what nobody holds."""
    source = attrs.evolve(SOURCE, keep_mounted=held)
    found = sources.check_expiry(source, mounts)
    assert outcome == found.outcome
    assert (outcome is Outcome.WARN) == any("keep_mounted = true" in a for a in found.advice)


@pytest.mark.parametrize(
    ("cleanups", "limit", "outcome", "proposed"),
    [
        ("0", 50_000, Outcome.PASS, None),
        ("0", 10_000, Outcome.PASS, None),
        ("0", 9_999, Outcome.WARN, 20_000),
        ("0", 4_000, Outcome.WARN, 20_000),
        ("0", None, Outcome.PASS, None),
        ("24", 50_000, Outcome.PASS, None),
        ("25", 50_000, Outcome.WARN, 100_000),
        ("25", 4_000, Outcome.WARN, 20_000),
        ("25", None, Outcome.WARN, None),
        ("x", 50_000, Outcome.WARN, None),
        ("x", 4_000, Outcome.WARN, 20_000),
    ],
)
def test_the_cache(
    cleanups: str, limit: int | None, outcome: Outcome, proposed: int | None
) -> None:
    """Too small, or cleaned up more than once an hour; what is proposed is always larger."""
    found = sources.check_cache(
        SOURCE,
        attrs.evolve(
            with_attributes(ncleanup24=cleanups),
            limit=None if limit is None else limit * 1024 * 1024,
        ),
    )
    assert outcome == found.outcome
    assert ("no limit" in found.what) == (limit is None)
    assert ("not known" in found.what) == (cleanups == "x")
    assert limit is None or f"{limit} MB" in found.what
    lines = [line for line in found.mend if "CVMFS_QUOTA_LIMIT=" in line]
    line = f"echo 'CVMFS_QUOTA_LIMIT={proposed}' >> /etc/cvmfs/config.d/r.example.org.local"
    assert ([] if proposed is None else [line]) == lines
    assert (outcome is Outcome.PASS) == (not found.mend)


@pytest.mark.parametrize(
    ("errors", "outcome"), [("0", Outcome.PASS), ("3", Outcome.WARN), ("", Outcome.WARN)]
)
def test_errors(errors: str, outcome: Outcome) -> None:
    """Any is worth a look, with the server that was asked."""
    found = sources.check_errors(SOURCE, with_attributes(nioerr=errors))
    assert outcome == found.outcome
    assert ("(host http://s1)" in found.what) == (errors == "3")


@pytest.mark.parametrize(
    ("owners", "client", "outcome", "word"),
    [
        ((0,), 998, Outcome.PASS, "belong to root"),
        ((998,), 998, Outcome.WARN, "CVMFS_CLAIM_OWNERSHIP"),
        ((998,), None, Outcome.WARN, "when layers were published"),
        ((5,), 998, Outcome.WARN, "user 5"),
        ((0, 998), 998, Outcome.WARN, "when layers were published"),
        ((), 998, Outcome.WARN, "no layer was found"),
    ],
)
def test_owners(owners: tuple[int, ...], client: int | None, outcome: Outcome, word: str) -> None:
    """Claimed by the client, lost at publication, or right."""
    found = sources.check_owners(SOURCE, attrs.evolve(WELL, owners=owners, client=client))
    assert outcome == found.outcome
    assert word in found.what
    assert (outcome is Outcome.PASS) == (not (found.mend or found.advice))


def test_owners_that_are_accepted() -> None:
    """By policy they are no matter."""
    source = attrs.evolve(SOURCE, policy=Policy(ownership=Ownership.ACCEPT))
    found = sources.check_owners(source, attrs.evolve(WELL, owners=(998,)))
    assert Outcome.PASS == found.outcome


def test_all_about_a_source(tmp_path: Path) -> None:
    """A real probe of a plain directory."""
    pool = ProbePool(worker_command(WORKER_MODULE))
    source = attrs.evolve(DIRECTORY, path=str(tmp_path))
    try:
        found = {result.name: result.outcome for result in sources.check_source(pool, source, ())}
    finally:
        pool.close()
    assert {
        "source s": Outcome.PASS,
        "expiry s": Outcome.PASS,
        "owners s": Outcome.WARN,
    } == found


def test_the_limit_of_a_cache_that_is_served(tmp_path: Path) -> None:
    """It is what the client tells statfs(2); the one of the tests has 4 GiB, half of it free."""
    pool = ProbePool(worker_command(WORKER_MODULE))
    directory, point = tmp_path / "files", tmp_path / "r"
    directory.mkdir()
    point.mkdir()
    served = FileSystem(directory, point, "r.example.org")
    served.mount()
    try:
        source = attrs.evolve(SOURCE, path=str(point))
        found = {result.name: result for result in sources.check_source(pool, source, ())}
    finally:
        served.close()
        pool.close()
    assert Outcome.PASS == found["source s"].outcome
    assert found["cache s"].what.startswith("the cache has 4096 MB")


class _Prober:
    """Answers without a process."""

    def __init__(self, answer: Message) -> None:
        self.answer = answer

    def ask(self, _request: Message, _seconds: float) -> Message:
        """Give the answer."""
        return self.answer


def test_all_about_a_repository() -> None:
    """Cache and errors too; of one that does not answer only what is known without it."""
    answer = {"proven": True, "attributes": {"ncleanup24": "1", "nioerr": "0"}, "owners": [0]}
    found = sources.check_source(_Prober(answer), SOURCE, ())  # type: ignore[arg-type]
    assert ["source s", "expiry s", "cache s", "errors s", "owners s"] == [r.name for r in found]
    dead = _Prober({"reason": "slow", "detail": "no answer"})
    found = sources.check_source(dead, SOURCE, ())  # type: ignore[arg-type]
    assert ["source s", "expiry s"] == [result.name for result in found]


def test_mounts(tmp_path: Path) -> None:
    """As proc(5) writes them, escapes and propagation included."""
    (tmp_path / "1").mkdir()
    (tmp_path / "1/mountinfo").write_text(
        "20 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n"
        "30 20 0:40 / /a\\040b rw,nosuid - fuse cvmfs2 ro,timeout=5\n"
        "31 20 0:41 / /cvmfs rw master:2 - autofs map rw\n"
        "32 20 0:42 / /cvmfs rw - tmpfs none rw\n"
        "broken\n"
    )
    root, spaced, automounter, top = mounts_of("1", tmp_path)

    assert Mounted("/", "ext4", "/dev/sda1", ("rw", "rw"), shared=True) == root
    assert ("/a b", "5", None) == (spaced.at, spaced.option("timeout"), spaced.option("x"))
    assert [True, False, True, False] == [m.shared for m in (root, spaced, automounter, top)]
    every = (root, spaced, automounter, top)
    assert top == mount_for("/cvmfs/r", every)
    assert root == mount_for("/cvmfsx", every)
    assert spaced == mount_for("/a b", every)
    assert mount_for("/x", ()) is None
