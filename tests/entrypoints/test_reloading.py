"""Reading the configuration again while the daemon runs."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import structlog
from structlog.testing import LogCapture
from structlog.typing import FilteringBoundLogger

from cvmfs_snapshotter.adapters.layers.settings import SourceSettings
from cvmfs_snapshotter.adapters.logs.logger import Level
from cvmfs_snapshotter.entrypoints.config import load_config
from cvmfs_snapshotter.entrypoints.reloading import CommandLine, Reloader

FILE = """\
{above}
[[source]]
name = "one"
kind = "directory"
path = "/one"
{of_one}
[[source]]
name = "two"
kind = "directory"
path = "/two"
"""

RELOADED = ("info", "configuration reloaded")


class Bench:
    """A reloader with its file and what it changes."""

    def __init__(self, directory: Path, log_level: int | None = None) -> None:
        self.file = directory / "config.toml"
        self.write()
        self.adopted: list[Sequence[SourceSettings]] = []
        self.log = LogCapture()
        self.said = CommandLine(str(self.file), log_level)
        config = load_config(str(self.file))
        self.level = Level(self.said.level(config))
        self.logger: FilteringBoundLogger = structlog.wrap_logger(
            None, processors=[self.log], wrapper_class=structlog.make_filtering_bound_logger(10)
        )
        self.reloader = Reloader(self.said, config, self.level, self.adopted.append, self.logger)

    def write(self, above: str = "", of_one: str = "") -> None:
        """Write the file with further keys."""
        self.file.write_text(FILE.format(above=above, of_one=of_one))

    def reload(self) -> list[tuple[str, str]]:
        """Read the file again and give level and message of each line about it."""
        self.log.entries.clear()
        self.reloader.reload()
        return [(line["log_level"], line["event"]) for line in self.log.entries]

    def changes(self, message: str) -> list[tuple[str, object, object]]:
        """Give key and values of each line with this message."""
        lines = [line for line in self.log.entries if line["event"] == message]
        return [(line["key"], line["before"], line["after"]) for line in lines]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Give a reloader."""
    return Bench(tmp_path)


@pytest.mark.parametrize(
    ("key", "before", "after", "text"),
    [
        ("lookup_deadline", 5.0, 2.0, "2"),
        ("scan_deadline", 60.0, 90.0, "90"),
        ("keep_mounted", True, False, "false"),
        ("whiteouts", "translate", "refuse", "'refuse'"),
        ("implied_dirs", "correct", "ignore", "'ignore'"),
        ("ownership", "warn", "accept", "'accept'"),
    ],
)
def test_what_changes_at_once(
    bench: Bench, key: str, before: object, after: object, text: str
) -> None:
    """These keys of a source hold from then on, and one line says so; once, not again."""
    bench.write(of_one=f"{key} = {text}")

    assert [("info", "setting changed"), RELOADED] == bench.reload()
    assert [(f"source.one.{key}", before, after)] == bench.changes("setting changed")
    assert [load_config(str(bench.file)).sources] == bench.adopted
    assert [RELOADED] == bench.reload()


@pytest.mark.parametrize(
    ("above", "of_one", "key", "before", "after"),
    [
        ("staged = true", "", "staged", False, True),
        ('[metrics]\naddress = "[::1]:9732"', "", "metrics", None, "[::1]:9732"),
        (
            '[tracing]\nendpoint = "http://[::1]"',
            "",
            "tracing",
            None,
            "http://[::1]:4318/v1/traces, ratio 1",
        ),
        ("", 'host_path = "/elsewhere"', "source.one.host_path", "/one", "/elsewhere"),
        (
            '[[source]]\nname = "new"\nkind = "directory"\npath = "/new"',
            "",
            "source",
            ["one", "two"],
            ["new", "one", "two"],
        ),
    ],
)
def test_what_needs_a_restart(  # noqa: PLR0917 - a table of what is written and said
    bench: Bench, above: str, of_one: str, key: str, before: object, after: object
) -> None:
    """These keys stay as they are; one line says so, each time that the file is read."""
    settings = load_config(str(bench.file)).sources
    bench.write(above, of_one)

    for _ in range(2):
        assert [("warning", "setting not changed"), RELOADED] == bench.reload()
        assert [(key, before, after)] == bench.changes("setting not changed")
    assert [settings, settings] == bench.adopted


