import logging

import pytest

from cvmfs_snapshotter.adapters.logs.levels import LEVELS, level_name, threshold


def test_names_of_logrus() -> None:
    """The names of levels are all those that logrus takes, most talkative first."""
    assert ["trace", "debug", "info", "warn", "warning", "error", "fatal", "panic"] == list(LEVELS)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("trace", logging.DEBUG),
        ("debug", logging.DEBUG),
        ("info", logging.INFO),
        ("warn", logging.WARNING),
        ("warning", logging.WARNING),
        ("error", logging.ERROR),
        ("fatal", logging.CRITICAL),
        ("panic", logging.CRITICAL),
        ("INFO", logging.INFO),
        ("WaRn", logging.WARNING),
    ],
)
def test_thresholds(name: str, expected: int) -> None:
    """A name in any case has the threshold that Python's logging gives it."""
    assert expected == threshold(name)


@pytest.mark.parametrize("name", ["", "verbose", "info ", "20", "critical", "infö"])
def test_no_level(name: str) -> None:
    """A name that logrus does not know is no level."""
    assert threshold(name) is None


@pytest.mark.parametrize("name", ["debug", "info", "warning", "error", "fatal"])
def test_the_names_of_thresholds(name: str) -> None:
    """A threshold has the name that lines of the log have."""
    assert name == level_name(LEVELS[name])


def test_every_threshold_has_a_name() -> None:
    """Whatever level was configured, its name can be told."""
    assert all(LEVELS[level_name(number)] == number for number in LEVELS.values())
