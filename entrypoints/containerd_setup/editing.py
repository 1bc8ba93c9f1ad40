"""From the text of a configuration to one with our lines in it."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

import attrs

from ..containerd_config import lines as needed
from ..containerd_config.documents import Document
from ..containerd_config.finding import entry_of, setting, settings, table_of
from ..containerd_config.names import CRI, OVERLAYFS, SNAPSHOTTER
from ..containerd_config.platforms import matches
from ..containerd_config.releases import Pull
from ..containerd_config.toml import inside, table
from ..containerd_config.wanted import Wanted
from .errors import RefusedError
from .regions import Change, apply
from .statements import Kind, Statement, lines_of, statements_of

Settings = Mapping[str, str | bool]


@attrs.frozen
class _File:
    """A file to be edited.

    Attributes:
        lines: with their ends.
        statements: that they make.
        content: what they say.
        version: that they have, or are to have.
    """

    lines: Sequence[str]
    statements: Sequence[Statement]
    content: Mapping[str, Any]
    version: int


def edit(
    text: str, wanted: Wanted, pull: Pull, *, made: str | None = None, version: int = 0
) -> str:
    """Write our lines into a configuration.

    Tables that are there get keys, or other values for them; other tables come to the end. The
    outcome says what the text said and what is wanted, and nothing else: that is compared.

    Args:
        text: of the file, without regions of ours.
        wanted: what for.
        pull: how the CRI is to pull images.
        made: for a file of ours, the sum of what it was made with.
        version: that a region of ours gave to the text, which says none; 0 if there was none.

    Raises:
        RefusedError: it is no TOML, has a version that cannot be kept, or says something in a
            form that cannot be edited by lines.
    """
    file = _read(text, wanted, version)
    expected: dict[str, Any] = deepcopy(dict(file.content))
    changes: list[Change] = []
    appended: list[str] = []
    if "version" not in file.content:
        changes.append(Change(0, 0, (f"version = {file.version}",)))
        expected["version"] = file.version
    for keys, values in _tables(file, wanted, pull):
        _put(expected, keys, values)
        changes += _set(file, keys, values, appended)
    if pull is Pull.TRANSFER:
        entries = _entries(file, wanted)
        if entries:
            changes += _emptied(file)
            _extend(expected, entries)
        for entry in entries:
            appended += [entry_of(*needed.UNPACKING), *_indented("  ", entry)]
    if appended:
        changes.append(Change(len(file.lines), len(file.lines), tuple(appended)))
    result = apply(file.lines, changes, made=made)
    try:
        said = tomllib.loads(result)
    except tomllib.TOMLDecodeError:
        said = {}
    if said != expected:
        raise RefusedError(
            "the tables that are needed are there in a form that cannot be edited by lines, such "
            "as dotted keys or inline tables: merge the lines of `cvmfs-snapshotter "
            f"containerd-config --for {wanted.release.name} --pull {pull.value}` by hand"
        )
    return result


def _read(text: str, wanted: Wanted, given: int) -> _File:
    if "{{" in text:
        raise RefusedError(
            "it is a template with actions, so that its outcome is not known: see "
            "docs/kubernetes.md for k3s and rke2"
        )
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RefusedError(f"not TOML: {error}") from None
    except RecursionError:
        raise RefusedError("not TOML that can be read: nested too deeply") from None
    version = Document("", content).version
    if content and "version" not in content:
        version = given
    if content and version < 2:  # noqa: PLR2004 - the first whose names of plugins are full
        raise RefusedError(
            "it has no version, or version 1. Set it aside, write a new one with `containerd "
            "config default` (`containerd config migrate` brings an old one on, from 2.0), and "
            "bring your own settings there"
        )
    lines = lines_of(text)
    return _File(lines, statements_of(lines), content, version or wanted.release.file_version)


def _tables(file: _File, wanted: Wanted, pull: Pull) -> Iterator[tuple[tuple[str, ...], Settings]]:
    yield needed.PROXY, needed.proxy(wanted)
    yield needed.EXPORTS, needed.exports(wanted, pull)
    images = needed.images(wanted.release, pull)
    place = needed.images_table(wanted.release, file.version)
    old = ("plugins", CRI, "containerd")
    of_1 = wanted.release.images_plugin and file.version < wanted.release.file_version
    if of_1 and "runtimes" in inside(file.content, *old):
        # 2.x takes these from where 1.x has them, and from there only if runtimes are there too.
        moved = {key: images.pop(key) for key in _OLD_KEYS if key in images}
        yield old, moved
    if images:
        yield place, images


_OLD_KEYS = ("snapshotter", "disable_snapshot_annotations")


def _put(content: dict[str, Any], keys: Sequence[str], values: Settings) -> None:
    for key in keys:
        content = content.setdefault(key, {})
        if not isinstance(content, dict):
            raise RefusedError(f"{key} is no table in it")
    content.update(values)


def _set(
    file: _File, keys: tuple[str, ...], values: Settings, appended: list[str]
) -> Iterator[Change]:
    """Give the changes of one table; lines of one that is not there are appended."""
    for header in file.statements:
        if header.kind is Kind.TABLE and header.table == keys:
            break
    else:
        appended += [table_of(*keys), *_indented("  ", values)]
        return
    there = {
        one.keys[0]: one
        for one in file.statements
        if one.kind is Kind.SETTING and one.table == keys and len(one.keys) == 1
    }
    said = inside(file.content, *keys)
    for key, one in there.items():
        if key in values and said[key] != values[key]:
            lines = (_indent(file, one) + setting(key, values[key]),)
            yield Change(one.start, one.end, lines)
    lacking = {key: value for key, value in values.items() if key not in there}
    if lacking:
        indent = _indent(file, header) + "  "
        yield Change(header.end, header.end, _indented(indent, lacking))


def _indented(indent: str, values: Settings) -> tuple[str, ...]:
    return tuple(indent + line for line in settings(values))


def _indent(file: _File, one: Statement) -> str:
    line = file.lines[one.start]
    return line[: len(line) - len(line.lstrip())]


def _entries(file: _File, wanted: Wanted) -> list[Settings]:
    """Give the entries of ``unpack_config`` that are not there."""
    there = inside(file.content, *needed.UNPACKING[:-1]).get(needed.UNPACKING[-1])
    entries = [table(one) for one in there] if isinstance(there, list) else []
    return [
        needed.unpacking(snapshotter, wanted.platform)
        for snapshotter in (SNAPSHOTTER, OVERLAYFS)
        if not any(
            one.get("snapshotter") == snapshotter and matches(one.get("platform"), wanted.platform)
            for one in entries
        )
    ]


def _emptied(file: _File) -> Iterator[Change]:
    """Take away an array that is empty, since tables cannot be added to one in brackets."""
    if inside(file.content, *needed.UNPACKING[:-1]).get(needed.UNPACKING[-1]) == []:
        for one in file.statements:
            if one.kind is Kind.SETTING and (*one.table, *one.keys) == needed.UNPACKING:
                yield Change(one.start, one.end, ())


def _extend(content: dict[str, Any], entries: Sequence[Settings]) -> None:
    for key in needed.UNPACKING[:-1]:
        content = content.setdefault(key, {})
    content[needed.UNPACKING[-1]] = [*content.get(needed.UNPACKING[-1], []), *entries]
