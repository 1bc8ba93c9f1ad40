"""Write the tables of keys in docs/configuration.md from what the reader of the file takes.

Which keys there are, which of them are required, what values they take and what they default to
is asked of the reader itself. What a key is for stands here; a key without a sentence, or a
sentence without its key, is an error.
"""

import argparse
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

from cvmfs_snapshotter.entrypoints.config import Config, ConfigError, load_config
from cvmfs_snapshotter.entrypoints.config_output import as_plain
from cvmfs_snapshotter.entrypoints.containerd_config.toml import text

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "configuration.md"

SOURCE, METRICS, TRACING, REST = "source[0].", "metrics.", "tracing.", ""
HEADS = {SOURCE: "[[source]]", METRICS: "[metrics]", TRACING: "[tracing]", REST: ""}

MEANINGS = {
    SOURCE: {
        "name": "names the source in logs, records, metrics and commands; do not change it while "
        "snapshots of it exist",
        "kind": '`"cvmfs"`: the file system must say that it is `repository`. `"directory"`: any '
        "directory of the same layout, on NFS for example",
        "repository": "which repository; a directory has none",
        "path": "where this daemon sees it; required for a directory",
        "host_path": "where containerd sees it, if that is somewhere else (a daemon in a "
        "container); mounts name layers there. A change counts for all mounts from the next start "
        "on",
        "whiteouts": "layers that delete files of layers below; see "
        "[Fidelity](fidelity.md#policies)",
        "implied_dirs": "directories that the publisher made up; see "
        "[Fidelity](fidelity.md#policies)",
        "ownership": "layers whose owners were lost; see [Fidelity](fidelity.md#policies)",
        "lookup_deadline": "time for all look-ups of one request",
        "scan_deadline": "time that a request waits for the names of a layer to be read, or for "
        "its directories to be compared with those below it, while that makes progress",
        "keep_mounted": "hold the root open, so that no automounter lets it expire; "
        "`cvmfs-snapshotter release` lets go of it. See "
        "[When a source fails](faults.md#kept-mounted)",
    },
    METRICS: {
        "address": "where metrics and health pages are served. Addresses other than loopback ones "
        "expose them, without a password; see [Operations](operations.md#monitoring)",
    },
    TRACING: {
        "endpoint": "a collector that takes OTLP over HTTP. Without a path it is `/v1/traces`, "
        "without a port 4318. It needs the extra `tracing`; see [Tracing](tracing.md)",
        "ratio": "share of the calls to record that belong to no trace yet; whether a trace that "
        "the caller began is recorded, the caller has decided",
    },
    REST: {
        "source": "the sources, one table for each",
        "repository": "the Go program's key: the repository of the only source",
        "absolute-mountpoint": "the Go program's key: the path of the only source",
        "staged": "answer a containerd that unpacks in parallel (2.4, with the capability "
        "`rebase`) with staged layers; see [containerd](containerd.md#parallel-unpacking)",
        "metrics": "see below; without it there are no metrics and no health pages",
        "tracing": "see below; without it there are no traces",
        "log_level": "threshold of the log; `--log-level` goes first",
    },
}

FOLLOWING = {
    (SOURCE, "path"): "`/cvmfs/<repository>`",
    (SOURCE, "host_path"): "`path`",
    (REST, "source"): 'one, as above: `"unpacked"`',
    (REST, "repository"): '`"unpacked.cern.ch"`',
    (REST, "absolute-mountpoint"): "`/cvmfs/<repository>`",
    (REST, "metrics"): "none",
    (REST, "tracing"): "none",
}
"""Defaults that follow from another key, or are no value of one key."""

LEAST = '[tracing]\nendpoint = "http://127.0.0.1"\n'
"""A file with what a table must have that is not there by default."""

# No key is called so, and none has a date as its value.
UNKNOWN, WRONG = "qqqq", "1970-01-01"


@attrs.frozen
class Key:
    """One key of the file.

    Attributes:
        name: as it is written.
        values: what it takes, in the words of the reader's messages.
        default: as a cell of the table.
        meaning: what it is for.
    """

    name: str
    values: str
    default: str
    meaning: str


