"""The tab Variants: pairs of sequences, or a small VCF against pasted 5′ UTRs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from ribocast.errors import RibocastError
from ribocast.web.answers import as_csv
from ribocast.web.page import examples
from ribocast.web.page.boxes import ALLELES, read_alleles, read_box, read_lines, read_upload
from ribocast.web.page.handling import told
from ribocast.web.page.markup import buttons, download, table_html
from ribocast.web.service import Service

if TYPE_CHECKING:
    import pandas as pd

    from ribocast.bundle import AssayCard
    from ribocast.web.page.layout import Chosen


def build(service: Service, chosen: Chosen, uploads: Path) -> None:
    """Add the tab's controls."""
    with gr.Tabs():
        with gr.Tab("Pairs of sequences", id="pairs"):
            _pairs(service, chosen)
        with gr.Tab("VCF", id="vcf"):
            _vcf(service, chosen, uploads)


def _pairs(service: Service, chosen: Chosen) -> None:
    boxes = [
        gr.Textbox(label=label, info=info, lines=3, max_lines=8, elem_classes=["rc-mono"])
        for label, info in (
            ("Reference", "The whole 5′ UTR without the variant; several, one a line."),
            ("Alternative", "The whole 5′ UTR with the variant, in the same order."),
        )
    ]
    said = gr.HTML(elem_id="variants-problem")
    with gr.Row():
        go = gr.Button("Score", variant="primary", min_width=120)
        example = gr.Button("Example: two disease variants", min_width=120)
    result = gr.HTML(elem_id="variants-result")

    async def run(refs: str, alts: str, model: str, assay: str) -> str:
        ref_utrs, alt_utrs = read_lines(refs), read_lines(alts)
        if len(ref_utrs) != len(alt_utrs):
            raise RibocastError(f"{len(ref_utrs)} references and {len(alt_utrs)} variants: there must be as many")
        name, card, table = await service.variants(ref_utrs, alt_utrs, model=model, assay=assay or None)
        whole = table.assign(ref_seq=ref_utrs, alt_seq=alt_utrs)
        return _show(table, whole, name, card)

    inputs = [*boxes, chosen.model, chosen.assay]
    go.click(told(run), inputs, [said, result], api_visibility="private")
    filled = (f"{examples.HBB}\n{examples.CDKN2A}", f"{examples.HBB_CHANGED}\n{examples.CDKN2A_CHANGED}")
    example.click(lambda: filled, None, boxes, show_progress="hidden", api_visibility="private").then(
        told(run), inputs, [said, result], api_visibility="private"
    )


def _vcf(service: Service, chosen: Chosen, uploads: Path) -> None:
    transcripts = gr.Textbox(
        label="5′ UTRs of transcripts", info="FASTA; each ends right before the start codon.", lines=4, max_lines=10,
        elem_classes=["rc-mono"],
    )  # fmt: skip
    box = gr.Textbox(
        label="VCF", info="CHROM is the name of a pasted 5′ UTR, POS counts from 1 at its first letter.", lines=4,
        max_lines=10, elem_classes=["rc-mono"],
    )  # fmt: skip
    said = gr.HTML(elem_id="vcf-problem")
    with gr.Row():
        go = gr.Button("Score the VCF", variant="primary", min_width=120)
        upload = gr.UploadButton("Upload a VCF", file_types=[".vcf", ".gz"], min_width=120)
        example = gr.Button("Example: a VCF of two rows", min_width=120)
    result = gr.HTML(elem_id="vcf-result")

    async def take(path: str) -> str:
        return read_upload(path, uploads, service.settings.max_unpacked_bytes)

    async def run(fasta: str, text: str, model: str, assay: str) -> str:
        rows, refs, alts = read_alleles(text, read_box(fasta, "the 5′ UTRs"))
        name, card, table = await service.variants(refs, alts, model=model, assay=assay or None)
        for at, column in enumerate(ALLELES):
            table.insert(at, column, [row[at] for row in rows])
        return _show(table, table, name, card)

    inputs: list[Any] = [transcripts, box, chosen.model, chosen.assay]
    upload.upload(told(take), upload, [said, box], api_visibility="private")
    go.click(told(run), inputs, [said, result], api_visibility="private")
    filled = (examples.TRANSCRIPTS, examples.VCF)
    example.click(lambda: filled, None, [transcripts, box], show_progress="hidden", api_visibility="private").then(
        told(run), inputs, [said, result], api_visibility="private"
    )


def _show(table: pd.DataFrame, whole: pd.DataFrame, model: str, card: AssayCard) -> str:
    caption = f"{len(table):,} variants scored by {model}, {card.unit} of {card.name}"
    return table_html(table, caption) + buttons([download(as_csv(whole), "variants.csv", "Download CSV")])
