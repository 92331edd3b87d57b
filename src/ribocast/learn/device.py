"""Picking where PyTorch computes."""

from __future__ import annotations

import torch

from ribocast.errors import OptionError


def has_bfloat16(device: torch.device) -> bool:
    """Say whether a device multiplies in bfloat16 by itself; elsewhere that is imitated, slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    # What PyTorch was told not to use is not there; processors with AMX have AVX-512.
    is_wide = torch.backends.cpu.get_cpu_capability().startswith("AVX512")
    return is_wide and (_cpu("_is_avx512_bf16_supported") or _cpu("_is_amx_tile_supported"))


def _cpu(name: str) -> bool:
    # Not in all versions of PyTorch, nor on all processors.
    return bool(getattr(torch.cpu, name, bool)())


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
        raise OptionError(f"device {name!r} is not available; this machine has: {usable}")
    try:
        return torch.device(name)
    except RuntimeError:
        raise OptionError(f"unknown device {name!r}") from None
