"""What keeps the node busy: threads that pull, run, remove and ask."""

import itertools
import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

import attrs
import grpc

from cvmfs_snapshotter.proto.containerd.services.snapshots.v1 import (
    snapshots_pb2,
    snapshots_pb2_grpc,
)
from tests.harness.cri import Container, Pod
from tests.harness.ctr import Ctr

from .images import SHOW, Sample, all_samples
from .journal import ContainerFailedError, Journal, WrongFilesError
from .judging import Cause, shows_wrong_files
from .stand import OTHER_NAMESPACE, Stand

PULLERS: Final = 2
RUNNERS: Final = 2
RESIDENTS: Final = 2
TRIES: Final = 3
SHOWINGS: Final = 6
"""How often a container that stays looks at its files before it is replaced."""


@attrs.frozen
class Resident:
    """A container that stays, and when it was begun, seconds since the soak began."""

    sample: Sample
    pod: Pod
    container: Container
    born: float


class Workers:
    """The threads; they go on until they are stopped."""

    def __init__(self, stand: Stand, journal: Journal, seed: int) -> None:
        """Take a node that runs.

        Args:
            seed: Decides what each thread chooses.
        """
        self._stand = stand
        self._journal = journal
        self._stopped = threading.Event()
        self._lost: list[Pod] = []
        self._numbers = itertools.count(1)
        loops: Sequence[Callable[[random.Random], None]] = (
            *(self._pull_one for _ in range(PULLERS)),
            *(self._run_one for _ in range(RUNNERS)),
            self._remove_one,
            self._use_ctr,
            self._ask,
            *(self._reside for _ in range(RESIDENTS)),
        )
        self._threads = [
            threading.Thread(target=self._loop, args=(each, random.Random(f"{seed} {number}")))  # noqa: S311 - no secret
            for number, each in enumerate(loops)
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self, seconds: float) -> None:
        """End them all; one that does not end within so many seconds is a problem."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(seconds)
            if thread.is_alive():
                self._journal.problem(f"{thread.name} hangs")

    def show(self, sample: Sample) -> None:
        """Pull an image, and look at its files in a container.

        Raises:
            grpc.RpcError: containerd refused.
            WrongFilesError: They are not those of the image.
        """
        cri, reference = self._stand.containerd.cri, self._reference(sample)
        cri.pull(reference)
        pod = cri.run_pod()
        try:
            container = cri.create(pod, reference, "sh", "-c", SHOW)
            cri.start(container)
            code = cri.wait(container)
            _judge(sample.seen, code, *cri.output(container))
        finally:
            self._remove_pod(pod)

    def _loop(self, one: Callable[[random.Random], None], choices: random.Random) -> None:
        while not self._stopped.is_set():
            one(choices)

    def _pull_one(self, choices: random.Random) -> None:
        sample = choices.choice(all_samples())
        reference = self._reference(sample)
        cri = self._stand.containerd.cri
        self._journal.attempt("pull", sample.image.name, lambda: cri.pull(reference))
        self._stopped.wait(choices.uniform(0.2, 2.0))

    def _run_one(self, choices: random.Random) -> None:
        sample = choices.choice(all_samples())
        self._journal.attempt("run", sample.image.name, lambda: self.show(sample))
        self._stopped.wait(choices.uniform(0.2, 1.0))

    def _remove_one(self, choices: random.Random) -> None:
        sample = choices.choice(all_samples())
        name, reference = sample.image.name, self._reference(sample)
        cri = self._stand.containerd.cri
        with self._journal.trouble(Cause.REMOVED, f"{name} removed", [name]):
            self._journal.attempt("remove image", name, lambda: cri.remove_image(reference))
        while self._lost and not self._stopped.is_set():
            self._remove_pod(self._lost.pop())
        self._stopped.wait(choices.uniform(2.0, 5.0))

    def _use_ctr(self, choices: random.Random) -> None:
        """Have the same layers in a second namespace, where no layer is asked for."""
        sample = choices.choice(all_samples())
        name, reference = sample.image.name, self._reference(sample)
        containerd = self._stand.containerd
        ctr, snapshotter = containerd.ctr(OTHER_NAMESPACE), containerd.snapshotter

        # From 1.7 on the transfer service pulls, unless it is told not to.
        more = () if containerd.version == "1.6" else ("--local",)

        def use() -> None:
            ctr.pull(reference, snapshotter, *more)
            output = self._run_with_ctr(ctr, reference)
            # ctr mounts something here.
            _judge(sample.seen + Counter(["/run"]), 0, output, "")

        self._journal.attempt("use ctr", name, use)
        self._stopped.wait(choices.uniform(1.0, 3.0))

        def remove() -> None:
            if reference in ctr.images():
                ctr.run("images", "remove", "--sync", reference)

        self._journal.attempt("remove with ctr", "", remove)

    def _run_with_ctr(self, ctr: Ctr, reference: str) -> str:
        # On a busy machine ctr may give up the pipe of a short container before it has opened it,
        # and then all output is lost. What has ended well has printed something.
        snapshotter = self._stand.containerd.snapshotter
        for _ in range(TRIES):
            name = f"ctr-{next(self._numbers)}"
            if output := ctr.run_container(reference, snapshotter, name, "sh", "-c", SHOW):
                return output
        return ""

    def _ask(self, choices: random.Random) -> None:
        self._journal.attempt("stat", "", self._stat)
        self._stopped.wait(choices.uniform(0.5, 1.0))

    def _stat(self) -> None:
        request = snapshots_pb2.StatSnapshotRequest(key="nobody")
        with grpc.insecure_channel(f"unix://{self._stand.daemon.socket}") as channel:
            try:
                snapshots_pb2_grpc.SnapshotsStub(channel).Stat(request, timeout=60.0)
            except grpc.RpcError as error:
                if error.code() is not grpc.StatusCode.NOT_FOUND:
                    raise

    def _reside(self, choices: random.Random) -> None:
        sample = choices.choice(all_samples())
        name, born = sample.image.name, self._journal.now()
        resident = self._journal.attempt("settle", name, lambda: self._settle(sample, born))
        if resident is None:
            self._stopped.wait(1.0)
            return
        for _ in range(SHOWINGS):
            self._stopped.wait(choices.uniform(1.0, 3.0))
            if self._stopped.is_set() or not self._journal.attempt(
                "look again", name, lambda: self._look_again(resident), resident.born
            ):
                break
        self._remove_pod(resident.pod)

    def _settle(self, sample: Sample, born: float) -> Resident:
        cri, reference = self._stand.containerd.cri, self._reference(sample)
        cri.pull(reference)
        pod = cri.run_pod()
        try:
            container = cri.create(pod, reference, "sleep", "1000000")
            cri.start(container)
            written = cri.execute(container, "sh", "-c", "echo own > /tmp/own")
            _judge(Counter(), written.code, written.stdout, written.stderr)
        except BaseException:
            self._remove_pod(pod)
            raise
        return Resident(sample, pod, container, born)

    def _look_again(self, resident: Resident) -> bool:
        cri = self._stand.containerd.cri
        result = cri.execute(resident.container, "sh", "-c", f"{SHOW}; cat /tmp/own")
        # What a container has written must outlive every restart.
        seen = resident.sample.seen + Counter(["own"])
        _judge(seen, result.code, result.stdout, result.stderr)
        return True

    def _remove_pod(self, pod: Pod) -> None:
        def remove() -> bool:
            self._stand.containerd.cri.remove_pod(pod)
            return True

        if not self._journal.attempt("remove pod", "", remove):
            self._lost.append(pod)
            self._stopped.wait(1.0)

    def _reference(self, sample: Sample) -> str:
        return self._stand.registry.reference(sample.image)


def _judge(expected: Counter[str], code: int, output: str, errors: str) -> None:
    lines = output.splitlines()
    if shows_wrong_files(lines, expected, succeeded=code == 0):
        extra = sorted(set(lines) - set(expected))
        missing = sorted(set(expected) - set(lines))
        raise WrongFilesError(f"too much {extra}, missing {missing}, exit status {code}")
    if code != 0:
        raise ContainerFailedError(f"exit status {code}: {errors}")
