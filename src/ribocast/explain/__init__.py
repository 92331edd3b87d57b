"""Why a 5′ UTR is translated as it is: ``ribocast.explain(model, utr)``, and the modules behind it."""

import sys
from types import ModuleType

from ribocast.explain.explain import Explanation, explain, explain_all

__all__ = ["Explanation", "explain", "explain_all"]


class _Room(ModuleType):
    """Once a module of the room is imported, ``ribocast.explain`` is this package; calling it is calling its verb."""

    __call__ = staticmethod(explain)


sys.modules[__name__].__class__ = _Room
