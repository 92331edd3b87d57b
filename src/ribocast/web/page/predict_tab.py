"""The tab Predict: sequences in; a table, a histogram and a file out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr

from ribocast.errors import RibocastError
from ribocast.sieve import make_room
from ribocast.web.answers import as_csv
from ribocast.web.page import examples
from ribocast.web.page.boxes import PASTED, read_box, read_upload
from ribocast.web.page.drawings import histogram
from ribocast.web.page.handling import in_chunk, told
from ribocast.web.page.markup import buttons, download, figure, table_html
from ribocast.web.service import Predictions, Service

if TYPE_CHECKING:
    import pandas as pd

    from ribocast.web.page.layout import Chosen

ENDINGS = [".csv", ".tsv", ".txt", ".fasta", ".fa", ".fna", ".seq", ".gz"]


def build(service: Service, chosen: Chosen, uploads: Path) -> None:
    """Add the tab's controls."""
    box = gr.Textbox(
        label="Sequences", info="5′ UTRs, each ending right before the start codon: FASTA, one a line, or a table.",
        lines=7, max_lines=14, elem_classes=["rc-mono"], elem_id="predict-sequences",
    )  # fmt: skip
    said = gr.HTML(elem_id="predict-problem")
    uploaded = gr.State(("", ""))
    with gr.Row():
        go = gr.Button("Predict", variant="primary", min_width=120)
        upload = gr.UploadButton("Upload a file", file_types=ENDINGS, min_width=120)
        example = gr.Button("Example: six leaders", min_width=120)
    result = gr.HTML(elem_id="predict-result")

    async def take(path: str) -> tuple[str, tuple[str, str]]:
        text = read_upload(path, uploads, service.settings.max_unpacked_bytes)
        return text, (Path(path).name, text)

    async def run(text: str, file: tuple[str, str], model: str, assay: str) -> str:
        chunk = read_box(text, file[0] if file[0] and text == file[1] else PASTED)
        try:
            found = await service.predict(chunk.utrs, model=model, assay=assay or None)
        except RibocastError as error:
            raise in_chunk(error, chunk) from None
        return _show(chunk.frame, chunk.seq_column, found)

    inputs = [box, uploaded, chosen.model, chosen.assay]
    upload.upload(told(take, 2), upload, [said, box, uploaded], api_visibility="private")
    go.click(told(run), inputs, [said, result], api_visibility="private")
    example.click(lambda: examples.LEADERS, None, box, show_progress="hidden", api_visibility="private").then(
        told(run), inputs, [said, result], api_visibility="private"
    )


def _show(frame: pd.DataFrame, seq_column: str, found: Predictions) -> str:
    table = frame.rename(columns=make_room(map(str, frame.columns), found.columns)).assign(**found.columns)
    loads = found.columns["mrl"]
    caption = f"{len(table):,} predictions by {found.model}, {found.assay.unit} of {found.assay.name}"
    parts = [buttons([download(as_csv(table), "predictions.csv", "Download CSV")])]
    if len(table) > 1:
        parts.append(figure(histogram(loads, found.assay.unit), "How many sequences have which load"))
    # The loads first: sequences are long, and the page is narrow.
    rest = [name for name in table.columns if name not in found.columns and name != seq_column]
    shown = table[[*rest, *found.columns, seq_column]]
    parts.insert(0 if len(table) == 1 else 1, table_html(shown, caption, sequences=(seq_column,)))
    return "".join(parts)
