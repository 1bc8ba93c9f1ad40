"""Measure our daemon beside its peers in one run; ``script/bench`` calls it."""

import argparse
import os
import platform
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import attrs
import grpc

from tests.harness.parts import ROOT

from . import (
    client,
    committing,
    growth,
    operations,
    pulling,
    report,
    scanning,
    starting,
    syncing,
)
from .goals import verdicts
from .plan import QUICK, Plan
from .results import Load, Results, Single
from .stand import DISK, filesystem_of, stand

SECTIONS = (
    operations.SECTION,
    growth.SECTION,
    growth.LISTING,
    starting.SECTION,
    committing.SECTION,
    scanning.SECTION,
    pulling.SECTION,
)
MEASURES = (
    syncing.measure,
    operations.measure,
    growth.measure,
    growth.measure_listing,
    committing.measure,
    starting.measure,
    scanning.measure,
    pulling.measure,
)
NAMES = (*SECTIONS, *dict.fromkeys(name for group in operations.GROUPS for name, _ in group))


def main() -> int:
    """Measure what the arguments ask for and write the report; gives the exit status."""
    arguments = _parser().parse_args()
    plan = QUICK if arguments.quick else Plan()
    chosen = {
        "only": frozenset(arguments.names),
        "rounds": arguments.rounds,
        "seconds": arguments.seconds,
        "callers": arguments.callers,
        "media": arguments.media,
    }
    plan = attrs.evolve(plan, **{name: value for name, value in chosen.items() if value})
    client.program()
    results = Results()
    about = _machine() | {"run": str(plan)}
    started = time.monotonic()
    directory = arguments.results / datetime.now(UTC).strftime("%Y-%m-%dT%H%M%S")
    with stand(arguments.disk) as place:
        about["disk"] = filesystem_of(place.media[DISK])
        for measure in MEASURES:
            found = measure(place, plan)
            results.loads += [each for each in found if isinstance(each, Load)]
            results.singles += [each for each in found if isinstance(each, Single)]
            about["minutes"] = round((time.monotonic() - started) / 60, 1)
            about["load average"] = os.getloadavg()
            # What has been measured is kept, whatever happens to the rest.
            report.write(results, about, directory)
    for each in results.singles:
        print(f"  {each.name:55} {each.server:26} {each.value:9.3f} {each.unit}")
    for verdict in verdicts(results):
        sign = "met" if verdict.met else "NOT met"
        print(f"{sign:8} {verdict.what}: {verdict.measured} (goal: {verdict.goal})")
    print(f"the report is in {directory}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="script/bench", description=__doc__)
    parser.add_argument(
        "names", nargs="*", choices=[*NAMES, []], help="what to measure (default: everything)"
    )
    parser.add_argument("--quick", action="store_true", help="in minutes instead of an hour")
    parser.add_argument("--rounds", type=int, help="how often each load is measured")
    parser.add_argument("--seconds", type=float, help="how long each time")
    parser.add_argument("--callers", type=_numbers, help="numbers of callers, with commas")
    parser.add_argument("--media", type=_words, help="disk, tmpfs or both, with a comma")
    parser.add_argument(
        "--disk", type=Path, default=Path(tempfile.gettempdir()), help="a directory on the disk"
    )
    parser.add_argument(
        "--results", type=Path, default=ROOT / "bench/results", help="where reports go"
    )
    return parser


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(word) for word in text.split(","))


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def _machine() -> dict[str, object]:
    models = {
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    }
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": f"{os.cpu_count()} x {', '.join(sorted(models)) or platform.machine()}",
        "kernel": platform.release(),
        "Python": platform.python_version(),
        "grpcio": grpc.__version__,
        "client": "Go, with containerd's stubs, all callers on one connection",
    }


if __name__ == "__main__":
    sys.exit(main())
