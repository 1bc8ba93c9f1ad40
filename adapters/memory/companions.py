"""Companions, remembered."""

import threading
from collections.abc import Collection

from cvmfs_snapshotter.domain.companions import Companion, Plan
from cvmfs_snapshotter.domain.errors import ResourceExhaustedError


class MemoryCompanions:
    """Implements ``Companions``.

    Attributes:
        plans: by number, what was made.
        failure: while it is not empty, whatever would write fails with it.
    """

    def __init__(self) -> None:
        """Start with none."""
        self.plans: dict[int, Plan] = {}
        self.failure = ""
        self._lock = threading.Lock()

    def build(self, number: int, plan: Plan) -> None:
        """See ``Companions.build``."""
        with self._lock:
            self._require_medium()
            if number in self.plans:
                raise ResourceExhaustedError(f"companion {number} exists already")
            self.plans[number] = plan

    def mend(self, companion: Companion) -> bool:
        """See ``Companions.mend``."""
        with self._lock:
            return companion.number in self.plans

    def whole(self, companion: Companion) -> bool:
        """See ``Companions.whole``."""
        return self.mend(companion)

    def remove(self, number: int) -> None:
        """See ``Companions.remove``."""
        with self._lock:
            self._require_medium()
            self.plans.pop(number, None)

    def present(self) -> Collection[int]:
        """See ``Companions.present``."""
        with self._lock:
            return set(self.plans)

    def _require_medium(self) -> None:
        if self.failure:
            raise ResourceExhaustedError(self.failure)
