"""Every port in memory: for unit tests, and as the executable form of what the ports demand."""

from .clock import MemoryClock
from .companions import MemoryCompanions
from .directories import MemoryDirectories
from .events import MemoryEvents
from .layers import MemorySources
from .patterns import MemoryPatterns
from .store import MemoryStore

__all__ = [
    "MemoryClock",
    "MemoryCompanions",
    "MemoryDirectories",
    "MemoryEvents",
    "MemoryPatterns",
    "MemorySources",
    "MemoryStore",
]
