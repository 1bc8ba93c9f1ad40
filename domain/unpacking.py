"""How containerd names the snapshots that it unpacks layers into."""

from .layer import Digest


def chain_to_unpack(key: str) -> Digest | None:
    """Tell the chain ID of the layer that is to be unpacked into a snapshot.

    containerd and its clients call such a snapshot ``extract-<something unique> <chain ID>``
    (``snapshots.UnpackKeyFormat``); its metadata layer puts namespace and number before it, each
    with a slash.

    Args:
        key: key of a Prepare.

    Returns:
        The chain ID; None if the snapshot is for something else.
    """
    unique, _, chain = key.rpartition("/")[2].partition(" ")
    return Digest.parse(chain) if unique.startswith("extract-") else None
