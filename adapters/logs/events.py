"""The events of the domain as lines of the log."""

import contextlib
import time
from collections.abc import Callable

from cvmfs_snapshotter.domain.events import (
    CircuitClosed,
    CircuitOpened,
    CleanedUp,
    DirectoryKept,
    DirectoryMade,
    Event,
    LayerDecided,
    LayerUnreachable,
    OrphansFound,
    OwnersLost,
    SnapshotCommitted,
    SourceMoved,
    UpkeepPutOff,
)
from cvmfs_snapshotter.domain.layer import Hit, Layer, Miss, Reason

from .hint import NO_DIGEST_HINT, NO_TARGET_HINT, Seldom
from .logger import Logger

HINT_SECONDS = 60.0
"""Each hint at a missing label comes at most this often."""

_SHOWN = 20


class LogEvents:
    """Implements ``Events``: one line for each event."""

    def __init__(self, logger: Logger, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Start without any event.

        Args:
            logger: takes the lines.
            monotonic: seconds since some moment, never going back.
        """
        self._logger = logger
        self._monotonic = monotonic
        self._hints = {
            Reason.NO_DIGEST: (Seldom(HINT_SECONDS), "layer digests are missing", NO_DIGEST_HINT),
            Reason.NO_TARGET: (Seldom(HINT_SECONDS), "layers are not asked for", NO_TARGET_HINT),
        }
        self._lost: set[str] = set()

    def record(self, event: Event) -> None:
        """Write the line of an event; see ``Events.record``."""
        try:
            self._write(event)
        except Exception:
            # A request must not fail because its line does.
            with contextlib.suppress(Exception):
                self._logger.exception("an event could not be logged", event_type=type(event))

    def _write(self, event: Event) -> None:  # noqa: C901 - a case for each event
        match event:
            case LayerDecided():
                self._decided(event)
            case LayerUnreachable(key, trouble):
                self._logger.warning(
                    "remote layer out of reach",
                    key=key,
                    digest=str(trouble.layer.digest),
                    source=trouble.layer.source,
                    path=trouble.path,
                    reason=trouble.reason.value,
                    detail=trouble.detail,
                )
            case SnapshotCommitted(identifier):
                self._logger.debug("snapshot committed", snapshot=identifier)
            case DirectoryKept(identifier, cause):
                self._logger.warning(
                    "directory of a removed snapshot could not be deleted; the next Cleanup tries "
                    "again",
                    snapshot=identifier,
                    cause=cause,
                )
            case CleanedUp(directories, companions, seconds):
                self._logger.debug(
                    "cleaned up",
                    directories=directories,
                    companions=companions,
                    duration_ms=round(seconds * 1000, 3),
                )
            case DirectoryMade(identifier):
                self._logger.warning(
                    "the directory of a snapshot was missing, as after a power cut; it was made "
                    "again, empty",
                    snapshot=identifier,
                )
            case OwnersLost(layer, owner):
                self._owners_lost(layer, owner)
            case OrphansFound(doomed, unknown):
                self._orphans(doomed, unknown)
            case UpkeepPutOff(what, cause):
                self._logger.warning(
                    "something was put off until the next start", what=what, cause=cause
                )
            case SourceMoved(source, before, after, links):
                self._logger.info(
                    "source moved", source=source, before=before, after=after, links=links
                )
            case CircuitOpened() | CircuitClosed():
                self._circuit(event)

    def _circuit(self, event: CircuitOpened | CircuitClosed) -> None:
        if isinstance(event, CircuitClosed):
            self._circuit_closed(event)
            return
        self._logger.warning(
            "circuit opened: the source is not asked until a trial succeeds",
            source=event.source,
            circuit="open",
            reason=event.cause.reason.value,
            detail=event.cause.detail,
            waits_for=event.cause.operation.value,
            failures=event.failures,
            next_try_seconds=round(event.next_try, 3),
        )

    def _circuit_closed(self, event: CircuitClosed) -> None:
        note = {"layers_at_fault": event.suspects} if event.suspects else {}
        self._logger.log(
            30 if event.suspects else 20,
            "circuit closed: the source is asked again",
            source=event.source,
            circuit="closed",
            reason=event.cause.reason.value,
            detail=event.cause.detail,
            open_seconds=round(event.seconds, 3),
            tries=event.tries,
            **note,
        )

    def _decided(self, event: LayerDecided) -> None:
        outcome = event.outcome
        hit = isinstance(outcome, Hit)
        self._logger.log(
            _level(outcome),
            "layer decision",
            **{"remote-snapshot-prepared": "true" if hit else "false"},
            digest=event.digest,
            target=event.target,
            parent=event.parent,
            key=event.key,
            outcome="hit" if hit else "miss",
            reason=(Reason.HIT if isinstance(outcome, Hit) else outcome.reason).value,
            detail="" if isinstance(outcome, Hit) else outcome.detail,
            source=outcome.layer.source if isinstance(outcome, Hit) else outcome.source,
            duration_ms=round(event.seconds * 1000, 3),
        )
        if isinstance(outcome, Miss) and outcome.reason in self._hints:
            self._say_hint(outcome.reason)

    def _owners_lost(self, layer: Layer, owner: tuple[int, int]) -> None:
        # It says something about a whole source, so once for each is enough.
        if layer.source in self._lost:
            return
        self._lost.add(layer.source)
        self._logger.warning(
            "owners of files are lost on this source: they were flattened when layers were "
            "published, or the client claims them (CVMFS_CLAIM_OWNERSHIP)",
            source=layer.source,
            digest=str(layer.digest),
            owner=f"{owner[0]}:{owner[1]}",
        )

    def _say_hint(self, reason: Reason) -> None:
        seldom, message, hint = self._hints[reason]
        if seldom.now(self._monotonic()):
            self._logger.warning(message, hint=hint)

    def _orphans(self, doomed: tuple[int, ...], unknown: tuple[int, ...]) -> None:
        if doomed:
            self._logger.info(
                "directories without a record, left by a crash; the next Cleanup deletes them",
                count=len(doomed),
                snapshots=doomed[:_SHOWN],
            )
        if unknown:
            self._logger.error(
                "directories of which this database knows nothing: it is older than they are; "
                "they are left alone",
                count=len(unknown),
                snapshots=unknown[:_SHOWN],
            )


def _level(outcome: Hit | Miss) -> int:
    if isinstance(outcome, Hit):
        return 20
    if outcome.reason is Reason.WRONG_CHAIN:
        return 40
    return 20 if outcome.reason.healthy else 30
