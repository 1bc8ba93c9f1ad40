"""What a run of the benchmark has found, as values."""

import statistics
from collections.abc import Iterable, Sequence

import attrs

from .client import Measured


@attrs.frozen
class Load:
    """One operation on one server: the medians of several rounds.

    Attributes:
        section: Part of the benchmark.
        operation: As the client names it.
        server: Who answered.
        medium: Where its state lies.
        callers: How many called at the same time.
        snapshots: How many snapshots were there before.
        rate: Operations per second.
        p50: Latency, microseconds.
        p99: Latency, microseconds.
        first: To the first message of a stream, microseconds.
        server_cpu: Processor time of the server's process per operation, microseconds.
        helper_cpu: Of its helper processes.
        client_cpu: Of the client.
        rss: Resident memory of the server afterwards, MiB.
        rates: Operations per second of each round, which show how steady the figures are.
    """

    section: str
    operation: str
    server: str
    medium: str
    callers: int
    snapshots: int
    rate: float
    p50: float
    p99: float
    first: float
    server_cpu: float
    helper_cpu: float
    client_cpu: float
    rss: float
    rates: list[float]


@attrs.frozen
class Single:
    """One figure that is no load.

    Attributes:
        section: Part of the benchmark.
        name: What it is.
        server: Whose it is.
        value: Median of the runs.
        unit: Of the value.
        values: All runs.
    """

    section: str
    name: str
    server: str
    value: float
    unit: str
    values: list[float]

    @classmethod
    def of(
        cls, section: str, name: str, server: str, values: Sequence[float], unit: str
    ) -> "Single":
        """Make it of the values of several runs."""
        return cls(section, name, server, statistics.median(values), unit, list(values))


@attrs.define
class Results:
    """Everything found so far."""

    loads: list[Load] = attrs.field(factory=list)
    singles: list[Single] = attrs.field(factory=list)

    def load(  # noqa: PLR0913 - as many things tell one load from another
        self,
        section: str,
        operation: str,
        server: str,
        medium: str,
        *,
        callers: int,
        snapshots: int = 0,
    ) -> Load | None:
        """Find a load; None if it was not measured."""
        wanted = (section, operation, server, medium, callers, snapshots)
        for each in self.loads:
            found = (each.section, each.operation, each.server, each.medium, each.callers)
            if (*found, each.snapshots) == wanted:
                return each
        return None

    def single(self, section: str, name: str, server: str) -> float | None:
        """Find a figure; None if it was not measured."""
        for each in self.singles:
            if (each.section, each.name, each.server) == (section, name, server):
                return each.value
        return None


def median_load(  # noqa: PLR0913 - as many things tell one load from another
    rounds: Iterable[Measured],
    *,
    section: str,
    operation: str,
    server: str,
    medium: str,
    callers: int,
    snapshots: int,
    rss: float,
) -> Load:
    """Make one load of its rounds."""
    found = list(rounds)

    def median(name: str) -> float:
        return float(statistics.median(getattr(each, name) for each in found))

    rates = [each.operations / each.seconds for each in found]
    return Load(
        section=section,
        operation=operation,
        server=server,
        medium=medium,
        callers=callers,
        snapshots=snapshots,
        rate=statistics.median(rates),
        p50=median("p50"),
        p99=median("p99"),
        first=median("first"),
        server_cpu=median("server_cpu"),
        helper_cpu=median("helper_cpu"),
        client_cpu=median("client_cpu"),
        rss=rss,
        rates=[round(rate, 1) for rate in rates],
    )
