"""ribocast: from a 5′ UTR to how well its mRNA is translated."""

from __future__ import annotations

# Without `typing`, which takes time in which Ctrl-C would be a traceback.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ribocast.design.design import design
    from ribocast.errors import RibocastError
    from ribocast.explain.explain import explain
    from ribocast.model.predictor import Predictor, load
    from ribocast.variants.score import score_variants

__version__ = "0.1.0"
__all__ = ["Predictor", "RibocastError", "__version__", "design", "explain", "load", "score_variants"]

_HOMES = {
    "Predictor": "ribocast.model.predictor",
    "RibocastError": "ribocast.errors",
    "design": "ribocast.design.design",
    "explain": "ribocast.explain.explain",
    "load": "ribocast.model.predictor",
    "score_variants": "ribocast.variants.score",
}


def __getattr__(name: str) -> Any:
    # Nothing heavy is imported before it is used: `import ribocast` stays instant.
    import importlib

    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name in ("errors", "learn"):
        return importlib.import_module(f"ribocast.{name}")
    raise AttributeError(f"module 'ribocast' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "errors", "learn"]
