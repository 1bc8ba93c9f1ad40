"""What is built once for all tests of packages."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.harness.parts import ROOT

MAINTAINER = {"DEBFULLNAME": "R&D / Storage", "DEBEMAIL": "storage@example.org"}
"""Who builds the package: a name with what has a meaning in patterns."""


@pytest.fixture(scope="session")
def deb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the Debian package."""
    directory = tmp_path_factory.mktemp("deb")
    subprocess.run([ROOT / "script/deb", directory], check=True, env={**os.environ, **MAINTAINER})
    (built,) = directory.iterdir()
    return built
