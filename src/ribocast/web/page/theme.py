"""How the page looks: one accent colour, the reader's own fonts, nothing from other servers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

FOLDER = Path(__file__).parent
ACCENT = "#00697d"
_TEAL = gr.themes.Color(
    c50="#eef7f8", c100="#d6ecef", c200="#aed9df", c300="#7cc0ca", c400="#3f9fac", c500="#0f8091", c600=ACCENT,
    c700="#005565", c800="#00434f", c900="#00323b", c950="#00222a",
)  # fmt: skip


def make_theme() -> Any:
    """Make Gradio's theme."""
    theme = gr.themes.Default(
        primary_hue=_TEAL, secondary_hue=_TEAL, neutral_hue="slate", font=("system-ui", "sans-serif"),
        font_mono=("ui-monospace", "monospace"),
    )  # fmt: skip
    # White letters on the accent, and the accent on white, differ by 6.4 to 1.
    return theme.set(
        button_primary_background_fill=ACCENT, button_primary_background_fill_hover="#005565",
        button_primary_text_color="#ffffff", block_title_text_weight="600", body_text_color="#16232b",
        block_title_text_color="#16232b", block_info_text_color="#4a5a63", block_label_text_color="#16232b",
    )  # fmt: skip


def header() -> str:
    """Give the head of the page: the logo, the name, and what it is."""
    logo = (FOLDER / "logo.svg").read_text(encoding="utf-8")
    return (
        f'<div class="rc-head">{logo}<div><h1>ribocast</h1><p>From a 5′ UTR to how well its mRNA is '
        'translated, and how sure that is. <a href="/api/docs">API</a></p></div></div>'
    )


def head() -> str:
    """Give what stands in the page's head: its script, and the logo for the tab of the browser."""
    script = (FOLDER / "page.js").read_text(encoding="utf-8")
    return f'<link rel="icon" type="image/svg+xml" href="/logo.svg"><script>{script}</script>'