def test_some_of_it(bench: Bench) -> None:
    """What can be taken over is, beside something that needs a restart and a source that left."""
    bench.file.write_text(
        '[[source]]\nname = "two"\nkind = "directory"\npath = "/moved"\nlookup_deadline = 1\n'
    )
    bench.reload()

    assert [("source.two.lookup_deadline", 5.0, 1.0)] == bench.changes("setting changed")
    assert [
        ("source", ["one", "two"], ["two"]),
        ("source.two.path", "/two", "/moved"),
        ("source.two.host_path", "/two", "/moved"),
    ] == bench.changes("setting not changed")
    ((one, two),) = bench.adopted
    assert ("one", "/one", 5.0) == (one.name, one.path, one.lookup_deadline)
    assert ("two", "/two", 1.0) == (two.name, two.path, two.lookup_deadline)


@pytest.mark.parametrize("text", ["whiteouts = 'none'", "unknown = 1", "= "])
def test_a_bad_file(bench: Bench, text: str) -> None:
    """A file that cannot be meant changes nothing, also where parts of it could be."""
    bench.write('log_level = "debug"', f"lookup_deadline = 1\n{text}")

    message = "configuration not reloaded; everything stays as it is"
    assert [("error", message)] == bench.reload()
    assert str(bench.file) in bench.log.entries[0]["cause"]
    assert [] == bench.adopted
    assert 20 == bench.level.number
    bench.write()
    assert [RELOADED] == bench.reload()


def test_a_missing_file(bench: Bench) -> None:
    """A file that is gone changes nothing."""
    bench.file.unlink()

    bench.reload()
    assert "No such file" in bench.log.entries[0]["cause"]
    assert [] == bench.adopted


def test_no_file(bench: Bench) -> None:
    """A daemon without a file has nothing to read again, and says so."""
    config = load_config("")
    Reloader(CommandLine(), config, bench.level, bench.adopted.append, bench.logger).reload()

    (line,) = bench.log.entries
    assert "nothing to reload: the daemon runs without --config" == line["event"]


def test_a_defect(bench: Bench) -> None:
    """Whatever goes wrong, the main thread lives on."""

    def fail(_: Sequence[SourceSettings]) -> None:
        raise ValueError("of a test")

    config = load_config(str(bench.file))
    Reloader(bench.said, config, bench.level, fail, bench.logger).reload()
    assert [("error", "configuration not reloaded because of a defect")] == [
        (line["log_level"], line["event"]) for line in bench.log.entries
    ]


def test_the_log_level(bench: Bench) -> None:
    """The level of the file holds at once; without one it is info again."""
    bench.write('log_level = "Debug"')
    assert ("info", "setting changed") in bench.reload()
    assert 10 == bench.level.number
    assert [("log_level", None, "debug")] == bench.changes("setting changed")

    bench.write()
    bench.reload()
    assert 20 == bench.level.number


def test_the_command_line_goes_first(tmp_path: Path) -> None:
    """With --log-level the level of the file means nothing, and a change of it is told."""
    bench = Bench(tmp_path, log_level=40)
    bench.write('log_level = "debug"')

    for _ in range(2):
        assert [("warning", "setting not changed"), RELOADED] == bench.reload()
        assert "--log-level goes first" == bench.log.entries[0]["cause"]
    assert 40 == bench.level.number


def test_debug_for_a_while(tmp_path: Path) -> None:
    """Debug lines are switched on and off; a reload goes back to what is configured."""
    bench = Bench(tmp_path, log_level=40)
    bench.reloader.toggle_debug()
    assert 10 == bench.level.number
    bench.reloader.toggle_debug()
    assert 40 == bench.level.number
    assert [("error", "debug"), ("debug", "error")] == [
        (line["before"], line["after"]) for line in bench.log.entries
    ]

    bench.reloader.toggle_debug()
    bench.reload()
    assert 40 == bench.level.number


def test_a_log_that_is_at_debug_anyhow(tmp_path: Path) -> None:
    """Where debug is what is configured, there is nothing to switch."""
    bench = Bench(tmp_path, log_level=10)
    bench.reloader.toggle_debug()

    assert 10 == bench.level.number
    assert [] == bench.log.entries
