"""What the demonstration prints."""

# ruff: noqa: T201 - printing is its job

from collections.abc import Sequence

import attrs

from tests.harness.daemon import Decision

SHORT = 12
"""So many hexadecimal digits of a digest tell layers apart."""


@attrs.frozen
class Row:
    """A layer.

    Attributes:
        decision: None where containerd did not ask.
        downloaded: Bytes.
    """

    digest: str
    decision: Decision | None
    downloaded: int


def heading(text: str) -> None:
    """Print a heading."""
    # Flushed, so that who reads a pipe knows where we are.
    print(f"\n{text}\n{'-' * len(text)}", flush=True)


def layers(rows: Sequence[Row]) -> None:
    """Print a line for each layer, the lowest first."""
    cells = [("layer", "decision", "reason", "downloaded")]
    for row in rows:
        outcome = row.decision.outcome if row.decision else "not asked"
        reason = row.decision.reason if row.decision else ""
        digest = row.digest.removeprefix("sha256:")[:SHORT]
        cells.append((digest, outcome, reason, f"{row.downloaded:,}"))
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    for digest, outcome, reason, downloaded in cells:
        print(
            f"  {digest:{widths[0]}}  {outcome:{widths[1]}}  {reason:{widths[2]}}"
            f"  {downloaded:>{widths[3]}}"
        )


def output(text: str) -> None:
    """Print what a container printed, indented."""
    print("  The container printed:")
    for line in text.splitlines():
        print(f"    {line}".rstrip())
