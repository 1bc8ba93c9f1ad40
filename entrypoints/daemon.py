"""The life of the daemon, from its locks to its end."""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

# No process is forked after gRPC has started; its handlers for that would only write warnings.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

from cvmfs_snapshotter import __version__
from cvmfs_snapshotter.adapters import kernel
from cvmfs_snapshotter.adapters.directories import DiskDirectories
from cvmfs_snapshotter.adapters.layers.settings import SourceSettings
from cvmfs_snapshotter.adapters.logs.logger import Log
from cvmfs_snapshotter.adapters.notify import Notifier
from cvmfs_snapshotter.adapters.sqlite import (
    DatabaseError,
    Reserve,
    SqliteStore,
    open_store,
)
from cvmfs_snapshotter.adapters.sqlite.migrate import prepare_database
from cvmfs_snapshotter.domain.errors import SnapshotterError, UnavailableError
from cvmfs_snapshotter.domain.usecases import upkeep

from .clashes import clash_of
from .compose import Parts, compose
from .config import Config
from .endpoint import claim_address, plain_address, private_files
from .errors import StartError
from .garbage import settle_garbage_collector
from .locks import Lock
from .overview import Overseer
from .reloading import CommandLine, Reloader
from .root import claim_root, database_path, plain_root, require_own_files, reserve_path
from .rpc.admin import AdminServicer
from .rpc.health import HealthServicer
from .rpc.server import BindError, Service, SnapshotServer
from .rpc.serving import step_aside
from .signals import Answers, heard
from .supervising import Supervisor, answers, status_line
from .warming import warm_up

if TYPE_CHECKING:
    from .metering import Metering
    from .tracing import Tracing

GRACE = 10.0
"""Seconds that calls in flight get to finish when the daemon is told to stop."""

_LAST = 2.0

_NOTHING_SAID = CommandLine()


def run_daemon(  # noqa: PLR0913 - all that a start depends on
    root: str,
    address: str,
    config: Config,
    log: Log,
    *,
    fresh: bool,
    said: CommandLine = _NOTHING_SAID,
) -> int:
    """Serve until SIGTERM or SIGINT. Nothing is deleted at the end.

    Args:
        root: the state directory.
        address: path of the socket.
        config: the configuration.
        log: takes lines.
        fresh: accept a state directory of the Go program.
        said: where the configuration is from, to read it again.

    Returns:
        Exit status: 0.

    Raises:
        StartError: the daemon cannot start as things are.
    """
    if os.geteuid() != 0:
        raise StartError("the daemon must run as root: it makes device nodes and sets owners")
    root, address = plain_root(root), plain_address(address)
    tracing = _tracing(config, log)
    # Before any other process is started.
    notifier = Notifier.take(os.environ)
    clash = clash_of(address, config)
    if clash:
        raise StartError(clash)
    with ExitStack() as held:
        for lock in _claim(address, root, log, fresh=fresh):
            held.callback(lock.release)
        answer_until_told = held.enter_context(heard())
        store = held.enter_context(_open_store(root, log))
        metering = _metering(config, log)
        with _expected("the state directory cannot be used"):
            DiskDirectories(root).prepare()
            parts = compose(root, config, store, log.logger, metering, tracing)
            _tidy(parts, config)
        held.callback(parts.probes.close)
        overseer = _overseer(root, config, parts)
        server = SnapshotServer(
            parts.snapshotter,
            log.logger,
            services=_services(overseer),
            observe=None if metering is None else metering.calls.note,
            outermost=() if tracing is None else (tracing.interceptor,),
        )
        supervisor = Supervisor(
            notifier,
            lambda seconds: answers(address, seconds),
            lambda: status_line(overseer.overview()),
            log.logger,
        )
        _bind(server, address)
        if metering is not None:
            metering.start(overseer, database_path(root))
            held.callback(metering.stop, _LAST)
        if tracing is not None:
            _start(tracing, metering)
            held.callback(tracing.stop, _LAST)
        parts.measurer.start()
        held.callback(parts.measurer.stop, _LAST)
        parts.wishing.start()
        held.callback(parts.wishing.stop, _LAST)
        settle_garbage_collector()
        server.start()
        names = tuple(source.name for source in config.sources)
        warm_up(names, parts.tended.sources, parts.context.clock, log.logger)
        parts.tended.start()
        held.callback(parts.tended.stop, _LAST)
        if metering is not None:
            metering.serving = True
        log.logger.info(
            "serving", version=__version__, address=address, root=root, sources=list(names)
        )
        supervisor.start()
        reloader = Reloader(said, config, log.level, _adopters(parts, overseer), log.logger)
        answer_until_told(_answers(reloader, supervisor))
        supervisor.stop(_LAST)
        if metering is not None:
            metering.serving = False
        log.logger.info("stopping: calls in flight finish, nothing is deleted")
        _end_calls(server, parts, log)
    return 0


