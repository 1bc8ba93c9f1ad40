"""The circuits of all sources, and what stands in front of the sources because of them."""

from .breakers import Breakers, Standing
from .guarded import GuardedSources
from .trier import Trier

__all__ = ["Breakers", "GuardedSources", "Standing", "Trier"]
