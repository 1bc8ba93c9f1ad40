"""Configurations to be edited: those that containerd prints, and those that people have."""

import functools
import subprocess

from cvmfs_snapshotter.entrypoints.containerd_config.releases import Pull
from tests.entrypoints.containerd_config.configurations import NODE_OF_1, NODE_OF_2
from tests.harness import parts

WAYS = [
    ("1.6", Pull.LOCAL),
    ("1.7", Pull.LOCAL),
    ("2.1", Pull.LOCAL),
    ("2.1", Pull.TRANSFER),
]
"""The releases that are there, with each way to pull."""

KUBEADM = """\
version = 2
# Written by the provisioning of this site.
[plugins]
  [plugins."io.containerd.grpc.v1.cri"]
    sandbox_image = "registry.k8s.io/pause:3.9"   # as kubeadm wants it
    [plugins."io.containerd.grpc.v1.cri".containerd]
      snapshotter = "overlayfs" # the default
      default_runtime_name = "runc"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes]
        [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
          runtime_type = "io.containerd.runc.v2"
          [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
            SystemdCgroup = true
    [plugins."io.containerd.grpc.v1.cri".registry]
      config_path = "/etc/containerd/certs.d"
"""

SHORT = """\
version = 2

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  SystemdCgroup = true"""

OTHER_PROXY = """\
version = 2
required_plugins = [
  "io.containerd.grpc.v1.cri", # ] [x] = \"\"\"
]
[proxy_plugins]
  [proxy_plugins."stargz"]
    type = "snapshot"
    address = "/run/containerd-stargz-grpc/containerd-stargz-grpc.sock"
  [proxy_plugins.cvmfs-snapshotter]
    type = 'snapshot'
    address = '/elsewhere.sock'
"""

OF_3 = """\
version = 3
imports = []
root = '/var/lib/containerd'
[plugins.'io.containerd.cri.v1.images']
\tsnapshotter = '''
overlayfs'''
[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = 'registry.k8s.io/pause:3.10'
[plugins.'io.containerd.transfer.v1.local']
unpack_config = []
"""


@functools.cache
def default(release: str) -> str:
    """Give what `containerd config default` prints."""
    program = parts.find(release).containerd / "containerd"
    command = (str(program), "config", "default")
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def files(release: str) -> dict[str, str]:
    """Give configurations that a release takes, by name."""
    of_2 = {"kubeadm": KUBEADM, "short": SHORT, "1.7": default("1.7")}
    if release.startswith("1."):
        return {
            **of_2,
            "default": default(release),
            "node": f"version = 2\n{NODE_OF_1}",
            "proxy": OTHER_PROXY,
            "nothing": "",
            "comments": "# nothing\n\n# at all",
            "carriage": KUBEADM.replace("\n", "\r\n"),
        }
    return {
        **of_2,
        "default": default(release),
        "node": f"version = 3\n{NODE_OF_2}",
        "of 3": OF_3,
        "nothing": "",
        "proxy": OTHER_PROXY.replace("version = 2", "version = 3"),
    }


NAMES = {release: list(files(release)) for release in ("1.6", "1.7", "2.1")}
"""The names of these files, by release."""
