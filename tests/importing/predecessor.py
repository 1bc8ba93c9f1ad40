"""A state as the Go snapshotter leaves it, made by the code that it is made of.

containerd's own overlayfs keeps its records by the same library and its files in the same
directories. What it lacks are remote snapshots: the label, and a mount of the layer at the place
of the files.
"""

import subprocess
from pathlib import Path

import attrs

from cvmfs_snapshotter.domain.importing import REMOTE
from cvmfs_snapshotter.entrypoints.cli import main
from tests.harness.configuration import Proxy
from tests.harness.containerd import Containerd
from tests.harness.daemon import Daemon
from tests.harness.images import Image
from tests.harness.repository import Repository
from tests.harness.snapshots import Snapshots

NAME = "overlay-p"
"""Of the proxy plugin by which containerd finds its snapshots again; as long as "overlayfs"."""


@attrs.frozen
class Predecessor:
    """The old state, and our daemon that is to have it.

    Attributes:
        containerd: whose overlayfs makes the state.
        repository: where layers are published, as the daemon sees it.
        daemon: not started yet.
    """

    containerd: Containerd
    repository: Repository
    daemon: Daemon

    @property
    def base(self) -> Path:
        """Directory with the database and the snapshots."""
        return self.containerd.directory / "root/io.containerd.snapshotter.v1.overlayfs"

    def client(self, namespace: str) -> Snapshots:
        """Give a client of its snapshotter."""
        return Snapshots.connect(self.containerd.socket, namespace, "overlayfs")

    def run(self, *flags: str, old: Path | None = None) -> int:
        """Run the command on it."""
        daemon = self.daemon
        places = ("--root", str(daemon.root), "--from", str(old or self.base))
        config = ("--config", str(daemon.directory / "config.toml"))
        return main(["import", *places, *config, "--address", str(daemon.socket), *flags])

    def provide(self, client: Snapshots, image: Image, count: int) -> None:
        """Make the lowest layers of an image remote snapshots, as the Go snapshotter does."""
        parent = ""
        for layer, target in list(zip(image.layers, image.chain_ids, strict=True))[:count]:
            labels = {
                "containerd.io/snapshot.ref": target,
                "containerd.io/snapshot/cri.layer-digest": layer.digest,
                REMOTE: "remote snapshot",
            }
            mount = client.prepare(f"key {target}", parent, labels)[0]
            client.commit(target, f"key {target}", labels)
            upper = [o.partition("=")[2] for o in mount.options if o.startswith("upperdir=")]
            published = self.repository.directory_of(layer) / "layerfs"
            subprocess.run(
                ["mount", "--bind", published, upper[0] if upper else mount.source], check=True
            )
            parent = target

    def switch(self) -> None:
        """Let containerd, which must be dead, find its snapshots at our daemon.

        A proxy plugin cannot have the name of a built-in one. In the database another name of the
        same length takes its place everywhere, which leaves every page as it was.
        """
        database = self.containerd.directory / "root/io.containerd.metadata.v1.bolt/meta.db"
        database.write_bytes(database.read_bytes().replace(b"overlayfs", NAME.encode()))
        config = self.containerd.directory / "config.toml"
        text = config.read_text().replace('snapshotter = "overlayfs"', f'snapshotter = "{NAME}"')
        proxy = Proxy(self.daemon.socket, self.daemon.root).snippet("1.6", 10)
        plugin = proxy[proxy.index("[proxy_plugins") :].replace("cvmfs-snapshotter", NAME)
        config.write_text(text + plugin)
