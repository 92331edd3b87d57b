"""How much work a network is, found from the shapes of its tensors alone, before anything allocates or runs it.

Whoever writes a network's file can have it ask for any size in a few bytes. Here each operator is followed for letters
of one given shape: what shape comes out of it, and, of the few integers from which shapes are made, what they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ribocast.errors import ModelError
from ribocast.model.onnx_check import MOST_INPUTS, TYPES, Graph, Node

MOST_NUMBERS = 1 << 27
"""There at a time, while a network runs: 0.5 GB. The shipped ones have 3 · 10⁷ for 100,000 letters."""
MOST_OPERATIONS = 1 << 38
"""Multiplications in a run: some ten seconds. The shipped networks have 6 · 10¹⁰ for 100,000 letters."""
_MOVED = 16
_MOST_DIMENSIONS, _MOST_KNOWN, _LARGEST_KNOWN = 8, 64, 1 << 31
_EXACT = 1 << 24  # whole numbers that float32 holds

Shape = tuple[int, ...]


class Tensor(NamedTuple):
    """What is known of a tensor: its shape, and its integers where a shape may be made of them."""

    shape: Shape
    known: NDArray[np.int64] | None = None


def check_cost(graph: Graph, rows: int, length: int) -> None:
    """Follow letters of a shape through a network.

    Raises
    ------
    RibocastError
        With the reason, if it cannot be run with them, or takes too much memory or time.
    """
    tensors = {name: _of(numbers) for name, numbers in graph.constants.items()}
    # What hangs on constants and shapes alone, an engine may make beforehand, and keep.
    kept = set(tensors)
    tensors[graph.letters[0]] = Tensor((rows, length))
    last = {name: number for number, node in enumerate(graph.nodes) for name in node.inputs}
    numbers = operations = 0
    for number, node in enumerate(graph.nodes):
        given = [tensors[name] if name else None for name in node.inputs]
        try:
            made = _MAKERS[node.operator](*given, **node.attributes)
            _must(len(made) == len(node.outputs) and all(len(tensor.shape) <= _MOST_DIMENSIONS for tensor in made))
            operations += _work(node, given, made)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            raise ModelError(f"its operator {node.operator} does not fit what is given to it") from None
        numbers += sum(math.prod(tensor.shape) for tensor in made)
        if numbers > MOST_NUMBERS or operations > MOST_OPERATIONS:
            much = "memory" if numbers > MOST_NUMBERS else "work"
            raise ModelError(f"its operator {node.operator} takes too much {much} for {rows} × {length:,} letters")
        tensors.update(zip(node.outputs, made, strict=True))
        if node.operator == "Shape" or kept.issuperset(filter(None, node.inputs)):
            kept.update(node.outputs)
        else:
            for name in {*node.inputs, *node.outputs} - kept:
                if name and last.get(name, number) == number:
                    numbers -= math.prod(tensors[name].shape)
    name, promised = graph.outputs
    if tensors[name].shape != (rows, *promised[1:]):
        raise ModelError(f"it gives numbers of shape {tensors[name].shape}, not {(rows, *promised[1:])}")


def _work(node: Node, given: Sequence[Tensor | None], made: Sequence[Tensor]) -> int:
    """Count the operations that it takes, roughly: a number that is moved counts as many multiplications."""
    shapes = [tensor.shape for tensor in given if tensor]
    size = sum(math.prod(tensor.shape) for tensor in made)
    if node.operator == "Conv":
        return size * math.prod(shapes[1][1:])
    if node.operator == "MaxPool":
        return size * int(math.prod(node.attributes["kernel_shape"]))
    if node.operator in ("MatMul", "Gemm"):
        # Of (m, k) and (k, n) m·k·n, whichever way they lie.
        return size * max(shapes[0][-2:])
    return _MOVED * (size + sum(map(math.prod, shapes)))


# --- what comes out of each operator, as ONNX has it; what Python makes of nonsense is caught above ---------------


def _must(fits: object) -> None:
    """Raise ValueError where an operator does not fit what is given to it."""
    if not fits:
        raise ValueError


def _of(numbers: NDArray[Any]) -> Tensor:
    """Keep numbers from which a shape may be made: few; whole ones, also where they go through float32 to a Range."""
    is_kept = numbers.size <= _MOST_KNOWN and (numbers.dtype == np.int64 or numbers.size == 1)
    return Tensor(numbers.shape, numbers if is_kept else None)


def _integers(tensor: Tensor | None) -> list[int]:
    """Return what a shape or indices are given as; an error if that depends on what the letters are."""
    if tensor is None or tensor.known is None:
        raise ValueError
    _must(tensor.known.dtype == np.int64 or not (abs(tensor.known) > _LARGEST_KNOWN).any())
    whole = tensor.known.astype(np.int64)
    _must(not (whole != tensor.known).any())
    return [int(number) for number in whole.ravel()]


def _moved(tensor: Tensor, move: Callable[[NDArray[Any]], NDArray[Any]]) -> list[Tensor]:
    """Find what is left of a tensor when numpy moves it about, which takes no memory."""
    if tensor.known is not None:
        return [_of(move(tensor.known))]
    return [Tensor(move(np.broadcast_to(np.int8(0), tensor.shape)).shape)]


def _same(x: Tensor, *_: Tensor | None, **__: Any) -> list[Tensor]:
    return [Tensor(x.shape)]


def _broadcast(*given: Tensor) -> list[Tensor]:
    shapes = [tensor.shape for tensor in given]
    return [Tensor(shapes[0] if len(set(shapes)) == 1 else np.broadcast_shapes(*shapes))]


def _arithmetic(function: Callable[..., NDArray[np.int64]]) -> Callable[..., list[Tensor]]:
    """Follow integers where all engines find the same: small ones, divided only if neither is negative."""
    divides = function in (np.floor_divide, np.mod)

    def made(*given: Tensor, fmod: int = 0) -> list[Tensor]:
        known = [tensor.known for tensor in given if tensor.known is not None]
        if len(known) < len(given) or any(
            numbers.dtype != np.int64 or (abs(numbers) > _LARGEST_KNOWN).any() for numbers in known
        ):
            return _broadcast(*given)
        if divides and ((known[0] < 0).any() or (known[1] <= 0).any()):
            return _broadcast(*given)
        return [_of(function(*known))]

    return made


def _axis(axis: int, dimensions: int) -> int:
    if not -dimensions <= axis < dimensions:
        raise IndexError
    return axis % dimensions


def _cast(x: Tensor, *, to: int) -> list[Tensor]:
    if x.known is None or x.known.dtype != np.int64 or to not in TYPES or (abs(x.known) > _EXACT).any():
        return [Tensor(x.shape)]
    return [_of(x.known.astype(TYPES[to]))]


def _concat(*given: Tensor, axis: int) -> list[Tensor]:
    axis = _axis(axis, len(given[0].shape))
    sides = {(*tensor.shape[:axis], *tensor.shape[axis + 1 :]) for tensor in given}
    (side,) = sides
    shape = (*side[:axis], sum(tensor.shape[axis] for tensor in given), *side[axis:])
    if math.prod(shape) <= _MOST_KNOWN and all(tensor.known is not None for tensor in given):
        return [_of(np.concatenate([tensor.known for tensor in given if tensor.known is not None], axis))]
    return [Tensor(shape)]


def _slide(
    shape: Shape, window: Sequence[int], *, strides: Sequence[int], pads: Sequence[int], dilations: Sequence[int],
    auto_pad: str,
) -> Shape:  # fmt: skip
    """Return how many positions a window over the last dimensions has."""
    _must(auto_pad == "NOTSET" and min(*pads, 0) >= 0 and min(*strides, *dilations, *window) >= 1)
    steps = []
    for number, size in enumerate(shape):
        room = size + pads[number] + pads[number + len(shape)] - dilations[number] * (window[number] - 1) - 1
        _must(room >= 0)
        steps.append(room // strides[number] + 1)
    _must({len(window), len(strides), len(dilations)} == {len(shape)} and len(pads) == 2 * len(shape))
    return tuple(steps)


def _conv(
    x: Tensor, weights: Tensor, bias: Tensor | None = None, *, group: int, kernel_shape: list[int], **how: Any
) -> list[Tensor]:  # fmt: skip
    rows, channels, *steps = x.shape
    filters, inputs, *window = weights.shape
    _must(channels == inputs * group and group >= 1 and filters % group == 0 and window == kernel_shape)
    return [Tensor((rows, filters, *_slide(tuple(steps), window, **how)))]


def _max_pool(x: Tensor, *, kernel_shape: list[int], ceil_mode: int, storage_order: int, **how: Any) -> list[Tensor]:
    _must(not ceil_mode and not storage_order)
    return [Tensor((*x.shape[:2], *_slide(x.shape[2:], kernel_shape, **how)))]


def _matmul(a: Tensor, b: Tensor) -> list[Tensor]:
    (rows, inner), (same, columns) = a.shape[-2:], b.shape[-2:]
    _must(inner == same)
    return [Tensor((*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), rows, columns))]


def _gemm(
    a: Tensor, b: Tensor, c: Tensor | None = None, *, transA: int, transB: int, alpha: float, beta: float  # noqa: N803
) -> list[Tensor]:  # fmt: skip
    (rows, inner), (same, columns) = a.shape[:: -1 if transA else 1], b.shape[:: -1 if transB else 1]
    _must(inner == same)
    return [Tensor((rows, columns))]


def _expand(x: Tensor, shape: Tensor) -> list[Tensor]:
    return _broadcast(Tensor(x.shape), Tensor(tuple(_integers(shape))))


def _gather(x: Tensor, indices: Tensor, *, axis: int) -> list[Tensor]:
    axis = _axis(axis, len(x.shape))
    if x.known is not None and indices.known is not None:
        return [_of(x.known.take(indices.known, axis))]
    return [Tensor((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]))]


def _gather_nd(x: Tensor, indices: Tensor, *, batch_dims: int) -> list[Tensor]:
    deep = indices.shape[-1]
    _must(not batch_dims and 1 <= deep <= len(x.shape))
    return [Tensor((*indices.shape[:-1], *x.shape[deep:]))]


def _pad(x: Tensor, pads: Tensor, value: Tensor | None = None, *, mode: str) -> list[Tensor]:
    wide, dimensions = _integers(pads), len(x.shape)
    _must(mode == "constant" and len(wide) == 2 * dimensions and min(*wide, 0) >= 0)
    return [Tensor(tuple(size + wide[number] + wide[number + dimensions] for number, size in enumerate(x.shape)))]


def _range(start: Tensor, limit: Tensor, step: Tensor) -> list[Tensor]:
    ((first,), (end,), (by,)) = (_integers(number) for number in (start, limit, step))
    return [Tensor((len(range(first, end, by)),))]


def _reduce(x: Tensor, axes: Tensor | None = None, *, keepdims: int, noop_with_empty_axes: int = 0) -> list[Tensor]:
    _must(not noop_with_empty_axes)
    gone = {_axis(axis, len(x.shape)) for axis in (_integers(axes) if axes else range(len(x.shape)))}
    sizes = [1 if number in gone else size for number, size in enumerate(x.shape) if keepdims or number not in gone]
    return [Tensor(tuple(sizes))]


def _reshape(x: Tensor, shape: Tensor, *, allowzero: int) -> list[Tensor]:
    wanted = _integers(shape)
    sizes = [x.shape[number] if size == 0 and not allowzero else size for number, size in enumerate(wanted)]
    size = math.prod(x.shape)
    if -1 in sizes:
        sizes[sizes.index(-1)] = size // -math.prod(sizes)
    _must(math.prod(sizes) == size and min(sizes, default=0) >= 0)
    return [Tensor(tuple(sizes), None if x.known is None else x.known.reshape(sizes))]


def _shape(x: Tensor, *, start: int = 0, end: int | None = None) -> list[Tensor]:
    return [_of(np.array(x.shape[start:end], np.int64))]


def _slice(
    x: Tensor, starts: Tensor, ends: Tensor, axes: Tensor | None = None, steps: Tensor | None = None
) -> list[Tensor]:  # fmt: skip
    first, last = _integers(starts), _integers(ends)
    along = _integers(axes) if axes else list(range(len(first)))
    by = _integers(steps) if steps else [1] * len(first)
    cut = [slice(None)] * len(x.shape)
    for axis, *how in zip(along, first, last, by, strict=True):
        cut[_axis(axis, len(cut))] = slice(*how)
    return _moved(x, lambda numbers: numbers[tuple(cut)])


def _split(x: Tensor, sizes: Tensor | None = None, *, axis: int, num_outputs: int | None = None) -> list[Tensor]:
    axis = _axis(axis, len(x.shape))
    if num_outputs is None:
        parts = _integers(sizes)
    else:
        _must(num_outputs <= MOST_INPUTS)
        most = -(-x.shape[axis] // num_outputs)
        parts = [most] * (num_outputs - 1)
        parts.append(x.shape[axis] - sum(parts))
    _must(sum(parts) == x.shape[axis] and min(parts) >= 0)
    return [Tensor((*x.shape[:axis], part, *x.shape[axis + 1 :])) for part in parts]


def _squeeze(x: Tensor, axes: Tensor | None = None) -> list[Tensor]:
    gone = tuple(_integers(axes)) if axes else None
    return _moved(x, lambda numbers: numbers.squeeze(gone))


def _unsqueeze(x: Tensor, axes: Tensor) -> list[Tensor]:
    new = tuple(_integers(axes))
    return _moved(x, lambda numbers: np.expand_dims(numbers, new))


def _transpose(x: Tensor, *, perm: list[int]) -> list[Tensor]:
    return _moved(x, lambda numbers: numbers.transpose(perm))


_MAKERS: dict[str, Callable[..., list[Tensor]]] = {
    "Add": _arithmetic(np.add), "Cast": _cast, "Clip": _same, "Concat": _concat, "Conv": _conv,
    "Div": _arithmetic(np.floor_divide), "Equal": _broadcast, "Expand": _expand, "Gather": _gather,
    "GatherND": _gather_nd, "Gemm": _gemm, "Greater": _broadcast, "Log": _same, "MatMul": _matmul, "Max": _broadcast,
    "MaxPool": _max_pool, "Mod": _arithmetic(np.mod), "Mul": _arithmetic(np.multiply), "Neg": _arithmetic(np.negative),
    "Pad": _pad, "Range": _range, "ReduceMax": _reduce, "ReduceMean": _reduce, "ReduceSum": _reduce, "Relu": _same,
    "Reshape": _reshape, "Shape": _shape, "Slice": _slice, "Softmax": _same, "Split": _split, "Squeeze": _squeeze,
    "Sub": _arithmetic(np.subtract), "Transpose": _transpose, "Unsqueeze": _unsqueeze, "Where": _broadcast,
}  # fmt: skip
