"""What a soak found, as JSON and as text."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import attrs

from .errors import KINDS
from .gauges import Gauge
from .journal import Journal
from .judging import UNEXPECTED, Cause, Operation, Trouble, explanation

LONGEST: Final = 100.0
"""Seconds that nothing may take, whatever is broken."""

ROWS: Final = 30
"""Most rows of the series in the text; JSON has all."""

LONGEST_STAT: Final = 5.0
"""Seconds that a Stat may take, also while the source hangs; busy machines are slow."""


@attrs.frozen
class Group:
    """All operations of one kind.

    Attributes:
        done: How many there were.
        longest: Seconds that the longest took.
        errors: How many ended with each kind of error.
    """

    done: int
    longest: float
    errors: Mapping[str, int]

    @property
    def succeeded(self) -> int:
        """How many ended well."""
        return self.done - sum(self.errors.values())


@attrs.frozen
class Report:
    """What a soak found.

    Attributes:
        seconds: How long it took.
        version: Of containerd.
        seed: Decided what was chosen.
        operations: By kind.
        disturbances: How often each was done.
        troubles: What was broken when.
        decisions: Of the daemon about layers: how often each reason.
        recoveries: Seconds until the source was used again, each time.
        defects: What must not be, in words.
        leaks: The same of what was left at the end.
        series: What the daemon used.
    """

    seconds: float
    version: str
    seed: int
    operations: Mapping[str, Group]
    disturbances: Mapping[str, int]
    troubles: Sequence[Trouble]
    decisions: Mapping[str, int]
    recoveries: Sequence[float]
    defects: Sequence[str]
    leaks: Sequence[str]
    series: Sequence[Gauge]

    @property
    def good(self) -> bool:
        """Whether nothing is wrong."""
        return not self.defects and not self.leaks

    def to_json(self) -> dict[str, object]:
        """Spell it."""
        series = [attrs.asdict(each) | {"probes": len(each.probes)} for each in self.series]
        troubles = [attrs.asdict(each) | {"images": sorted(each.images)} for each in self.troubles]
        changed = {"good": self.good, "series": series, "troubles": troubles}
        return attrs.asdict(self) | changed

    def to_text(self) -> str:
        """Write it for people."""
        minutes = f"{self.seconds / 60:.1f} minutes"
        lines = [
            f"soak of {minutes} with containerd {self.version}, seed {self.seed}",
            "",
            f"{'operation':<14}{'done':>7}{'failed':>8}{'longest':>10}",
        ]
        for kind, group in self.operations.items():
            failed = group.done - group.succeeded
            lines.append(f"{kind:<14}{group.done:>7}{failed:>8}{group.longest:>8.1f} s")
            lines += [f"{count:>29} {error}" for error, count in sorted(group.errors.items())]
        lines += ["", "done to the node"]
        lines += [f"{count:>6} {name}" for name, count in self.disturbances.items()]
        lines += [""]
        lines += [
            f"{each.began:>6.0f} to {each.ended:.0f} s: {each.name}" for each in self.troubles
        ]
        lines += ["", "decisions about layers"]
        lines += [f"{count:>6} {reason}" for reason, count in self.decisions.items()]
        slowest = max(self.recoveries, default=0.0)
        lines += ["", f"the source was used again after at most {slowest:.1f} s", ""]
        lines.append(f"{'at':>6} {'pid':>8} {'MiB':>6} {'threads':>8} {'files':>6} {'probes':>7}")
        lines += [_row(each) for each in self.series[:: len(self.series) // ROWS + 1]]
        for title, texts in (("defects", self.defects), ("leaks", self.leaks)):
            lines += ["", f"{title}: {len(texts) or 'none'}"]
            lines += [f"  {text}" for text in texts]
        return "\n".join(lines)


def groups(operations: Sequence[Operation], troubles: Sequence[Trouble]) -> dict[str, Group]:
    """Count operations by kind, and their errors."""
    kinds = sorted({each.kind for each in operations})
    return {
        kind: _group([each for each in operations if each.kind == kind], troubles)
        for kind in kinds
    }


def defects(operations: Sequence[Operation], troubles: Sequence[Trouble]) -> list[str]:
    """Tell in words which operations ended, or went on, as none may."""
    found = [
        f"at {each.ended:.0f} s: {each.kind} {each.image}: {each.error}"
        for each in operations
        if each.error and explanation(each, troubles, KINDS) is None
    ]
    for each in operations:
        took = each.ended - each.started
        limit = (
            LONGEST_STAT if each.kind == "stat" and not _restarting(each, troubles) else LONGEST
        )
        if took > limit:
            found.append(f"at {each.ended:.0f} s: {each.kind} {each.image} took {took:.0f} s")
    return found


def make(
    journal: Journal,
    *,
    seed: int,
    version: str,
    done: Counter[str],
    decisions: Counter[str],
    leaks: Sequence[str],
    series: Sequence[Gauge],
) -> Report:
    """Put everything together."""
    operations, troubles = journal.operations(), journal.troubles()
    return Report(
        journal.now(),
        version,
        seed,
        groups(operations, troubles),
        dict(sorted(done.items())),
        [each for each in troubles if each.cause is not Cause.REMOVED],
        dict(decisions.most_common()),
        journal.recoveries(),
        [*journal.problems(), *defects(operations, troubles)],
        leaks,
        series,
    )


def _group(operations: Sequence[Operation], troubles: Sequence[Trouble]) -> Group:
    errors = Counter(
        explanation(each, troubles, KINDS) or UNEXPECTED for each in operations if each.error
    )
    return Group(len(operations), max(each.ended - each.started for each in operations), errors)


def _restarting(operation: Operation, troubles: Sequence[Trouble]) -> bool:
    return any(
        each.cause is Cause.DAEMON
        and each.began <= operation.ended
        and operation.started <= each.ended
        for each in troubles
    )


def _row(gauge: Gauge) -> str:
    return (
        f"{gauge.at:>6.0f} {gauge.pid:>8} {gauge.memory:>6.1f} {gauge.threads:>8}"
        f" {gauge.descriptors:>6} {len(gauge.probes):>7}"
    )
