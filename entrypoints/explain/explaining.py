"""Explaining an image, a layer or a snapshot."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

from cvmfs_snapshotter.adapters.bolt import (
    ContainerdError,
    Content,
    open_content,
    read_records,
)
from cvmfs_snapshotter.adapters.layers.prober import Prober
from cvmfs_snapshotter.adapters.layers.sources import Sources
from cvmfs_snapshotter.domain.layer import Digest, chain_id
from cvmfs_snapshotter.domain.manifests import Descriptor, why_never_published
from cvmfs_snapshotter.domain.ports.clock import Clock
from cvmfs_snapshotter.domain.ports.store import Records
from cvmfs_snapshotter.domain.snapshot import Snapshot

from .. import databases
from ..config import Config
from ..errors import CommandError, StartError
from .found import Explained, ExplainedLayer, ExplainedSnapshot
from .images import FoundImage, by_digest, in_containerd, on_sources
from .recorded import Recorded, recorded
from .snapshots import decision, digest_of, names_for
from .sources import Asking


class UnknownError(CommandError):
    """There is nothing to explain; the message says where it was looked for."""


@attrs.frozen
class Place:
    """Where to look.

    Attributes:
        root: the state directory.
        config: the daemon's configuration.
        containerd_root: containerd's root directory.
        snapshotter: name of the proxy plugin.
        platform: of the machine.
        circuits: by name of source, why the running daemon does not ask it.
    """

    root: str
    config: Config
    containerd_root: str
    snapshotter: str
    platform: str
    circuits: Mapping[str, str]


class Explainer:
    """Explains what it is asked for. Sources are looked at by probe processes alone."""

    def __init__(self, place: Place, prober: Prober, clock: Clock) -> None:
        """Take where to look, and who looks at sources.

        Args:
            place: where to look.
            prober: puts requests to the probe processes.
            clock: gives the time for deadlines.
        """
        self._place = place
        self._prober = prober
        self._clock = clock
        self._sources = Sources(place.config.sources, prober, clock)
        self._remarks: list[str] = []

    def explain(self, wanted: str) -> Explained:
        """Explain a thing.

        Args:
            wanted: name or key of a snapshot, a container's identifier, a digest, or an image.

        Returns:
            All about it.

        Raises:
            UnknownError: it is nothing of these.
        """
        found = self._snapshot(wanted) or self._by_digest(wanted) or self._by_name(wanted)
        return attrs.evolve(found, remarks=tuple(dict.fromkeys(self._remarks)))

    def _snapshot(self, wanted: str) -> Explained | None:
        def chain(records: Records) -> Sequence[Snapshot]:
            found = (records.get(name) for name in names)
            return next((records.chain(s.identifier) for s in found if s is not None), ())

        names = [wanted]
        snapshots = self._read(chain) or ()
        if not snapshots:
            names = list(self._containerds_names(wanted))
            snapshots = (self._read(chain) or ()) if names else ()
        if not snapshots:
            return None
        digests = [digest for s in snapshots if (digest := digest_of(s)) is not None]
        known = self._recorded(digests)
        asking = self._asking(known)
        explained = [self._one(snapshot, known, asking) for snapshot in snapshots]
        return Explained("snapshot", snapshots[0].name, "our records", snapshots=tuple(explained))

    def _one(self, snapshot: Snapshot, known: Recorded, asking: Asking) -> ExplainedSnapshot:
        digest = digest_of(snapshot)
        remembered = known.remembered(digest) if digest is not None else ()
        reason, words = decision(snapshot, remembered)
        layer = None
        if digest is not None:
            layer = ExplainedLayer(
                str(digest),
                chain_id=snapshot.chain_id,
                verdicts=asking.about(digest, None),
                remembered=remembered,
            )
        source = snapshot.layer.source if snapshot.layer else ""
        return ExplainedSnapshot(snapshot.name, snapshot.kind.value, source, words, reason, layer)

    def _containerds_names(self, wanted: str) -> Sequence[str]:
        place = self._place
        try:
            known = read_records(Path(place.containerd_root), place.snapshotter)
        except ContainerdError as error:
            self._remarks.append(f"containerd's records were not looked at: {error}")
            return ()
        return names_for(known, wanted)

    def _by_digest(self, wanted: str) -> Explained | None:
        digest = Digest.parse(wanted if ":" in wanted else f"sha256:{wanted}")
        if digest is None:
            return None
        content = self._content()
        if content is not None:
            image = by_digest(content, digest, self._place.platform)
            if image is not None:
                return self._image(image)
        size = content.size(digest) if content is not None else None
        known = self._recorded([digest])
        layer = ExplainedLayer(
            str(digest),
            size,
            verdicts=self._asking(known).about(digest, None),
            remembered=known.remembered(digest),
        )
        return Explained("layer", str(digest), "its digest", layers=(layer,))

    def _by_name(self, wanted: str) -> Explained:
        content = self._content()
        image = None
        if content is not None:
            image = in_containerd(content, wanted, self._place.platform)
        if image is None:
            image, troubles = on_sources(self._prober, self._place.config.sources, wanted)
            self._remarks += troubles
        if image is not None:
            return self._image(image)
        nothing = (
            f"{wanted!r} is no snapshot or container here, no digest, and no image that "
            "containerd has or that a source has the manifest of. Pull it, or name a layer by its "
            "digest"
        )
        raise UnknownError("\n".join((nothing, *dict.fromkeys(self._remarks))))

    def _image(self, image: FoundImage) -> Explained:
        layers, configuration = image.manifest.layers, image.configuration
        diff_ids: Sequence[Digest | None] = configuration.diff_ids
        chains: list[Digest | None] = []
        if len(diff_ids) == len(layers):
            chains = list(_chains(configuration.diff_ids))
        else:
            diff_ids = chains = [None] * len(layers)
        known = self._recorded(
            [layer.digest for layer in layers if layer.digest is not None],
            [chain for chain in chains if chain is not None],
        )
        asking = self._asking(known)
        explained = [
            _layer(layer, diff_id, chain, configuration.platform, known, asking)
            for layer, diff_id, chain in zip(layers, diff_ids, chains, strict=True)
        ]
        return Explained(
            "image", image.name, image.origin, configuration.platform, tuple(explained)
        )

    def _content(self) -> Content | None:
        try:
            return open_content(Path(self._place.containerd_root))
        except ContainerdError as error:
            self._remarks.append(f"containerd's content was not looked at: {error}")
            return None

    def _asking(self, known: Recorded) -> Asking:
        return Asking(self._sources, self._clock, known.names, self._place.circuits)

    def _recorded(self, digests: Sequence[Digest], chains: Sequence[Digest] = ()) -> Recorded:
        names = self._sources.names
        found = self._read(lambda records: recorded(records, names, digests, chains))
        return found or Recorded()

    def _read(self, operation: databases.Reading[databases.T]) -> databases.T | None:
        try:
            return databases.read(self._place.root, operation)
        except StartError as error:
            self._remarks.append(f"our records were not looked at: {error}")
            return None


def _chains(diff_ids: Sequence[Digest]) -> Sequence[Digest]:
    chains: list[Digest] = []
    for diff_id in diff_ids:
        chains.append(chain_id(chains[-1] if chains else None, diff_id))
    return chains


def _layer(  # noqa: PLR0913, PLR0917 - all that is known of one layer
    layer: Descriptor,
    diff_id: Digest | None,
    chain: Digest | None,
    platform: str,
    known: Recorded,
    asking: Asking,
) -> ExplainedLayer:
    return ExplainedLayer(
        layer.spelled,
        layer.size,
        layer.media_type,
        chain,
        asking.about(layer.digest, diff_id) if layer.digest is not None else (),
        why_never_published(layer, platform),
        known.remembered(layer.digest) if layer.digest is not None else (),
        known.snapshots(chain),
    )
