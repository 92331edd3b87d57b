"""Pages: a template and its values as one HTML file in which nothing is loaded from elsewhere. Needs ``plots``."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from ribocast import __version__
from ribocast.io.writers import whole_file


def write_page(path: str | Path, template: str, **values: Any) -> None:
    """Write a page whole or not at all; the same values give the same bytes.

    Parameters
    ----------
    path : str or Path
        Where to.
    template : str
        A name in the folder ``templates``.
    **values
        What it shows; always a ``title`` and the ``command`` that made it.
    """
    environment = Environment(
        loader=PackageLoader("ribocast.io"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    text = environment.get_template(template).render(version=f"ribocast {__version__}", **values)
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8")


def embedded(png: bytes) -> str:
    """Spell a picture as it stands in a page."""
    return base64.b64encode(png).decode("ascii")
