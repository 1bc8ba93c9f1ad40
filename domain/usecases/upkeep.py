"""What is done around the operations: at start, and in the background."""

from collections.abc import Mapping, Sequence

from ..errors import ResourceExhaustedError, UnavailableError
from ..events import DirectoryKept, OrphansFound, SourceMoved, UpkeepPutOff
from ..ports.store import Records, Transaction
from ..snapshot import Usage
from .context import Context


def adopt_orphans(context: Context) -> None:
    """Find directories without a record, before anything is served.

    A crash between making a directory and recording its snapshot leaves one. It becomes a
    tombstone. containerd has not heard of it, so that nothing is in it; one with files in it, or
    with an identifier that was never given, shows that the database is older than the directories
    (it was restored, or replaced). Such a directory may hold somebody's data and is left alone for
    good, and so are companions without a record then, on which containers may stand.

    No identifier that anything has is given again.

    Args:
        context: the ports.

    Raises:
        ResourceExhaustedError: what must not be taken for a leftover cannot be recorded.
        UnavailableError: the same, for the moment.
    """
    present = sorted(context.directories.present())
    companions = sorted(context.companions.present())
    if present or companions:
        _tell_apart(context, present, companions)
    recorded = context.store.read(lambda r: r.highest_identifier())
    highest = max([recorded, *present, *companions])
    if highest:
        context.store.raise_identifiers(highest)


def _tell_apart(context: Context, present: Sequence[int], companions: Sequence[int]) -> None:
    given_so_far = context.store.read(lambda r: r.next_identifier())
    unrecorded = context.store.read(lambda r: r.unrecorded(present))
    doomed = tuple(i for i in unrecorded if i < given_so_far and context.directories.is_empty(i))
    strangers = {*unrecorded} - {*doomed}
    lone = context.store.read(lambda r: r.unrecorded_companions(companions))
    strangers |= {number for number in lone if strangers or number >= given_so_far}
    unknown = tuple(sorted(strangers))
    if unknown:
        # Before the counter is raised above them, after which they would look like leftovers.
        context.store.write(lambda t: t.add_strangers(unknown), frees=True)
    if doomed and not _bury(context, doomed):
        doomed = ()
    if doomed or unknown:
        context.events.record(OrphansFound(doomed, unknown))


def _bury(context: Context, doomed: Sequence[int]) -> bool:
    try:
        context.store.write(lambda t: t.add_tombstones(doomed), frees=True)
    except (ResourceExhaustedError, UnavailableError) as error:
        # They wait for the next start. Only a daemon that serves can free anything.
        context.events.record(UpkeepPutOff("recording what a crash left", str(error)))
        return False
    return True


def discard_unrecorded_companions(context: Context) -> None:
    """Delete companions that a crash left half-made or unused, before anything is served.

    They hold nothing that could not be made again, so that nobody is asked. Those that
    ``adopt_orphans`` found to be of newer records stay.

    Args:
        context: the ports.
    """
    present = sorted(context.companions.present())
    for number in context.store.read(lambda r: r.unrecorded_companions(present)):
        try:
            context.companions.remove(number)
        except ResourceExhaustedError as error:
            context.events.record(DirectoryKept(number, str(error)))


def follow_sources(context: Context, paths: Mapping[str, str]) -> None:
    """Make the links of remote snapshots lead to where their sources are mounted now.

    Only links that are there are touched: whoever needs one more makes it.

    Where that fails, as on a full disk, the next start does it again. Until then each link is made
    right when its snapshot is used.

    Args:
        context: the ports.
        paths: by name of source, its path as containerd sees it. A source that is not among them
            keeps its links.
    """
    recorded = context.store.read(lambda r: r.source_paths())
    for source, path in paths.items():
        if recorded.get(source) == path:
            continue
        try:
            _follow(context, source, recorded.get(source), path)
        except (ResourceExhaustedError, UnavailableError) as error:
            context.events.record(UpkeepPutOff(f"following source {source!r}", str(error)))


def _follow(context: Context, source: str, before: str | None, path: str) -> None:
    links = 0 if before is None else _link_again(context, source)
    context.store.write(lambda t: t.keep_source_path(source, path))
    if before is not None:
        context.events.record(SourceMoved(source, before, path, links))


def _link_again(context: Context, source: str) -> int:
    def on_source(records: Records) -> list[tuple[int, str]]:
        layers = records.remote_layers(source)
        return [(i, path) for i, layer in layers if (path := context.sources.path(layer))]

    directories, links = context.directories, 0
    for identifier, path in context.store.read(on_source):
        if directories.is_astray(identifier, path):
            directories.link_layer(identifier, path)
            links += 1
    return links


def measure_some(context: Context, limit: int = 10) -> int:
    """Measure committed snapshots whose usage is not recorded yet.

    Args:
        context: the ports.
        limit: how many at most.

    Returns:
        How many were measured; fewer than ``limit`` means that none is left.

    Raises:
        ResourceExhaustedError: some could not be measured, the others were.
    """
    unmeasured = context.store.read(lambda r: r.unmeasured(limit))
    trouble: ResourceExhaustedError | None = None
    found: dict[int, Usage] = {}
    for identifier in unmeasured:
        try:
            found[identifier] = context.directories.usage(identifier)
        except ResourceExhaustedError as error:
            trouble = error
    if found:
        context.store.write(lambda t: _record_usage(t, found))
    if trouble is not None:
        raise trouble
    return len(unmeasured)


def _record_usage(transaction: Transaction, found: Mapping[int, Usage]) -> None:
    for identifier, usage in found.items():
        transaction.measure(identifier, usage)
