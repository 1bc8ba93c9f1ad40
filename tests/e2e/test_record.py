"""The recording in the documentation is of what the commands show."""

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

from tests.harness.parts import ROOT

# What differs from one recording, or one busybox, to the next.
CHANGING = re.compile(
    r"\d{4}-\d\d-\d\dT[\d:]+Z|[\d.]+ (?:B|[kM]B)|(?:layers/../)?[0-9a-f]{8,}|layers/.."
)


def lines(file: Path) -> list[str]:
    """Give the lines of a recording, without what differs each time."""
    root = ET.parse(file)  # noqa: S314 - our own
    texts = ("".join(line.itertext()) for line in root.iter("{http://www.w3.org/2000/svg}text"))
    return [CHANGING.sub("-", text) for text in texts]


def test_the_recording_is_current(tmp_path: Path) -> None:
    """Recorded again, it says the same; and nothing of the machine that recorded is in it."""
    again = tmp_path / "again.svg"
    subprocess.run(
        [sys.executable, "-m", "tests.demo.record", again], cwd=ROOT, check=True, timeout=200
    )
    kept = ROOT / "docs" / "terminal.svg"

    assert lines(again) == lines(kept)
    assert sum("from source 'unpacked'" in line for line in lines(kept)) == 3
    assert not re.search(r"/tmp/|127\.0\.0\.1|/root/", kept.read_text())
