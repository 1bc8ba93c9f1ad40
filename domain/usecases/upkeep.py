"""What is done around the operations: at start, and in the background."""

from collections.abc import Mapping

from ..errors import ResourceExhaustedError
from ..events import DirectoryKept, OrphansFound, SourceMoved
from ..ports.store import Records
from .context import Context


def adopt_orphans(context: Context) -> None:
    """Find directories without a record, before anything is served.

    A crash between making a directory and recording its snapshot leaves one. It becomes a
    tombstone. An identifier that was never given, on the other hand, shows that the database is
    older than the directories (it was restored, or replaced); such a directory may hold somebody's
    data and is left alone for good, and its identifier is not given again.

    Args:
        context: the ports.
    """
    present = sorted(context.directories.present())
    if not present:
        return
    given_so_far = context.store.new_identifier()
    unrecorded = context.store.read(lambda r: r.unrecorded(present))
    strangers = tuple(i for i in unrecorded if i >= given_so_far)
    doomed = tuple(i for i in unrecorded if i < given_so_far)
    if strangers:
        # Remembered first: once the counter is above them they would look like leftovers.
        context.store.write(lambda t: t.add_strangers(strangers))
        context.store.raise_identifiers(strangers[-1])
    if doomed:
        context.store.write(lambda t: t.add_tombstones(doomed))
    if doomed or strangers:
        context.events.record(OrphansFound(doomed, strangers))


def discard_unrecorded_companions(context: Context) -> None:
    """Delete companions that a crash left half-made or unused, before anything is served.

    They hold nothing that could not be made again, so that nobody is asked.

    Args:
        context: the ports.
    """
    present = sorted(context.companions.present())
    if not present:
        return
    # One that the records never gave belongs to newer records; containers may stand on it.
    given_so_far = context.store.new_identifier()
    present = [number for number in present if number < given_so_far]
    for number in context.store.read(lambda r: r.unrecorded_companions(present)):
        try:
            context.companions.remove(number)
        except ResourceExhaustedError as error:
            context.events.record(DirectoryKept(number, str(error)))


def follow_sources(context: Context, paths: Mapping[str, str]) -> None:
    """Make the links of remote snapshots lead to where their sources are mounted now.

    Args:
        context: the ports.
        paths: by name of source, its path as containerd sees it. A source that is not among them
            keeps its links.
    """
    recorded = context.store.read(lambda r: r.source_paths())
    for source, path in paths.items():
        before = recorded.get(source)
        if before == path:
            continue
        links = 0
        if before is not None:
            links = _link_again(context, source)
        context.store.write(lambda t, s=source, p=path: t.keep_source_path(s, p))  # type: ignore[misc]
        if before is not None:
            context.events.record(SourceMoved(source, before, path, links))


def _link_again(context: Context, source: str) -> int:
    def on_source(records: Records) -> list[tuple[int, str]]:
        layers = records.remote_layers(source)
        return [(i, path) for i, layer in layers if (path := context.sources.path(layer))]

    links = context.store.read(on_source)
    for identifier, path in links:
        context.directories.link_layer(identifier, path)
    return len(links)


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
    for identifier in unmeasured:
        try:
            usage = context.directories.usage(identifier)
        except ResourceExhaustedError as error:
            trouble = error
        else:
            context.store.write(lambda t, i=identifier, u=usage: t.measure(i, u))  # type: ignore[misc]
    if trouble is not None:
        raise trouble
    return len(unmeasured)
