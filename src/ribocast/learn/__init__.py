"""Learning from measurements: needs the extra ``learn`` (PyTorch), which only its networks and loop import."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ribocast.learn.evaluation.metrics import evaluate
    from ribocast.learn.train.distill import distilled_rows
    from ribocast.learn.train.ensemble import average
    from ribocast.learn.train.fit import fit

__all__ = ["average", "distilled_rows", "evaluate", "fit"]

_HOMES = {
    "average": "ribocast.learn.train.ensemble",
    "evaluate": "ribocast.learn.evaluation.metrics",
    "fit": "ribocast.learn.train.fit",
    "distilled_rows": "ribocast.learn.train.distill",
}


def __getattr__(name: str) -> Any:
    import importlib

    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'ribocast.learn' has no attribute {name!r}")
