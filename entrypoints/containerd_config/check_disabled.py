"""Whether a plugin that is needed is switched off."""

from collections.abc import Iterator, Sequence

from .documents import Document, Effective
from .finding import Finding
from .names import CRI, CRI_IMAGES, CRI_RUNTIME, SNAPSHOT_PLUGIN, SNAPSHOTTER, TRANSFER
from .releases import Release
from .toml import strings, text


def check_disabled(
    documents: Sequence[Document], found: Effective, release: Release
) -> Iterator[Finding]:
    """Judge ``disabled_plugins``.

    Args:
        documents: the files; a finding names the one that says it.
        found: what containerd makes of them.
        release: of containerd.

    Yields:
        What is switched off and needed.
    """
    for document in documents:
        for name in strings(document.content.get("disabled_plugins")):
            for finding, full, effect in _needed(release):
                if name == full or (found.version == 1 and name == _short(full)):
                    yield Finding(
                        finding,
                        f"{document.path} disables {name}: {effect}",
                        remove=(f"{text(name)} from disabled_plugins",),
                    )


def _short(full: str) -> str:
    # Version 1 names plugins by the last part of their name.
    return full.rpartition(".")[2]


def _needed(release: Release) -> Iterator[tuple[str, str, str]]:
    yield (
        "proxy-disabled",
        f"{SNAPSHOT_PLUGIN}.{SNAPSHOTTER}",
        "containerd does not know the snapshotter",
    )
    yield "cri-disabled", CRI, "there is no CRI, and no kubelet can use this containerd"
    if release.images_plugin:
        yield "cri-disabled", CRI_IMAGES, "the CRI does not start without its images"
        yield "cri-disabled", CRI_RUNTIME, "the CRI does not start without its runtimes"
    if release.transfer:
        yield "transfer-disabled", TRANSFER, "the CRI does not start without the transfer service"
