"""What was tried and what was broken, written down by all threads of a soak."""

import math
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import attrs
import grpc

from .judging import Cause, Operation, Trouble

T = TypeVar("T")


class WrongFilesError(AssertionError):
    """A container saw files that its image does not have, or did not see those that it has."""


class ContainerFailedError(Exception):
    """A command in a container ended with an error; the message has what it printed."""


class Journal:
    """Operations and troubles in the order in which they ended, and problems in words.

    A problem is a defect that needs no explanation, such as a daemon that does not start again.
    """

    def __init__(self) -> None:
        """Begin now."""
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._operations: list[Operation] = []
        self._troubles: list[Trouble] = []
        self._problems: list[str] = []
        self._recoveries: list[float] = []

    def now(self) -> float:
        """Tell the seconds since the soak began."""
        return time.monotonic() - self._began

    def attempt(
        self, kind: str, image: str, call: Callable[[], T], since: float | None = None
    ) -> T | None:
        """Try something and note how it ended.

        Args:
            kind: Of operation.
            image: Name of the image; "" for none.
            since: When what it needs began, if that was before; seconds since the soak began.

        Returns:
            What the call returns; None if it failed.
        """
        started = self.now()
        began = started if since is None else since
        result, error, wrong = None, "", False
        try:
            result = call()
        except grpc.RpcError as failed:
            error = f"{failed.code().name}: {failed.details()}"
        except WrongFilesError as failed:
            error, wrong = str(failed), True
        except (AssertionError, ContainerFailedError) as failed:
            error = f"{type(failed).__name__}: {failed}"
        except Exception:  # noqa: BLE001 - whatever it is, it is to be judged
            error = traceback.format_exc()
        ended = self.now()
        with self._lock:
            self._operations.append(Operation(kind, image, began, started, ended, error, wrong))
        return result

    @contextmanager
    def trouble(self, cause: Cause, name: str, images: Iterable[str] = ()) -> Iterator[None]:
        """Note that something is broken for the time of the block.

        Args:
            images: Names of the images that it concerns, if not all.
        """
        trouble = Trouble(cause, name, self.now(), math.inf, frozenset(images))
        with self._lock:
            number = len(self._troubles)
            self._troubles.append(trouble)
        try:
            yield
        finally:
            with self._lock:
                self._troubles[number] = attrs.evolve(trouble, ended=self.now())

    def problem(self, text: str) -> None:
        """Note a defect."""
        with self._lock:
            self._problems.append(f"at {self.now():.0f} s: {text}")

    def recovered(self, seconds: float) -> None:
        """Note how long it took until the source was used again, after it was healed."""
        with self._lock:
            self._recoveries.append(seconds)

    def recoveries(self) -> list[float]:
        """Give all times that `recovered` was told, seconds."""
        with self._lock:
            return list(self._recoveries)

    def operations(self) -> list[Operation]:
        """Give all operations that have ended."""
        with self._lock:
            return list(self._operations)

    def troubles(self) -> list[Trouble]:
        """Give all troubles."""
        with self._lock:
            return list(self._troubles)

    def problems(self) -> list[str]:
        """Give all problems."""
        with self._lock:
            return list(self._problems)
