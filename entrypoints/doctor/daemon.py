"""The daemon: that it answers, and how it finds its sources."""

from collections.abc import Iterator, Sequence

from cvmfs_snapshotter import __version__
from cvmfs_snapshotter.adapters.layers.settings import SourceKind, SourceSettings
from cvmfs_snapshotter.domain.layer import Reason
from cvmfs_snapshotter.proto.cvmfs_snapshotter.admin.v1 import admin_pb2

from .result import Result, failure, passed, quoted, warning
from .sources import ways

_AGAIN = ("the daemon asks again by itself, at least once a minute, and needs no restart",)


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
            name,
            f"its state directory is {answer.root}, not {root}",
            f"cvmfs-snapshotter doctor --root {quoted(answer.root)}",
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
            "ps -eo pid,stat,wchan:30,args | grep layers.worker",
            advice=("they end when the file system answers, or its client ends",),
        )
    for source in answer.sources:
        yield _source(source)


def _mend(source: admin_pb2.Source) -> Sequence[str]:
    # An older or newer daemon may have kinds and reasons that are not known here.
    kinds = {kind.value: kind for kind in SourceKind}
    reasons = {reason.value: reason for reason in Reason}
    kind = kinds.get(source.kind)
    if kind is None:
        return (f"findmnt --target {quoted(source.path)}",)
    settings = SourceSettings(source.name, kind, source.repository, source.path)
    return ways(settings, reasons.get(source.circuit.cause.reason, Reason.FAILED))


def _source(source: admin_pb2.Source) -> Result:
    name, circuit = f"daemon's view of {source.name}", source.circuit
    cause = f"{circuit.cause.reason}: {circuit.cause.detail}"
    if circuit.state != admin_pb2.Circuit.STATE_CLOSED:
        return failure(
            name, f"it does not ask {source.path}: {cause}", *_mend(source), advice=_AGAIN
        )
    if circuit.failures:
        return warning(name, f"{source.path} has failed: {cause}", *_mend(source), advice=_AGAIN)
    return passed(name, f"it asks {source.path}")
