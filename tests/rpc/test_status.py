import urllib.parse

import grpc
import pytest

from cvmfs_snapshotter.domain import errors
from cvmfs_snapshotter.entrypoints.rpc.status import INTERNAL, status_of


@pytest.mark.parametrize("kind", errors.SnapshotterError.__subclasses__())
def test_every_error_has_its_code(kind: type[errors.SnapshotterError]) -> None:
    """Each error of the domain has a code of its own, of the same name, and keeps its message."""
    code, message = status_of(kind("what was wrong"))

    assert kind.__name__.removesuffix("Error").lower() == code.name.replace("_", "").lower()
    assert "what was wrong" == message


@pytest.mark.parametrize(
    "error", [ValueError("secret"), KeyError("secret"), errors.SnapshotterError("secret")]
)
def test_a_defect_says_nothing(error: Exception) -> None:
    """The text of an exception that is no answer stays here."""
    assert (grpc.StatusCode.INTERNAL, INTERNAL) == status_of(error)


@pytest.mark.parametrize("letter", ["x", "é", "\U0001f600", "%", "\n", "\ud800"])
def test_a_long_message_fits_a_trailer(letter: str) -> None:
    """Clients refuse trailers above 8 KiB, with another code; the end of a message is kept."""
    _, message = status_of(errors.NotFoundError(f"snapshot {letter * 30_000} does not exist"))

    assert message.startswith("snapshot ")
    assert message.endswith(" does not exist")
    assert 4096 > len(urllib.parse.quote(message))
