"""Configurations as they are on nodes, with the lines that we print beside what else is there."""

import tomllib
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import attrs

from cvmfs_snapshotter.entrypoints.containerd_config.check import Report, check
from cvmfs_snapshotter.entrypoints.containerd_config.documents import Document
from cvmfs_snapshotter.entrypoints.containerd_config.releases import RELEASES, Pull
from cvmfs_snapshotter.entrypoints.containerd_config.snippet import render
from cvmfs_snapshotter.entrypoints.containerd_config.wanted import Wanted

ADDRESS = "/run/containerd-cvmfs-grpc/containerd-cvmfs-grpc.sock"
ROOT = "/var/lib/containerd-cvmfs-grpc"

# As kubeadm's instructions leave it, with a private registry.
NODE_OF_1 = """
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.internal.v1.opt"]

[grpc]
  address = "/run/containerd/containerd.sock"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "registry.example.org/pause:3.9"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  SystemdCgroup = true

[plugins."io.containerd.grpc.v1.cri".registry]
  config_path = "/etc/containerd/certs.d"
"""

NODE_OF_2 = """
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.internal.v1.opt"]

[grpc]
  address = "/run/containerd/containerd.sock"

[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "registry.example.org/pause:3.10"
[plugins."io.containerd.cri.v1.images".registry]
  config_path = "/etc/containerd/certs.d"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
  SystemdCgroup = true
"""

WAYS = [
    (name, pull)
    for name, release in RELEASES.items()
    for pull in Pull
    if pull is Pull.LOCAL or release.transfer
]
"""Every release with each way in which its CRI can pull."""


def wanted(release: str, pull: Pull | None = Pull.LOCAL) -> Wanted:
    """The default daemon, for a release of containerd on x86-64."""
    return Wanted(RELEASES[release], ADDRESS, ROOT, "linux/amd64", pull)


def node(release: str, pull: Pull = Pull.LOCAL) -> str:
    """A complete file with the lines that are printed for a release."""
    printed = render(wanted(release, pull))
    version, blank, tables = printed.partition("\n\n[")
    rest = NODE_OF_2 if RELEASES[release].images_plugin else NODE_OF_1
    top, _, bottom = rest.partition("\n\n")
    return f"{version}{top}{blank}{tables}\n{bottom}"


def judge(
    text: str, release: str, pull: Pull | None = None, imported: tuple[str, ...] = ()
) -> Report:
    """What is found in a file, and in what it imports."""
    documents = [
        Document(f"/etc/containerd/{number}.toml", tomllib.loads(each))
        for number, each in enumerate((text, *imported))
    ]
    return check(documents, wanted(release, pull))


def names(report: Report) -> list[str]:
    """The findings, by name."""
    return [finding.name for finding in report.findings]


@attrs.frozen
class Leaf:
    """A place in a parsed file: the keys, and positions in arrays, that lead to a value."""

    path: tuple[str | int, ...]

    def without(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """The file without it."""
        copy = deepcopy(dict(content))
        holder: Any = copy
        for key in self.path[:-1]:
            holder = holder[key]
        del holder[self.path[-1]]
        return copy

    def replaced(self, content: Mapping[str, Any], value: object) -> dict[str, Any]:
        """The file with another value there."""
        copy = deepcopy(dict(content))
        holder: Any = copy
        for key in self.path[:-1]:
            holder = holder[key]
        holder[self.path[-1]] = value
        return copy


def places(value: Any, path: tuple[str | int, ...] = ()) -> list[Leaf]:
    """All values of a parsed file, tables and arrays too, but the file itself."""
    found = [Leaf(path)] if path else []
    if isinstance(value, dict | list):
        inner = value.items() if isinstance(value, dict) else enumerate(value)
        found += [place for key, one in inner for place in places(one, (*path, key))]
    return found


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> list[Leaf]:
    """All values of a parsed file that are neither tables nor arrays of tables."""
    if isinstance(value, dict):
        return [leaf for key, one in value.items() for leaf in leaves(one, (*path, key))]
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [leaf for key, one in enumerate(value) for leaf in leaves(one, (*path, key))]
    return [Leaf(path)]
