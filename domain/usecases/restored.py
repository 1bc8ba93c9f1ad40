"""What must be recorded in records of an earlier time before they are used again."""

from collections.abc import Collection

from ..ports.companions import Companions
from ..ports.directories import Directories
from ..ports.store import Store


def disown(
    store: Store,
    directories: Directories,
    companions: Companions,
    *,
    buried: Collection[int],
    given: int,
) -> int:
    """Leave what newer records made alone for good, and never give its identifiers again.

    Containers may run on directories and companions of which earlier records know nothing. Not
    even what is empty is a leftover then.

    Args:
        store: the earlier records.
        directories: of the snapshots.
        companions: of the layers.
        buried: identifiers of snapshots that the newer records knew to be removed.
        given: identifiers up to this one may have been given.

    Returns:
        How many directories, links and companions are left alone.

    Raises:
        ResourceExhaustedError: that cannot be recorded, or the disk cannot be read.
    """
    present, numbers = sorted(directories.present()), sorted(companions.present())
    unrecorded = {*store.read(lambda r: r.unrecorded(present))}
    removed = sorted(unrecorded & {*buried})
    lone = store.read(lambda r: r.unrecorded_companions(numbers))
    unknown = sorted((unrecorded - {*removed}) | {*lone})
    store.write(lambda t: t.add_strangers(unknown))
    store.write(lambda t: t.add_tombstones(removed))
    recorded = store.read(lambda r: r.highest_identifier())
    store.raise_identifiers(max([given, recorded, *present, *numbers]))
    return len(unknown)
