"""The signals that the daemon hears.

=================  =============================================================================
SIGTERM, SIGINT    it stops; a second one ends the process at once
SIGHUP, SIGUSR2    answered by the main thread, one after the other
SIGUSR1            the stack of each thread goes to standard error, also when the daemon hangs
=================  =============================================================================
"""

import faulthandler
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeAlias

Answers: TypeAlias = Mapping[int, Callable[[], None]]
"""By number of a signal, what is done about it; does not raise."""

_STOPPING = frozenset({signal.SIGTERM, signal.SIGINT})

_ANSWERED = frozenset({signal.SIGHUP, signal.SIGUSR2})

_STANDARD_ERROR = 2

_AT_ONCE = 4096


@contextmanager
def heard() -> Iterator[Callable[[Answers], None]]:
    """Hear signals in the block; those that come before anybody waits for them are kept.

    Yields:
        A function that answers signals until the first one that says to stop. Signals of one
        kind that have come since it looked last are answered once.
    """
    told = False

    def stop(number: int, _frame: object) -> None:
        nonlocal told
        if told:
            os._exit(128 + number)
        told = True

    def note(_number: int, _frame: object) -> None:
        """Let the number be written to the pipe."""

    def wait(answers: Answers) -> None:
        while True:
            for number in dict.fromkeys(os.read(reading, _AT_ONCE)):
                if number in _STOPPING or told:
                    return
                if number in answers:
                    answers[number]()

    # Not an Event: Python runs a handler between two instructions, so that one of a signal that
    # comes while the main thread begins to wait for a lock would run after that wait only. A byte
    # in a pipe, the signal's number, is there at once.
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    wakeup = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    before = [
        *((number, signal.signal(number, stop)) for number in _STOPPING),
        *((number, signal.signal(number, note)) for number in _ANSWERED),
    ]
    # Not by the main thread: it is wanted most when that hangs.
    faulthandler.register(signal.SIGUSR1, file=_STANDARD_ERROR, all_threads=True)
    try:
        yield wait
    finally:
        faulthandler.unregister(signal.SIGUSR1)
        for number, handler in before:
            signal.signal(number, handler)
        signal.set_wakeup_fd(wakeup)
        os.close(reading)
        os.close(writing)
