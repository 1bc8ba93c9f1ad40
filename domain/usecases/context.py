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
    """The ports, and where things are."""

    store: Store
    directories: Directories
    companions: Companions
    sources: LayerSources
    clock: Clock
    events: Events
    patterns: Patterns
    layout: Layout
