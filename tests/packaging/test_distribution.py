"""What is shipped is complete: the sdist, and the wheels made from it and from the checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAME = "cvmfs_snapshotter"
FOLDERS = ("adapters", "domain", "entrypoints", "migrations", "proto")
SUFFIXES = (".py", ".pyi", ".proto")


def build(source: Path, output: Path, *kinds: str) -> Path:
    """Build with the tools of this environment, without a network; return the archive."""
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", *kinds, "--outdir", output, source],
        check=True,
        timeout=120,
        capture_output=True,
        text=True,
    )
    (archive,) = output.iterdir()
    return archive


def checkout(target: Path) -> Path:
    """Copy the files that git knows or would add: a build must not need, or take in, others."""
    if not (ROOT / ".git").exists():
        pytest.skip("only a git checkout tells which files are its own")
    listing = subprocess.run(
        [
            "git",
            "-c",
            "safe.directory=*",
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ],
        cwd=ROOT,
        check=True,
        timeout=60,
        capture_output=True,
        text=True,
    ).stdout
    for name in filter(None, listing.split("\0")):
        source, copy = ROOT / name, target / name
        if source.is_symlink():
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.symlink_to(source.readlink())
        elif source.is_file():
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(source.read_bytes())
            copy.chmod(source.stat().st_mode)
    return target


def shipped(tree: Path) -> set[str]:
    """Names, as in a wheel, of the files that belong into one."""
    own = (tree / "src" / NAME).glob("*.*")
    names = {f"{NAME}/{path.name}" for path in own if path.is_file()}
    for folder in FOLDERS:
        names |= {
            f"{NAME}/{path.relative_to(tree)}"
            for path in (tree / folder).rglob("*")
            if path.suffix in SUFFIXES or path.name == "script.py.mako"
        }
    return names


def content(wheel: Path) -> set[str]:
    """Names of the files in a wheel, without its metadata."""
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean copy of the checkout."""
    return checkout(tmp_path_factory.mktemp("tree"))


@pytest.fixture(scope="module")
def sdist(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist made from the checkout."""
    return build(tree, tmp_path_factory.mktemp("sdist"), "--sdist")


@pytest.fixture(scope="module")
def unpacked(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that is in the sdist."""
    target = tmp_path_factory.mktemp("unpacked")
    # Not tarfile: Python 3.11.2 has no filter to give, and 3.12 warns where none is given.
    subprocess.run(["tar", "-xzf", sdist, "-C", target], check=True, timeout=60)
    (folder,) = target.iterdir()
    return folder


@pytest.fixture(scope="module", params=["checkout", "sdist"])
def wheel(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, made from the checkout and from the sdist."""
    source = request.getfixturevalue("tree" if request.param == "checkout" else "unpacked")
    return build(source, tmp_path_factory.mktemp("wheel"), "--wheel")


def test_a_wheel_holds_all_of_the_product_and_nothing_else(tree: Path, wheel: Path) -> None:
    """Every module, stub, .proto file, the type marker and the migrations are in the wheel."""
    expected = shipped(tree)

    assert f"{NAME}/py.typed" in expected
    assert f"{NAME}/migrations/versions/__init__.py" in expected
    assert expected == content(wheel)


def test_the_sdist_holds_the_tests_and_the_tools(tree: Path, unpacked: Path) -> None:
    """Whoever packages the sdist can run its tests and regenerate its code."""
    wanted = {
        path.relative_to(tree)
        for folder in (*FOLDERS, "tests", "script", "requirements")
        for path in (tree / folder).rglob("*")
        if path.is_file()
    }
    wanted |= {Path("pyproject.toml"), Path("setup.py"), Path("CHANGELOG.md")}

    assert set() == {path for path in wanted if not (unpacked / path).is_file()}


def test_every_folder_of_modules_is_a_package(tree: Path) -> None:
    """A folder without __init__.py would be left out of the wheel, its modules with it."""
    folders = {path.parent for folder in FOLDERS for path in (tree / folder).rglob("*.py")}

    assert set() == {folder for folder in folders if not (folder / "__init__.py").is_file()}


def test_the_links_show_the_folders_to_the_analysers(tree: Path) -> None:
    """Each folder has its link in src/, relative, so that it holds in any place."""
    links = {path.name: path for path in (tree / "src" / NAME).iterdir() if path.is_symlink()}

    assert {name: Path("../..", name) for name in FOLDERS} == {
        name: link.readlink() for name, link in links.items()
    }


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of an environment with the wheel in it and no checkout near it."""
    home = tmp_path_factory.mktemp("installed")
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", home],
        check=True,
        timeout=60,
        capture_output=True,
    )
    (packages,) = home.glob("lib/python*/site-packages")
    pip = [sys.executable, "-m", "pip", f"--python={home / 'bin' / 'python'}", "install"]
    subprocess.run(
        [*pip, "--quiet", "--no-index", "--no-deps", "--no-cache-dir", str(wheel)],
        check=True,
        timeout=60,
        capture_output=True,
        text=True,
    )
    # The dependencies come from this environment, by a path: .pth files there, the one of the
    # editable install above all, are not read.
    outer = Path(sys.prefix, *packages.relative_to(home).parts)
    (packages / "dependencies.pth").write_text(f"{outer}\n")
    return home / "bin"


@pytest.mark.parametrize(
    "command",
    [
        ["cvmfs-snapshotter"],
        ["cvmfs_snapshotter"],
        ["python", "-m", "cvmfs_snapshotter"],
    ],
    ids=" ".join,
)
def test_the_installed_commands_run_without_the_source(
    installed: Path, tmp_path: Path, command: list[str]
) -> None:
    """The wheel alone has the commands, under both names, and they tell their version."""
    program, *arguments = command
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    result = subprocess.run(
        [installed / program, *arguments, "--version"],
        cwd=tmp_path,
        env=environment,
        check=False,
        timeout=60,
        capture_output=True,
        text=True,
    )

    assert result.returncode == 0, result.stderr
    assert version(installed) in result.stdout


def test_what_runs_is_the_installed_package(installed: Path, tmp_path: Path) -> None:
    """The tests above test the wheel, not the checkout."""
    code = "import cvmfs_snapshotter.migrations.versions as m; print(m.__file__)"
    result = subprocess.run(
        [installed / "python", "-c", code],
        cwd=tmp_path,
        check=True,
        timeout=60,
        capture_output=True,
        text=True,
    )

    assert Path(result.stdout).is_relative_to(installed.parent)


def version(installed: Path) -> str:
    """The version in the metadata of the installed distribution."""
    (metadata,) = installed.parent.glob("lib/python*/site-packages/cvmfs_snapshotter-*.dist-info")
    return metadata.name.removesuffix(".dist-info").partition("-")[2]
