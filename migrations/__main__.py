"""Migrate one database; arguments: ``upgrade`` or ``downgrade``, its file, the revision.

Everything happens in one transaction; a failure leaves the database as it was. The message on
standard error is for the operator.
"""

import sys
from pathlib import Path

from .run import migrate


def main() -> int:
    """Run the command line; gives the exit status."""
    direction, path, revision = sys.argv[1:]
    try:
        migrate(Path(path), direction, revision)
    except Exception as error:  # noqa: BLE001 - whatever it is, the caller shows it
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    return 0


sys.exit(main())