def main() -> int:
    """Parse the command line and do as it says."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="change nothing; 1 when out of date")
    check = parser.parse_args().check

    old = PAGE.read_text()
    new = filled(old)
    if new == old:
        return 0
    print(f"{'out of date' if check else 'updated'}: {PAGE.relative_to(ROOT)}")
    if not check:
        PAGE.write_text(new)
    return 1 if check else 0


def filled(page: str) -> str:
    """Give the page with new tables between its marks."""
    titles = {SOURCE: "source", REST: "rest", METRICS: "metrics", TRACING: "tracing"}
    for table, title in titles.items():
        begin = f"<!-- {title}: written by script/gen_config.py -->\n"
        end = f"<!-- end of {title} -->\n"
        before, found, after = page.partition(begin)
        _, closed, after = after.partition(end)
        if not found or not closed:
            raise SystemExit(f"{PAGE}: no marks for the table {title!r}")
        page = f"{before}{begin}\n{rows(keys(table))}\n{end}{after}"
    return page


def rows(found: Iterator[Key]) -> str:
    """Write a table in Markdown."""
    lines = ["| key | values | default | meaning |", "|---|---|---|---|"]
    lines += [f"| `{key.name}` | {key.values} | {key.default} | {key.meaning} |" for key in found]
    return "\n".join((*lines, ""))


def keys(table: str) -> Iterator[Key]:
    """Give the keys of a table in the order in which the reader takes them."""
    names = known(table)
    meanings = MEANINGS[table]
    if set(names) != set(meanings):
        raise SystemExit(f"no key, or no meaning: {sorted(set(names) ^ set(meanings))}")
    taken = values(table, names)
    for name in names:
        yield Key(name, taken[name], default(table, name), meanings[name])


def known(table: str) -> list[str]:
    """Tell which keys a table has: a message names them where it finds no similar one."""
    (message,) = [one for one in problems(within(table, [UNKNOWN])) if UNKNOWN in one]
    return message.partition("known are ")[2].split(", ")


def values(table: str, names: list[str]) -> dict[str, str]:
    """Tell what each key takes."""
    found = {}
    for problem in problems(within(table, names)):
        match = re.fullmatch(re.escape(table) + rf"(\S+): expected (.*), not {WRONG}", problem)
        if match:
            # A word in quotes is a value that can be copied.
            quoted = re.sub(r"'([^' ]{2,})'", r'`"\1"`', match[2])
            found[match[1]] = quoted.replace("[[source]]", "`[[source]]`")
    return found


def default(table: str, name: str) -> str:
    """Give the default of a key as a cell of the table."""
    if (table, name) in FOLLOWING:
        return FOLLOWING[table, name]
    if f"{table}{name}: missing" in problems(HEADS[table]):
        return "required"
    value = defaults(table)[name]
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{text(value)}`" if isinstance(value, str) else f"`{value:g}`"


def defaults(table: str) -> dict[str, Any]:
    """Give the values of a table's keys where the file has those alone that it must have."""
    shown: dict[str, Any] = as_plain(read(LEAST))
    tables: dict[str, dict[str, Any]] = {
        SOURCE: shown["source"][0],
        TRACING: shown["tracing"],
        REST: shown,
    }
    return tables[table]


def within(table: str, names: list[str]) -> str:
    """Write a file in which keys of a table have a value that none takes."""
    lines = [f"{name} = {WRONG}" for name in names]
    return "\n".join((HEADS[table], *lines))


def problems(content: str) -> list[str]:
    """Tell what the reader finds wrong with a file."""
    try:
        read(content)
    except ConfigError as error:
        return [line.partition(": ")[2] for line in str(error).splitlines()]
    return []


def read(content: str) -> Config:
    """Read a file with this content.

    Raises:
        ConfigError: it has mistakes.
    """
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "config.toml"
        file.write_text(content)
        return load_config(str(file))


if __name__ == "__main__":
    raise SystemExit(main())
