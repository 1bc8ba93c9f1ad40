"""Keeping the service manager informed: that the daemon is ready, how it is, that it answers."""

import threading
import time
from collections.abc import Callable
from urllib.parse import quote

import grpc
from grpc_health.v1 import health_pb2

from cvmfs_snapshotter.adapters.logs.logger import Logger
from cvmfs_snapshotter.adapters.notify import Notifier
from cvmfs_snapshotter.domain.errors import SnapshotterError

from .overview import Overview
from .rpc.health import SERVICE, SNAPSHOTS

STATUS_SECONDS = 30.0
"""Longest time between two looks at what the status line says."""

_RETRIES = 20


def answers(address: str, seconds: float) -> bool:
    """Ask a daemon whether its records can be read, on its own socket as a client does.

    It takes a new connection, a thread of the server and a look into the database, and no source.
    That the records cannot be read is an answer too: a restart would not mend a disk.

    Args:
        address: path of the socket.
        seconds: how long to wait.

    Returns:
        Whether it answered.
    """
    # A connection of its own each time: one that is kept would not show that the socket is gone.
    options = (("grpc.use_local_subchannel_pool", 1),)
    with grpc.insecure_channel(f"unix:{quote(address)}", options) as channel:
        check = channel.unary_unary(
            f"/{SERVICE}/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        try:
            check(health_pb2.HealthCheckRequest(service=SNAPSHOTS), timeout=seconds)
        except grpc.RpcError:
            return False
    return True


def status_line(overview: Overview) -> str:
    """Say in a few words how the daemon is, for ``systemctl status``."""
    down = [one.settings.name for one in overview.sources if one.standing.circuit.refuses]
    snapshots = _count(sum(overview.census.snapshots.values()), "snapshot")
    if down:
        up = len(overview.sources) - len(down)
        total = _count(len(overview.sources), "source")
        return f"{up} of {total} up ({', '.join(down)} down), {snapshots}"
    return f"{_count(len(overview.sources), 'source')} up, {snapshots}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


class Supervisor:
    """A thread that tells the service manager that the daemon lives, as long as it answers.

    With a watchdog the manager ends a daemon that has said nothing for too long. A sign of life is
    therefore sent only after the daemon has answered a call. Sources never matter for it. Without
    a manager that listens there is no thread.
    """

    def __init__(
        self,
        notifier: Notifier,
        answering: Callable[[float], bool],
        status: Callable[[], str],
        logger: Logger,
    ) -> None:
        """Make the thread; it does not run yet.

        Args:
            notifier: sends to the manager.
            answering: tells whether the daemon answers within so many seconds.
            status: gives the status line; may raise ``SnapshotterError``.
            logger: takes what goes wrong.
        """
        self._notifier = notifier
        self._answering = answering
        self._status = status
        self._logger = logger
        self._said = ""
        self._heard = True
        self._stopping = threading.Event()
        # A daemon thread: the process's end must not wait for an answer.
        self._thread = threading.Thread(target=self._run, name="supervise", daemon=True)

    def start(self) -> None:
        """Say that the daemon is ready, and begin to look after it."""
        if self._notifier.address:
            self._send(READY=1)
            self._thread.start()

    def reloading(self) -> None:
        """Say that the configuration is read again; ``reloaded`` has to follow."""
        # MONOTONIC_USEC is what Type=notify-reload tells this message by (sd_notify(3)).
        self._send(RELOADING=1, MONOTONIC_USEC=time.monotonic_ns() // 1000)

    def reloaded(self) -> None:
        """Say that this is over, whatever came of it."""
        self._send(READY=1)

    def stop(self, seconds: float) -> None:
        """Say that the daemon stops, and look after it no more.

        Args:
            seconds: how long to wait for the thread at most; it does nothing any more, also if
                it has not ended then.
        """
        self._stopping.set()
        self._send(STOPPING=1, STATUS="stopping: calls in flight finish")
        if self._thread.ident is not None:
            self._thread.join(seconds)

    def work(self) -> float:
        """Look once after the daemon, and tell the manager.

        Returns:
            Seconds until the next look.
        """
        pause = STATUS_SECONDS
        watchdog = self._notifier.watchdog
        if watchdog is not None:
            # sd_watchdog_enabled(3): every half of the time. So much is left after a failure that
            # a second try fits in.
            pause = min(pause, watchdog / 2)
            alive = self._answering(watchdog / 4)
            if self._stopping.is_set():
                return 0.0
            if not alive:
                self._logger.error(
                    "the daemon does not answer itself; unless that changes, the service manager "
                    "ends it",
                    waited=watchdog / 4,
                    watchdog=watchdog,
                )
                return watchdog / _RETRIES
            self._send(WATCHDOG=1)
        self._say_status()
        return pause

    def _say_status(self) -> None:
        try:
            status = self._status()
        except SnapshotterError as error:
            status = f"the records cannot be read: {error}"
        if status != self._said and not self._stopping.is_set() and self._send(STATUS=status):
            self._said = status

    def _send(self, **fields: object) -> bool:
        heard = self._notifier.send(**fields)
        if self._heard and not heard:
            self._logger.warning(
                "the service manager cannot be told anything", socket=self._notifier.address
            )
        self._heard = heard
        return heard

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                pause = self.work()
            except Exception:
                if self._stopping.is_set():
                    return
                self._logger.exception("the daemon could not be looked after")
                pause = (self._notifier.watchdog or STATUS_SECONDS) / _RETRIES
            self._stopping.wait(pause)
