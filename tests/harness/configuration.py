"""Configuration of a private containerd: what keeps it private, and what makes it use our daemon.

The two are kept apart. The second is what an administrator would add, and may be replaced by what
somebody else says that one should add. No table is in both, so that they are one file together.
"""

from enum import StrEnum
from pathlib import Path
from typing import Final

import attrs

SNAPSHOTTER: Final = "cvmfs-snapshotter"
"""The name under which containerd knows our daemon; nerdctl knows it by this name only."""

TOP: Final = """\
root = "{root}"
state = "{state}"
imports = []
# What tests do not need, and what would write outside of our directories (opt).
disabled_plugins = [
  "io.containerd.internal.v1.opt",
  "io.containerd.internal.v1.restart",
  "io.containerd.monitor.container.v1.restart",
  "io.containerd.monitor.task.v1.cgroups",
  "io.containerd.monitor.v1.cgroups",
  "io.containerd.nri.v1.nri",
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.blockfile",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.erofs",
  "io.containerd.snapshotter.v1.native",
  "io.containerd.snapshotter.v1.zfs",
]
"""

SERVERS: Final = """
[grpc]
  address = "{socket}"
[ttrpc]
  address = "{socket}.ttrpc"
"""

# Without CAP_SYS_RESOURCE a process may not lower its score (oom_score_adj), which pods of the CRI
# want.
CRI_OF_1: Final = """
[plugins."io.containerd.grpc.v1.cri"]
  disable_apparmor = true
  disable_tcp_service = true
  netns_mounts_under_state_dir = true
  restrict_oom_score_adj = true
  sandbox_image = "{sandbox}"
  stats_collect_period = {stats}
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "{directory}/cni"
  conf_dir = "{directory}/cni"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  BinaryName = "{runc}"
  Root = "{state}/runc"
[plugins."io.containerd.grpc.v1.cri".registry]
  config_path = "{hosts}"
"""

CRI_OF_2: Final = """
[plugins.'io.containerd.cri.v1.runtime']
  disable_apparmor = true
  netns_mounts_under_state_dir = true
  restrict_oom_score_adj = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ["{directory}/cni"]
  conf_dir = "{directory}/cni"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  BinaryName = "{runc}"
  Root = "{state}/runc"
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "{sandbox}"
[plugins.'io.containerd.cri.v1.images'.registry]
  config_path = "{hosts}"
"""

PROXY: Final = """
[proxy_plugins.cvmfs-snapshotter]
  type = "snapshot"
  address = "{address}"
[proxy_plugins.cvmfs-snapshotter.exports]
  root = "{root}"
"""

UNPACK: Final = """
[[plugins.'io.containerd.transfer.v1.local'.unpack_config]]
  platform = "linux/amd64"
  snapshotter = "cvmfs-snapshotter"
[[plugins.'io.containerd.transfer.v1.local'.unpack_config]]
  platform = "linux/amd64"
  snapshotter = "overlayfs"
"""


class Pull(StrEnum):
    """How the CRI pulls an image: by itself, or by the transfer service (2.1 and later)."""

    LOCAL = "local"
    TRANSFER = "transfer"


@attrs.frozen
class Private:
    """What a containerd of ours needs, whatever snapshotter it uses.

    Attributes:
        version: "1.6", "1.7" or "2.1".
        directory: Everything of it is in here.
        runc: The program.
        hosts: Directory with `<registry>/hosts.toml`.
        sandbox: Reference of the image for sandboxes.
        stats: Seconds between two looks of the CRI at the usage of snapshots; read by 1.x only,
            whose key is in no table of the other part.
    """

    version: str
    directory: Path
    runc: Path
    hosts: Path
    sandbox: str
    stats: int

    @property
    def root(self) -> Path:
        """containerd's own root."""
        return self.directory / "root"

    @property
    def socket(self) -> Path:
        """Where it answers."""
        return self.directory / "containerd.sock"

    def around(self, snippet: str) -> str:
        """Give the whole file.

        Args:
            snippet: The other part, from `version` on.
        """
        cri = CRI_OF_1 if self.version.startswith("1.") else CRI_OF_2
        values = attrs.asdict(self) | {
            "root": self.root,
            "socket": self.socket,
            "state": self.directory / "state",
        }
        return "".join((TOP.format(**values), snippet, (SERVERS + cri).format(**values)))


@attrs.frozen
class Proxy:
    """How a containerd is to use our daemon.

    Attributes:
        address: Socket of the daemon.
        root: Its root.
        pull: How the CRI is to pull.
        annotations: Whether containerd says which layer it wants: the switch that administrators
            forget.
    """

    address: Path
    root: Path
    pull: Pull = Pull.LOCAL
    annotations: bool = True

    def snippet(self, version: str, stats: int) -> str:
        """Give the other part for a version of containerd, with the seconds of `Private`."""
        keys = [f'snapshotter = "{SNAPSHOTTER}"']
        blocks = PROXY.format(address=self.address, root=self.root)
        wanted = str(self.annotations).lower()
        if self.pull is Pull.TRANSFER:
            blocks += f'  enable_remote_snapshot_annotations = "{wanted}"\n{UNPACK}'
        else:
            keys.append(f"disable_snapshot_annotations = {str(not self.annotations).lower()}")
        if not version.startswith("1."):
            keys.append(f"stats_collect_period = {stats}")
            if self.pull is Pull.LOCAL and not self.annotations:
                # Annotations make it pull by itself; without them it has to be told.
                keys.append("use_local_image_pull = true")
        return _cri(version, *keys) + blocks


def without_daemon(version: str) -> str:
    """Give the other part for a containerd that uses its own overlayfs."""
    return _cri(version, 'snapshotter = "overlayfs"')


def _cri(version: str, *keys: str) -> str:
    old = version.startswith("1.")
    table = '"io.containerd.grpc.v1.cri".containerd' if old else "'io.containerd.cri.v1.images'"
    lines = (f"version = {2 if old else 3}", f"[plugins.{table}]", *(f"  {key}" for key in keys))
    return "\n".join(lines) + "\n"
