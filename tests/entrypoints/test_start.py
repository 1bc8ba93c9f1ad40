import errno
import os
from pathlib import Path

import pytest

from cvmfs_snapshotter.adapters import kernel
from cvmfs_snapshotter.adapters.logs.logger import open_log
from cvmfs_snapshotter.entrypoints import daemon
from cvmfs_snapshotter.entrypoints.errors import StartError


def _check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> str:
    """Let the check of the kernel end with an error and give the log."""

    def fail(_: str) -> None:
        raise error

    monkeypatch.setattr(kernel, "require_overlay", fail)
    with (tmp_path / "log").open("w") as stream:
        log = open_log(20, stream)
        try:
            daemon._require_kernel("/root", log)
        finally:
            log.flush()
    return (tmp_path / "log").read_text()


def test_a_kernel_without_overlays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where overlays cannot be mounted there is nothing to serve."""
    with pytest.raises(StartError, match="no overlays here"):
        _check(tmp_path, monkeypatch, kernel.OverlayError("no overlays here"))


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that cannot be made keeps nobody from starting: only a daemon can free the disk."""
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    assert '"cause":"No space left on device"' in _check(tmp_path, monkeypatch, error)
