"""What containerd has recorded about the snapshots of one snapshotter."""

import shlex
from collections.abc import Iterator, Mapping, Sequence

import attrs

from .layer import Digest

KUBERNETES = "k8s.io"
"""Namespace of the CRI."""


@attrs.frozen
class KnownSnapshot:
    """A snapshot as containerd has recorded it.

    Attributes:
        namespace: containerd's namespace.
        key: how its clients call it.
        name: how it calls it when it talks to the snapshotter.
        parent: key of its parent; empty for none.
    """

    namespace: str
    key: str
    name: str
    parent: str


@attrs.frozen
class KnownContainer:
    """A container that stands on a snapshot.

    Attributes:
        namespace: containerd's namespace.
        identifier: of the container.
        key: of its snapshot.
        sandbox: whether it is a pod of the CRI, which its containers are in.
    """

    namespace: str
    identifier: str
    key: str
    sandbox: bool = False


@attrs.frozen
class KnownImage:
    """An image that containerd has a name for.

    Attributes:
        namespace: containerd's namespace.
        name: usually its reference.
        digest: of its index or manifest.
    """

    namespace: str
    name: str
    digest: Digest


@attrs.frozen
class ContainerdRecords:
    """What containerd knows of one snapshotter.

    Attributes:
        snapshots: every snapshot.
        containers: every container that uses one of them.
        images: by namespace and key of the topmost snapshot of an image, the image's names.
    """

    snapshots: tuple[KnownSnapshot, ...]
    containers: tuple[KnownContainer, ...]
    images: Mapping[tuple[str, str], tuple[str, ...]]

    def above(self, snapshot: KnownSnapshot) -> Sequence[KnownSnapshot]:
        """Give a snapshot and all that stand on it, each before what it stands on.

        Args:
            snapshot: one of them.
        """
        children: dict[str, list[KnownSnapshot]] = {}
        for one in self.snapshots:
            if one.namespace == snapshot.namespace:
                children.setdefault(one.parent, []).append(one)
        found = [snapshot]
        # The list grows while it is walked; a circle in damaged records must not keep it growing.
        for one in found:
            found += [child for child in children.get(one.key, ()) if child not in found]
        return found[::-1]

    def ways_out(self, snapshots: Sequence[KnownSnapshot], snapshotter: str) -> Iterator[str]:
        """Give the commands that make containerd forget snapshots, so that they can be pulled.

        Args:
            snapshots: each before what it stands on.
            snapshotter: name of the proxy plugin.
        """
        keys = {(s.namespace, s.key) for s in snapshots}
        # A pod after the containers in it.
        for container in sorted(self.containers, key=lambda one: one.sandbox):
            if (container.namespace, container.key) in keys:
                yield removal_of(container)
        for (namespace, key), names in self.images.items():
            if (namespace, key) in keys:
                yield from (f"ctr -n {_q(namespace)} images rm {_q(name)}" for name in names)
        for one in snapshots:
            yield (
                f"ctr -n {_q(one.namespace)} snapshots --snapshotter {_q(snapshotter)} "
                f"rm {_q(one.key)}"
            )


def removal_of(container: KnownContainer) -> str:
    """Give the command that removes a container, also one that runs."""
    identifier = _q(container.identifier)
    # The kubelet's containers belong to the CRI, which keeps records of its own.
    if container.namespace == KUBERNETES:
        return f"crictl {'rmp' if container.sandbox else 'rm'} -f {identifier}"
    ctr = f"ctr -n {_q(container.namespace)}"
    return f"{ctr} tasks rm -f {identifier}; {ctr} containers rm {identifier}"


def _q(text: str) -> str:
    return shlex.quote(text)
