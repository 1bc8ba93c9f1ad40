"""Paths of one daemon that must not be the same."""

import os

from .config import Config


def clash_of(address: str, config: Config) -> str:
    """Find out whether metrics would be served where containerd is.

    Args:
        address: checked path of the daemon's socket.
        config: the configuration.

    Returns:
        What clashes, beginning with the key; empty if nothing does.
    """
    metrics = config.metrics.path if config.metrics is not None else ""
    metrics = metrics and os.path.normpath(metrics)
    if metrics and metrics in {address, f"{address}.lock"}:
        return f"metrics.address: {metrics} is the daemon's own, on which containerd is served"
    if metrics and f"{metrics}.lock" == address:
        return f"metrics.address: the lock {address} beside it is the daemon's own socket"
    return ""
