"""Reading containerd's files from disk, the imported ones too."""

import fnmatch
import glob
import posixpath
import tomllib
from collections import deque
from collections.abc import Mapping
from types import MappingProxyType

from ..errors import MeaninglessError
from .documents import Document
from .releases import Release
from .toml import strings

_MOST_FILES = 1000


class UnreadableError(MeaninglessError):
    """A file cannot be read; the message names it and says why."""


def read(
    path: str, release: Release, instead: Mapping[str, str] = MappingProxyType({})
) -> list[Document]:
    """Read a configuration as a release finds its files.

    Args:
        path: of the root file.
        release: of containerd.
        instead: texts, by absolute path, that count instead of what is in the files; those need
            not be there.

    Returns:
        The root file, then the imported ones in containerd's order.

    Raises:
        UnreadableError: one of them cannot be read, is not TOML, or is not there.
    """
    pending = deque([posixpath.abspath(path)])
    found: dict[str, Document] = {}
    while pending:
        current = pending.popleft()
        if current in found:
            continue
        if len(found) == _MOST_FILES:
            raise UnreadableError(f"{path}: imports more than {_MOST_FILES} files")
        document = Document(current, _parse(current, instead))
        found[current] = document
        for pattern in strings(document.content.get("imports")):
            pending.extend(_imported(pattern, current, release, instead))
    return list(found.values())


def _parse(path: str, instead: Mapping[str, str]) -> dict[str, object]:
    try:
        if path in instead:
            return tomllib.loads(instead[path])
        with open(path, "rb") as opened:  # noqa: PTH123 - the path is the operator's, as it is
            return tomllib.load(opened)
    except OSError as error:
        raise UnreadableError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UnreadableError(f"{path}: byte {error.start} is not UTF-8") from None
    except ValueError as error:
        raise UnreadableError(f"{path}: not TOML: {error}") from None
    except RecursionError:
        raise UnreadableError(f"{path}: not TOML that can be read: nested too deeply") from None


def _imported(
    pattern: str, importer: str, release: Release, instead: Mapping[str, str]
) -> list[str]:
    is_glob = "*" in pattern
    # A service of systemd works in the root directory.
    beside = posixpath.dirname(importer) if release.globs_beside_file or not is_glob else "/"
    full = posixpath.normpath(posixpath.join(beside, pattern))
    if not is_glob:
        return [full]
    found = glob.glob(full, include_hidden=True)  # noqa: PTH207 - Path's own skips nothing
    return sorted({*found, *(path for path in instead if _matches(path, full))})


def _matches(path: str, pattern: str) -> bool:
    parts, wanted = path.split("/"), pattern.split("/")
    return len(parts) == len(wanted) and all(map(fnmatch.fnmatchcase, parts, wanted))
