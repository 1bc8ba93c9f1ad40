"""What stands on remote snapshots, and would not without us."""

import shlex
from collections.abc import Collection, Mapping, Sequence

import attrs

from .containerd import KUBERNETES, ContainerdRecords, KnownContainer, KnownSnapshot, removal_of


@attrs.frozen
class DependentContainer:
    """A container that stands on remote snapshots.

    Attributes:
        container: as containerd has recorded it.
        remote: how many remote snapshots are below it.
    """

    container: KnownContainer
    remote: int

    @property
    def command(self) -> str:
        """Removes it, so that its owner makes it anew."""
        return removal_of(self.container)


@attrs.frozen
class DependentImage:
    """An image with remote snapshots.

    Attributes:
        namespace: containerd's namespace.
        name: its name there.
        remote: how many of its snapshots are remote.
    """

    namespace: str
    name: str
    remote: int

    def command(self, snapshotter: str) -> str:
        """Give the command that pulls it anew.

        Args:
            snapshotter: the one that is used then.
        """
        name = shlex.quote(self.name)
        if self.namespace == KUBERNETES:
            return f"crictl rmi {name}; crictl pull {name}"
        ctr = f"ctr -n {shlex.quote(self.namespace)} images"
        return (
            f"{ctr} rm --sync {name}; {ctr} pull --snapshotter {shlex.quote(snapshotter)} {name}"
        )


@attrs.frozen
class Dependents:
    """All that stands on remote snapshots.

    Attributes:
        containers: by namespace and identifier.
        images: by namespace and name.
        unknown: remote snapshots of ours that containerd does not know.
    """

    containers: tuple[DependentContainer, ...]
    images: tuple[DependentImage, ...]
    unknown: int


def dependents(known: ContainerdRecords, remote: Collection[str]) -> Dependents:
    """Find all that stands on remote snapshots.

    Args:
        known: what containerd has recorded.
        remote: our names of remote snapshots.
    """
    names = frozenset(remote)
    by_key = {(s.namespace, s.key): s for s in known.snapshots}

    def below(namespace: str, key: str) -> int:
        return sum(one.name in names for one in _chain(by_key, namespace, key))

    containers = [
        DependentContainer(container, count)
        for container in known.containers
        if (count := below(container.namespace, container.key))
    ]
    images = [
        DependentImage(namespace, name, count)
        for (namespace, key), image_names in known.images.items()
        if (count := below(namespace, key))
        for name in dict.fromkeys(image_names)
    ]
    return Dependents(
        tuple(sorted(containers, key=lambda c: (c.container.namespace, c.container.identifier))),
        tuple(sorted(images, key=lambda i: (i.namespace, i.name))),
        len(names - {s.name for s in known.snapshots}),
    )


def _chain(
    by_key: Mapping[tuple[str, str], KnownSnapshot], namespace: str, key: str
) -> Sequence[KnownSnapshot]:
    found: dict[str, KnownSnapshot] = {}
    # A circle in damaged records must not keep it going.
    while key not in found and (one := by_key.get((namespace, key))) is not None:
        found[key] = one
        key = one.parent
    return tuple(found.values())
