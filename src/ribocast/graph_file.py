"""A look into an ONNX file before anything else reads it: all its numbers must be in the file itself.

ONNX lets a tensor stand in another file, whose name the model gives. What reads the model would open that file, which
no hash vouches for. So the file's tensors are walked here, by the field numbers of `onnx.proto`, without reading them.
"""

from __future__ import annotations

from ribocast.bundle import RUNNING_NAME, Bundle
from ribocast.errors import RibocastError

# The fields of each kind of message that hold messages in which a tensor may be.
_INNER = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
_DEEPEST = 60
_VARINT, _EIGHT_BYTES, _TEXT, _FOUR_BYTES = 0, 1, 2, 5


def read_graph(bundle: Bundle) -> bytes:
    """Return a bundle's ONNX file, checked.

    Raises
    ------
    RibocastError
        If it is not the file that ``model.json`` describes, is cut off, or refers to other files.
    """
    data = bundle.read(RUNNING_NAME)
    try:
        refers = _refers_elsewhere(memoryview(data), "model", 0)
    except (IndexError, ValueError):
        raise RibocastError(f"{bundle.running}: not a network: it is no ONNX file, or is cut off") from None
    if refers:
        raise RibocastError(f"{bundle.running}: keeps numbers in other files (external data), which is not allowed")
    return data


def _refers_elsewhere(data: memoryview, kind: str, depth: int) -> bool:
    if depth > _DEEPEST:
        raise ValueError("too deep")
    place = 0
    while place < len(data):
        key, place = _number(data, place)
        field, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, place = _number(data, place)
            if kind == "tensor" and field == _DATA_LOCATION and value:
                return True
        elif wire == _TEXT:
            size, place = _number(data, place)
            if size > len(data) - place:
                raise ValueError("cut off")
            if kind == "tensor" and field == _EXTERNAL_DATA:
                return True
            inner = _INNER[kind].get(field)
            if inner and _refers_elsewhere(data[place : place + size], inner, depth + 1):
                return True
            place += size
        elif wire in (_EIGHT_BYTES, _FOUR_BYTES):
            place += 8 if wire == _EIGHT_BYTES else 4
        else:
            raise ValueError("no ONNX")
    if place > len(data):
        raise ValueError("cut off")
    return False


def _number(data: memoryview, place: int) -> tuple[int, int]:
    """Read a number of seven bits a byte, the lowest first; return it and where it ends."""
    number = 0
    for shift in range(0, 70, 7):
        byte = data[place]
        place += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, place
    raise ValueError("no ONNX")
