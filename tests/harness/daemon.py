"""Our daemon as a process of its own, with its log to be read."""

import json
import os
from pathlib import Path
from typing import Self

import attrs
import grpc

from cvmfs_snapshotter.proto.containerd.services.snapshots.v1 import (
    snapshots_pb2,
    snapshots_pb2_grpc,
)
from tests.harness.leftovers import of_base
from tests.harness.parts import ROOT
from tests.harness.processes import Program, kill_and_wait

PROGRAM = ROOT / ".venv" / "bin" / "cvmfs-snapshotter"

SOURCE = """\
[[source]]
name = "{name}"
kind = "{kind}"
path = "{path}"
"""


@attrs.frozen
class Decision:
    """What the daemon decided about a layer, from one line of its log.

    Attributes:
        digest: Of the compressed layer.
        target: Chain ID that was asked for.
        outcome: "hit" or "miss".
        reason: Why it is a miss; something like "found" for a hit.
        prepared: Whether it said that the layer is there: "true" or "false".
    """

    digest: str
    target: str
    parent: str
    key: str
    outcome: str
    reason: str
    source: str
    prepared: str


@attrs.define
class Daemon:
    """`cvmfs-snapshotter run` with a root, a socket and a configuration of its own.

    Attributes:
        directory: Everything of it is in here.
    """

    directory: Path
    _program: Program

    @classmethod
    def make(
        cls,
        directory: Path,
        layers: Path,
        kind: str = "directory",
        more: str = "",
        *,
        name: str = "tests",
    ) -> Self:
        """Write the configuration.

        Args:
            directory: Made, not there yet; its path has to be short, since the socket is in it.
            layers: Root of the tree with unpacked layers.
            kind: Kind of that source, "directory" or "cvmfs".
            more: Further lines (TOML) of the source.
            name: Of that source.
        """
        directory.mkdir(parents=True)
        config = directory / "config.toml"
        config.write_text(SOURCE.format(name=name, kind=kind, path=layers) + more)
        command = (
            *(str(PROGRAM), "run", "--config", str(config)),
            *("--root", f"{directory}/root", "--address", f"{directory}/daemon.sock"),
            *("--log-level", "debug"),
        )
        environment = {"PATH": os.environ["PATH"]}
        log = directory / "daemon.log"
        return cls(directory, Program("cvmfs-snapshotter", command, log, environment, directory))

    @property
    def socket(self) -> Path:
        """Where it answers."""
        return self.directory / "daemon.sock"

    @property
    def root(self) -> Path:
        """Its state: `snapshots/`, `l/` and the database."""
        return self.directory / "root"

    @property
    def pid(self) -> int:
        """Identifier of its process."""
        return self._program.pid

    def start(self) -> Self:
        """Start it and wait until it answers.

        Raises:
            RuntimeError: It ended instead.
        """
        self._program.start()
        self._program.wait_ready(self._answers)
        return self

    def kill(self) -> None:
        """Kill it."""
        self._program.kill()

    def terminate(self) -> int | None:
        """End it as a service manager does, and return its exit status."""
        return self._program.terminate()

    def stop(self) -> None:
        """End it, in whatever state it is, with all processes it started."""
        self._program.terminate()
        kill_and_wait([pid for pid, _ in of_base(self.directory)])

    def lines(self) -> list[dict[str, object]]:
        """Tell what it has logged since it was made, through all its starts.

        Lines that are not JSON (Python's own, when something went badly wrong) come as `msg`.
        """
        lines = []
        for text in self._program.log.read_text().splitlines():
            try:
                lines.append(json.loads(text))
            except json.JSONDecodeError:
                lines.append({"msg": text, "level": "not JSON"})
        return lines

    def decisions(self) -> list[Decision]:
        """Tell what it has decided about layers, in order."""
        names = {field.name: field.name for field in attrs.fields(Decision)}
        names["prepared"] = "remote-snapshot-prepared"
        return [
            Decision(**{name: str(line.get(key, "")) for name, key in names.items()})
            for line in self.lines()
            if line.get("msg") == "layer decision"
        ]

    def infos(self) -> list[snapshots_pb2.Info]:
        """Tell all snapshots, as containerd's garbage collection asks for them."""
        request = snapshots_pb2.ListSnapshotsRequest()
        with grpc.insecure_channel(f"unix://{self.socket}") as channel:
            answers = snapshots_pb2_grpc.SnapshotsStub(channel).List(request, timeout=30.0)
            return [info for answer in answers for info in answer.info]

    def snapshots(self) -> set[str]:
        """Tell the names of all snapshots."""
        return {info.name for info in self.infos()}

    def snapshot_directories(self) -> list[str]:
        """Tell the names in `snapshots/`."""
        return sorted(path.name for path in (self.root / "snapshots").iterdir())

    def links(self) -> list[str]:
        """Tell the names in `l/`."""
        return sorted(path.name for path in (self.root / "l").iterdir())

    def _answers(self) -> bool:
        request = snapshots_pb2.StatSnapshotRequest(key="is anybody there?")
        with grpc.insecure_channel(f"unix://{self.socket}") as channel:
            try:
                snapshots_pb2_grpc.SnapshotsStub(channel).Stat(request, timeout=5.0)
            except grpc.RpcError as error:
                return error.code() is grpc.StatusCode.NOT_FOUND
        return True
