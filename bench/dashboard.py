"""A picture of the dashboard's data: a daemon, load, a source that goes away, and Prometheus.

    python -m bench.dashboard docs/dashboard.svg

The queries are those of ``deploy/grafana/dashboard.json``; Prometheus (``script/parts``) answers
them, and what it answers is drawn here, since Debian has no Grafana.
"""

import math
import re
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from xml.sax.saxutils import escape

from bench.prometheus import Prometheus, free_port, panels
from cvmfs_snapshotter.domain.errors import SnapshotterError
from cvmfs_snapshotter.domain.labels import LAYER_DIGEST, TARGET
from tests.contract.wire import WireSnapshotter
from tests.harness.daemon import Daemon
from tests.harness.layers import Layer, file, layer
from tests.harness.repository import Repository

SECONDS = 100.0
AWAY = (40.0, 65.0)
"""When the source is away."""

PANELS = (
    "Decisions by reason",
    "Hits by source, and those above a local layer",
    "Calls by method and code",
    "Time of calls, 99 of 100",
    "Time of sources, 99 of 100",
    "Circuits that are not closed",
    "Snapshots",
    "Removed snapshots that wait, and Cleanups",
)

_COLOURS = ("#2b6cb0", "#c05621", "#2f855a", "#6b46c1", "#b83280", "#4a5568", "#b7791f", "#e53e3e")
_WIDTH, _HEIGHT, _LEFT, _PLOT = 460, 220, 60, 100

Series = list[tuple[str, list[tuple[float, float]]]]


def main() -> None:
    """Run, and write the picture to the path that is given."""
    with tempfile.TemporaryDirectory(prefix="cvg-", dir="/tmp") as name:
        drawn = _run(Path(name))
    Path(sys.argv[1]).write_text(drawn)


def _run(base: Path) -> str:
    repository = Repository.make(base / "source")
    metrics = free_port()
    more = f'[metrics]\naddress = "127.0.0.1:{metrics}"\n'
    daemon = Daemon.make(base / "d", repository.path, more=more).start()
    prometheus = Prometheus.start(base, metrics)
    try:
        started = time.time()
        _load(daemon, repository)
        return _draw(prometheus, started, time.time())
    finally:
        prometheus.stop()
        daemon.stop()


def _load(daemon: Daemon, repository: Repository) -> None:
    layers = [layer(file(f"file-{number}", "x" * 5000)) for number in range(40)]
    repository.publish(*layers[:30])
    away, here, elsewhere = False, repository.path, repository.path.with_name("away")
    started, number = time.monotonic(), 0
    with closing(WireSnapshotter(daemon.socket)) as client:
        while (passed := time.monotonic() - started) < SECONDS:
            if away != (AWAY[0] <= passed < AWAY[1]):
                away = not away
                here.rename(elsewhere) if away else elsewhere.rename(here)
            number += 1
            _pull(client, layers[number % len(layers)], number)
            time.sleep(0.05)


def _pull(client: WireSnapshotter, wanted: Layer, number: int) -> None:
    labels = {TARGET: wanted.diff_id, LAYER_DIGEST: wanted.digest}
    # Every fortieth pull, from the thirtieth on, is of a layer that is not published.
    local = (number - 30) // 40 * 40 + 30
    below = f"local {local}" if number % 2 and local > 0 else ""
    with suppress(SnapshotterError):
        client.prepare(f"key {number}", below, labels)
        client.commit(f"local {number}", f"key {number}", {}, "")
        client.prepare(f"above {number}", f"local {number}", {})
    if number % 3 == 0:
        for name in (f"above {number - 2}", f"above {number - 1}"):
            with suppress(SnapshotterError):
                client.remove(name)
    if number % 100 == 0:
        client.cleanup()


def _draw(prometheus: Prometheus, start: float, end: float) -> str:
    of_dashboard = panels()
    shapes = [
        _panel(title, _answers(prometheus, of_dashboard[title], start, end), place, (start, end))
        for place, title in enumerate(PANELS)
    ]
    width, height = 2 * _WIDTH, (len(PANELS) + 1) // 2 * _HEIGHT
    size = f'width="{width}" height="{height}"'
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11">'
    )
    return "\n".join([head, f'<rect {size} fill="#ffffff"/>', *shapes, "</svg>", ""])


def _answers(
    prometheus: Prometheus, targets: Sequence[Mapping[str, str]], start: float, end: float
) -> Series:
    found: Series = []
    for target in targets:
        for result in prometheus.query(target["query"], start, end):
            legend = target["legend"]
            # There is one node.
            for key, value in {**result["metric"], "instance": ""}.items():
                legend = legend.replace(f"{{{{{key}}}}}", value)
            legend = re.sub(r"\{\{\w+\}\}", "", legend).strip(" :")
            points = [(float(at), float(value)) for at, value in result["values"]]
            numbers = [(at, value) for at, value in points if not math.isnan(value)]
            if numbers:
                found.append((legend, numbers))
    return found


def _panel(title: str, series: Series, place: int, span: Sequence[float]) -> str:
    left, top = place % 2 * _WIDTH, place // 2 * _HEIGHT
    most = max((value for _, points in series for _, value in points), default=0.0) or 1.0
    base = 30 + _PLOT
    right = _WIDTH - 15
    shapes = [
        f'<g transform="translate({left},{top})">',
        f'<text x="10" y="18" font-weight="bold">{escape(title)}</text>',
        f'<path d="M{_LEFT} 30V{base}H{right}" fill="none" stroke="#a0aec0"/>',
        f'<text x="{_LEFT - 5}" y="36" text-anchor="end">{most:.3g}</text>',
        f'<text x="{_LEFT - 5}" y="{base}" text-anchor="end">0</text>',
        f'<text x="{right}" y="{base + 12}" text-anchor="end">{span[1] - span[0]:.0f} s</text>',
    ]
    for number, (legend, points) in enumerate(series[: len(_COLOURS)]):
        line = " ".join(
            f"{_LEFT + (at - span[0]) / (span[1] - span[0]) * (right - _LEFT):.1f},"
            f"{base - value / most * _PLOT:.1f}"
            for at, value in points
        )
        colour = _COLOURS[number]
        x, y = _LEFT + number % 2 * 200, base + 26 + number // 2 * 14
        shapes += [
            f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>',
            f'<text x="{x}" y="{y}" fill="{colour}">{escape(legend)}</text>',
        ]
    return "\n".join([*shapes, "</g>"])


if __name__ == "__main__":
    main()
