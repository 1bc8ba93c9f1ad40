import threading

from cvmfs_snapshotter.entrypoints.rpc.calls import Calls


def test_running_calls_are_waited_for() -> None:
    """A call counts until its code has ended, however it ends."""
    calls = Calls()
    entered, leave = threading.Event(), threading.Event()

    def run() -> None:
        with calls.one():
            entered.set()
            leave.wait(10.0)

    thread = threading.Thread(target=run)
    thread.start()
    entered.wait(10.0)

    assert not calls.wait_until_none(0.01)
    leave.set()
    assert calls.wait_until_none(10.0)
    thread.join()


def test_no_call() -> None:
    """Nothing running is nothing to wait for."""
    assert Calls().wait_until_none(0.0)
