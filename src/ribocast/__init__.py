"""ribocast: from a 5′ UTR to how well its mRNA is translated."""

from __future__ import annotations

# Without `typing`, which takes time in which Ctrl-C would be a traceback.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ribocast.designing.propose import design
    from ribocast.errors import RibocastError
    from ribocast.explaining import explain
    from ribocast.predictor import Predictor, load
    from ribocast.variants import score_variants

__version__ = "0.1.0"
__all__ = ["Predictor", "RibocastError", "__version__", "design", "explain", "load", "score_variants"]

_HOMES = {
    "Predictor": "ribocast.predictor",
    "RibocastError": "ribocast.errors",
    "design": "ribocast.designing.propose",
    "explain": "ribocast.explaining",
    "load": "ribocast.predictor",
    "score_variants": "ribocast.variants",
}


def __getattr__(name: str) -> Any:
    # Nothing heavy is imported before it is used: `import ribocast` stays instant.
    import importlib

    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name == "learn":
        return importlib.import_module("ribocast.learn")
    raise AttributeError(f"module 'ribocast' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "learn"]
