"""What happened, as values; logs and metrics are made from them."""

import attrs

from .circuit import Cause
from .layer import Hit, Layer, Miss, Trouble


@attrs.frozen
class LayerDecided:
    """containerd asked for a layer, and it was decided whether it comes from a source.

    Attributes:
        key: key of the Prepare.
        parent: name of the parent; empty for none.
        target: chain ID asked for, as it came.
        digest: digest of the compressed layer, as it came; empty if there was none.
        outcome: the decision with its reason.
        seconds: how long it took.
        image: reference of the image, as it came; empty if there was none.
        above_local: whether a layer below it is local, which no source had or was asked for.
    """

    key: str
    parent: str
    target: str
    digest: str
    outcome: Hit | Miss
    seconds: float
    image: str = ""
    above_local: bool = False


@attrs.frozen
class LayerUnreachable:
    """A snapshot could not be mounted because of a remote layer below it.

    Attributes:
        key: key of the snapshot asked for.
        trouble: which layer, and why.
    """

    key: str
    trouble: Trouble


@attrs.frozen
class SnapshotCommitted:
    """A local snapshot was committed, and its usage is to be measured.

    Attributes:
        identifier: of the snapshot.
    """

    identifier: int


@attrs.frozen
class OwnersLost:
    """A layer is used whose owners were flattened when it was published, or claimed by the client.

    Attributes:
        layer: which.
        owner: user and group ID to which everything in it belongs.
    """

    layer: Layer
    owner: tuple[int, int]


@attrs.frozen
class DirectoryKept:
    """A directory could not be deleted and stays for the next Cleanup.

    Attributes:
        identifier: of the removed snapshot, or number of the unused companion.
        cause: in words.
    """

    identifier: int
    cause: str


@attrs.frozen
class CleanedUp:
    """A Cleanup has deleted what it could.

    Attributes:
        directories: of removed snapshots that are gone now.
        companions: that are gone now.
        seconds: how long it took.
    """

    directories: int
    companions: int
    seconds: float


@attrs.frozen
class DirectoryMade:
    """The own directory of a recorded snapshot was missing and has been made again, empty.

    Attributes:
        identifier: of the snapshot.
    """

    identifier: int


@attrs.frozen
class OrphansFound:
    """Directories without a record were found at start.

    Attributes:
        doomed: empty, left behind by a crash; the next Cleanup deletes them.
        unknown: of these the records know nothing, although a crash cannot have left them: the
            database is older than they are. They are left alone.
    """

    doomed: tuple[int, ...]
    unknown: tuple[int, ...]


@attrs.frozen
class UpkeepPutOff:
    """Something that is done at start could not be, and the next start does it again.

    Attributes:
        what: was to be done.
        cause: in words.
    """

    what: str
    cause: str


@attrs.frozen
class SourceMoved:
    """A source is mounted elsewhere than before; links to its layers were changed to the new path.

    Attributes:
        source: name of the source.
        before: path until now.
        after: path from now on.
        links: how many links were there and led to the old path.
    """

    source: str
    before: str
    after: str
    links: int


@attrs.frozen
class CircuitOpened:
    """From now on a source is not asked.

    Attributes:
        source: its name.
        cause: of the failure that opened its circuit.
        failures: in a row, up to it.
        next_try: seconds until it is tried for the first time.
    """

    source: str
    cause: Cause
    failures: int
    next_try: float


@attrs.frozen
class CircuitClosed:
    """A source is asked again.

    Attributes:
        source: its name.
        cause: the last that was wrong with it.
        seconds: how long its circuit was open.
        tries: how often it was tried.
        suspects: how many layers are taken to be at fault themselves; 0 if the source was.
    """

    source: str
    cause: Cause
    seconds: float
    tries: int
    suspects: int


Event = (
    LayerDecided
    | LayerUnreachable
    | SnapshotCommitted
    | OwnersLost
    | DirectoryKept
    | CleanedUp
    | DirectoryMade
    | OrphansFound
    | UpkeepPutOff
    | SourceMoved
    | CircuitOpened
    | CircuitClosed
)
