from pathlib import Path

import pytest

from cvmfs_snapshotter.adapters.layers.settings import SourceKind, SourceSettings
from cvmfs_snapshotter.adapters.metrics.address import Address
from cvmfs_snapshotter.adapters.tracing.settings import Endpoint, TracingSettings
from cvmfs_snapshotter.domain.policy import ImpliedDirectories, Ownership, Policy, Whiteouts
from cvmfs_snapshotter.entrypoints.config import ConfigError, default_config, load_config

UNPACKED = SourceSettings(
    name="unpacked",
    kind=SourceKind.CVMFS,
    repository="unpacked.cern.ch",
    path="/cvmfs/unpacked.cern.ch",
)


def _load(directory: Path, text: str) -> tuple[SourceSettings, ...]:
    """Give the sources that a file of this text configures."""
    file = directory / "config.toml"
    file.write_text(text)
    return load_config(str(file)).sources


def _complaints(directory: Path, text: str) -> list[str]:
    """Give the problems that a file of this text has."""
    with pytest.raises(ConfigError) as raised:
        _load(directory, text)
    prefix = f"{directory}/config.toml: "
    lines = str(raised.value).splitlines()
    assert all(line.startswith(prefix) for line in lines)
    return [line.removeprefix(prefix) for line in lines]


def _source(text: str) -> str:
    """Give a source with these lines besides what it needs."""
    return f'[[source]]\nname = "a"\nrepository = "a.cern.ch"\n{text}\n'


def test_no_file() -> None:
    """Without a file the defaults of the Go program hold."""
    assert (UNPACKED,) == load_config("").sources
    assert default_config() == load_config("")


def test_empty_file(tmp_path: Path) -> None:
    """An empty file leaves the defaults."""
    assert (UNPACKED,) == _load(tmp_path, "")


@pytest.mark.parametrize(("text", "expected"), [("", False), ("true", True), ("false", False)])
def test_staged(tmp_path: Path, text: str, *, expected: bool) -> None:
    """Staged layers are off unless they are asked for, beside either form of sources."""
    file = tmp_path / "config.toml"
    for sources in ("", _source("")):
        file.write_text(f"staged = {text}\n{sources}" if text else sources)
        assert expected == load_config(str(file)).staged


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", None), ('log_level = "Debug"', 10), ('log_level = "warn"', 30)],
)
def test_log_level(tmp_path: Path, text: str, expected: int | None) -> None:
    """The level of the log is one of logrus's names in any case, beside either form of sources."""
    file = tmp_path / "config.toml"
    for sources in ("", _source("")):
        file.write_text(f"{text}\n{sources}")
        assert expected == load_config(str(file)).log_level


def test_legacy_keys(tmp_path: Path) -> None:
    """The two keys of the Go program stand for one source named like the repository."""
    (found,) = _load(
        tmp_path, 'repository = "atlas.cern.ch"\nabsolute-mountpoint = "/mnt//atlas/"\n'
    )

    assert ("atlas", "atlas.cern.ch", "/mnt/atlas", "/mnt/atlas") == (
        found.name,
        found.repository,
        found.path,
        found.host_path,
    )


def test_legacy_repository_alone(tmp_path: Path) -> None:
    """The mount point follows from the repository, as in the Go program."""
    assert "/cvmfs/atlas.cern.ch" == _load(tmp_path, 'repository = "atlas.cern.ch"')[0].path


def test_legacy_mountpoint_alone(tmp_path: Path) -> None:
    """The repository is the default one where only its mount point is given."""
    (found,) = _load(tmp_path, 'absolute-mountpoint = "/mnt/unpacked"')

    assert ("unpacked.cern.ch", "/mnt/unpacked") == (found.repository, found.path)


