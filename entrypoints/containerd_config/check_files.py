"""Whether containerd takes the files at all."""

import posixpath
from collections.abc import Iterator, Sequence

from .documents import Document
from .finding import Finding
from .names import CRI, CRI_SHORT
from .releases import Release
from .toml import strings, table, text


def check_files(documents: Sequence[Document], release: Release) -> Iterator[Finding]:
    """Judge versions and names.

    Args:
        documents: the root file first.
        release: of containerd.

    Yields:
        What keeps a file from being read.
    """
    root = max(documents[0].version, 1)
    if root < release.oldest_file_version:
        yield Finding(
            "file-version-removed",
            f"containerd {release.name} does not take all settings from a file of version {root}",
            add=(f"version = {release.file_version}",),
        )
    for document in documents:
        yield from _version(document, root, release)
        if not release.globs_beside_file:
            yield from _patterns(document, release)
    yield from _names(documents)


def _version(document: Document, root: int, release: Release) -> Iterator[Finding]:
    newest = release.newest_file_version
    if document.version > newest:
        yield Finding(
            "file-version-too-new",
            f"{document.path} has version {document.version}, and containerd {release.name} knows "
            f"{newest} at most",
            add=(f"version = {newest}",),
        )
    elif document.version > root:
        yield Finding(
            "import-newer-than-root",
            f"{document.path} is imported and has version {document.version}, above the {root} of "
            "the root file: containerd refuses that, or loses settings of the root file",
            add=(f"version = {root}",),
        )


def _patterns(document: Document, release: Release) -> Iterator[Finding]:
    for pattern in strings(document.content.get("imports")):
        if "*" in pattern and not pattern.startswith("/"):
            full = posixpath.join(posixpath.dirname(document.path), pattern)
            yield Finding(
                "import-pattern",
                f"{document.path} imports {text(pattern)}, which containerd {release.name} looks "
                "for in its working directory, not beside the file",
                add=(f"imports = [{text(full)}]",),
            )


def _names(documents: Sequence[Document]) -> Iterator[Finding]:
    version = 1
    for document in documents:
        version = document.version or version
    if version == 1:
        return
    for document in documents:
        for name in table(document.content.get("plugins")):
            if "." not in name:
                right = CRI if name == CRI_SHORT else f"io.containerd.<type>.v1.{name}"
                yield Finding(
                    "plugin-name",
                    f"{document.path} names a plugin {name!r}, as files of version 1 do; from "
                    f"version 2 on that is refused or ignored, and {right} is meant",
                    remove=(f"[plugins.{name}]",),
                )
        for name in strings(document.content.get("disabled_plugins")):
            if "." not in name:
                yield Finding(
                    "disabled-plugin-name",
                    f"{document.path} disables a plugin {name!r}, as files of version 1 do; "
                    "containerd does not start with it",
                    remove=(f"{text(name)} from disabled_plugins",),
                )
