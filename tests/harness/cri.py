"""A client of the CRI: pull images and run pods as a kubelet does, without one."""

import itertools
from pathlib import Path
from typing import Self

import attrs
import grpc

from tests.harness.processes import wait_until
from tests.proto.runtime.v1 import runtime_pb2 as cri
from tests.proto.runtime.v1 import runtime_pb2_grpc

TIMEOUT = 120.0
"""Seconds for one call; nothing that tests ask for takes long."""

_numbers = itertools.count(1)


@attrs.frozen
class Pod:
    """A running pod; containers are created in it by its identifier and its configuration."""

    id: str
    config: cri.PodSandboxConfig


@attrs.frozen
class Container:
    """A container.

    Attributes:
        log: File with its output, in the format of the CRI.
    """

    id: str
    log: Path


@attrs.frozen
class Result:
    """How a command ended.

    Attributes:
        code: Exit status.
    """

    code: int
    stdout: str
    stderr: str


@attrs.define
class Cri:
    """The calls that tests need; all of them raise `grpc.RpcError` when containerd refuses.

    Attributes:
        logs: Directory for the logs of containers.
        cgroup_parent: Cgroup above those of all pods.
    """

    logs: Path
    cgroup_parent: str
    _channel: grpc.Channel
    _runtime: runtime_pb2_grpc.RuntimeServiceStub
    _images: runtime_pb2_grpc.ImageServiceStub

    @classmethod
    def connect(cls, socket: Path, logs: Path, cgroup_parent: str) -> Self:
        """Make a client of the containerd at `socket`, which need not be there yet."""
        # The default lets a channel wait for minutes before it tries a socket again.
        options = [("grpc.max_reconnect_backoff_ms", 100), ("grpc.enable_http_proxy", 0)]
        channel = grpc.insecure_channel(f"unix://{socket}", options=options)
        return cls(
            logs,
            cgroup_parent,
            channel,
            runtime_pb2_grpc.RuntimeServiceStub(channel),
            runtime_pb2_grpc.ImageServiceStub(channel),
        )

    def close(self) -> None:
        """Give up the connection."""
        self._channel.close()

    def version(self) -> str:
        """Tell containerd's version."""
        return self._runtime.Version(cri.VersionRequest(), timeout=5.0).runtime_version

    # Images.

    def pull(self, reference: str) -> str:
        """Pull an image and return its ID, the digest of its configuration."""
        request = cri.PullImageRequest(image=cri.ImageSpec(image=reference))
        return self._images.PullImage(request, timeout=TIMEOUT).image_ref

    def images(self) -> set[str]:
        """Tell the references of all images."""
        answer = self._images.ListImages(cri.ListImagesRequest(), timeout=TIMEOUT)
        return {tag for image in answer.images for tag in image.repo_tags}

    def remove_image(self, reference: str) -> None:
        """Remove an image; containerd collects its garbage before it answers."""
        request = cri.RemoveImageRequest(image=cri.ImageSpec(image=reference))
        self._images.RemoveImage(request, timeout=TIMEOUT)

    # Usage.

    def image_usage(self) -> cri.FilesystemUsage:
        """Tell what all snapshots use together, as the last sweep found it."""
        answer = self._images.ImageFsInfo(cri.ImageFsInfoRequest(), timeout=TIMEOUT)
        (found,) = answer.image_filesystems
        return found

    def container_usage(self, container: Container) -> cri.FilesystemUsage:
        """Tell what the snapshot of a running container uses, as the last sweep found it."""
        request = cri.ListContainerStatsRequest()
        answer = self._runtime.ListContainerStats(request, timeout=TIMEOUT)
        return next(
            each.writable_layer for each in answer.stats if each.attributes.id == container.id
        )

    # Pods.

    def run_pod(self, users_from: int | None = None) -> Pod:
        """Start a pod in the machine's network, without containers but that of its sandbox.

        Args:
            users_from: Give the pod a user namespace whose root is this user and group of the
                machine. It has a network of its own then, for its user namespace has to own it.
        """
        name = f"pod-{next(_numbers)}"
        logs = self.logs / name
        logs.mkdir(parents=True)
        namespaces = cri.NamespaceOption(network=cri.NODE, pid=cri.CONTAINER, ipc=cri.POD)
        if users_from is not None:
            namespaces.network = cri.POD
            ids = cri.IDMapping(host_id=users_from, container_id=0, length=65536)
            users = cri.UserNamespace(mode=cri.POD, uids=[ids], gids=[ids])
            namespaces.userns_options.CopyFrom(users)
        config = cri.PodSandboxConfig(
            metadata=cri.PodSandboxMetadata(name=name, uid=name, namespace="tests"),
            log_directory=str(logs),
            linux=cri.LinuxPodSandboxConfig(
                cgroup_parent=self.cgroup_parent,
                security_context=cri.LinuxSandboxSecurityContext(namespace_options=namespaces),
            ),
        )
        request = cri.RunPodSandboxRequest(config=config)
        return Pod(self._runtime.RunPodSandbox(request, timeout=TIMEOUT).pod_sandbox_id, config)

    def remove_pod(self, pod: Pod) -> None:
        """Stop a pod with all its containers, and remove them."""
        self._remove_pod(pod.id)

    def remove_everything(self) -> None:
        """Remove all pods."""
        answer = self._runtime.ListPodSandbox(cri.ListPodSandboxRequest(), timeout=TIMEOUT)
        for pod in answer.items:
            self._remove_pod(pod.id)

    # Containers.

    def create(self, pod: Pod, image: str, *command: str, user: int | None = None) -> Container:
        """Create a container.

        Args:
            image: A reference that has been pulled.
            command: What it runs; nothing for what the image says.
            user: Run as this user instead of the image's.
        """
        name = f"container-{next(_numbers)}"
        security = cri.LinuxContainerSecurityContext(
            namespace_options=pod.config.linux.security_context.namespace_options
        )
        if user is not None:
            security.run_as_user.value = user
        config = cri.ContainerConfig(
            metadata=cri.ContainerMetadata(name=name),
            image=cri.ImageSpec(image=image),
            command=command,
            log_path=f"{name}.log",
            linux=cri.LinuxContainerConfig(security_context=security),
        )
        request = cri.CreateContainerRequest(
            pod_sandbox_id=pod.id, config=config, sandbox_config=pod.config
        )
        answer = self._runtime.CreateContainer(request, timeout=TIMEOUT)
        return Container(answer.container_id, Path(pod.config.log_directory) / f"{name}.log")

    def start(self, container: Container) -> None:
        """Start a container."""
        request = cri.StartContainerRequest(container_id=container.id)
        self._runtime.StartContainer(request, timeout=TIMEOUT)

    def status(self, container: Container) -> cri.ContainerStatus:
        """Tell the state of a container."""
        request = cri.ContainerStatusRequest(container_id=container.id)
        return self._runtime.ContainerStatus(request, timeout=TIMEOUT).status

    def wait(self, container: Container, seconds: float = 60.0) -> int:
        """Wait for the end of a container and return its exit status.

        Raises:
            WaitError: It is still running after so many seconds.
        """
        exited = cri.CONTAINER_EXITED
        wait_until("the container's end", lambda: self.status(container).state == exited, seconds)
        return self.status(container).exit_code

    def output(self, container: Container) -> tuple[str, str]:
        """Tell what a container has printed so far on its standard output and error."""
        streams = {"stdout": "", "stderr": ""}
        for line in container.log.read_text().splitlines():
            # Time, stream, F for a full line or P for a part of one, text.
            _, stream, tag, text = line.split(" ", 3)
            streams[stream] += text + ("\n" if tag == "F" else "")
        return streams["stdout"], streams["stderr"]

    def execute(self, container: Container, *command: str) -> Result:
        """Run a command in a running container."""
        request = cri.ExecSyncRequest(container_id=container.id, cmd=command, timeout=60)
        answer = self._runtime.ExecSync(request, timeout=TIMEOUT)
        return Result(answer.exit_code, answer.stdout.decode(), answer.stderr.decode())

    def remove(self, container: Container) -> None:
        """Kill a container, if it is running, and remove it."""
        stop = cri.StopContainerRequest(container_id=container.id, timeout=0)
        self._runtime.StopContainer(stop, timeout=TIMEOUT)
        remove = cri.RemoveContainerRequest(container_id=container.id)
        self._runtime.RemoveContainer(remove, timeout=TIMEOUT)

    def run(
        self, image: str, *command: str, user: int | None = None, users_from: int | None = None
    ) -> Result:
        """Run a command in a container and a pod of its own, and remove both."""
        pod = self.run_pod(users_from)
        try:
            container = self.create(pod, image, *command, user=user)
            self.start(container)
            code = self.wait(container)
            return Result(code, *self.output(container))
        finally:
            self.remove_pod(pod)

    def _remove_pod(self, identifier: str) -> None:
        stop = cri.StopPodSandboxRequest(pod_sandbox_id=identifier)
        self._runtime.StopPodSandbox(stop, timeout=TIMEOUT)
        remove = cri.RemovePodSandboxRequest(pod_sandbox_id=identifier)
        self._runtime.RemovePodSandbox(remove, timeout=TIMEOUT)
