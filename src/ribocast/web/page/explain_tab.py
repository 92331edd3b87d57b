"""The tab Explain: one sequence, its load, and why."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import gradio as gr
import pandas as pd

from ribocast.explaining_files import start_in_words, strongest, tidy
from ribocast.web.answers import as_csv
from ribocast.web.page import drawings, examples
from ribocast.web.page.handling import told
from ribocast.web.page.markup import buttons, download, figure, paragraph, table_html
from ribocast.web.service import Service

if TYPE_CHECKING:
    from ribocast.explaining import Explanation
    from ribocast.web.page.layout import Chosen


def build(service: Service, chosen: Chosen) -> None:
    """Add the tab's controls."""
    box = gr.Textbox(
        label="Sequence", info="One 5′ UTR, ending right before the start codon.", lines=2, max_lines=6,
        elem_classes=["rc-mono"], elem_id="explain-sequence",
    )  # fmt: skip
    said = gr.HTML(elem_id="explain-problem")
    near = gr.Checkbox(label="List near-cognate starts too (CTG, GTG, TTG and the like)")
    with gr.Row():
        go = gr.Button("Explain", variant="primary", min_width=120)
        example = gr.Button("Example: beta-globin with an upstream ATG", min_width=120)
    result = gr.HTML(elem_id="explain-result")

    async def run(text: str, near_cognates: bool, model: str, assay: str) -> str:
        utr = "".join(text.split())
        name, found = await service.explain(utr, model=model, assay=assay or None, near_cognates=near_cognates)
        return _show(found, name)

    inputs = [box, near, chosen.model, chosen.assay]
    go.click(told(run), inputs, [said, result], api_visibility="private")
    example.click(lambda: examples.HBB_CHANGED, None, box, show_progress="hidden", api_visibility="private").then(
        told(run), inputs, [said, result], api_visibility="private"
    )


def _show(found: Explanation, model: str) -> str:
    parts = [
        f'<h2 class="rc-headline">{_headline(found)}</h2>',
        paragraph(f"By the model {model}; {start_in_words(found)}."),
    ]
    if found.note:
        parts.append(paragraph(found.note, "rc-note"))
    parts.append(drawings.heat_map(found))
    starts = [uorf.in_words(place=True) for uorf in found.uorfs] or ["no upstream start codon"]
    parts.append(figure(drawings.uorf_map(found), "Upstream start codons"))
    parts += [paragraph(words) for words in starts]
    if found.profile is not None:
        weights = found.assay.fraction_weights or ()
        parts.append(figure(drawings.profile(found.profile.tolist(), weights), "Polysome profile"))
    columns = ["position", "ref", "alt", "mrl", "log2_fold_change", "consequence"]
    parts.append(table_html(pd.DataFrame(strongest(found))[columns], "Strongest substitutions", sequences=()))
    parts.append(buttons([download(as_csv(tidy(found, 1)), "effects.csv", "Download all effects as CSV")]))
    return "".join(parts)


def _headline(found: Explanation) -> str:
    words = found.headline
    return escape(words[0].upper() + words[1:])
