"""Learning from measurements: needs the extra ``learn`` (PyTorch), which only its networks and loop import."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ribocast.learn.averaging import average
    from ribocast.learn.distilling import taught_rows
    from ribocast.learn.fitting import fit
    from ribocast.learn.scoring import evaluate

__all__ = ["average", "evaluate", "fit", "taught_rows"]

_HOMES = {
    "average": "ribocast.learn.averaging",
    "evaluate": "ribocast.learn.scoring",
    "fit": "ribocast.learn.fitting",
    "taught_rows": "ribocast.learn.distilling",
}


def __getattr__(name: str) -> Any:
    import importlib

    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'ribocast.learn' has no attribute {name!r}")
