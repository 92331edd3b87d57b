"""Edit distances: one plain, by which designs are checked, and one fast, by which they are searched."""

from __future__ import annotations

import numpy as np


def edit_distance(first: str, second: str) -> int:
    """Count the fewest substitutions, insertions and deletions between two strings (Wagner and Fischer, 1974)."""
    places = np.arange(len(second) + 1)
    row, letters = places, np.frombuffer(second.encode(), dtype=np.uint8)
    for number, letter in enumerate(first.encode(), 1):
        above = np.append(number, np.minimum(row[1:] + 1, row[:-1] + (letters != letter)))
        # From the left, each step costs one.
        row = np.minimum.accumulate(above - places) + places
    return int(row[-1])


def closer_than(first: str, second: str, least: int) -> bool:
    """Say whether two strings are fewer than `least` edits apart, by the diagonals of the same table that matter."""
    far = least
    row = {at: at for at in range(min(len(second), far) + 1)}
    for number, letter in enumerate(first, 1):
        after: dict[int, int] = {}
        for at in range(max(0, number - far), min(len(second), number + far) + 1):
            best = min(row.get(at, far) + 1, after.get(at - 1, far) + 1)
            if at:
                best = min(best, row.get(at - 1, far) + (letter != second[at - 1]))
            after[at] = min(best, far)
        row = after
        if min(row.values(), default=far) >= far:
            return False
    return row.get(len(second), far) < least


def quick_edit_distance(first: str, second: str) -> int:
    """Count the same, a column at a time in the bits of one number (Myers, J. ACM 46, 395 (1999); Hyyrö, 2001)."""
    if not first:
        return len(second)
    where: dict[str, int] = {}
    for at, letter in enumerate(first):
        where[letter] = where.get(letter, 0) | 1 << at
    all_bits, last = (1 << len(first)) - 1, 1 << (len(first) - 1)
    up, down, distance = all_bits, 0, len(first)
    for letter in second:
        equal = where.get(letter, 0)
        vertical = equal | down
        across = (((equal & up) + up) ^ up) | equal
        more, less = down | ~(across | up) & all_bits, up & across
        distance += bool(more & last) - bool(less & last)
        more = more << 1 | 1
        up, down = (less << 1 | ~(vertical | more)) & all_bits, more & vertical
    return distance
