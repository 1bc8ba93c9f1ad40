"""Requests that may hang for ever, put to processes that can be given up."""

from .pool import ProbePool
from .worker import worker_command

__all__ = ["ProbePool", "worker_command"]
