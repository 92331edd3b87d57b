"""Putting the page into the application, without telemetry and without files that stay."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse

from ribocast.web.service import Service

_WAITING_EVENTS = 200
_QUIET = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}


def mount_page(app: FastAPI, service: Service) -> None:
    """Mount the page at ``/``; what people upload is put into a folder that goes away with the server."""
    folder = Path(tempfile.mkdtemp(prefix="ribocast-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    # Gradio reads these when it is imported.
    os.environ.update(_QUIET | {"GRADIO_TEMP_DIR": str(folder)})
    import gradio as gr

    from ribocast.web.page.layout import make_page
    from ribocast.web.page.theme import FOLDER, head, make_theme

    @app.get("/logo.svg", include_in_schema=False)
    async def logo() -> FileResponse:
        return FileResponse(FOLDER / "logo.svg", media_type="image/svg+xml")

    page = make_page(service, folder)
    page.queue(max_size=_WAITING_EVENTS, default_concurrency_limit=None, api_open=False)
    gr.mount_gradio_app(
        app, page, "/", theme=make_theme(), css_paths=[FOLDER / "style.css"], head=head(), footer_links=[],
        run_history=False, ssr_mode=False, pwa=False, mcp_server=False, enable_monitoring=False, show_error=False,
        max_file_size=service.settings.max_body_bytes,
    )  # fmt: skip