def test_sources_in_order(tmp_path: Path) -> None:
    """Sources keep the order of the file, with all their keys."""
    first, second = _load(
        tmp_path,
        """
        [[source]]
        name = "nfs"
        kind = "directory"
        path = "/mnt/nfs"
        host_path = "/host/nfs"
        whiteouts = "refuse"
        ownership = "require-root"
        implied_dirs = "ignore"
        lookup_deadline = 2
        scan_deadline = 30.5
        [[source]]
        name = "unpacked"
        repository = "unpacked.cern.ch"
        """,
    )

    assert UNPACKED == second
    assert (
        SourceSettings(
            name="nfs",
            kind=SourceKind.DIRECTORY,
            repository="",
            path="/mnt/nfs",
            host_path="/host/nfs",
            lookup_deadline=2.0,
            scan_deadline=30.5,
            policy=Policy(Whiteouts.REFUSE, ImpliedDirectories.IGNORE, Ownership.REQUIRE_ROOT),
        )
        == first
    )


@pytest.mark.parametrize("key", ['repository = "a.b"', 'absolute-mountpoint = "/x"'])
def test_legacy_beside_sources(tmp_path: Path, key: str) -> None:
    """A legacy key beside [[source]] is an error: it would be unclear which one counts."""
    (line,) = _complaints(tmp_path, f"{key}\n{_source('')}")

    assert line.startswith(f"{key.partition(' ')[0]}: stands for one source")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("repositry = 1", "repositry: unknown key; did you mean 'repository'?"),
        ("absolute_mountpoint = 1", "did you mean 'absolute-mountpoint'?"),
        (
            "zzz = 1",
            "zzz: unknown key; known are source, repository, absolute-mountpoint, staged, metrics",
        ),
        ('"a b\\u0007" = 1', "'a b\\x07': unknown key"),
        ("repository = 5", "repository: expected a fully qualified repository name"),
        ("staged = 1", "staged: expected true or false, not 1"),
        ('log_level = "loud"', "log_level: expected 'trace' or 'debug' or 'info' or 'warn' or"),
        ("log_level = 10", "'fatal' or 'panic', not 10"),
        ("source = 5", "source: expected [[source]] tables, not 5"),
        ("source = []", "source: expected at least one [[source]], not an array"),
        ("source = [1]", "source: expected [[source]] tables, not an array"),
        ('[source]\nname = "a"', "source: expected [[source]] tables, not a table"),
    ],
)
def test_top_level(tmp_path: Path, text: str, expected: str) -> None:
    """A key of the file that is unknown or cannot be meant is named, with what was expected."""
    (line,) = _complaints(tmp_path, text)

    assert expected in line


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pth = 1", "source[0].pth: unknown key; did you mean 'path'?"),
        ('Path = "/x"', "source[0].Path: unknown key; did you mean 'path'?"),
        ('path = "cvmfs/x"', "source[0].path: expected an absolute path, not 'cvmfs/x'"),
        ('path = "/"', "source[0].path: expected a path other than the root directory"),
        ('path = "/a/../b"', "source[0].path: expected an absolute path without '..'"),
        ('path = "/a\\u0000b"', "source[0].path: expected an absolute path without control"),
        ('path = "/a\\nb"', "not '/a\\nb'"),
        (f'path = "/{"a" * 5000}"', "source[0].path: expected a path of at most"),
        ("path = true", "source[0].path: expected an absolute path, not true"),
        ('host_path = ""', "source[0].host_path: expected an absolute path, not ''"),
        ('kind = "nfs"', "source[0].kind: expected 'cvmfs' or 'directory', not 'nfs'"),
        ("kind = ['cvmfs']", "source[0].kind: expected 'cvmfs' or 'directory', not an array"),
        (
            'whiteouts = "maybe"',
            "source[0].whiteouts: expected 'translate' or 'refuse' or 'ignore', not 'maybe'",
        ),
        (
            "ownership = true",
            "source[0].ownership: expected 'accept' or 'warn' or 'require-root', not",
        ),
        (
            'implied_dirs = ""',
            "source[0].implied_dirs: expected 'correct' or 'refuse' or 'ignore', not",
        ),
        ("lookup_deadline = 0", "source[0].lookup_deadline: expected a number of seconds above 0"),
        ("lookup_deadline = -1.5", "not -1.5"),
        ("lookup_deadline = 61", "at most 60, not 61"),
        ("lookup_deadline = nan", "not nan"),
        ("scan_deadline = inf", "at most 3600, not inf"),
        ("scan_deadline = true", "source[0].scan_deadline: expected a number of seconds"),
        (f"scan_deadline = 1{'0' * 400}", "source[0].scan_deadline: expected a number"),
        ('scan_deadline = "60s"', "not '60s'"),
    ],
)
def test_source_keys(tmp_path: Path, text: str, expected: str) -> None:
    """A key of a source that is unknown or cannot be meant is named by its dotted key."""
    (line,) = _complaints(tmp_path, _source(text))

    assert expected in line


