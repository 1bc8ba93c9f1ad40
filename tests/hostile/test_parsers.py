"""The parsers of untrusted text, with inputs that coverage leads to."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.parts import ROOT

LONG = os.environ.get("CVMFS_SNAPSHOTTER_LONG") == "1"
RUNS = 2_000_000 if LONG else 80_000


@pytest.mark.timeout(900)
def test_parsers(tmp_path: Path) -> None:
    """No input makes them raise anything but their own refusal, or takes them long."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.hostile.fuzz_parsers"),
            *(f"-runs={RUNS}", "-max_len=2500", "-timeout=20", "-rss_limit_mb=1000"),
            *("-print_final_stats=0", f"-artifact_prefix={tmp_path}/"),
            *([] if LONG else ["-seed=1"]),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == done.returncode, done.stderr[-4000:]
    ran = re.search(r"^Done (\d+) runs", done.stderr, re.MULTILINE)
    assert ran is not None
    assert int(ran[1]) >= RUNS
