"""All that is wrong with a configuration."""

from collections.abc import Sequence

import attrs

from .check_cri import check_cri, check_runtimes
from .check_disabled import check_disabled
from .check_files import check_files
from .check_proxy import check_proxy
from .check_transfer import check_transfer, pull_of, switches
from .documents import Document, effective
from .finding import Finding
from .releases import Pull
from .wanted import Wanted


@attrs.frozen
class Report:
    """What was found.

    Attributes:
        pull: how the CRI would pull.
        findings: what keeps remote layers from working.
        notes: what works, and may surprise.
    """

    pull: Pull
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]


def check(documents: Sequence[Document], wanted: Wanted) -> Report:
    """Judge a configuration.

    Args:
        documents: the root file first, then the imported ones in the order of their reading.
        wanted: what for; without a way to pull, the one that the files choose is judged.

    Returns:
        What was found, the most basic first.
    """
    found = effective(documents, wanted.release)
    findings = [
        *check_files(documents, wanted.release),
        *check_disabled(documents, found, wanted.release),
        *check_proxy(found, wanted),
        *check_cri(found, wanted),
        *check_transfer(found, wanted),
        *check_runtimes(found, wanted.release),
    ]
    discards = found.images.get("discard_unpacked_layers") is True
    told = wanted.pull is Pull.TRANSFER and switches(found.images)
    notes = (_DISCARDS,) if discards and not told else ()
    return Report(pull_of(found, wanted.release), tuple(findings), notes)


_DISCARDS = (
    "discard_unpacked_layers = true: containerd keeps no layer that it unpacked, so that an image "
    "must be pulled again if its snapshots are gone or another snapshotter is to use it"
)