@pytest.mark.parametrize(
    "name", ["", " ", "a/b", "-a", ".a", "a\u0007", "ä", "a" * 64, "two words"]
)
def test_names(tmp_path: Path, name: str) -> None:
    """A name that does not fit into logs, metrics and commands is refused."""
    text = f'[[source]]\nname = "{name.encode("unicode_escape").decode()}"\nrepository = "a.b"'
    text = text.replace("\\x", "\\u00")
    (line,) = _complaints(tmp_path, text)

    assert line.startswith("source[0].name: expected a name of at most 63 letters")


@pytest.mark.parametrize(
    "repository", ["", "unpacked", "a..b", ".a.b", "a.b.", "a b.c", "../x.y", "a/b.c", "ä.cern.ch"]
)
def test_repositories(tmp_path: Path, repository: str) -> None:
    """A repository must have a fully qualified name: it becomes part of a path."""
    (line,) = _complaints(tmp_path, f'repository = "{repository}"')

    assert line.startswith("repository: expected a fully qualified repository name")


def test_directory_has_no_repository(tmp_path: Path) -> None:
    """A plain directory cannot be a repository at the same time."""
    lines = _complaints(tmp_path, _source('kind = "directory"\npath = "/x"'))

    assert ["source[0].repository: a source of kind 'directory' has none"] == lines


def test_missing_keys(tmp_path: Path) -> None:
    """What a source cannot do without is named."""
    assert [
        "source[0].name: missing",
        "source[0].path: missing",
        "source[1].name: missing",
        "source[1].repository: missing",
    ] == _complaints(tmp_path, '[[source]]\nkind = "directory"\n[[source]]')


def test_twins(tmp_path: Path) -> None:
    """Two sources of one name or at one path cannot be meant."""
    text = """
    [[source]]
    name = "a"
    repository = "a.cern.ch"
    [[source]]
    name = "a"
    kind = "directory"
    path = "/cvmfs/a.cern.ch/"
    """

    assert [
        "source[1].name: 'a' is that of source[0] too",
        "source[1].path: '/cvmfs/a.cern.ch' is that of source[0] too",
    ] == _complaints(tmp_path, text)


def test_all_at_once(tmp_path: Path) -> None:
    """All problems of a file are reported at once."""
    text = 'repository = "x"\nfoo = 1\n[[source]]\nname = ""\nbar = 2\n'

    lines = _complaints(tmp_path, text)

    assert {"repository", "foo", "source[0].name", "source[0].bar", "source[0].repository"} == {
        line.partition(":")[0] for line in lines
    }


def test_syntax(tmp_path: Path) -> None:
    """An error of syntax is reported with its line."""
    (line,) = _complaints(tmp_path, "a = 1\nb = \n")

    assert line.startswith("not TOML: ")
    assert "line 2" in line


def test_deep_nesting(tmp_path: Path) -> None:
    """A file that nests without end is an error, not a crash."""
    (line,) = _complaints(tmp_path, f"a = {'[' * 100_000}")

    assert line.startswith("not TOML")


def test_no_text(tmp_path: Path) -> None:
    """A file that is not UTF-8 is an error that says so."""
    (tmp_path / "config.toml").write_bytes(b'repository = "\xff"')

    with pytest.raises(ConfigError, match="byte 14 is not UTF-8"):
        load_config(str(tmp_path / "config.toml"))


