"""Text from strangers, made safe to show: terminals obey control characters, and others turn round what follows."""

from __future__ import annotations

import re
import sys

# C0 but tab and line feed, DEL and C1; what sets the direction of writing, ends a line elsewhere or is not seen; halves
# of characters and tags.
_UNSAFE = (
    r"\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    r"\ud800-\udfff\U000e0000-\U000e007f"
)
_CONTROL = re.compile(f"[{_UNSAFE}]")


def is_safe(text: str) -> bool:
    """Tell whether a text has nothing that a terminal would obey, and nothing that hides how it is read."""
    return _CONTROL.search(text) is None


def safe_text(text: str) -> str:
    r"""Write such characters as ``\u001b`` or ``\u202e``, as JSON does too."""
    return _CONTROL.sub(_escape, text)


def for_stdout(text: str) -> str:
    """Make a result safe where standard output is a terminal; a file or a program gets it as it is."""
    return safe_text(text) if sys.stdout.isatty() else text


def _escape(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))
