"""Picking where PyTorch computes."""

from __future__ import annotations

import torch

from ribocast.errors import RibocastError


def pick_device(name: str | None) -> torch.device:
    """Return the device of that name, or the best there is: CUDA, then Apple's MPS, then the CPU.

    Raises
    ------
    RibocastError
        If it is named and not there.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name is None:
        return torch.device(next(kind for kind, usable in there.items() if usable))
    if not there.get(name.split(":")[0], False):
        usable = ", ".join(kind for kind, is_there in there.items() if is_there)
        raise RibocastError(f"device {name!r} is not there; there is: {usable}")
    try:
        return torch.device(name)
    except RuntimeError:
        raise RibocastError(f"device {name!r} is none that PyTorch knows") from None
