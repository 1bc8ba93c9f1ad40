"""Prometheus, scraping one daemon every second."""

import json
import re
import socket
import urllib.parse
import urllib.request
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Self

import attrs

from tests.harness import parts
from tests.harness.parts import ROOT
from tests.harness.processes import Program

DASHBOARD = ROOT / "deploy" / "grafana" / "dashboard.json"


@attrs.frozen
class Prometheus:
    """A Prometheus that runs.

    Attributes:
        port: where it answers, on 127.0.0.1.
    """

    port: int
    _program: Program

    @classmethod
    def start(cls, base: Path, metrics: int, unpacked: Path | None = None) -> Self:
        """Start it and wait until it answers.

        Args:
            base: a directory, for its files.
            metrics: the port of the daemon's metrics.
            unpacked: where its package is unpacked together with what its pages need; None for one
                without pages.

        Raises:
            RuntimeError: it ended instead.
        """
        port = free_port()
        file = base / "prometheus.yaml"
        targets = f"static_configs: [{{targets: ['127.0.0.1:{metrics}']}}]"
        job = f"{{job_name: cvmfs-snapshotter, {targets}}}"
        file.write_text(f"global: {{scrape_interval: 1s}}\nscrape_configs: [{job}]\n")
        usr = unpacked / "usr" if unpacked else parts.find_all().promtool.parents[1]
        command = (
            *(str(usr / "bin/prometheus"), f"--config.file={file}"),
            *(f"--storage.tsdb.path={base}/tsdb", f"--web.listen-address=127.0.0.1:{port}"),
            f"--web.local-assets={usr}/share/prometheus/web",
        )
        program = Program("prometheus", command, base / "prometheus.log", {}, base).start()
        started = cls(port, program)
        program.wait_ready(started._is_ready)
        return started

    def stop(self) -> None:
        """End it."""
        self._program.terminate()

    def query(self, query: str, start: float, end: float) -> list[dict[str, Any]]:
        """Ask it for what a query gave each second; times are seconds since the epoch."""
        asked = {"query": query, "start": start, "end": end, "step": 1}
        url = f"http://127.0.0.1:{self.port}/api/v1/query_range?{urllib.parse.urlencode(asked)}"
        with urllib.request.urlopen(url, timeout=30.0) as answer:
            found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        return found

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=5.0):
                return True
        except OSError:
            return False


def free_port() -> int:
    """Give a port of 127.0.0.1 that nobody listened on just now."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port: int = taken.getsockname()[1]
        return port


def panels() -> dict[str, list[dict[str, str]]]:
    """Give the queries and legends of each panel of the dashboard, by its title.

    The variables of the dashboard are filled in: there is one daemon, asked every second.
    """
    read: list[Mapping[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return {panel["title"]: [_filled(target) for target in panel["targets"]] for panel in read}


def _filled(target: Mapping[str, str]) -> dict[str, str]:
    query = target["expr"].replace("$__rate_interval", "10s")
    query = re.sub(r'(, )?instance=~"\$instance"', "", query).replace("{}", "")
    return {"query": query, "legend": target["legendFormat"]}
