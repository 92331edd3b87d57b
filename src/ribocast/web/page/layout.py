"""The page as a whole: the model and the assay at the top, then four tabs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from ribocast.web.page import design_tab, explain_tab, predict_tab, variants_tab
from ribocast.web.page.theme import header
from ribocast.web.page.words import AUTOMATIC, about, assay_choices
from ribocast.web.service import Service


class Chosen(NamedTuple):
    """The controls at the top."""

    model: Any
    assay: Any


def make_page(service: Service, uploads: Path) -> Any:
    """Make the page.

    Parameters
    ----------
    service : Service
        What computes.
    uploads : Path
        Where uploaded files are put.

    Returns
    -------
    gradio.Blocks
    """
    first = next(iter(service.models))
    with gr.Blocks(title="ribocast", analytics_enabled=False, delete_cache=(600, 600)) as page:
        gr.HTML(header())
        with gr.Row():
            model = gr.Radio(list(service.models), value=first, label="Model", scale=1, min_width=180)
            choices = assay_choices(service.model(first).predictor.card)
            assay = gr.Radio(choices, value=AUTOMATIC, label="Assay: on whose scale", scale=3, min_width=260)
        said = gr.HTML(about(service, first, AUTOMATIC))

        def choose_model(name: str) -> tuple[Any, str]:
            card = service.model(name).predictor.card
            return gr.Radio(choices=assay_choices(card), value=AUTOMATIC), about(service, name, AUTOMATIC)

        model.change(choose_model, model, [assay, said], show_progress="hidden", api_visibility="private")
        assay.change(
            lambda name, which: about(service, name, which), [model, assay], said, show_progress="hidden",
            api_visibility="private",
        )  # fmt: skip
        chosen = Chosen(model, assay)
        with gr.Tabs():
            with gr.Tab("Predict", id="predict"):
                predict_tab.build(service, chosen, uploads)
            with gr.Tab("Explain", id="explain"):
                explain_tab.build(service, chosen)
            with gr.Tab("Variants", id="variants"):
                variants_tab.build(service, chosen, uploads)
            with gr.Tab("Design", id="design"):
                design_tab.build(service, chosen)
    return page
