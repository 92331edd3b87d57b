"""What a designed 5′ UTR has to keep: a constraint is one class, in one file, and one line of `CONSTRAINTS`.

Each says in words how a sequence breaks it, reading one string at a time as a person would; every design that is
returned is read by these again (`ribocast.design.verify`). The search keeps them by its own, faster ways, which each
constraint gives it too (`Rule`).
"""

from __future__ import annotations

from ribocast.design.constraints.base import Constraint, Rule
from ribocast.design.constraints.forbid import Forbid, forbid_sites, no_upstream_starts
from ribocast.design.constraints.free_energy import FreeEnergy
from ribocast.design.constraints.gc import GC
from ribocast.design.constraints.keep import Keep
from ribocast.design.constraints.length import Length
from ribocast.design.constraints.max_edits import MaxEdits
from ribocast.design.constraints.max_run import MaxRun
from ribocast.design.constraints.min_distance import MinDistance
from ribocast.design.constraints.no_extensions import NoExtensions
from ribocast.design.constraints.no_in_frame_stops import NoInFrameStops
from ribocast.design.constraints.no_overlap import NoOverlap
from ribocast.design.constraints.no_repeat import NoRepeat
from ribocast.design.constraints.template import Template

CONSTRAINTS: tuple[type[Rule], ...] = (
    Length, Template, MaxEdits, Keep, Forbid, NoExtensions, NoInFrameStops, GC, MaxRun, NoRepeat, MinDistance,
    NoOverlap, FreeEnergy,
)  # fmt: skip
"""All that a request can ask for, in the order of its fields. One that reads another's fields comes after it."""

__all__ = [
    "CONSTRAINTS", "GC", "Constraint", "Forbid", "FreeEnergy", "Keep", "Length", "MaxEdits", "MaxRun", "MinDistance",
    "NoExtensions", "NoInFrameStops", "NoOverlap", "NoRepeat", "Rule", "Template", "forbid_sites", "no_upstream_starts",
]  # fmt: skip
