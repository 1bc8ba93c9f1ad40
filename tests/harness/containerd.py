"""A private containerd: directories, socket and configuration of its own."""

import os
import signal
import subprocess
from pathlib import Path
from typing import Self

import attrs
import grpc

from tests.harness import cni, mounts
from tests.harness.cgroups import Cgroup
from tests.harness.configuration import SNAPSHOTTER, Private, Proxy, without_daemon
from tests.harness.cri import Cri
from tests.harness.ctr import Ctr
from tests.harness.parts import Parts
from tests.harness.processes import Program
from tests.harness.workspace import sweep

NETWORK = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
"""Variables that a containerd needs on some machines to reach real registries."""

HOSTS = """\
server = "http://{host}"
[host."http://{host}"]
  capabilities = ["pull", "resolve"]
"""


@attrs.define
class Containerd:
    """A containerd with the CRI, which can be stopped, killed and started again.

    Attributes:
        directory: Everything of it is in here.
        snapshotter: What the CRI uses, `SNAPSHOTTER` or "overlayfs".
        cri: A client of the CRI, as a kubelet is one.
        cgroup: Above the cgroups of all pods.
    """

    directory: Path
    snapshotter: str
    cri: Cri
    cgroup: Cgroup
    _parts: Parts
    _program: Program

    @classmethod
    def make(
        cls,
        parts: Parts,
        directory: Path,
        cgroup: Cgroup,
        *,
        registry: str,
        sandbox: str,
        proxy: Proxy | None = None,
        snippet: str | None = None,
        stats: int = 10,
        collector: str = "",
    ) -> Self:
        """Write the configuration.

        Args:
            directory: Made, not there yet; its path has to be short, since sockets are in it.
            cgroup: For its pods alone.
            registry: Host and port of a registry that speaks plain HTTP.
            sandbox: Reference of the image for sandboxes.
            proxy: How it is to use our daemon; without it, its own overlayfs is used.
            snippet: What makes it use the daemon, instead of what follows from `proxy`: TOML that
                begins with `version`.
            stats: Seconds between two looks of the CRI at the usage of snapshots.
            collector: Where it sends its spans (from 1.7 on); empty to make none.
        """
        directory.mkdir(parents=True)
        snapshotter = SNAPSHOTTER if proxy or snippet else "overlayfs"
        cni.install(directory / "cni")
        hosts = directory / "certs.d" / registry
        hosts.mkdir(parents=True)
        (hosts / "hosts.toml").write_text(HOSTS.format(host=registry))
        version = parts.version
        private = Private(version, directory, parts.runc, hosts.parent, sandbox, stats)
        # 1.6 before 1.6.32 looks for the image file system here, whatever the plugin's root is.
        (private.root / f"io.containerd.snapshotter.v1.{snapshotter}").mkdir(parents=True)
        config = directory / "config.toml"
        if snippet is None:
            snippet = proxy.snippet(version, stats) if proxy else without_daemon(version)
        config.write_text(private.around(snippet))
        socket = private.socket
        cri = Cri.connect(socket, logs=directory / "logs", cgroup_parent=cgroup.path)
        # containerd finds its shim, and the shim finds mount helpers, by PATH.
        environment = {"PATH": f"{parts.containerd}:{parts.runc.parent}:/usr/sbin:/usr/bin"}
        environment |= {name: os.environ[name] for name in NETWORK if name in os.environ}
        if collector:
            environment |= {
                "OTEL_EXPORTER_OTLP_ENDPOINT": collector,
                "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            }
        daemon = parts.containerd / "containerd"
        command = (str(daemon), "--config", str(config), "--log-level", "debug")
        program = Program(
            "containerd", command, directory / "containerd.log", environment, directory
        )
        return cls(directory, snapshotter, cri, cgroup, parts, program)

    @property
    def version(self) -> str:
        """Its version, as `script/parts` names it: "1.6"."""
        return self._parts.version

    @property
    def socket(self) -> Path:
        """Where it answers."""
        return self.directory / "containerd.sock"

    @property
    def hosts(self) -> Path:
        """Directory that tells clients how to speak with the registry."""
        return self.directory / "certs.d"

    @property
    def log(self) -> Path:
        """File with everything that it logs."""
        return self._program.log

    def blob_size(self, digest: str) -> int:
        """Tell the size of a blob in the content store, bytes; 0 when it is not there."""
        store = self.directory / "root/io.containerd.content.v1.content/blobs"
        blob = store / digest.replace(":", "/")
        return blob.stat().st_size if blob.exists() else 0

    def ctr(self, namespace: str = "k8s.io") -> Ctr:
        """Give a runner of `ctr` for one of containerd's namespaces."""
        return Ctr(
            self._parts.containerd / "ctr",
            self.socket,
            namespace,
            self.directory,
            self.hosts,
            self._parts.runc,
            self.cgroup,
        )

    def start(self) -> Self:
        """Start it and wait until the CRI answers.

        Raises:
            RuntimeError: It ended instead.
        """
        self._program.start()
        self._program.wait_ready(self._answers)
        return self

    def kill(self) -> None:
        """Kill it; shims and containers go on."""
        self._program.kill()

    def terminate(self) -> None:
        """End it as a service manager does; shims and containers go on."""
        self._program.terminate()

    def stop(self) -> None:
        """End it with all its containers, and take away all it made outside of its directory.

        Works in whatever state it is, also when it was killed before.
        """
        if self._program.running:
            try:
                self.cri.remove_everything()
            except grpc.RpcError:
                # What cannot be stopped by asking is killed below.
                self._program.send(signal.SIGKILL)
        self.cri.close()
        self._program.terminate()
        sweep(self.directory, self.cgroup)

    def _answers(self) -> bool:
        try:
            self.cri.version()
        except grpc.RpcError:
            return False
        return True


def overlayfs_works(directory: Path) -> bool:
    """Tell whether this process can mount an overlay whose upper directory is in `directory`."""
    names = [directory / name for name in ("lower", "upper", "work", "merged")]
    for name in names:
        name.mkdir()
    options = f"lowerdir={names[0]},upperdir={names[1]},workdir={names[2]}"
    mount = ("mount", "-t", "overlay", "overlay", "-o", options, str(names[3]))
    works = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    mounts.unmount_below(directory)
    subprocess.run(["rm", "-rf", *names], check=True)
    return works
