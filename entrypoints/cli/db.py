"""The command ``db``: what an operator does to the records."""

import argparse
import json
from collections.abc import Callable

from .flags import Commands, add_action, add_json, add_root

_EPILOG = """\
exit status:
  0  done; for check: the records are sound; for current: they have this release's schema
  1  not done, with the reason; for check and current: it is not so
  2  the flags cannot be meant

current, check and backup work beside a running daemon; the others need it to be stopped, and
containers go on meanwhile. A copy of the database's file made by other programs lacks what is in
its WAL: use backup.

examples:
  cvmfs-snapshotter db check
  cvmfs-snapshotter db backup --to /var/backups/metadata.bak
  systemctl stop cvmfs-snapshotter && cvmfs-snapshotter db restore /var/backups/metadata.bak
"""

_CURRENT = """\
exit status:
  0  the records have the schema of this release
  1  they have another one, there are none, or they cannot be read
  2  the flags cannot be meant

examples:
  cvmfs-snapshotter db current
  cvmfs-snapshotter db current --json | jq -r .schema
"""

_CHECK = """\
exit status:
  0  the records are sound
  1  they are not, and what is wrong has a line each; or they cannot be read
  2  the flags cannot be meant

It works beside a running daemon.

examples:
  cvmfs-snapshotter db check
  cvmfs-snapshotter db check --json | jq -r '.problems[]'
"""

_BACKUP = """\
exit status:
  0  the copy is made, and its path printed
  1  it cannot be made, with the reason
  2  the flags cannot be meant

It works beside a running daemon. A copy of the database's file made by other programs lacks what
is in its WAL.

examples:
  cvmfs-snapshotter db backup
  cvmfs-snapshotter db backup --to /var/backups/metadata.bak
"""

_RESTORE = """\
exit status:
  0  the backup is in place
  1  it is not, with the reason; nothing was changed then
  2  the flags cannot be meant

The daemon has to be stopped; containers go on meanwhile. Directories of which the backup knows
nothing are left alone.

examples:
  systemctl stop cvmfs-snapshotter
  cvmfs-snapshotter db restore /var/backups/metadata.bak
  systemctl start cvmfs-snapshotter
  cvmfs-snapshotter reconcile --config /etc/cvmfs-snapshotter/config.toml
"""

_UPGRADE = """\
exit status:
  0  the records have the schema of this release
  1  they have not, with the reason; they are as before
  2  the flags cannot be meant

A start of the daemon does the same; it has to be stopped for this.

examples:
  systemctl stop cvmfs-snapshotter && cvmfs-snapshotter db upgrade
"""

_DOWNGRADE = """\
exit status:
  0  the records have that schema, and a backup of them as they were is named
  1  they have not, with the reason; they are as before
  2  the flags cannot be meant

The daemon has to be stopped. Run it with the newer release, before the older one is installed.

examples:
  systemctl stop cvmfs-snapshotter && cvmfs-snapshotter db downgrade 0001
"""


def add_db(commands: Commands) -> argparse.ArgumentParser:
    """Add the command.

    Args:
        commands: takes it.

    Returns:
        Its parser.
    """
    parser = commands.add_parser(
        "db",
        help="check, back up, restore or migrate the records",
        description="Check, back up, restore or migrate the records of a state directory.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    actions = parser.add_subparsers(metavar="action", required=True)
    _add(actions, "current", _current, "show the schema of the records", _CURRENT)
    _add(actions, "check", _check, "look the records over", _CHECK)
    backup = _add(actions, "backup", _backup, "make a copy that can be relied on", _BACKUP)
    backup.add_argument(
        "--to",
        default="",
        metavar="FILE",
        help="the new file (default: one in backups/ of the state directory, the newest 5 stay)",
    )
    restore = _add(
        actions,
        "restore",
        _restore,
        "put a backup in the place of the records; those are kept",
        _RESTORE,
    )
    restore.add_argument("backup", metavar="FILE", help="the backup")
    _add(actions, "upgrade", _upgrade, "bring the records to this release's schema", _UPGRADE)
    downgrade = _add(
        actions,
        "downgrade",
        _downgrade,
        "bring the records to an older release's schema",
        _DOWNGRADE,
    )
    downgrade.add_argument("revision", metavar="SCHEMA", help="as `db current` of that release")
    return parser


def _add(
    actions: Commands,
    name: str,
    act: Callable[[argparse.Namespace], int],
    summary: str,
    epilog: str,
) -> argparse.ArgumentParser:
    parser = add_action(actions, name, act, summary, epilog)
    add_root(parser)
    add_json(parser)
    return parser


def _current(arguments: argparse.Namespace) -> int:
    from .. import databases  # noqa: PLC0415 - would delay help

    schema, known = databases.current(arguments.root)
    wanted = known[-1]
    if arguments.json:
        print(json.dumps({"schema": schema, "release": wanted, "known": schema in known}))
    elif schema is None:
        print(f"there are no records; this release makes schema {wanted}")
    else:
        print(f"schema {schema}; this release has {wanted}")
    return int(schema != wanted)


def _check(arguments: argparse.Namespace) -> int:
    from .. import databases  # noqa: PLC0415 - would delay help

    problems = databases.check(arguments.root)
    if arguments.json:
        print(json.dumps({"sound": not problems, "problems": problems}))
    else:
        print("\n".join(problems) or "the records are sound")
    return int(bool(problems))


def _backup(arguments: argparse.Namespace) -> int:
    from .. import databases  # noqa: PLC0415 - would delay help

    made = str(databases.backup(arguments.root, arguments.to))
    print(json.dumps({"backup": made}) if arguments.json else made)
    return 0


def _restore(arguments: argparse.Namespace) -> int:
    from .. import databases  # noqa: PLC0415 - would delay help

    done = databases.restore(arguments.root, arguments.backup)
    kept = None if done.kept is None else str(done.kept)
    if arguments.json:
        print(json.dumps({"restored": arguments.backup, "kept": kept, "unknown": done.unknown}))
        return 0
    print(f"{arguments.backup} is in place" + (f"; what it replaced is {kept}" if kept else ""))
    if done.unknown:
        print(f"{done.unknown} directories, links and companions are newer; they are left alone")
    print(
        "containerd may know snapshots that the backup does not: run cvmfs-snapshotter reconcile"
    )
    return 0


def _upgrade(arguments: argparse.Namespace) -> int:
    from .. import databases  # noqa: PLC0415 - would delay help

    before, after = databases.upgrade(arguments.root)
    if arguments.json:
        print(json.dumps({"before": before, "schema": after}))
    elif before == after:
        print(f"schema {after} already")
    else:
        print(f"schema {before} before, {after} now")
    return 0


def _downgrade(arguments: argparse.Namespace) -> int:
    from .. import databases  # noqa: PLC0415 - would delay help

    before, backup = databases.go_back(arguments.root, arguments.revision)
    if arguments.json:
        shown = {"before": before, "schema": arguments.revision, "backup": str(backup)}
        print(json.dumps(shown))
        return 0
    print(f"schema {before} before, {arguments.revision} now; a backup is {backup}")
    print("start the release that has this schema: this one would bring it up again")
    return 0
