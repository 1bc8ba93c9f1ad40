"""All checks, in the order in which one thing needs the other."""

from collections.abc import Callable, Iterable, Iterator

import attrs

from cvmfs_snapshotter.adapters.layers.prober import Prober
from cvmfs_snapshotter.proto.cvmfs_snapshotter.admin.v1 import admin_pb2

from ..config import Config
from .containerd import (
    Process,
    check_config,
    check_images,
    check_running,
    check_view,
    find_processes,
    process_of,
)
from .daemon import check_answer
from .kernel import check_clock, check_overlay
from .mounts import Mounted, mounts_of
from .result import Result, warning
from .sources import check_source
from .state import check_state


@attrs.frozen
class Patient:
    """What is looked at.

    Attributes:
        root: the state directory.
        address: socket of the daemon.
        config: its configuration.
        containerd_root: containerd's root directory.
        snapshotter: name of the proxy plugin.
        platform: of the machine.
        pid: number of the containerd to look at; empty for all that run.
        answer: the daemon's status; or why there is none.
    """

    root: str
    address: str
    config: Config
    containerd_root: str
    snapshotter: str
    platform: str
    pid: str
    answer: admin_pb2.StatusResponse | str


def examine(patient: Patient, prober: Prober) -> Iterator[Result]:
    """Make all checks; one that fails itself keeps none of the others from its result.

    Args:
        patient: what is looked at.
        prober: puts requests to the probe processes.

    Yields:
        What each check has found, as soon as it has.
    """
    mounts: list[Mounted] = []
    processes: list[Process] = []

    def look_around() -> Iterable[Result]:
        mounts.extend(mounts_of("self"))
        processes.extend([process_of(patient.pid)] if patient.pid else find_processes())
        return ()

    def sources() -> Iterator[Result]:
        for source in patient.config.sources:
            yield from check_source(prober, source, mounts)

    def containerds() -> Iterator[Result]:
        yield check_running(processes)
        for process in processes:
            yield from check_config(process, patient.address, patient.root, patient.platform)
            for source in patient.config.sources:
                yield check_view(prober, process, source)

    checks: tuple[tuple[str, Callable[[], Iterable[Result]]], ...] = (
        ("overlay", lambda: (check_overlay(patient.root),)),
        ("clock", lambda: (check_clock(),)),
        ("state-directory", lambda: check_state(patient.root)),
        ("processes", look_around),
        ("source", sources),
        ("daemon", lambda: check_answer(patient.answer, patient.root)),
        ("containerd", containerds),
        (
            "pause-image",
            lambda: check_images(patient.containerd_root, patient.snapshotter, patient.platform),
        ),
    )
    for name, check in checks:
        yield from _guarded(name, check)


def _guarded(name: str, check: Callable[[], Iterable[Result]]) -> Iterator[Result]:
    try:
        yield from check()
    except Exception as error:  # noqa: BLE001 - a doctor that dies tells nothing
        yield warning(
            name,
            f"this check itself failed: {type(error).__name__}: {error}",
            advice=("report it",),
        )
