"""What each release of containerd reads, and does with it."""

from enum import Enum

import attrs


class Pull(Enum):
    """How the CRI pulls images.

    Attributes:
        LOCAL: the CRI plugin itself; the only way before 2.1.
        TRANSFER: the transfer service, the default from 2.1 on. ``ctr images pull`` uses it too.
    """

    LOCAL = "local"
    TRANSFER = "transfer"


@attrs.frozen
class Release:
    """A minor release of containerd.

    Attributes:
        name: such as ``2.1``.
        tried: the version that the tests start with the printed lines; empty if there is none, and
            what is known of the release comes from containerd's sources.
        file_version: version of the configuration file that is written for it. Version 3 serves
            all of 2.x: version 4 of 2.3 moved the server's settings only, and a file that is
            imported must not have a higher version than the one that imports it.
        newest_file_version: the highest that it reads.
        images_plugin: the CRI's images have a plugin of their own; imported files are merged into
            the sections of plugins, instead of replacing them.
        migrates_each_file: imported files are brought to the newest version one by one, and not
            all together after they were merged.
        globs_beside_file: a relative pattern in ``imports`` is looked for beside the file, and not
            in the working directory of containerd.
        capabilities: it reads the capabilities of a proxy plugin.
        runtime_snapshotters: a runtime can have a snapshotter of its own.
        transfer: the CRI pulls through the transfer service, and that can say which layer it
            wants.
        guesses_differ: early versions of it take a differ that cannot unpack, if none is named.
        optional_unpacking: an entry of ``unpack_config`` can be optional.
        parallel: it can unpack layers in parallel, from snapshotters that say ``rebase``.
        staging: it takes layers from these without unpacking them, if they are staged.
    """

    name: str
    tried: str = ""
    file_version: int = 3
    newest_file_version: int = 3
    images_plugin: bool = True
    migrates_each_file: bool = False
    globs_beside_file: bool = True
    capabilities: bool = True
    runtime_snapshotters: bool = True
    transfer: bool = True
    guesses_differ: bool = False
    optional_unpacking: bool = False
    parallel: bool = False
    staging: bool = False

    @property
    def oldest_file_version(self) -> int:
        """The lowest version of a file from which it takes all that it needs."""
        return 2 if self.images_plugin else 1


_ONE = Release("1.x", file_version=2, newest_file_version=2, images_plugin=False, transfer=False)

RELEASES = {
    release.name: release
    for release in (
        attrs.evolve(
            _ONE,
            name="1.6",
            tried="1.6.20",
            globs_beside_file=False,
            capabilities=False,
            runtime_snapshotters=False,
        ),
        attrs.evolve(_ONE, name="1.7", tried="1.7.24"),
        Release("2.0", transfer=False),
        Release("2.1", tried="2.1.9", guesses_differ=True),
        Release("2.2", parallel=True),
        *(
            Release(
                name,
                newest_file_version=4,
                migrates_each_file=True,
                optional_unpacking=True,
                parallel=True,
                staging=name == "2.4",
            )
            for name in ("2.3", "2.4")
        ),
    )
}
"""By name, the oldest first."""
