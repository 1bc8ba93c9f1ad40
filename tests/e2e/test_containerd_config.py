"""The lines that `containerd-config` prints, and its judgement, against containerd itself."""

import itertools
import json
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from cvmfs_snapshotter.entrypoints.containerd_config.documents import effective
from cvmfs_snapshotter.entrypoints.containerd_config.reading import read
from cvmfs_snapshotter.entrypoints.containerd_config.releases import RELEASES
from tests.harness import parts, samples
from tests.harness.daemon import PROGRAM, Daemon
from tests.harness.node import node as open_node
from tests.harness.registry import Registry
from tests.harness.workspace import Workspace

VERSIONS = ("1.6", "1.7", "2.1")
WAYS = [("1.6", "local"), ("1.7", "local"), ("2.1", "local"), ("2.1", "transfer")]

_numbers = itertools.count(1)


def command(daemon: Daemon, version: str, *more: str) -> subprocess.CompletedProcess[str]:
    """Run `containerd-config` for a daemon."""
    where = ("--address", str(daemon.socket), "--root", str(daemon.root))
    words = (str(PROGRAM), "containerd-config", "--for", version, *where, *more)
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)


def dump(version: str, config: Path, what: str = "dump") -> tuple[dict[str, Any], str]:
    """What containerd makes of a configuration, parsed, and what it logs while it does."""
    program = parts.find(version).containerd / "containerd"
    done = subprocess.run(
        (program, "--config", config, "config", what),
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
        timeout=60,
    )
    return tomllib.loads(done.stdout), done.stderr


@pytest.mark.parametrize(("version", "pull"), WAYS)
def test_the_printed_lines_pull_a_remote_image(
    base: Workspace, registry: Registry, version: str, pull: str
) -> None:
    """With them and what keeps this containerd private, all layers are used where they are."""
    image = samples.image_a()

    def snippet(daemon: Daemon) -> str:
        done = command(daemon, version, "--pull", pull)
        assert (0, "") == (done.returncode, done.stderr)
        return done.stdout

    name = f"printed-{next(_numbers)}"
    with open_node(base, name, registry, image.layers, version=version, snippet=snippet) as node:
        pulled = node.pull(image)
        result = node.containerd.cri.run(pulled.reference, "sh", "-c", samples.SHOW_A)
        log = node.containerd.log.read_text()
        config = str(node.containerd.directory / "config.toml")
        checked = command(node.daemon, version, "--json", "--check", config)

    assert ["hit"] * len(image.layers) == pulled.outcomes
    assert [0] * len(image.layers) == pulled.downloaded
    assert (0, samples.SHOWN_BY_A) == (result.code, result.stdout)
    assert "Ignoring unknown key" not in log
    assert "Falling back to local image pull" not in log
    found = json.loads(checked.stdout)
    assert (0, pull, []) == (checked.returncode, found["pull"], found["findings"])


@pytest.mark.parametrize(("version", "pull"), WAYS)
def test_containerd_takes_every_printed_key(tmp_path: Path, version: str, pull: str) -> None:
    """containerd shows each key with the printed value, and warns of nothing."""
    daemon = Daemon.make(tmp_path / "daemon", tmp_path)
    printed = command(daemon, version, "--pull", pull).stdout
    config = tmp_path / "config.toml"
    config.write_text(printed)

    taken, log = dump(version, config)

    assert "" == log
    wanted = tomllib.loads(printed)
    if version == "1.6":
        # Known from 1.6.32 on; the tests have an older one.
        del wanted["proxy_plugins"]["cvmfs-snapshotter"]["exports"]
    assert contains(taken, wanted)


