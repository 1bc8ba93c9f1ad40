"""What there is to say about layers and snapshots."""

import attrs

from cvmfs_snapshotter.domain.layer import Digest


@attrs.frozen
class Verdict:
    """What one source says about a layer now.

    Attributes:
        source: its name.
        used: whether a pull would take the layer from it.
        reason: value of a ``Reason``.
        detail: in words; of a layer that is used, what is done about it.
        path: of the layer's files, as containerd mounts them; empty if the source has it not.
        entries: directory entries in it; None if it was not scanned.
        whiteouts: names of the layers below that it deletes; None if it was not scanned.
        circuit: why the running daemon does not ask the source; empty if it does, or none runs.
    """

    source: str
    used: bool
    reason: str
    detail: str
    path: str = ""
    entries: int | None = None
    whiteouts: int | None = None
    circuit: str = ""


@attrs.frozen
class Remembered:
    """Misses of a layer that the daemon has recorded.

    Attributes:
        reason: value of a ``Reason``.
        count: how often.
        last_seen_at: when last, nanoseconds since the epoch, UTC.
    """

    reason: str
    count: int
    last_seen_at: int


@attrs.frozen
class Here:
    """A snapshot of a layer that is recorded here.

    Attributes:
        name: its name.
        source: that its files lie on; empty for a local one.
    """

    name: str
    source: str


@attrs.frozen
class ExplainedLayer:
    """A layer.

    Attributes:
        digest: as it is spelled where it was found; empty if it is not known.
        size: bytes to download; None if unknown.
        media_type: empty if unknown.
        chain_id: of the tree with it on top; None if unknown.
        verdicts: what each source says now.
        never: why it is never published; empty if nothing is known that keeps it from being.
        remembered: misses of it.
        here: snapshots of it.
    """

    digest: str
    size: int | None = None
    media_type: str = ""
    chain_id: Digest | None = None
    verdicts: tuple[Verdict, ...] = ()
    never: str = ""
    remembered: tuple[Remembered, ...] = ()
    here: tuple[Here, ...] = ()

    @property
    def source(self) -> str:
        """Name of the source from which a pull would take it; empty if it would be downloaded."""
        return next((v.source for v in self.verdicts if v.used and not v.circuit), "")


@attrs.frozen
class ExplainedSnapshot:
    """A snapshot as it is recorded.

    Attributes:
        name: its name or key.
        kind: value of a ``Kind``.
        source: that its files lie on; empty for a local one.
        decision: why it is what it is, in words.
        reason: value of a ``Reason``; empty if there was nothing to decide.
        layer: the layer; None if it is not known.
    """

    name: str
    kind: str
    source: str
    decision: str
    reason: str
    layer: ExplainedLayer | None


@attrs.frozen
class Explained:
    """All about what was asked for.

    Attributes:
        subject: "image", "layer" or "snapshot".
        name: how it is called.
        origin: where that is known from, in words.
        platform: of an image; empty if unknown.
        layers: of an image, the bottom one first; or the one layer.
        snapshots: the snapshot and all below it, topmost first.
        remarks: what could not be looked at, in words.
    """

    subject: str
    name: str
    origin: str
    platform: str = ""
    layers: tuple[ExplainedLayer, ...] = ()
    snapshots: tuple[ExplainedSnapshot, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether nothing of it would be downloaded, or was."""
        if self.subject == "snapshot":
            return all(s.source or not s.reason for s in self.snapshots)
        return all(layer.source for layer in self.layers)
