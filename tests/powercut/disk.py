"""What may be on a disk after the power was cut."""

import random
from collections.abc import Iterator, Mapping, Sequence

import attrs

from .recording import Answer, Delete, Event, Index, Sync, Truncate, Write

SECTOR = 512
"""What a disk writes as a whole or not at all. Bytes beside those that are being written are never
harmed; SQLite assumes that as well (https://sqlite.org/psow.html)."""

_Change = Write | Truncate | Delete


@attrs.frozen
class Cut:
    """One possible disk.

    Attributes:
        files: by name, what is in them.
        heard: what callers had been answered before.
        how: which of the possible disks it is, in words.
    """

    files: dict[str, bytes]
    heard: tuple[object, ...]
    how: str


@attrs.define
class _Disk:
    """A disk that is written to: what is certainly on it, and what may be, by file."""

    durable: dict[str, bytes] = attrs.field(factory=dict)
    indexes: list[Index] = attrs.field(factory=list)
    pending: dict[str, list[_Change]] = attrs.field(factory=dict)

    def take(self, event: _Change | Sync) -> None:
        if isinstance(event, Sync):
            self._settle(event.name)
            return
        self.pending.setdefault(event.name, []).append(event)
        if isinstance(event, Delete) and event.synced:
            self._settle(event.name)

    def _settle(self, name: str) -> None:
        after = _applied(self.durable.get(name), self.pending.pop(name, []))
        if after is None:
            self.durable.pop(name, None)
        else:
            self.durable[name] = after

    def with_changes(self, chosen: dict[str, Sequence[_Change]]) -> dict[str, bytes]:
        files = dict(self.durable)
        for name, changes in chosen.items():
            after = _applied(files.pop(name, None), changes)
            if after is not None:
                files[name] = after
        return files

    def with_index(self, files: dict[str, bytes], choices: random.Random) -> dict[str, bytes]:
        """Add an index of the WAL: mostly the newest, else an old one, zeros, noise or none."""
        if not self.indexes:
            return files
        newest = self.indexes[-1]
        kept = choices.choice(
            [
                *[newest.content] * 4,
                choices.choice(self.indexes).content,
                bytes(len(newest.content)),
                choices.randbytes(len(newest.content)),
                None,
            ]
        )
        return files if kept is None else {**files, newest.name: kept}


def cuts(
    first: Mapping[str, bytes], events: Sequence[Event], choices: random.Random, torn: int
) -> Iterator[Cut]:
    """Give the disks that may be there after each sync and answer, and between them.

    Args:
        first: what was on the disk before, by name of file.
        events: what happened.
        choices: chooses what of the last writes is on the disk.
        torn: how many disks with part of the last writes to give before each sync.
    """
    disk, heard = _Disk(dict(first)), list[object]()

    def cut(changes: dict[str, Sequence[_Change]], how: str) -> Cut:
        files = disk.with_index(disk.with_changes(changes), choices)
        return Cut(files, tuple(heard), f"at event {at}: {how}")

    for at, event in enumerate(events):  # noqa: B007 - told by `cut`
        match event:
            case Index():
                disk.indexes.append(event)
                continue
            case Answer():
                heard.append(event.about)
            case Sync():
                yield cut({}, "nothing of the last writes")
                yield cut(dict(disk.pending), "all of them")
                for _ in range(torn if disk.pending else 0):
                    yield cut(*_torn(disk, choices))
                disk.take(event)
            case _:
                disk.take(event)
                continue
        yield cut({}, f"it was {type(event).__name__}, and is over")


def _torn(disk: _Disk, choices: random.Random) -> tuple[dict[str, Sequence[_Change]], str]:
    chosen: dict[str, Sequence[_Change]] = {}
    said = []
    for name, changes in disk.pending.items():
        how = choices.choice([_cut_off, _lost_sectors, _zeroed_sectors])
        chosen[name] = how(changes, choices)
        said.append(f"{name} {how.__name__}")
    return chosen, ", ".join(said)


def _cut_off(changes: Sequence[_Change], choices: random.Random) -> list[_Change]:
    """Keep the first ones, the last of them only in part."""
    kept = list(changes[: choices.randint(1, len(changes))])
    last = kept[-1]
    if isinstance(last, Write):
        size = choices.randint(0, len(last.content))
        kept[-1] = attrs.evolve(last, content=last.content[:size])
    return kept


def _lost_sectors(changes: Sequence[_Change], choices: random.Random) -> list[_Change]:
    """Keep some sectors, wherever they are: a disk may write in any order."""
    return [part for part in _sectors(changes) if choices.random() < 0.5]


def _zeroed_sectors(changes: Sequence[_Change], choices: random.Random) -> list[_Change]:
    """Keep the sizes of files, but only some of the contents."""
    return [
        attrs.evolve(part, content=bytes(len(part.content)))
        if isinstance(part, Write) and choices.random() < 0.5
        else part
        for part in _sectors(changes)
    ]


def _sectors(changes: Sequence[_Change]) -> Iterator[_Change]:
    for change in changes:
        if not isinstance(change, Write):
            yield change
            continue
        start, end = change.offset, change.offset + len(change.content)
        while start < end:
            stop = min(end, (start // SECTOR + 1) * SECTOR)
            content = change.content[start - change.offset : stop - change.offset]
            yield Write(change.name, start, content)
            start = stop


def _applied(before: bytes | None, changes: Sequence[_Change]) -> bytes | None:
    content = None if before is None else bytearray(before)
    for change in changes:
        if isinstance(change, Delete):
            content = None
            continue
        content = bytearray() if content is None else content
        if isinstance(change, Truncate):
            del content[change.size :]
            content.extend(bytes(change.size - len(content)))
        else:
            end = change.offset + len(change.content)
            content.extend(bytes(max(0, end - len(content))))
            content[change.offset : end] = change.content
    return None if content is None else bytes(content)
