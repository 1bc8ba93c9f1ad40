"""The server of the file system: a process of its own, told by its standard input what to do.

    python -m tests.harness.fuse.server <directory> <mount point> <repository> <seconds>

It shows the directory read-only, as a CVMFS client shows the repository of that name; the kernel
may keep names and attributes for so many seconds. On standard output it says `{"mounted": true}`
once. From then on it answers each line of JSON with one:

* `{"faults": [...], "attributes": {...}}` sets what goes wrong (`faults.Fault`) and which magic
  attributes differ, instead of what was set before;
* `{}` changes nothing.

The answer tells how many operations hang and how many of each kind have come in so far. The end of
standard input is the end of the server.
"""

import errno
import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mfusepy import FUSE, Operations, fuse_config

from tests.harness.fuse import tree
from tests.harness.fuse.faults import Fault, Operation

THREADS = 256
"""Operations that may hang at once; further ones hang too, but are not seen by the server."""

_ATTRIBUTES = (
    *("st_atime", "st_ctime", "st_gid", "st_ino", "st_mode"),
    *("st_mtime", "st_nlink", "st_size", "st_uid", "st_blocks"),
)


class Client(Operations):  # type: ignore[misc]
    """What a CVMFS client answers. The names and arguments of the methods are mfusepy's."""

    use_ns = True

    def __init__(
        self, root: str, repository: str, timeout: float, mounted: Callable[[], None]
    ) -> None:
        """Take a directory.

        Args:
            root: The directory.
            repository: Name of the repository.
            timeout: Seconds that the kernel may keep what it is told.
            mounted: Called when the kernel begins to speak to us; it may not wait for us.
        """
        self._root = root
        self._repository = repository
        self._timeout = timeout
        self._mounted = mounted
        self._changed = threading.Condition()
        self._faults: list[Fault] = []
        self._other_attributes: dict[str, str] = {}
        self._loaded = {"/"}
        self._read: set[str] = set()
        self._hanging = 0
        self._errors = 0
        self._counts: Counter[str] = Counter()

    def command(self, command: dict[str, Any]) -> dict[str, object]:
        """Do what a line of standard input says, and give the answer."""
        with self._changed:
            if "faults" in command:
                self._faults = [Fault.from_json(each) for each in command["faults"]]
                self._other_attributes = command["attributes"]
                self._changed.notify_all()
            return {"hanging": self._hanging, "counts": dict(self._counts)}

    def init_with_config(self, _: object, config: fuse_config | None) -> None:
        """Let the kernel keep what it is told for as long as the client lets it."""
        if config is None:
            raise AssertionError("libfuse 2 is of no use here")
        config.use_ino = 1
        config.entry_timeout = config.attr_timeout = config.negative_timeout = self._timeout
        self._mounted()

    def getattr(self, path: str, fh: int | None = None) -> dict[str, int]:
        """Look something up, or tell the attributes of the root."""
        self._meet(Operation.LOOKUP if path != "/" else Operation.GETATTR, path)
        found = os.lstat(self._root + path)
        known: dict[str, int] = {name: getattr(found, name) for name in _ATTRIBUTES}
        for name in ("st_atime", "st_mtime", "st_ctime"):
            known[name] = getattr(found, f"{name}_ns")
        known["st_rdev"] = found.st_rdev
        return known

    def opendir(self, path: str) -> int:
        """Open a directory."""
        self._meet(Operation.OPENDIR, path)
        return 0

    def readdir(self, path: str, fh: int) -> list[tuple[str, dict[str, int], int]]:
        """List a directory."""
        self._meet(Operation.READDIR, path)
        with os.scandir(self._root + path) as entries:
            # Without its inode number an entry would be taken for a deleted one.
            return [
                (each.name, {"st_mode": found.st_mode, "st_ino": found.st_ino}, 0)
                for each in entries
                for found in [each.stat(follow_symlinks=False)]
            ]

    def open(self, path: str, flags: int) -> int:
        """Open a file."""
        self._meet(Operation.OPEN, path)
        return os.open(self._root + path, os.O_RDONLY)

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        """Read a piece of a file."""
        self._meet(Operation.READ, path)
        return os.pread(fh, size, offset)

    def release(self, path: str, fh: int) -> int:
        """Close a file."""
        os.close(fh)
        return 0

    def readlink(self, path: str) -> str:
        """Tell the target of a symbolic link."""
        self._meet(Operation.READLINK, path)
        return str(Path(self._root + path).readlink())

    def getxattr(self, path: str, name: str, position: int = 0) -> bytes:
        """Tell a magic attribute; there are no others."""
        self._meet(Operation.GETXATTR, path)
        known = self._attributes()
        if name in known:
            return known[name].encode()
        if name == tree.COUNTERS:
            return tree.counters(self._root, tree.catalog_of(path)).encode()
        raise OSError(errno.ENODATA, os.strerror(errno.ENODATA))

    def listxattr(self, path: str) -> list[str]:
        """List the magic attributes, on the root only."""
        return sorted((*self._attributes(), tree.COUNTERS)) if path == "/" else []

    def statfs(self, path: str) -> dict[str, int]:
        """Tell the state of the file system."""
        self._meet(Operation.STATFS, path)
        # As the client does, which leaves the longest length of a name at 0 too.
        return {"f_bsize": 1, "f_frsize": 1, "f_blocks": 1 << 32, "f_bavail": 1 << 31}

    def _attributes(self) -> dict[str, str]:
        known = tree.attributes(self._repository, os.getpid())
        return known | {tree.IO_ERRORS: str(self._errors)} | self._other_attributes

    def _meet(self, operation: Operation, path: str) -> None:
        """Let an operation suffer what is set for it, and raise its error."""
        with self._changed:
            self._counts[operation.value] += 1
            while (fault := self._fault(operation, path)) is not None and fault.hangs:
                self._hanging += 1
                self._changed.wait()
                self._hanging -= 1
            if fault is None or not fault.error:
                self._loaded.add(tree.catalog_of(path))
                if operation is Operation.READ:
                    self._read.add(path)
            elif fault.error == errno.EIO:
                self._errors += 1
        if fault is not None:
            time.sleep(fault.delay)
            if fault.error:
                raise OSError(fault.error, os.strerror(fault.error))

    def _fault(self, operation: Operation, path: str) -> Fault | None:
        cold = tree.catalog_of(path) not in self._loaded
        if operation is Operation.READ:
            cold = path not in self._read
        return next((f for f in self._faults if f.concerns(operation, path, cold=cold)), None)


def _say(answer: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _tell_when_mounted(point: str) -> None:
    # Until the kernel has our answer to its first request, it keeps all others back.
    os.statvfs(point)
    _say({"mounted": True})


def _listen(client: Client) -> None:
    for line in sys.stdin:
        _say(client.command(json.loads(line)))
    os._exit(0)


def main() -> None:
    """Serve until the end of standard input."""
    root, point, repository, timeout = sys.argv[1:]
    telling = threading.Thread(target=_tell_when_mounted, args=(point,), daemon=True)
    client = Client(root, repository, float(timeout), telling.start)
    threading.Thread(target=_listen, args=(client,), daemon=True).start()
    # The options are those of the CVMFS client (`cvmfs/loader.cc`, `mount/mount.cvmfs.cc`).
    FUSE(
        client,
        point,
        foreground=True,
        fsname="cvmfs2",
        ro=True,
        nodev=True,
        nosuid=True,
        allow_other=True,
        default_permissions=True,
        max_threads=THREADS,
    )


if __name__ == "__main__":
    main()
