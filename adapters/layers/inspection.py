"""What a command asks of a source that the daemon does not: manifests, and how it is served."""

from collections.abc import Mapping

import attrs

from cvmfs_snapshotter.domain.layer import Miss

from .answers import miss_in, revision_in
from .prober import Message, Prober
from .settings import SourceSettings


@attrs.frozen
class Survey:
    """How a source is served.

    Attributes:
        proven: whether the repository said its own name; of no meaning for a directory.
        kind: type of the file system; empty if unknown.
        mounted: what is mounted; empty if unknown.
        attributes: magic attributes of CVMFS that could be read, without ``user.``.
        client: user ID of the CVMFS client; None if unknown.
        owners: user IDs of directories that should be root's, in some layers.
        limit: bytes that the cache of the CVMFS client may take; None if unknown or without limit.
    """

    proven: bool
    kind: str
    mounted: str
    attributes: Mapping[str, str]
    client: int | None
    owners: tuple[int, ...]
    limit: int | None = None

    def number(self, attribute: str) -> int | None:
        """Give an attribute as a number; None if it is not known, or no number."""
        text = self.attributes.get(attribute, "")
        return int(text) if text.isascii() and text.isdecimal() else None


def published_manifest(
    prober: Prober, source: SourceSettings, name: str, seconds: float
) -> bytes | Miss:
    """Read what the publisher keeps of an image's manifest.

    Args:
        prober: puts requests to the probe processes.
        source: the source.
        name: of the directory below ``.metadata``; see ``Reference.published_names``.
        seconds: how long to wait.

    Returns:
        What is written there, whatever it is; or why it cannot be read.
    """
    request = {"do": "image", "source": source.request, "path": name.split("/")}
    answer = prober.ask(request, seconds)
    miss = miss_in(answer, source.name)
    if miss is not None:
        return miss
    return str(answer.get("manifest", "")).encode(errors="surrogateescape")


def identify(prober: Prober, source: SourceSettings, seconds: float) -> int | Miss | None:
    """Ask a source who it is.

    Args:
        prober: puts requests to the probe processes.
        source: the source.
        seconds: how long to wait.

    Returns:
        The revision of the repository, None if it is not known; or what is wrong.
    """
    answer = prober.ask({"do": "root", "source": source.request, "hold": False}, seconds)
    return miss_in(answer, source.name) or revision_in(answer)


def survey(prober: Prober, source: SourceSettings, seconds: float) -> Survey | Miss:
    """Look a source over.

    Args:
        prober: puts requests to the probe processes.
        source: the source.
        seconds: how long to wait.

    Returns:
        How it is served; or what is wrong with it.
    """
    answer = prober.ask({"do": "survey", "source": source.request}, seconds)
    miss = miss_in(answer, source.name)
    if miss is not None:
        return miss
    attributes, client = answer.get("attributes"), answer.get("client")
    limit = answer.get("limit")
    return Survey(
        proven=answer.get("proven") is True,
        kind=str(answer.get("type") or ""),
        mounted=str(answer.get("mounted") or ""),
        attributes=_texts(attributes),
        client=client if isinstance(client, int) else None,
        owners=_numbers(answer),
        limit=limit if isinstance(limit, int) else None,
    )


def _texts(value: object) -> Mapping[str, str]:
    if not isinstance(value, dict):
        return {}
    return {str(key): str(text) for key, text in value.items()}


def _numbers(answer: Message) -> tuple[int, ...]:
    value = answer.get("owners")
    return tuple(n for n in value if isinstance(n, int)) if isinstance(value, list) else ()
