"""Touching the sources once at start."""

import threading

from cvmfs_snapshotter.adapters.logs.logger import Logger
from cvmfs_snapshotter.domain.layer import Digest, Layer, Reason
from cvmfs_snapshotter.domain.ports.clock import Clock
from cvmfs_snapshotter.domain.ports.layers import LayerSources

_NO_LAYER = Digest("0" * 64)


def warm_up(names: tuple[str, ...], sources: LayerSources, clock: Clock, logger: Logger) -> None:
    """Touch every source in the background, so that the first pull does not wait for a mount.

    The look-up of a layer that is not there makes an automounter mount the source and says whether
    it is healthy. Nobody waits for the result.

    Args:
        names: of the sources.
        sources: looks them up.
        clock: for deadlines.
        logger: takes a line for each.
    """

    def run() -> None:
        for name in names:
            until = clock.monotonic() + sources.patience
            outcome = sources.look(Layer(name, _NO_LAYER), until)
            reason = getattr(outcome, "reason", Reason.HIT)
            if reason.healthy:
                logger.info("source is there", source=name)
            else:
                detail = getattr(outcome, "detail", "")
                logger.warning(
                    "source is not there; its layers are downloaded until it is",
                    source=name,
                    reason=reason.value,
                    detail=detail,
                )

    threading.Thread(target=run, name="warm-up", daemon=True).start()
