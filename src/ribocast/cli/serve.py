"""``ribocast serve``: the page and the API."""

from __future__ import annotations

from typing import Annotated

import typer

from ribocast.cli import options
from ribocast.cli.terminal import say


@options.app.command(epilog="Example: ribocast serve --port 7860; then open http://127.0.0.1:7860")
def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; beyond this machine, RIBOCAST_TOKEN is needed too.")
    ] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="7860 without it; 0 takes a free one.")] = None,
    model: Annotated[
        list[str] | None, typer.Option(help="A folder or a shipped model, the first is preselected; else all shipped.")
    ] = None,
    no_auth: Annotated[bool, typer.Option("--no-auth", help="Let everybody in who reaches the address.")] = False,
    no_page: Annotated[bool, typer.Option("--no-page", help="The API alone.")] = False,
    no_batching: Annotated[
        bool, typer.Option("--no-batching", help="Predict each call by itself, to compare.")
    ] = False,
    log_sequences: Annotated[bool, typer.Option("--log-sequences", help="Write sequences to the log.")] = False,
    threads: options.Threads = None,
) -> None:
    """Serve the page and the API (documented at /api/docs) until Ctrl-C.

    Limits are settings: RIBOCAST_MAX_SEQUENCES=500 ribocast serve. See docs/serving.md for all of them.
    """
    import os

    from ribocast.model.engine import leave_out_converters
    from ribocast.web.settings import read_settings

    settings = read_settings(
        os.environ, host=host, port=port, models=tuple(model) if model else None, threads=threads,
        auth=False if no_auth else None, page=False if no_page else None, batching=False if no_batching else None,
        log_sequences=True if log_sequences else None,
    )  # fmt: skip
    leave_out_converters()
    from ribocast.web.serving import serve as run

    run(settings, lambda url: say(f"ribocast is at {url} (API: {url}/api/docs); Ctrl-C stops it"))
