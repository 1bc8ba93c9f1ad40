"""What was answered is there after the process was killed."""

import subprocess
import sys
import threading
from pathlib import Path

from cvmfs_snapshotter.adapters.sqlite import open_store

VICTIM = """
import pathlib, sys, threading
from cvmfs_snapshotter.adapters.sqlite import open_store
store = open_store(pathlib.Path(sys.argv[1]))
def work():
    while True:
        given = store.new_identifier()
        store.write(lambda t: t.keep_source_path(str(given), "/p"))
        # One call, so that lines of several threads stay whole.
        sys.stdout.write(f"{given}\\n")
        sys.stdout.flush()
for _ in range(4):
    threading.Thread(target=work).start()
"""


def test_what_was_answered_survives_a_kill(database: Path) -> None:
    """Every write that returned is there, and no identifier of before is given again."""
    with subprocess.Popen(
        [sys.executable, "-c", VICTIM, str(database)], stdout=subprocess.PIPE, text=True
    ) as victim:
        assert victim.stdout is not None
        lines = [victim.stdout.readline() for _ in range(200)]
        victim.kill()
        lines += victim.stdout.readlines()
    answered = {line.strip() for line in lines if line.endswith("\n")}

    store = open_store(database)
    try:
        assert answered <= set(store.read(lambda r: r.source_paths()))
        assert max(map(int, answered)) < store.new_identifier()
    finally:
        store.close()


def test_two_stores_on_one_file_give_different_identifiers(database: Path) -> None:
    """A second process, a command of the operator for one, takes blocks of its own."""
    given: list[int] = []

    def take() -> None:
        store = open_store(database)
        given.extend(store.new_identifier() for _ in range(200))
        store.close()

    threads = [threading.Thread(target=take) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 600 == len(set(given))
