"""What is in the Debian package."""

import gzip
import hashlib
import os
import re
import subprocess
from pathlib import Path

import pytest

from cvmfs_snapshotter import __version__
from cvmfs_snapshotter.entrypoints.cli.arguments import build_parser
from cvmfs_snapshotter.entrypoints.cli.grammar import grammar_of
from tests.harness.parts import ROOT
from tests.packaging.conftest import MAINTAINER
from tests.packaging.test_consistency import pins

NAME = "cvmfs-snapshotter"
CONFIG = "/etc/cvmfs-snapshotter/config.toml"


@pytest.fixture(scope="module")
def unpacked(deb: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the package, its control files in DEBIAN."""
    target = tmp_path_factory.mktemp("unpacked") / "package"
    subprocess.run(["dpkg-deb", "--raw-extract", deb, target], check=True)
    return target


def field(deb: Path, name: str) -> str:
    """Give a field of the package."""
    command = ["dpkg-deb", "--field", str(deb), name]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def regular(unpacked: Path) -> dict[str, Path]:
    """Give the ordinary files, by their names without a leading slash."""
    found = (path for path in unpacked.rglob("*") if path.is_file() and not path.is_symlink())
    names = {str(path.relative_to(unpacked)): path for path in found}
    return {name: path for name, path in names.items() if not name.startswith("DEBIAN/")}


def test_there_is_one_version(deb: Path, unpacked: Path) -> None:
    """The package, its name, its changelog and the product say the same."""
    version = field(deb, "Version")
    text = gzip.decompress((unpacked / f"usr/share/doc/{NAME}/changelog.gz").read_bytes())

    assert re.fullmatch(rf"{re.escape(__version__)}(~\d{{14}})?", version)
    assert deb.name == f"{NAME}_{version}_{field(deb, 'Architecture')}.deb"
    assert text.decode().startswith(f"{NAME} ({version}) unstable; urgency=medium\n\n  * ")


def test_the_maintainer_is_who_built_it(deb: Path) -> None:
    """The name stands there as it was given."""
    assert "R&D / Storage <storage@example.org>" == field(deb, "Maintainer")


def test_every_change_is_in_the_changelog(unpacked: Path) -> None:
    """It has as many entries as CHANGELOG.md, and none is cut."""
    text = gzip.decompress((unpacked / f"usr/share/doc/{NAME}/changelog.gz").read_bytes()).decode()
    entries = re.findall(r"^- ", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)

    assert len(entries) == text.count("\n  * ")
    assert max(len(line) for line in text.splitlines() if not line.startswith(" --")) <= 80


def test_an_unreleased_version_is_older_than_the_release(deb: Path) -> None:
    """So that the release is an upgrade, and each later commit too."""
    version = field(deb, "Version")
    compare = ["dpkg", "--compare-versions"]

    assert "~" in version or "Unreleased" not in (ROOT / "CHANGELOG.md").read_text()
    subprocess.run([*compare, version, "le", __version__], check=True)
    subprocess.run([*compare, f"{__version__}~20200101000000", "lt", version], check=True)


def test_the_same_again(deb: Path, tmp_path: Path) -> None:
    """Elsewhere, for somebody with other habits, the package is the same byte for byte."""
    work = tmp_path / "a directory of another name"
    work.mkdir()
    subprocess.run(
        ["sh", "-c", 'umask 077; exec "$0" "$1"', ROOT / "script/deb", tmp_path / "again"],
        check=True,
        env={
            **os.environ,
            **MAINTAINER,
            "TMPDIR": str(work),
            "TZ": "Asia/Tokyo",
            "LC_ALL": "C.UTF-8",
        },
    )
    (again,) = (tmp_path / "again").iterdir()

    assert deb.name == again.name
    assert deb.read_bytes() == again.read_bytes()
    assert [] == list(work.iterdir())


def test_everything_belongs_to_root_and_is_for_everybody_to_read(deb: Path) -> None:
    """No file can be changed by others, and none lends rights."""
    listing = subprocess.run(
        ["dpkg-deb", "--contents", deb], check=True, capture_output=True, text=True
    ).stdout
    ways = {tuple(line.split()[:2]) for line in listing.splitlines()}

    assert {
        ("drwxr-xr-x", "root/root"),
        ("-rw-r--r--", "root/root"),
        ("-rwxr-xr-x", "root/root"),
        ("lrwxrwxrwx", "root/root"),
    } == ways


def test_dpkg_can_verify_it(unpacked: Path) -> None:
    """Each file has its sum, but for the configuration, whose changes are not damage."""
    sums = {
        name: digest
        for digest, name in (
            line.split("  ", 1) for line in (unpacked / "DEBIAN/md5sums").read_text().splitlines()
        )
    }
    files = regular(unpacked)

    assert f"{CONFIG}\n" == (unpacked / "DEBIAN/conffiles").read_text()
    assert files.keys() - {CONFIG[1:]} == sums.keys()
    for name, digest in sums.items():
        found = hashlib.md5(files[name].read_bytes(), usedforsecurity=False)
        assert digest == found.hexdigest(), name


def test_no_file_tells_where_it_was_built(deb: Path, unpacked: Path) -> None:
    """Neither the checkout nor the directory for temporary files."""
    places = (os.fsencode(ROOT), b"/tmp/tmp.", os.fsencode(deb.parent))
    found = [
        (name, place)
        for name, path in regular(unpacked).items()
        for place in places
        if place + b"/" in path.read_bytes()
    ]

    assert [] == found


def test_the_libraries_are_those_that_are_pinned(unpacked: Path) -> None:
    """All of them, in their versions, and the product."""
    names = unpacked.glob(f"usr/lib/{NAME}/lib/*/site-packages/*.dist-info")
    found = dict(path.name.removesuffix(".dist-info").split("-") for path in names)

    assert {**pins("run.txt"), NAME: __version__} == {
        name.replace("_", "-").lower(): version for name, version in found.items()
    }


def test_every_module_has_its_bytecode(unpacked: Path) -> None:
    """The daemon must not write any, and would compile them all at each start."""
    packages = unpacked / f"usr/lib/{NAME}"
    modules = set(packages.rglob("*.py"))
    compiled = {
        path.parent.parent / f"{path.name.partition('.')[0]}.py"
        for path in packages.rglob("*.pyc")
    }

    assert len(modules) > 300
    assert modules == compiled


def test_links_lead_somewhere_and_not_out_of_usr(unpacked: Path) -> None:
    """Each is relative; what it leads to is in the package, but for Python."""
    links = {
        str(path.relative_to(unpacked)): str(path.readlink())
        for path in unpacked.rglob("*")
        if path.is_symlink()
    }
    python = links.pop(f"usr/lib/{NAME}/bin/python3")

    assert re.fullmatch(r"\.\./\.\./\.\./bin/python3\.\d+", python)
    assert {
        "usr/bin/cvmfs_snapshotter": "cvmfs-snapshotter",
        "usr/share/man/man1/cvmfs_snapshotter.1.gz": "cvmfs-snapshotter.1.gz",
    } == links
    for name in links:
        assert (unpacked / name).exists()


def test_the_manual_and_the_completions_are_there(unpacked: Path) -> None:
    """A page for each command, and a file for each shell."""
    commands = grammar_of(build_parser()).commands
    pages = {f"{NAME}-{command.words[0]}.1.gz" for command in commands}
    found = {path.name for path in (unpacked / "usr/share/man/man1").iterdir()}

    assert {*pages, f"{NAME}.1.gz", "cvmfs_snapshotter.1.gz"} == found
    for name in (
        f"bash-completion/completions/{NAME}",
        f"zsh/vendor-completions/_{NAME}",
        f"fish/vendor_completions.d/{NAME}.fish",
    ):
        assert "cvmfs-snapshotter" in (unpacked / "usr/share" / name).read_text()


def test_the_documentation_is_there(unpacked: Path) -> None:
    """Each page, and what Prometheus and Grafana want."""
    folder = unpacked / f"usr/share/doc/{NAME}"

    assert {path.name for path in (ROOT / "docs").glob("*.md")} == {
        path.name for path in (folder / "docs").glob("*.md")
    }
    for name in ("deploy/prometheus/alerts.yaml", "deploy/grafana/dashboard.json"):
        assert (ROOT / name).read_bytes() == (folder / name).read_bytes()


def test_no_licence_is_claimed(unpacked: Path) -> None:
    """As long as the project has none."""
    text = (unpacked / f"usr/share/doc/{NAME}/copyright").read_text()

    assert [] == list(ROOT.glob("LICEN[CS]E*"))
    assert not re.search(r"^(License|Copyright):", text, re.MULTILINE)


@pytest.mark.parametrize("name", ["postinst", "postrm", "prerm"])
def test_the_scripts_are_for_any_shell(unpacked: Path, name: str) -> None:
    """Each stops at the first failure; dash, which is /bin/sh, can read it."""
    script = unpacked / "DEBIAN" / name

    assert script.stat().st_mode & 0o111
    assert "\nset -e\n" in script.read_text()
    subprocess.run(["/bin/sh", "-n", script], check=True)
