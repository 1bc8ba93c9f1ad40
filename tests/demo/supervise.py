"""Do some work, and leave nothing of it behind, however it ends."""

# ruff: noqa: T201 - printing is its job

import os
import signal
import sys
import traceback
from collections.abc import Callable
from types import FrameType

from tests.demo.abandoned import held, sweep_abandoned
from tests.harness.workspace import Workspace

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def supervise(work: Callable[[Workspace], int], name: str = "demo") -> int:
    """Run `work` with a workspace, in a child process, and sweep the workspace afterwards.

    An exception that a signal raises can hit a program in the middle of its cleaning up. So the
    child simply dies of a signal, and the parent, in which signals raise nothing, cleans up after
    it in any case. If the parent is killed, the child does, at its end; if both are, the next run.

    Args:
        work: Returns an exit status.
        name: Of the program, for what it says of an interruption.

    Returns:
        That status; 1 when it raised an exception or left something behind that could not be
        swept; 128 + the number of the signal that ended it.
    """
    received: list[int] = []
    child = 0

    def forward(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        if child:
            _kill(child)

    for number in SIGNALS:
        signal.signal(number, forward)
    for base in sweep_abandoned():
        print(f"{name}: swept {base}, which a run that was killed had left", flush=True)
    workspace, parent = Workspace.make(), os.getpid()
    with held(workspace.base):
        try:
            child = os.fork()
            if child == 0:
                _work(workspace, work, parent)
            if received:  # it came while there was no child to forward it to
                _kill(child)
            _, status = os.waitpid(child, 0)
            child = 0
        finally:
            workspace.sweep()
    if received:
        print(f"{name}: interrupted by {signal.Signals(received[0]).name}", file=sys.stderr)
        return 128 + received[0]
    return abs(os.waitstatus_to_exitcode(status))


def _kill(child: int) -> None:
    try:
        os.kill(child, signal.SIGKILL)
    except ProcessLookupError:
        return


def _work(workspace: Workspace, work: Callable[[Workspace], int], parent: int) -> None:
    """Be the child: never returns."""
    status = 1
    try:
        # Ctrl-C reaches every process of the terminal's group: the parent alone shall see it.
        os.setsid()
        try:
            status = work(workspace)
        finally:
            if os.getppid() != parent:
                workspace.sweep()
    except BaseException:  # noqa: BLE001 - nothing may get into the parent's code
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
