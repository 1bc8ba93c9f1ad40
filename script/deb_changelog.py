"""Print CHANGELOG.md as the changelog of a Debian package, or the version of the package.

The version is that of the topmost release. While that is unreleased, the time of the commit
follows it, after a tilde: dpkg takes such a version for older than the release, and for newer than
that of an earlier commit. The time is SOURCE_DATE_EPOCH, as in all reproducible builds, or now.
"""

import argparse
import calendar
import os
import re
import textwrap
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path

import attrs

CHANGELOG = Path(__file__).resolve().parents[1] / "CHANGELOG.md"
HEADING = re.compile(r"^## \[(\S+)\] - (?:Unreleased|(\d{4})-(\d\d)-(\d\d))$")
WIDTH = 78


@attrs.frozen
class Release:
    """A release as the changelog has it.

    Attributes:
        version: of the package.
        time: of the release, seconds since the epoch.
        entries: what changed, without marks of a list.
    """

    version: str
    time: int
    entries: tuple[str, ...]


def main() -> None:
    """Read the arguments, print what they ask for."""
    parser = argparse.ArgumentParser(description="Print the changelog of the Debian package.")
    asked = parser.add_mutually_exclusive_group(required=True)
    asked.add_argument("--version", action="store_true", help="print the version only")
    asked.add_argument("--maintainer", help="name and address, of whom the entries are")
    arguments = parser.parse_args()
    now = int(os.environ.get("SOURCE_DATE_EPOCH") or time.time())
    releases = releases_of(CHANGELOG.read_text(), now)
    if arguments.version:
        print(releases[0].version)
    else:
        print("\n".join(_lines(releases, arguments.maintainer)))


def releases_of(text: str, now: int) -> list[Release]:
    """Read the changelog.

    Args:
        text: of CHANGELOG.md.
        now: the time that stands for "Unreleased", seconds since the epoch.

    Returns:
        The releases, in the order in which they stand.

    Raises:
        SystemExit: there is none.
    """
    found: list[Release] = []
    for block in re.split(r"^(?=## )", text, flags=re.MULTILINE):
        heading, _, body = block.partition("\n")
        if named := HEADING.match(heading):
            found.append(_release(named, body, now))
    if not found:
        raise SystemExit(f"{CHANGELOG.name} has no release")
    return found


def _release(heading: re.Match[str], body: str, now: int) -> Release:
    version, *date = heading.groups()
    entries = tuple(
        " ".join(entry.split()) for entry in re.findall(r"^- (.*(?:\n  .*)*)", body, re.MULTILINE)
    )
    if date[0]:
        year, month, day = map(int, date)
        return Release(version, calendar.timegm((year, month, day, 12, 0, 0)), entries)
    return Release(f"{version}~{time.strftime('%Y%m%d%H%M%S', time.gmtime(now))}", now, entries)


def _lines(releases: list[Release], maintainer: str) -> Iterator[str]:
    for release in releases:
        yield f"cvmfs-snapshotter ({release.version}) unstable; urgency=medium"
        yield ""
        for entry in release.entries:
            yield textwrap.fill(entry, WIDTH, initial_indent="  * ", subsequent_indent="    ")
        yield ""
        yield f" -- {maintainer}  {formatdate(release.time, localtime=False)}"
        yield ""


if __name__ == "__main__":
    main()
