"""Layers and their names: digests, chain IDs, and what a look-up of a layer comes to."""

import hashlib
from enum import Enum
from typing import Self

import attrs

_HEX = frozenset("0123456789abcdef")
_SHA256_LENGTH = 64


@attrs.frozen(order=True)
class Digest:
    """A sha256 digest; the only algorithm under which layers are published.

    Attributes:
        hex: the 64 lower-case hexadecimal digits.
    """

    hex: str

    def __hash__(self) -> int:
        """Give the hash of the digits, which a string computes only once."""
        return hash(self.hex)

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read ``sha256:<64 lower-case hex digits>``, the spelling of the OCI image specification.

        Args:
            text: what stands in a label; it may come from the author of an image.

        Returns:
            The digest, or None if the text is anything else: another algorithm, a wrong length,
            upper case, path characters.
        """
        algorithm, colon, digits = text.partition(":")
        if algorithm != "sha256" or not colon or len(digits) != _SHA256_LENGTH:
            return None
        if not _HEX.issuperset(digits):
            return None
        return cls(digits)

    def __str__(self) -> str:
        """Spell the digest as labels do."""
        return f"sha256:{self.hex}"


def chain_id(parent: Digest | None, diff_id: Digest) -> Digest:
    """Name the tree that a layer gives on top of a chain.

    The rule is the OCI image specification's, "Layer ChainID".

    Args:
        parent: chain ID of everything below; None for the bottom layer.
        diff_id: digest of the layer's uncompressed tar.

    Returns:
        The chain ID of the tree with the layer in it.
    """
    if parent is None:
        return diff_id
    return Digest(hashlib.sha256(f"{parent} {diff_id}".encode()).hexdigest())


class Reason(Enum):
    """Why a layer is what it is; the value stands in logs and metrics."""

    HIT = "hit"
    NO_TARGET = "no-target-label"
    NO_DIGEST = "no-digest-label"
    BAD_TARGET = "bad-target"
    BAD_DIGEST = "bad-digest"
    NO_SOURCE = "no-source"
    ABSENT = "absent"
    NOT_MOUNTED = "not-mounted"
    WRONG_REPOSITORY = "wrong-repository"
    INPUT_OUTPUT = "io-error"
    DISCONNECTED = "disconnected"
    STALE = "stale"
    LOOP = "symlink-loop"
    DENIED = "denied"
    FAILED = "failed"
    SLOW = "slow"
    BUSY = "busy"
    CIRCUIT = "circuit"
    UNPROTECTED = "unprotected"
    BAD_METADATA = "bad-metadata"
    WRONG_CHAIN = "wrong-chain"
    UNUSABLE_NAME = "unusable-name"
    WHITEOUTS = "whiteouts"
    IMPLIED_DIRECTORIES = "implied-directories"
    OWNERSHIP = "ownership"
    TOO_LONG = "options-too-long"
    NAME_TAKEN = "name-taken"

    @property
    def healthy(self) -> bool:
        """Whether the outcome says nothing against the source that was asked."""
        return self not in _UNHEALTHY


_UNHEALTHY = frozenset(
    {
        Reason.NOT_MOUNTED,
        Reason.WRONG_REPOSITORY,
        Reason.INPUT_OUTPUT,
        Reason.DISCONNECTED,
        Reason.STALE,
        Reason.LOOP,
        Reason.DENIED,
        Reason.FAILED,
        Reason.SLOW,
        Reason.BUSY,
        Reason.CIRCUIT,
        Reason.UNPROTECTED,
    }
)


@attrs.frozen
class Layer:
    """A layer where it is published.

    Attributes:
        source: name of the source that has it.
        digest: digest of the compressed layer, by which it is published.
    """

    source: str
    digest: Digest

    def __hash__(self) -> int:
        """Give the hash of the digest's digits: few layers are on several sources."""
        return hash(self.digest.hex)


@attrs.frozen
class Hit:
    """A layer was found, opened and listed just now.

    Attributes:
        layer: which, and on which source.
        diff_id: digest of the uncompressed tar if the publisher recorded it, else None. It comes
        in
            a later transaction than the layer itself, so that its absence is normal for a while.
        stamp: differs once the layer was published anew, or shows other owners.
        size: bytes of the uncompressed tar, as the publisher recorded it; None if it did not.
    """

    layer: Layer
    diff_id: Digest | None
    stamp: str = attrs.field(default="", eq=False)
    size: int | None = attrs.field(default=None, eq=False)


@attrs.frozen
class Miss:
    """A layer is not used from a source.

    Attributes:
        reason: the class of the cause.
        detail: the cause in words, for the operator.
        source: name of the source that gave the reason; empty if none was asked.
    """

    reason: Reason
    detail: str
    source: str = ""


@attrs.frozen
class Trouble:
    """A layer that a snapshot stands on cannot be reached.

    Attributes:
        layer: which.
        path: where it should be, as containerd mounts it.
        reason: the class of the cause.
        detail: the cause in words.
    """

    layer: Layer
    path: str
    reason: Reason
    detail: str


WHITEOUT_PREFIX = b".wh."
"""Begins the name of every whiteout and opaque mark (OCI image specification, "Whiteouts")."""

CATALOG_MARKERS = (b".cvmfscatalog", b".cvmfsautocatalog")
"""Files that the CVMFS server adds to the root of a layer and, with automatic catalogs, below
it."""