def _overseer(root: str, config: Config, parts: Parts) -> Overseer:
    context = parts.context
    return Overseer(
        root, config.sources, context.store, parts.tended, parts.probes, context.clock.now()
    )


def _adopters(parts: Parts, overseer: Overseer) -> Callable[[Sequence[SourceSettings]], None]:
    def adopt(sources: Sequence[SourceSettings]) -> None:
        parts.tended.adopt(sources)
        overseer.adopt(sources)

    return adopt


def _answers(reloader: Reloader, supervisor: Supervisor) -> Answers:
    def reload() -> None:
        supervisor.reloading()
        reloader.reload()
        supervisor.reloaded()

    return {signal.SIGHUP: reload, signal.SIGUSR2: reloader.toggle_debug}


def _services(overseer: Overseer) -> tuple[Service, ...]:
    return HealthServicer(overseer), AdminServicer(overseer)


def _metering(config: Config, log: Log) -> "Metering | None":
    if config.metrics is None:
        return None
    # A daemon without metrics neither waits for it nor keeps it in memory.
    from .metering import Metering  # noqa: PLC0415

    return Metering(config.metrics, [source.name for source in config.sources], log.logger)


def _tracing(config: Config, log: Log) -> "Tracing | None":
    if config.tracing is None:
        return None
    try:
        from .tracing import Tracing  # noqa: PLC0415 - as for metrics
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "opentelemetry":
            raise
        raise StartError(
            "tracing is configured, but OpenTelemetry is not installed: install "
            "cvmfs-snapshotter[tracing], or remove [tracing] from the configuration"
        ) from error
    except ValueError as error:
        # It reads variables of the environment when it is imported.
        raise StartError(
            f"tracing cannot be had: {error}. Is a variable OTEL_... of the environment wrong?"
        ) from error
    return Tracing(config.tracing, log.logger)


def _start(tracing: "Tracing", metering: "Metering | None") -> None:
    if metering is not None:
        metering.count_spans(tracing.counts)
    tracing.start()


def _claim(address: str, root: str, log: Log, *, fresh: bool) -> list[Lock]:
    """Make state directory and socket ours; a daemon that is refused leaves nothing behind."""
    with ExitStack() as undo:
        claimed = [claim_root(root, fresh=fresh)]
        undo.callback(claimed[-1].abandon)
        claimed.append(claim_address(address))
        undo.callback(claimed[-1].abandon)
        _require_kernel(root, log)
        undo.pop_all()
    return claimed


def _require_kernel(root: str, log: Log) -> None:
    try:
        kernel.require_overlay(root)
    except kernel.OverlayError as error:
        raise StartError(str(error)) from error
    except OSError as error:
        # A full disk for one: only a daemon that serves can remove anything from it.
        log.logger.warning("whether overlays can be mounted is not known", cause=error.strerror)


@contextmanager
def _open_store(root: str, log: Log) -> Iterator[SqliteStore]:
    path, reserve = Path(database_path(root)), Reserve(Path(reserve_path(root)))
    require_own_files(root)
    try:
        prepare_database(path)
        store = open_store(path, reserve, before_waiting=step_aside)
    except DatabaseError as error:
        raise StartError(str(error)) from error
    except UnavailableError as error:
        raise StartError(f"{path}: {error}. `fuser {path}` shows which it is") from error
    except SnapshotterError as error:
        raise StartError(f"{path}: {error}") from error
    except OSError as error:
        raise StartError(f"{path} cannot be opened: {error.strerror}") from error
    if not reserve.make():
        log.logger.warning(
            "the disk is nearly full: no space is set aside for removing snapshots from it"
        )
    try:
        yield store
    finally:
        store.close()
        # What SQLite's files have taken is free now, and the next start will need it.
        reserve.make_of_the_last()


@contextmanager
def _expected(what: str) -> Iterator[None]:
    try:
        yield
    except SnapshotterError as error:
        raise StartError(f"{what}: {error}") from error


def _tidy(parts: Parts, config: Config) -> None:
    upkeep.adopt_orphans(parts.context)
    upkeep.discard_unrecorded_companions(parts.context)
    upkeep.follow_sources(
        parts.context, {source.name: source.host_path for source in config.sources}
    )


def _end_calls(server: SnapshotServer, parts: Parts, log: Log) -> None:
    if server.stop(GRACE):
        return
    # Those that wait for a source hear that there is no answer.
    parts.probes.close()
    if server.wait_until_idle(_LAST):
        return
    # Closing what they work with, or waiting for their threads, would be worse than leaving: the
    # records are safe whenever the process ends.
    log.logger.warning("calls are still running; the process ends without them")
    log.flush()
    os._exit(0)


def _bind(server: SnapshotServer, address: str) -> None:
    with private_files():
        try:
            server.bind(address)
        except BindError:
            raise StartError(f"cannot make the socket {address}") from None
