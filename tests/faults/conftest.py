"""What the tests of faults share: a tree of layers behind a file system that fails on command."""

import itertools
from collections.abc import Iterator

import pytest

from tests.faults.stand import LAYERS
from tests.harness.fuse.file_system import FileSystem, file_system
from tests.harness.repository import Repository
from tests.harness.workspace import Workspace, workspace

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def base() -> Iterator[Workspace]:
    """A directory for everything; nothing may be left of it at the end."""
    with workspace() as made:
        yield made


@pytest.fixture
def repository(base: Workspace) -> Repository:
    """A repository with all `LAYERS`."""
    made = Repository.make(base.base / f"{next(_numbers)}" / "repository")
    made.publish(*LAYERS)
    return made


@pytest.fixture
def cvmfs(repository: Repository) -> Iterator[FileSystem]:
    """The repository, mounted and healthy."""
    with file_system(repository.path, repository.path.parent / "cvmfs") as mounted:
        yield mounted
