"""Designing 5′ UTRs: the rules that designs keep, and all that `ribocast.design` is made of."""

import sys
from types import ModuleType

from ribocast.design.constraints import (
    GC,
    Constraint,
    Forbid,
    FreeEnergy,
    Keep,
    Length,
    MaxEdits,
    MaxRun,
    MinDistance,
    NoExtensions,
    NoInFrameStops,
    NoOverlap,
    NoRepeat,
    Rule,
    Template,
    forbid_sites,
    no_upstream_starts,
)
from ribocast.design.design import Designs, design, propose
from ribocast.design.request import DesignRequest
from ribocast.design.rounds import Progress

__all__ = [
    "GC", "Constraint", "DesignRequest", "Designs", "Forbid", "FreeEnergy", "Keep", "Length", "MaxEdits", "MaxRun",
    "MinDistance", "NoExtensions", "NoInFrameStops", "NoOverlap", "NoRepeat", "Progress", "Rule", "Template",
    "design", "forbid_sites", "no_upstream_starts", "propose",
]  # fmt: skip


class _Room(ModuleType):
    """Once a module of the room is imported, ``ribocast.design`` is this package; calling it is calling its verb."""

    __call__ = staticmethod(design)


sys.modules[__name__].__class__ = _Room
