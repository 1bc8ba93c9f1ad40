"""Layers that a client unpacks without asking whether they are there already."""

from collections.abc import Mapping

from .. import labels as label_rules
from ..events import LayerDecided
from ..layer import Miss, Reason
from ..unpacking import chain_to_unpack
from .base import Base
from .context import Context


def note_if_unpacked(context: Context, key: str, base: Base, labels: Mapping[str, str]) -> None:
    """Tell that a layer is downloaded because its client cannot do otherwise.

    Without this a pull by such a client would look as if the snapshotter had not been there.

    Args:
        context: the ports.
        key: key of a Prepare whose labels name no target.
        base: what the snapshot stands on.
        labels: its checked labels.
    """
    target = chain_to_unpack(key)
    if target is None:
        return
    context.events.record(
        LayerDecided(
            key=key,
            parent=base.parent.name if base.parent else "",
            target=str(target),
            digest=labels.get(label_rules.LAYER_DIGEST, ""),
            outcome=Miss(
                Reason.NO_TARGET,
                f"label {label_rules.TARGET!r} is missing: the client has downloaded the layer "
                "before it asked for a snapshot to unpack it",
            ),
            seconds=0.0,
            image=labels.get(label_rules.IMAGE, ""),
        )
    )
