"""The kernel and its clock."""

from pathlib import Path

import pytest

from cvmfs_snapshotter.entrypoints.doctor.kernel import (
    check_clock,
    check_overlay,
    clock_is_synchronised,
)
from cvmfs_snapshotter.entrypoints.doctor.result import Outcome

NOW = 1_800_000_000.0


def test_overlays_work(tmp_path: Path) -> None:
    """The kernel is named; nothing is left in the directory."""
    found = check_overlay(str(tmp_path))
    assert Outcome.PASS == found.outcome
    release = Path("/proc/sys/kernel/osrelease").read_text(encoding="utf-8").strip()
    assert release in found.what
    assert [] == list(tmp_path.iterdir())


def test_a_kernel_without_overlays(tmp_path: Path) -> None:
    """The module may only have to be loaded."""
    for path, text in (
        ("proc/filesystems", "nodev\ttmpfs\n"),
        ("proc/sys/kernel/osrelease", "6.1\n"),
        ("lib/modules/6.1/modules.dep", "kernel/fs/ext4/ext4.ko:\n"),
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    found = check_overlay(str(tmp_path), tmp_path)

    assert Outcome.FAIL == found.outcome
    assert ("modprobe overlay",) == tuple(found.mend)


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    """Then it is not known."""
    found = check_overlay(str(tmp_path / "none"))
    assert Outcome.WARN == found.outcome
    assert "is not known: No such file" in found.what


@pytest.mark.parametrize(
    ("now", "synchronised", "outcome"),
    [
        (NOW, True, Outcome.PASS),
        (NOW, False, Outcome.WARN),
        (NOW, None, Outcome.WARN),
        (1000.0, True, Outcome.FAIL),
    ],
)
def test_the_clock(now: float, synchronised: bool | None, outcome: Outcome) -> None:
    """Wrong for sure, not kept right, or right."""
    found = check_clock(lambda: now, lambda: synchronised)
    assert outcome == found.outcome
    assert (outcome is Outcome.PASS) == (not found.mend)


def test_the_kernel_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it says of this machine, it is an answer; without one, nothing is known."""
    assert clock_is_synchronised() in {True, False}
    monkeypatch.setattr("ctypes.CDLL", lambda *_, **__: object())
    assert clock_is_synchronised() is None
