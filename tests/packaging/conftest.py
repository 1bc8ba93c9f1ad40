"""What is built once for all tests of packages."""

import subprocess
from pathlib import Path

import pytest

from tests.harness.parts import ROOT


@pytest.fixture(scope="session")
def deb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the Debian package."""
    directory = tmp_path_factory.mktemp("deb")
    subprocess.run([ROOT / "script/deb", directory], check=True)
    (built,) = directory.iterdir()
    return built
