"""What is done around the operations: at start, and in the background."""

from collections.abc import Mapping, Sequence

from ..errors import ResourceExhaustedError
from ..events import DirectoryKept, OrphansFound, SourceMoved
from ..ports.store import Records
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
    given_so_far = context.store.new_identifier()
    unrecorded = context.store.read(lambda r: r.unrecorded(present))
    doomed = tuple(i for i in unrecorded if i < given_so_far and context.directories.is_empty(i))
    strangers = {*unrecorded} - {*doomed}
    lone = context.store.read(lambda r: r.unrecorded_companions(companions))
    strangers |= {number for number in lone if strangers or number >= given_so_far}
    unknown = tuple(sorted(strangers))
    if unknown:
        # Before the counter is raised above them, after which they would look like leftovers.
        context.store.write(lambda t: t.add_strangers(unknown))
    if doomed:
        context.store.write(lambda t: t.add_tombstones(doomed))
    if doomed or unknown:
        context.events.record(OrphansFound(doomed, unknown))


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
