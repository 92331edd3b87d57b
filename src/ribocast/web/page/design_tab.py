"""The tab Design: what is wanted and which rules hold, progress while it is searched, the designs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import gradio as gr
from pydantic import ValidationError

from ribocast.errors import RibocastError
from ribocast.web.answers import as_csv
from ribocast.web.design_jobs import Designed, start_design
from ribocast.web.jobs import ENDED, Job
from ribocast.web.limits import RefusedError
from ribocast.web.page.handling import failure
from ribocast.web.page.markup import buttons, download, paragraph, problem, progress, table_html
from ribocast.web.schemas import DesignIn
from ribocast.web.service import Service

if TYPE_CHECKING:
    from ribocast.web.page.layout import Chosen

_LOOK_SECONDS = 0.25
_HIGHEST, _TARGET = "the highest load", "a wanted load"
_SHOWN = ("name", "target", "seq", "mrl", "mrl_low", "mrl_high", "judge_mrl", "uatgs", "kozak", "gc", "free_energy",
          "edits", "note")  # fmt: skip


def build(service: Service, chosen: Chosen) -> None:
    """Add the tab's controls."""
    with gr.Row():
        goal = gr.Radio([_TARGET, _HIGHEST], value=_TARGET, label="Wanted", min_width=200)
        target = gr.Number(label="Load, ribosomes per mRNA", value=7.0, step=0.5, min_width=140)
        count = gr.Number(label="Designs", value=5, minimum=1, precision=0, min_width=100)
        length = gr.Number(label="Length, nt", value=50, minimum=1, precision=0, min_width=100)
    with gr.Row():
        forbid = gr.Textbox(label="Forbidden motifs", info="IUPAC letters, commas.", value="ATG", min_width=160)
        sites = gr.Textbox(label="Forbidden restriction sites", info="Such as BsaI, EcoRI.", min_width=160)
        like = gr.Textbox(label="Stay near to this sequence", info="May be empty.", min_width=160,
                          elem_classes=["rc-mono"])  # fmt: skip
    with gr.Accordion("More rules", open=False):
        with gr.Row():
            gc_low = gr.Slider(0, 1, 0.0, step=0.05, label="Share of G and C, at least", min_width=160)
            gc_high = gr.Slider(0, 1, 1.0, step=0.05, label="Share of G and C, at most", min_width=160)
        with gr.Row():
            run = gr.Number(
                label="Equal letters in a row, at most (0: any)", value=0, minimum=0, precision=0, min_width=160
            )
            apart = gr.Number(label="Edits between designs, at least", value=1, minimum=1, precision=0, min_width=160)
            seed = gr.Number(label="Seed", value=0, minimum=0, precision=0, min_width=100)
        near = gr.Checkbox(label="No upstream near-cognate starts (CTG, GTG, TTG and the like)")
        stops = gr.Checkbox(label="No stop in the frame of the start codon")
    said = gr.HTML(elem_id="design-problem")
    job_id = gr.State("")
    with gr.Row():
        go = gr.Button("Design", variant="primary", min_width=120, elem_id="design-go")
        cancel = gr.Button("Cancel", min_width=120)
        example = gr.Button("Example: highest near beta-globin", min_width=120)
    state = gr.HTML(elem_id="design-progress")
    result = gr.HTML(elem_id="design-result")
    controls = [goal, target, count, length, forbid, sites, like, gc_low, gc_high, run, apart, seed, near, stops]
    names = ("goal", "target", "n", "length", "forbid", "forbid_sites", "like", "gc_low", "gc_high", "max_run",
             "min_distance", "seed", "no_near_cognates", "no_stops", "model", "assay")  # fmt: skip

    async def search(*given: Any) -> AsyncIterator[tuple[str, str, str, str]]:
        try:
            job = start_design(service, _asked(dict(zip(names, given, strict=True))))
        except Exception as error:
            yield failure(error), "", "", ""
            return
        try:
            while job.state not in ENDED:
                yield "", progress(job.done, job.total, _where(job)), "", job.id
                await asyncio.sleep(_LOOK_SECONDS)
        finally:
            # Also where the reader has gone.
            if job.state not in ENDED:
                service.jobs.cancel(job.id)
        yield problem(job.error), paragraph(_where(job)), _show(job), ""

    async def stop(id: str) -> None:
        if id:
            service.jobs.cancel(id)

    outputs = [said, state, result, job_id]
    inputs = [*controls, chosen.model, chosen.assay]
    go.click(search, inputs, outputs, show_progress="hidden", api_visibility="private")
    cancel.click(stop, job_id, None, show_progress="hidden", api_visibility="private")
    filled = (_HIGHEST, "ACATTTGCTTCTGACACAACTGTGTTCACTAGCAACCTCAAACAGACACC", "ATG, GGTCTC", 3)
    example.click(
        lambda: filled, None, [goal, like, forbid, count], show_progress="hidden", api_visibility="private"
    ).then(search, inputs, outputs, show_progress="hidden", api_visibility="private")


def _asked(given: dict[str, Any]) -> DesignIn:
    """Turn what the controls say into what the API takes."""
    low, high = given.pop("gc_low"), given.pop("gc_high")
    goal = given.pop("goal")
    if goal == _TARGET and given["target"] is None:
        raise RibocastError("a wanted load: which?")
    given["target"] = given["target"] if goal == _TARGET else None
    given["gc"] = None if (low, high) == (0, 1) else (low, high)
    given["max_run"] = given["max_run"] or None
    given["assay"] = given["assay"] or None
    given["like"] = given["like"].strip() or None
    for name in ("forbid", "forbid_sites"):
        given[name] = [word.strip() for word in given[name].split(",") if word.strip()]
    if given["like"]:
        # Edits change the length by themselves.
        given["length"] = None
    given = {name: value for name, value in given.items() if value is not None}
    try:
        return DesignIn.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        raise RefusedError(422, f"{first['loc'][0]}: {first['msg']}") from None


def _where(job: Job[Designed]) -> str:
    if job.state == "waiting":
        return "waiting for other jobs to end"
    words = {"running": "searching", "done": "done", "failed": "failed", "cancelled": "cancelled"}[job.state]
    best = f", best load {', '.join(f'{load:.2f}' for load in job.best)}" if job.best else ""
    remark = f"; {job.remark}" if job.remark and job.remark != job.state else ""
    return f"{words}: {job.done:,} of at most {job.total:,} predictions, {job.seconds:.0f} s{best}{remark}"


def _show(job: Job[Designed]) -> str:
    if job.result is None:
        return ""
    from ribocast.designing.table import as_fasta, order_sheet

    found = job.result
    table = found.designs.table
    remarks = "".join(paragraph(remark, "rc-note") for remark in found.designs.remarks)
    if not len(table):
        return remarks + paragraph("No designs were found before it ended.")
    links = [download(as_csv(table), "designs.csv", "Download CSV"),
             download(as_fasta(table), "designs.fasta", "Download FASTA", "text/plain")]  # fmt: skip
    try:
        sheet = order_sheet(table, found.designs.construct, "idt")
        links.append(download(as_csv(sheet), "designs.order.csv", "Order sheet (IDT)"))
    except RibocastError as error:
        remarks += paragraph(str(error), "rc-note")
    shown = table[[name for name in _SHOWN if name in table and not table[name].isna().all()]]
    caption = f"{len(table):,} designs by {found.model}, {found.assay.unit} of {found.assay.name}"
    return remarks + table_html(shown, caption) + buttons(links)
