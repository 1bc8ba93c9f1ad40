"""All about a snapshot, for people and for machines."""

import json
from collections.abc import Iterator, Sequence

import attrs

from cvmfs_snapshotter.domain.snapshot import Kind, Snapshot

from ..recipe import in_bytes, moment
from .about import About
from .escaping import printable
from .plain import plain, plain_usage
from .table import LOCAL, LOCAL_SOURCE, REMOTE, Paint

_WIDTH = 11


def as_json(found: About) -> str:
    """Give all about a snapshot as one JSON object; what is not known is null."""
    companion = found.snapshot.companion
    return json.dumps(
        {
            **plain(found.snapshot),
            "usage": plain_usage(found.usage),
            "path": found.path,
            "link": found.link,
            "companion": (
                {"number": companion.number, "paths": found.companion} if companion else None
            ),
            "parents": [plain(parent) for parent in found.parents],
            "children": found.children,
            "mounts": [attrs.asdict(mount) for mount in found.mounts] or None,
            "trouble": found.trouble or None,
        },
        indent=2,
    )


def as_text(found: About, paint: Paint) -> str:
    """Give all about a snapshot as text for people.

    Args:
        found: all about it.
        paint: colours words, remote and local ones apart.
    """
    return "\n".join(_lines(found, paint))


def _lines(found: About, paint: Paint) -> Iterator[str]:
    snapshot = found.snapshot
    yield _line("name", printable(snapshot.name))
    staged = ", staged" if snapshot.staged else ""
    yield _line("kind", f"{snapshot.kind.value}{staged}")
    yield _line("source", _source(snapshot, paint))
    if snapshot.layer is not None:
        yield _line("layer", str(snapshot.layer.digest))
    if snapshot.chain_id is not None:
        yield _line("chain ID", str(snapshot.chain_id))
    yield _line("created", moment(snapshot.created_at))
    yield _line("updated", moment(snapshot.updated_at))
    usage = found.usage
    yield _line(
        "usage", f"{in_bytes(usage.size)}, {usage.inodes} inodes" if usage else "not to be counted"
    )
    yield _line("number", str(snapshot.identifier))
    yield _line("path", found.path or ("not known" if snapshot.remote else "nothing is there"))
    if found.link is not None:
        yield _line("link", found.link)
    yield from _list("companion", found.companion)
    yield from _list(
        "parents", [f"{printable(p.name)}  {_source(p, paint)}" for p in found.parents]
    )
    yield from _list("children", [printable(name) for name in found.children])
    labels = sorted(snapshot.labels.items())
    yield from _list("labels", [printable(f"{key}={value}") for key, value in labels])
    yield from _mounts(found)


def _source(snapshot: Snapshot, paint: Paint) -> str:
    if snapshot.layer is None:
        return paint(LOCAL_SOURCE, LOCAL)
    return paint(snapshot.layer.source, REMOTE)


def _line(title: str, text: str) -> str:
    return f"{title.ljust(_WIDTH)}{text}"


def _list(title: str, texts: Sequence[str]) -> Iterator[str]:
    for number, text in enumerate(texts):
        yield _line("" if number else title, text)


def _mounts(found: About) -> Iterator[str]:
    title = "mount" if found.snapshot.kind is not Kind.COMMITTED else "as a view"
    if found.trouble:
        yield _line(title, f"none: {found.trouble}")
    for mount in found.mounts:
        yield _line(title, f"{mount.type} of {mount.source}, options:")
        for option in mount.options:
            name, equals, value = option.partition("=")
            if name != "lowerdir":
                yield _line("", f"  {option}")
                continue
            for number, lower in enumerate(value.split(":")):
                yield _line("", f"  {name}{equals}{lower}" if not number else f"  {'':9}{lower}")
