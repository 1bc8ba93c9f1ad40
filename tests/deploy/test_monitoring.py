"""Alert rules and dashboard: they are valid, fire when they should, and name what there is."""

import json
import re
import shlex
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.entrypoints.test_metrics import Watched
from tests.harness import parts
from tests.harness.parts import ROOT

RULES = ROOT / "deploy" / "prometheus" / "alerts.yaml"
RULE_TESTS = ROOT / "deploy" / "prometheus" / "alerts_test.yaml"
DASHBOARD = ROOT / "deploy" / "grafana" / "dashboard.json"
RUNBOOKS = ROOT / "docs" / "operations.md"

OF_PROMETHEUS = {"up"}
"""Metrics that Prometheus itself makes."""

SUFFIXES = {
    "counter": ("_total",),
    "gauge": ("",),
    "histogram": ("_bucket", "_sum", "_count"),
    "info": ("_info",),
}


@pytest.fixture(scope="module")
def labels() -> Iterator[dict[str, set[str]]]:
    """Give the labels of each metric of a daemon that was used; none if it has no sample."""
    with tempfile.TemporaryDirectory(prefix="cvm-", dir="/tmp") as name:
        watched = Watched(Path(name))
        watched.daemon.start()
        try:
            watched.use()
            families = watched.families().values()
        finally:
            watched.daemon.stop()
        found: dict[str, set[str]] = {
            f"{family.name}{suffix}": set()
            for family in families
            for suffix in SUFFIXES[family.type]
        }
        for family in families:
            for sample in family.samples:
                found[sample.name] |= set(sample.labels)
        yield found


def _alerts() -> dict[str, dict[str, str]]:
    """Give the alert rules: by name, their lines with a key and a value."""
    rules: dict[str, dict[str, str]] = {}
    for block in RULES.read_text().split("- alert: ")[1:]:
        name, *lines = block.splitlines()
        pairs = (line.strip().partition(": ") for line in lines)
        rules[name] = {key: value.strip("'") for key, _, value in pairs if value}
    return rules


def _queries() -> list[str]:
    """Give every query of the alerts and of the dashboard."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    of_dashboard = [target["expr"] for panel in panels for target in panel["targets"]]
    return [rule["expr"] for rule in _alerts().values()] + of_dashboard


def _promtool(*arguments: str | Path) -> None:
    """Run promtool; it has to be content."""
    done = subprocess.run(
        [parts.find_all().promtool, *arguments], capture_output=True, text=True, check=False
    )
    assert 0 == done.returncode, done.stdout + done.stderr


def test_rules_are_valid() -> None:
    """Prometheus takes the rules."""
    _promtool("check", "rules", RULES)


def test_rules_fire() -> None:
    """Each alert fires for a node that is bad, with its words, and none for one that is well."""
    _promtool("test", "rules", RULE_TESTS)


def test_each_rule_is_tested() -> None:
    """No alert is without a test that it fires, and one that it does not."""
    text = RULE_TESTS.read_text()
    fires = re.findall(r"alertname: (\w+)\n +exp_alerts:\n +- exp_labels", text)
    silent = re.findall(r"alertname: (\w+), exp_alerts: \[\]", text)

    assert list(_alerts()) == fires == silent
    assert len(fires) >= 16


@pytest.mark.parametrize("name", _alerts())
def test_each_alert_helps(name: str) -> None:
    """An alert has a severity, words, and a runbook that is there."""
    rule = _alerts()[name]

    assert rule["severity"] in {"critical", "warning", "info"}
    assert rule["summary"]
    assert rule["description"].endswith(".")
    assert (
        f"Section {name} of docs/operations.md (on nodes with the Debian package "
        "/usr/share/doc/cvmfs-snapshotter/docs/operations.md)"
    ) == rule["runbook"]
    section = RUNBOOKS.read_text().split(f"\n### {name}\n")[1]
    runbook = re.split(r"^#", section, maxsplit=1, flags=re.MULTILINE)[0]
    assert len(runbook) > 100


def test_runbooks_become_addresses(tmp_path: Path) -> None:
    """The command of the page does that for each alert, and Prometheus takes the rules."""
    (command,) = re.findall(r"^sed .*$", RUNBOOKS.read_text(), re.MULTILINE)
    (tmp_path / "alerts.yaml").write_text(RULES.read_text())
    subprocess.run(shlex.split(command), cwd=tmp_path, check=True)
    found = re.findall(
        r"runbook_url: (\S+)$", (tmp_path / "alerts.yaml").read_text(), re.MULTILINE
    )

    assert [
        f"https://docs.example.org/operations.html#{name.lower()}" for name in _alerts()
    ] == found
    _promtool("check", "rules", tmp_path / "alerts.yaml")


def test_no_runbook_without_an_alert() -> None:
    """A runbook that is left over would only confuse."""
    runbooks = re.findall(r"^### (CvmfsSnapshotter\w+)$", RUNBOOKS.read_text(), re.MULTILINE)

    assert list(_alerts()) == runbooks


def test_queries_name_what_there_is(labels: dict[str, set[str]]) -> None:
    """Alerts and dashboard ask for metrics and labels that the daemon has."""
    asked = set()
    for query in _queries():
        found = re.findall(r"\b(up|(?:cvmfs_snapshotter|process)_\w+)(?:\{([^}]*)\})?", query)
        assert found, query
        for name, matchers in found:
            if name in OF_PROMETHEUS:
                continue
            asked.add(name)
            assert name in labels, query
            used = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", matchers))
            assert used - {"instance", "job"} <= labels[name], query
    assert len(asked) > 15


def test_what_is_worth_a_graph(labels: dict[str, set[str]]) -> None:
    """Every metric of ours is in a query, but for those that are for looking closer."""
    closer = {"source_failures", "source_suspects", "source_held", "probes", "build"}
    closer |= {"upkeep_put_off", "hits_of_unknown_size"}
    ending = r"_(total|bucket|sum|count|info)$"
    asked = {
        re.sub(ending, "", name)
        for query in _queries()
        for name in re.findall(r"\bcvmfs_snapshotter_(\w+)", query)
    }
    families = {
        re.sub(ending, "", name.removeprefix("cvmfs_snapshotter_"))
        for name in labels
        if name.startswith("cvmfs_snapshotter_")
    }

    assert closer == families - asked


def test_the_dashboard() -> None:
    """Panels lie beside each other, have their names once, and leave no grid."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    cells = [
        (x, y)
        for grid in (panel["gridPos"] for panel in panels)
        for x in range(grid["x"], grid["x"] + grid["w"])
        for y in range(grid["y"], grid["y"] + grid["h"])
    ]

    assert len(cells) == len(set(cells))
    assert 24 == 1 + max(x for x, _ in cells)
    titles = [panel["title"] for panel in panels]
    assert len(titles) == len(set(titles)) > 10
