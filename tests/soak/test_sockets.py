"""Sockets of shims that a killed containerd leaves on the machine."""

import hashlib
from pathlib import Path

import pytest

from . import sockets


def test_only_sockets_of_its_own_containers_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The socket of a container that containerd's log names is removed, no other one."""
    monkeypatch.setattr(sockets, "SHIM_SOCKETS", tmp_path)
    log, address, container = tmp_path / "log", tmp_path / "containerd.sock", "ab" * 32
    log.write_text(f'msg="connecting to shim {container}" namespace=k8s.io\n')
    own, other = (
        tmp_path / hashlib.sha256(f"{address}/{namespace}/{container}".encode()).hexdigest()
        for namespace in ("k8s.io", "somebody's")
    )
    own.touch()
    other.touch()

    sockets.remove_sockets(log, address, ("k8s.io",))

    assert [True, False] == [other.exists(), own.exists()]
