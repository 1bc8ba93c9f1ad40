"""What CernVM-FS tells about a tree: its catalogs and its magic extended attributes.

The attributes are those of the CVMFS documentation, "Magic extended attributes": they can be read
on every path and are listed on the root alone. `user.catalog_counters` describes the catalog that
a path lies in (`cvmfs/magic_xattr.cc`).
"""

import hashlib
import os
import stat
from collections import Counter

FQRN = "user.fqrn"
IO_ERRORS = "user.nioerr"
COUNTERS = "user.catalog_counters"

_LAYER_FILES_DEPTH = 4  # /.layers/<two digits>/<digest>/layerfs


def catalog_of(path: str) -> str:
    """Tell the root of the nested catalog that a path is in.

    DUCC gives each directory of layers, and the files of each layer, a catalog of its own.

    Args:
        path: In the file system, absolute.
    """
    names = path.split("/")[1:]
    if names[0] != ".layers" or len(names) == 1:
        return "/"
    deep = len(names) >= _LAYER_FILES_DEPTH and names[_LAYER_FILES_DEPTH - 1] == "layerfs"
    return "/" + "/".join(names[: _LAYER_FILES_DEPTH if deep else 2])


def attributes(repository: str, pid: int) -> dict[str, str]:
    """Give the attributes that are the same on every path, without those that count."""
    return {
        FQRN: repository,
        "user.expires": "4",
        "user.host": "http://stratum-1.invalid/cvmfs/" + repository,
        "user.host_list": "http://stratum-1.invalid/cvmfs/" + repository,
        "user.hitrate": "100",
        "user.maxfd": "130560",
        "user.ncleanup24": "0",
        "user.ndownload": "4",
        "user.pid": str(pid),
        "user.proxy": "DIRECT",
        "user.revision": "7",
        "user.root_hash": hashlib.sha1(repository.encode(), usedforsecurity=False).hexdigest(),
        "user.speed": "1000",
        "user.tag": "trunk",
        "user.timeout": "5",
        "user.timeout_direct": "10",
        "user.uptime": "1",
        "user.usedfd": "1",
        "user.version": "2.12.0.0",
    }


def counters(root: str, catalog: str) -> str:
    """Describe a catalog as `user.catalog_counters` does.

    Args:
        root: Directory that stands for the repository.
        catalog: Path of the catalog's root in the repository.
    """
    counted: Counter[str] = Counter()
    for name, directories, files in os.walk(root + catalog):
        inside = name.removeprefix(root) or "/"
        if catalog_of(inside) != catalog:
            directories.clear()
            counted["nested"] += 1
            continue
        counted["dir"] += 1
        for each in files:
            status = os.lstat(f"{name}/{each}")
            kind = {stat.S_IFREG: "regular", stat.S_IFLNK: "symlink"}
            counted[kind.get(stat.S_IFMT(status.st_mode), "special")] += 1
            counted["file_size"] += status.st_size if stat.S_ISREG(status.st_mode) else 0
    names = ("regular", "symlink", "special", "dir", "nested", "chunked", "chunks", "file_size")
    name_hash = hashlib.sha1(catalog.encode(), usedforsecurity=False).hexdigest()
    return "\n".join(
        (
            f"catalog_hash: {name_hash}",
            f"catalog_mountpoint: {'' if catalog == '/' else catalog}",
            *(f"{name},{counted[name]}" for name in names),
        )
    )
