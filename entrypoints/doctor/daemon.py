"""The daemon: that it answers, and how it finds its sources."""

from collections.abc import Iterator

from cvmfs_snapshotter import __version__
from cvmfs_snapshotter.proto.cvmfs_snapshotter.admin.v1 import admin_pb2

from .result import Result, failure, passed, warning


def check_answer(answer: admin_pb2.StatusResponse | str, root: str) -> Iterator[Result]:
    """Judge what the daemon says of itself.

    Args:
        answer: its status; or why there is none.
        root: the state directory that we were told.
    """
    name = "daemon"
    if isinstance(answer, str):
        yield failure(
            name, answer, "systemctl start cvmfs-snapshotter", "journalctl -u cvmfs-snapshotter"
        )
        return
    if answer.root != root:
        yield warning(
            name, f"its state directory is {answer.root}, not {root}: name it with --root"
        )
    elif answer.version != __version__:
        yield warning(
            name,
            f"{answer.version} runs, and {__version__} is installed",
            "systemctl restart cvmfs-snapshotter",
        )
    else:
        yield passed(name, f"{answer.version} answers")
    if answer.stuck_probes:
        yield warning(
            "probes",
            f"{answer.stuck_probes} processes that looked at sources hang in the kernel",
            "cvmfs-snapshotter status",
        )
    for source in answer.sources:
        yield _source(source)


def _source(source: admin_pb2.Source) -> Result:
    name, circuit = f"daemon's view of {source.name}", source.circuit
    cause = f"{circuit.cause.reason}: {circuit.cause.detail}"
    if circuit.state != admin_pb2.Circuit.STATE_CLOSED:
        return failure(name, f"it does not ask {source.path}: {cause}", "cvmfs-snapshotter status")
    if circuit.failures:
        return warning(name, f"{source.path} has failed: {cause}", "cvmfs-snapshotter status")
    return passed(name, f"it asks {source.path}")