@pytest.mark.parametrize(("name", "cause"), [("none", "No such file"), (".", "Is a directory")])
def test_no_file_there(tmp_path: Path, name: str, cause: str) -> None:
    """A file that was named and cannot be read is an error, not the defaults."""
    with pytest.raises(ConfigError, match=cause):
        load_config(str(tmp_path / name))


@pytest.mark.parametrize(("line", "expected"), [("", True), ("true", True), ("false", False)])
def test_keep_mounted(tmp_path: Path, line: str, expected: bool) -> None:
    """A source is kept mounted unless the file says otherwise."""
    file = tmp_path / "config.toml"
    more = f"keep_mounted = {line}\n" if line else ""
    file.write_text(f'[[source]]\nname = "a"\nkind = "directory"\npath = "/a"\n{more}')

    assert expected is load_config(str(file)).sources[0].keep_mounted


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ('[metrics]\naddress = "127.0.0.1:9732"', Address(host="127.0.0.1", port=9732)),
        ('[metrics]\naddress = "[::1]:9732"', Address(host="::1", port=9732)),
        ('[metrics]\naddress = "unix:/run/metrics/s"', Address(path="/run/metrics/s")),
    ],
)
def test_metrics(tmp_path: Path, text: str, expected: Address | None) -> None:
    """Metrics are off unless an address is given, beside either form of sources."""
    file = tmp_path / "config.toml"
    for sources in ("", _source("")):
        file.write_text(f"{sources}\n{text}")
        assert expected == load_config(str(file)).metrics


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("metrics = 1", ["metrics: expected a table, not 1"]),
        ("[metrics]", ["metrics.address: missing"]),
        ("[metrics]\naddress = 9732", ["metrics.address: expected an IP address with a port"]),
        ('[metrics]\naddress = "localhost:1"', ["metrics.address: expected an IP address"]),
        (
            '[metrics]\nadress = "127.0.0.1:1"',
            ["metrics.adress: unknown key; did you mean 'address'?", "metrics.address: missing"],
        ),
    ],
)
def test_bad_metrics(tmp_path: Path, text: str, expected: list[str]) -> None:
    """What cannot be meant as an address is an error that says what can."""
    found = _complaints(tmp_path, text)

    assert len(expected) == len(found)
    assert all(line.startswith(start) for line, start in zip(found, expected, strict=True))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        (
            '[tracing]\nendpoint = "http://[::1]:1"',
            TracingSettings(Endpoint(False, "::1", 1, "/v1/traces"), 1.0),
        ),
        (
            '[tracing]\nratio = 0\nendpoint = "https://a.example/traces"',
            TracingSettings(Endpoint(True, "a.example", 4318, "/traces"), 0.0),
        ),
    ],
)
def test_tracing(tmp_path: Path, text: str, expected: TracingSettings | None) -> None:
    """Nothing is traced unless an endpoint is given, beside either form of sources."""
    file = tmp_path / "config.toml"
    for sources in ("", _source("")):
        file.write_text(f"{sources}\n{text}")
        assert expected == load_config(str(file)).tracing


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tracing = true", ["tracing: expected a table, not true"]),
        ("[tracing]\nratio = 1.0", ["tracing.endpoint: missing"]),
        ("[tracing]\nendpoint = 4318", ["tracing.endpoint: expected the URL of a collector"]),
        (
            '[tracing]\nendpoint = "127.0.0.1:4318"\nratio = 1.5',
            [
                "tracing.endpoint: expected the URL of a collector",
                "tracing.ratio: expected a number from 0 to 1, not 1.5",
            ],
        ),
        (
            '[tracing]\nendpoint = "http://[::1]"\nratio = true\nsampling = 1',
            [
                "tracing.ratio: expected a number from 0 to 1, not true",
                "tracing.sampling: unknown key",
            ],
        ),
    ],
)
def test_bad_tracing(tmp_path: Path, text: str, expected: list[str]) -> None:
    """What cannot be meant about tracing is an error that says what can."""
    found = _complaints(tmp_path, text)

    assert len(expected) == len(found)
    assert all(line.startswith(start) for line, start in zip(found, expected, strict=True))
