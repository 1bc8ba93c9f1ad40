"""containerd's files on disk."""

from pathlib import Path

import pytest

from cvmfs_snapshotter.entrypoints.containerd_config.reading import UnreadableError, read
from cvmfs_snapshotter.entrypoints.containerd_config.releases import RELEASES
from tests.entrypoints.containerd_config.configurations import judge, names, node


def paths(root: Path, release: str = "2.1") -> list[str]:
    """What is read, relative to the directory of the root file."""
    return [
        str(Path(one.path).relative_to(root.parent)) for one in read(str(root), RELEASES[release])
    ]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root file, in a directory with others."""
    (tmp_path / "conf.d").mkdir()
    for name in ("b.toml", "a.toml", ".hidden.toml", "other.conf"):
        (tmp_path / "conf.d" / name).write_text("version = 3\n")
    return tmp_path / "config.toml"


def test_imports(root: Path) -> None:
    """Patterns and paths, relative and absolute, are read after the file, hidden files too."""
    (root.parent / "more.toml").write_text('imports = ["config.toml", "last.toml"]')
    (root.parent / "last.toml").write_text("")
    root.write_text(f'imports = ["more.toml", "{root.parent}/conf.d/*.toml", "none/*.toml"]')
    hidden, *shown = ["conf.d/.hidden.toml", "conf.d/a.toml", "conf.d/b.toml"]

    assert ["config.toml", "more.toml", hidden, *shown, "last.toml"] == paths(root)


@pytest.mark.parametrize(("release", "expected"), [("1.6", 1), ("1.7", 4), ("2.1", 4)])
def test_relative_patterns(root: Path, release: str, expected: int) -> None:
    """1.6 looks for them where it runs, which is not where the file is."""
    root.write_text('imports = ["conf.d/*.toml"]')

    assert expected == len(paths(root, release))


def test_a_relative_pattern_is_told_about() -> None:
    """Whoever has one with 1.6 learns why its files do not count."""
    for pattern, expected in (("conf.d/*.toml", 1), ("/etc/conf.d/*.toml", 0), ("a.toml", 0)):
        text = f'imports = ["{pattern}"]\n{node("1.6")}'
        report = judge(text, "1.6")

        assert ["import-pattern"] * expected == names(report)
        advice = 'set imports = ["/etc/containerd/conf.d/*.toml"]'
        assert [advice] * expected == [finding.advice for finding in report.findings]
    assert [] == names(judge(f'imports = ["conf.d/*.toml"]\n{node("1.7")}', "1.7"))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"a = ", "config.toml: not TOML: "),
        (b"a = '\xff'", "config.toml: byte 5 is not UTF-8"),
        (b"a = " + b"[" * 100_000, "config.toml: not TOML that can be read: nested too deeply"),
        (b'imports = ["gone.toml"]', "gone.toml: No such file or directory"),
        (b'imports = ["conf.d"]', "conf.d: Is a directory"),
    ],
    ids=["broken", "binary", "deep", "missing import", "directory"],
)
def test_what_cannot_be_read(root: Path, content: bytes, why: str) -> None:
    """The file that is in the way is named, with the reason."""
    root.write_bytes(content)

    with pytest.raises(UnreadableError) as raised:
        read(str(root), RELEASES["2.1"])
    assert f"{root.parent}/{why}" in str(raised.value)


def test_endless_imports(root: Path) -> None:
    """A thousand files are enough."""
    for number in range(1001):
        (root.parent / f"{number}.toml").write_text(f'imports = ["{number + 1}.toml"]')
    root.write_text('imports = ["0.toml"]')

    with pytest.raises(UnreadableError, match="imports more than 1000 files"):
        read(str(root), RELEASES["2.1"])


@pytest.mark.parametrize("release", ["2.0", "2.1", "2.2", "2.3", "2.4"])
def test_2_merges_the_sections_of_plugins(release: str) -> None:
    """The printed lines may be a file of their own, beside one with other settings of the CRI."""
    printed = node(release)
    root = (
        'version = 3\n[plugins."io.containerd.cri.v1.images"]\nsnapshotter = "overlayfs"\n'
        'disable_snapshot_annotations = true\n[plugins."io.containerd.cri.v1.images".registry]\n'
    )

    assert [] == names(judge(root, release, imported=(printed,)))
    more = 'version = 3\n[plugins."io.containerd.cri.v1.images".registry]\nconfig_path = "/c"\n'
    assert [] == names(judge(printed, release, imported=(more,)))


@pytest.mark.parametrize("release", ["1.6", "1.7"])
def test_1_replaces_the_sections_of_plugins(release: str) -> None:
    """A later file with any setting of the CRI takes all earlier ones away."""
    more = 'version = 2\n[plugins."io.containerd.grpc.v1.cri".cni]\nbin_dir = "/usr/lib/cni"\n'

    assert ["cri-snapshotter", "cri-annotations"] == names(
        judge(node(release), release, imported=(more,))
    )


@pytest.mark.parametrize("release", ["1.7", "2.1"])
def test_a_later_proxy_replaces_the_whole_table(release: str) -> None:
    """Its exports go with it."""
    version = 2 if release == "1.7" else 3
    more = (
        f"version = {version}\n[proxy_plugins.cvmfs-snapshotter]\n"
        'type = "snapshot"\naddress = "/run/other.sock"\n'
    )

    assert ["proxy-address", "proxy-root"] == names(
        judge(node(release), release, imported=(more,))
    )


@pytest.mark.parametrize("release", ["1.6", "1.7", "2.0", "2.1", "2.2", "2.3", "2.4"])
def test_an_import_that_is_newer_than_the_root_file(release: str) -> None:
    """2.3 refuses it; before, settings of the CRI in the older one are lost."""
    version = 2 if release.startswith("1.") else 3
    root = node(release).replace(f"version = {version}", f"version = {version - 1}")
    report = judge(root, release, imported=(f"version = {version}\n",))

    assert "import-newer-than-root" in names(report)
    assert "/etc/containerd/1.toml" in " ".join(one.problem for one in report.findings)


@pytest.mark.parametrize("release", ["2.0", "2.1", "2.2", "2.3", "2.4"])
def test_an_older_import(release: str) -> None:
    """A file of 1.x is taken over, also beside a root file of version 3."""
    assert [] == names(judge("version = 3\n", release, imported=(node("1.7"),)))


def test_lists_of_disabled_plugins_add_up() -> None:
    """A later file cannot take back what an earlier one disables."""
    root = 'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n'

    assert ["cri-disabled"] == names(judge(root, "1.7", imported=(node("1.7"),)))


def test_an_imported_list_replaces() -> None:
    """In 2.x a list inside a section is not added to: the overlayfs of an earlier file is lost."""
    table = "[[plugins.'io.containerd.transfer.v1.local'.unpack_config]]\n"
    root = f'version = 3\n{table}platform = "linux/amd64"\nsnapshotter = "overlayfs"\n'
    ours = (
        f'version = 3\n{table}platform = "linux/amd64"\nsnapshotter = "cvmfs-snapshotter"\n'
        'differ = "walking"\n'
    )
    report = judge(node("2.1"), "2.1", imported=(root, ours))

    assert ["unpack-overlayfs"] == names(report)
