"""Generate the gRPC code beside the .proto files; with --check only say whether it is current.

The files lie in two trees, `proto/` of the product and `tests/proto/` for tests alone. protoc
derives Python imports from the path of a file, so each tree is given to it under the path of its
package: the .proto files import one another by that path (`cvmfs_snapshotter/proto/...`), and the
generated code needs no editing.

Exit status: 0 when all is current (or was made so), 1 when --check found a difference, otherwise
that of protoc.
"""

import argparse
import importlib.resources
import sys
import tempfile
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
# Folder of the .proto files -> path of its package.
TREES = {"proto": "cvmfs_snapshotter/proto", "tests/proto": "tests/proto"}
SUFFIXES = ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py", "_pb2_grpc.pyi")


def generate(out: Path) -> dict[Path, bytes]:
    """Run protoc on all trees.

    Args:
        out: An empty folder for protoc to write to.

    Returns:
        Content of each generated file by its path relative to the checkout.

    Raises:
        SystemExit: protoc reported an error, and has printed it.
    """
    trees = {folder: path for folder, path in TREES.items() if (ROOT / folder).is_dir()}
    sources = [
        f"{package}/{path.relative_to(ROOT / folder).as_posix()}"
        for folder, package in trees.items()
        for path in sorted((ROOT / folder).rglob("*.proto"))
    ]
    plugins = Path(sys.executable).parent
    status = protoc.main(
        [
            "protoc",
            *(f"--proto_path={package}={ROOT / folder}" for folder, package in trees.items()),
            # `python -m grpc_tools.protoc` adds this one itself; the function does not.
            f"--proto_path={importlib.resources.files('grpc_tools') / '_proto'}",
            f"--python_out={out}",
            f"--grpc_python_out={out}",
            f"--plugin=protoc-gen-mypy={plugins / 'protoc-gen-mypy'}",
            f"--plugin=protoc-gen-mypy_grpc={plugins / 'protoc-gen-mypy_grpc'}",
            f"--mypy_out=quiet:{out}",
            f"--mypy_grpc_out=quiet:{out}",
            *sources,
        ]
    )
    if status != 0:
        raise SystemExit(status)
    return {
        Path(folder, path.relative_to(out / package)): path.read_bytes()
        for folder, package in trees.items()
        for path in (out / package).rglob("*")
        if path.name.endswith(SUFFIXES)
    }


def committed() -> dict[Path, bytes]:
    """Content of each generated file that is in the checkout, by its path relative to it."""
    return {
        path.relative_to(ROOT): path.read_bytes()
        for folder in TREES
        for path in (ROOT / folder).rglob("*")
        if path.name.endswith(SUFFIXES)
    }


def main() -> int:
    """Parse the command line and do as it says."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="change nothing; 1 when out of date")
    check = parser.parse_args().check

    with tempfile.TemporaryDirectory() as scratch:
        new = generate(Path(scratch))
    old = committed()
    stale = sorted(path for path in new | old if new.get(path) != old.get(path))
    for path in stale:
        print(f"{'out of date' if check else 'updated'}: {path}")
        if check:
            continue
        if path in new:
            (ROOT / path).write_bytes(new[path])
        else:
            (ROOT / path).unlink()
    return 1 if check and stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
