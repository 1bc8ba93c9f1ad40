"""What every implementation of the port ``Directories`` must do."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from cvmfs_snapshotter.domain.errors import FailedPreconditionError, ResourceExhaustedError
from cvmfs_snapshotter.domain.ports.directories import Directories
from cvmfs_snapshotter.domain.snapshot import Usage


class DirectoriesContract:
    """Subclass it, and override both fixtures."""

    @pytest.fixture
    def directories(self) -> Directories:
        """Give an implementation without any snapshot."""
        raise NotImplementedError

    @pytest.fixture
    def broken(self) -> Directories:
        """Give an implementation whose medium takes no new directory."""
        raise NotImplementedError

    def test_nothing_is_present_at_first(self, directories: Directories) -> None:
        """Nothing but what belongs to a snapshot counts as present."""
        assert set() == set(directories.present())

    def test_active(self, directories: Directories) -> None:
        """An active snapshot's directory is present, and takes its own inode."""
        directories.create_active(3, (0, 0))

        assert {3} == set(directories.present())
        assert 1 == directories.usage(3).inodes

    def test_empty(self, directories: Directories) -> None:
        """An empty view's directory is present."""
        directories.create_empty(4)

        assert {4} == set(directories.present())

    def test_link(self, directories: Directories) -> None:
        """A link makes its snapshot present, and may be made again and moved."""
        directories.link_layer(5, "/elsewhere/one")
        directories.link_layer(5, "/elsewhere/one")
        directories.link_layer(5, "/elsewhere/two")

        assert {5} == set(directories.present())
        assert not directories.is_astray(5, "/elsewhere/two")
        assert directories.is_astray(5, "/elsewhere/one")
        assert directories.is_astray(5)
        assert not directories.is_astray(6, "/elsewhere/two")
        assert not directories.is_astray(6)

    def test_link_takes_nothing(self, directories: Directories) -> None:
        """A remote snapshot uses nothing of the local disk."""
        directories.link_layer(5, "/elsewhere")

        assert Usage(0, 0) == directories.usage(5)

    def test_owner_of_parent(self, directories: Directories) -> None:
        """The owner may be taken from a local snapshot."""
        directories.create_active(1, (1000, 2000))
        directories.create_active(2, 1)

        assert {1, 2} == set(directories.present())

    def test_parent_without_files(self, directories: Directories) -> None:
        """A parent whose files are lost is reported, and nothing is made."""
        with pytest.raises(FailedPreconditionError, match="parent snapshot 1"):
            directories.create_active(2, 1)

        assert set() == set(directories.present())

    def test_taken(self, directories: Directories) -> None:
        """What is there already is neither used again nor deleted."""
        directories.create_active(1, (0, 0))
        with pytest.raises(ResourceExhaustedError):
            directories.create_active(1, (0, 0))
        with pytest.raises(ResourceExhaustedError):
            directories.create_empty(1)

        assert {1} == set(directories.present())
        assert 1 == directories.usage(1).inodes

    def test_an_active_snapshot_has_no_link(self, directories: Directories) -> None:
        """Few mounts need one; nor does mending make it."""
        for identifier in (7, 8):
            directories.link_layer(identifier, "/elsewhere")
            directories.remove(identifier)
        directories.create_active(7, (0, 0))
        directories.mend_active(7, (0, 0))
        directories.mend_active(8, (0, 0))

        # Whatever is asked for, nothing leads elsewhere.
        for path in (None, "/elsewhere", "/other"):
            assert not any(directories.is_astray(i, path) for i in (7, 8))

    def test_files(self, directories: Directories) -> None:
        """Whether files are there, and whether there are any, can be told without counting."""
        directories.create_active(1, (0, 0))
        directories.create_empty(2)
        directories.link_layer(3, "/elsewhere")

        assert [4, 3] == [*directories.without_files((4, 1, 3, 2))]
        assert [True] * 4 == [directories.is_empty(i) for i in (1, 2, 3, 4)]

    def test_mend_active(self, directories: Directories) -> None:
        """What is lost of an active snapshot comes back as it was made, and only once."""
        directories.create_active(1, (0, 0))
        directories.create_active(2, (1000, 2000))
        directories.remove(2)

        assert [False, True, False] == [directories.mend_active(i, (0, 0)) for i in (1, 2, 2)]
        assert {1, 2} == set(directories.present())
        assert not directories.without_files((2,))

    def test_mend_active_with_the_owner_of_another(self, directories: Directories) -> None:
        """If the other one's files are lost as well, that is reported, and nothing is made."""
        directories.create_active(1, (1000, 2000))
        assert directories.mend_active(2, 1)
        with pytest.raises(FailedPreconditionError, match="parent snapshot 9"):
            directories.mend_active(3, 9)

        assert {1, 2} == set(directories.present())

    def test_mend_empty(self, directories: Directories) -> None:
        """A view of nothing gets its directory back."""
        directories.create_empty(1)

        assert [False, True, False] == [directories.mend_empty(i) for i in (1, 2, 2)]
        assert {1, 2} == set(directories.present())

    def test_mend_at_once(self, directories: Directories) -> None:
        """Of any number of callers exactly one makes the directory."""
        with ThreadPoolExecutor(8) as threads:
            made = list(threads.map(lambda i: directories.mend_active(i, (7, 8)), [1, 2] * 8))

        assert 2 == made.count(True)

    def test_link_files(self, directories: Directories) -> None:
        """A lost or wrong link to local files is made anew."""
        directories.link_layer(1, "/elsewhere")
        directories.link_files(1)
        directories.link_files(1)

        assert {1} == set(directories.present())
        assert not directories.is_astray(1)
        assert directories.is_astray(1, "/elsewhere")

    def test_settle(self, directories: Directories) -> None:
        """Removals can be made durable, also when there were none."""
        directories.settle()
        directories.create_active(1, (0, 0))
        directories.remove(1)
        directories.settle()

        assert set() == set(directories.present())

    def test_remove(self, directories: Directories) -> None:
        """All that belongs to an identifier goes, and nothing else."""
        directories.create_active(1, (0, 0))
        directories.create_active(2, (0, 0))
        directories.link_layer(3, "/elsewhere")
        directories.remove(1)
        directories.remove(3)

        assert {2} == set(directories.present())

    def test_remove_nothing(self, directories: Directories) -> None:
        """Removing what is not there is success, also the second time."""
        directories.create_active(1, (0, 0))
        directories.remove(1)
        directories.remove(1)
        directories.remove(99)

        assert set() == set(directories.present())

    def test_remove_twice_at_once(self, directories: Directories) -> None:
        """Two Cleanups may delete the same directories at the same time."""
        for identifier in range(1, 21):
            directories.create_active(identifier, (0, 0))
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(directories.remove, [*range(1, 21)] * 4))

        assert set() == set(directories.present())

    def test_usage_of_nothing(self, directories: Directories) -> None:
        """A directory that is not there takes nothing."""
        assert Usage(0, 0) == directories.usage(1)

    def test_broken_medium(self, broken: Directories) -> None:
        """A failure of the medium is one of the domain's errors, whatever was to be made."""
        with pytest.raises(ResourceExhaustedError):
            broken.create_active(1, (0, 0))
        with pytest.raises(ResourceExhaustedError):
            broken.create_empty(2)
        with pytest.raises(ResourceExhaustedError):
            broken.link_layer(3, "/elsewhere")
        with pytest.raises(ResourceExhaustedError):
            broken.mend_active(4, (0, 0))
        with pytest.raises(ResourceExhaustedError):
            broken.mend_empty(5)
        with pytest.raises(ResourceExhaustedError):
            broken.settle()