def contains(whole: Any, part: Any) -> bool:
    """Tell whether all of one parsed file is in another."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(
            key in whole and contains(whole[key], one) for key, one in part.items()
        )
    if isinstance(part, list):
        return len(whole) == len(part) and all(map(contains, whole, part))
    return bool(whole == part)


def test_2_1_has_nothing_to_migrate(tmp_path: Path) -> None:
    """The printed lines are those of the newest version that it knows."""
    daemon = Daemon.make(tmp_path / "daemon", tmp_path)
    config = tmp_path / "config.toml"
    config.write_text(command(daemon, "2.1").stdout)

    migrated, log = dump("2.1", config, "migrate")

    assert "" == log
    assert contains(migrated, tomllib.loads(config.read_text()))


CRI = '[plugins."io.containerd.grpc.v1.cri".containerd]'
IMAGES = "[plugins.'io.containerd.cri.v1.images']"
RUNC = (
    '[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]\n'
    'runtime_type = "io.containerd.runc.v2"\n'
)
OURS = 'snapshotter = "cvmfs-snapshotter"\ndisable_snapshot_annotations = false\n'
OTHERS = 'snapshotter = "native"\ndisable_snapshot_annotations = true\n'
PROXY = (
    "[proxy_plugins.cvmfs-snapshotter]\ntype = 'snapshot'\naddress = '/{name}.sock'\n"
    "[proxy_plugins.cvmfs-snapshotter.exports]\nroot = '/{name}'\n"
)
BARE = "[proxy_plugins.cvmfs-snapshotter]\ntype = 'snapshot'\naddress = '/bare.sock'\n"
UNPACK = (
    "[[plugins.'io.containerd.transfer.v1.local'.unpack_config]]\n"
    "platform = 'linux/amd64'\nsnapshotter = '{name}'\n"
)
IMPORTS = 'imports = ["more.toml"]\n'
SHORT = "[plugins.cri.containerd]\n"

# The root file, and a file that it may import, without the line of the version.
FILES = {
    "1.x in its section": (f"{CRI}\n{OURS}{RUNC}", ""),
    "without runtimes": (f"{CRI}\n{OURS}", ""),
    "2.x in its section": (f"{IMAGES}\n{OURS}", ""),
    "both sections": (f"{CRI}\n{OURS}{RUNC}{IMAGES}\n{OTHERS}", ""),
    "a section that is replaced or merged": (
        f"{IMPORTS}{CRI}\n{OTHERS}discard_unpacked_layers = true\n{RUNC}",
        f"{CRI}\n{OURS}{RUNC}",
    ),
    "an older value that is merged over": (
        f"{IMPORTS}{IMAGES}\n{OTHERS}discard_unpacked_layers = true\n",
        f"{IMAGES}\n{OURS}",
    ),
    "a proxy that is replaced": (
        IMPORTS + PROXY.format(name="first"),
        PROXY.format(name="second"),
    ),
    "a proxy that loses its exports": (IMPORTS + PROXY.format(name="first"), BARE),
    "a list that is replaced": (
        IMPORTS + UNPACK.format(name="overlayfs"),
        UNPACK.format(name="native"),
    ),
    "disabled plugins that add up": (
        f'{IMPORTS}disabled_plugins = ["io.containerd.internal.v1.opt"]\n',
        'disabled_plugins = ["io.containerd.internal.v1.restart"]\n',
    ),
}
NUMBERS = [
    (version, root, more)
    for version in VERSIONS
    for root, more in (
        [(2, 2), (2, None)]
        if version.startswith("1.")
        else [(2, 2), (2, 3), (3, 2), (3, 3), (3, None), (2, None)]
    )
]


@pytest.mark.parametrize(("version", "root", "more"), NUMBERS)
@pytest.mark.parametrize("files", FILES)
def test_files_are_understood_as_containerd_does(
    tmp_path: Path, version: str, root: int, more: int | None, files: str
) -> None:
    """What the check takes for the outcome of several files is what containerd works with."""
    for name, number, text in zip(
        ("config.toml", "more.toml"), (root, more), FILES[files], strict=True
    ):
        head = f"version = {number}\n" if number else ""
        (tmp_path / name).write_text(head + text)
    config = tmp_path / "config.toml"
    release = RELEASES[version]

    understood = effective(read(str(config), release), release)
    taken, _ = dump(version, config)

    proxies = taken.get("proxy_plugins", {})
    for name, proxy in proxies.items():
        mine: Any = understood.proxies[name]
        assert proxy["address"] == mine["address"]
        if version != "1.6":
            # It adds the address to what is exported.
            exported = proxy.get("exports", {}).get("root")
            assert exported == mine.get("exports", {}).get("root")
    assert len(proxies) == len(understood.proxies)
    assert set(taken["disabled_plugins"]) == set(understood.disabled)
    images = images_of(taken)
    for key, usual in (
        ("snapshotter", "overlayfs"),
        ("disable_snapshot_annotations", True),
        ("discard_unpacked_layers", False),
    ):
        assert images[key] == understood.images.get(key, usual), key
    if version != "1.6" and files == "a list that is replaced":
        transfer: Any = understood.plugins["io.containerd.transfer.v1.local"]
        named = [one["snapshotter"] for one in transfer["unpack_config"]]
        section = taken["plugins"]["io.containerd.transfer.v1.local"]
        assert named == [one["snapshotter"] for one in section["unpack_config"]]


def images_of(taken: dict[str, Any]) -> dict[str, Any]:
    """The settings about images in what containerd shows."""
    plugins = taken["plugins"]
    if "io.containerd.cri.v1.images" in plugins:
        return dict(plugins["io.containerd.cri.v1.images"])
    return dict(plugins["io.containerd.grpc.v1.cri"]["containerd"])


@pytest.mark.parametrize("version", ["1.6", "1.7"])
@pytest.mark.parametrize(
    ("section", "snapshotter"), [(SHORT, "cvmfs-snapshotter"), (f"{CRI}\n", "overlayfs")]
)
def test_version_1_is_understood_as_containerd_does(
    tmp_path: Path, version: str, section: str, snapshotter: str
) -> None:
    """In a file without a version, plugins have short names, and long ones mean nothing."""
    config = tmp_path / "config.toml"
    config.write_text(section + OURS)
    release = RELEASES[version]

    understood = effective(read(str(config), release), release)
    taken, _ = dump(version, config)

    assert snapshotter == images_of(taken)["snapshotter"]
    assert snapshotter == understood.images.get("snapshotter", "overlayfs")


@pytest.mark.parametrize(
    ("version", "text"),
    [
        ("1.7", "version = 3\n"),
        ("2.1", "version = 4\n"),
        ("1.6", f"version = 2\n{SHORT}{OURS}"),
        ("1.7", f"version = 2\n{SHORT}{OURS}"),
        ("1.7", 'version = 2\ndisabled_plugins = ["cri"]\n'),
        ("2.1", 'version = 3\ndisabled_plugins = ["cri"]\n'),
    ],
)
def test_what_containerd_refuses_is_found(tmp_path: Path, version: str, text: str) -> None:
    """A file that containerd does not start with is not called right."""
    config = tmp_path / "config.toml"
    config.write_text(text + PROXY.format(name="d"))
    with pytest.raises(subprocess.CalledProcessError):
        dump(version, config)

    daemon = Daemon.make(tmp_path / "daemon", tmp_path)
    found = json.loads(command(daemon, version, "--json", "--check", str(config)).stdout)

    refused = {"file-version-too-new", "plugin-name", "disabled-plugin-name"}
    assert refused & {finding["name"] for finding in found["findings"]}
