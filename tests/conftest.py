"""Settings that hold for every test.

Property tests have two profiles. "ci" tries the same examples on each run, so that a change is
judged by the change alone. "long" (`script/test --long`, or CVMFS_SNAPSHOTTER_LONG=1) tries many
more, chosen at random, and keeps those that failed in `.hypothesis/`.
"""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "ci",
    derandomize=True,
    deadline=None,  # a busy machine is no defect
    print_blob=True,
)
settings.register_profile(
    "long",
    max_examples=5000,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("long" if os.environ.get("CVMFS_SNAPSHOTTER_LONG") == "1" else "ci")
