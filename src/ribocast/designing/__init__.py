"""Designing 5′ UTRs: the rules that designs keep, and all that `ribocast.design` is made of."""

from ribocast.designing.brief import Brief
from ribocast.designing.constraints import (
    GC,
    Constraint,
    Forbid,
    FreeEnergy,
    Keep,
    Length,
    MaxEdits,
    MaxRun,
    MinDistance,
    NoInFrameStops,
    NoOverlap,
    NoRepeat,
    Template,
    no_upstream_starts,
)
from ribocast.designing.propose import Designs, design, propose
from ribocast.designing.running import Progress
from ribocast.designing.sites import forbid_sites

__all__ = [
    "GC", "Brief", "Constraint", "Designs", "Forbid", "FreeEnergy", "Keep", "Length", "MaxEdits", "MaxRun",
    "MinDistance", "NoInFrameStops", "NoOverlap", "NoRepeat", "Progress", "Template", "design", "forbid_sites",
    "no_upstream_starts", "propose",
]  # fmt: skip
