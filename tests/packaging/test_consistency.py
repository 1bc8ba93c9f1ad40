"""What is written down in two places says the same in both."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

import cvmfs_snapshotter

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = sorted((ROOT / "requirements").glob("*.txt"))


def pins(name: str) -> dict[str, str]:
    """Version of each distribution that a requirements file pins."""
    text = (ROOT / "requirements" / name).read_text()
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE))


def test_the_changelog_begins_with_this_version() -> None:
    """The topmost release in the changelog is the version of the package, and is installed."""
    found = re.search(
        r"^## \[(\S+)\] - (?:Unreleased|\d{4}-\d\d-\d\d)$",
        (ROOT / "CHANGELOG.md").read_text(),
        re.MULTILINE,
    )

    assert found
    assert cvmfs_snapshotter.__version__ == found[1] == version("cvmfs-snapshotter")


def test_the_generated_code_is_current() -> None:
    """The committed gRPC code is what the generator makes of the .proto files."""
    result = subprocess.run(
        [sys.executable, ROOT / "script" / "gen_protos.py", "--check"],
        check=False,
        timeout=60,
        capture_output=True,
        text=True,
    )

    assert result.returncode == 0, result.stdout + result.stderr


def test_the_generator_is_as_old_as_the_oldest_runtime() -> None:
    """Generated code refuses an older grpcio or protobuf, so the floors are the generator's."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    floors = dict(re.findall(r"([a-z]+)>=([\d.]+)", " ".join(project["project"]["dependencies"])))
    folder = ROOT / "proto" / "containerd" / "types"
    protobuf = re.search(
        r"^# Protobuf Python Version: (\S+)$",
        (folder / "mount_pb2.py").read_text(),
        re.MULTILINE,
    )
    grpcio = re.search(
        r"^GRPC_GENERATED_VERSION = '(\S+)'$",
        (folder / "mount_pb2_grpc.py").read_text(),
        re.MULTILINE,
    )

    assert protobuf
    assert floors["protobuf"] == protobuf[1]
    assert grpcio
    assert floors["grpcio"] == grpcio[1] == pins("dev.txt")["grpcio-tools"]


@pytest.mark.parametrize("file", REQUIREMENTS, ids=lambda file: file.name)
def test_requirements_name_hashes_and_no_place(file: Path) -> None:
    """A pinned requirement has its hashes; no line says where packages are to come from."""
    lines = [line for line in file.read_text().splitlines() if not line.lstrip().startswith("#")]
    entries = " ".join(lines).replace("\\", "").split()

    assert [] == [
        entry
        for entry in entries
        if not re.fullmatch(r"[a-z0-9-]+==[\w.]+|--hash=sha256:[0-9a-f]{64}", entry)
    ]
    assert len(pins(file.name)) == len(re.findall(r"==\S+ \\\n +--hash", file.read_text()))


def test_the_development_pins_contain_the_runtime_pins() -> None:
    """The tests run with the very versions that requirements/run.txt installs."""
    run, dev = pins("run.txt"), pins("dev.txt")

    assert run
    assert run == {name: dev.get(name) for name in run}


def test_the_pins_for_tracing_are_those_of_the_others() -> None:
    """Tracing adds its packages to those that run, in the versions that the tests run with."""
    run, tracing, dev = pins("run.txt"), pins("tracing.txt"), pins("dev.txt")

    assert run.items() < tracing.items() < dev.items()
