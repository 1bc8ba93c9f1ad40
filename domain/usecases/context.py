"""What every use case works with."""

import attrs

from ..mounts import Layout
from ..ports.clock import Clock
from ..ports.companions import Companions
from ..ports.directories import Directories
from ..ports.events import Events
from ..ports.layers import LayerSources
from ..ports.patterns import Patterns
from ..ports.store import Store


@attrs.frozen
class Context:
    """The ports, and where things are.

    Attributes:
        store: the records.
        directories: the directories and links of snapshots.
        companions: what makes a published layer look as it should.
        sources: where layers are.
        clock: tells times.
        events: takes what happened.
        patterns: matches regular expressions.
        layout: where things are.
        staged: answer a hit that gets its parent at Commit with a read-only mount.
        failures_first: where several sources miss a layer, tell of one that fails first.
    """

    store: Store
    directories: Directories
    companions: Companions
    sources: LayerSources
    clock: Clock
    events: Events
    patterns: Patterns
    layout: Layout
    staged: bool = False
    failures_first: bool = False
