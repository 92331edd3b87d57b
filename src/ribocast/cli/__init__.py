"""The command line: ``ribocast COMMAND --help``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from ribocast.cli import predict, variants, explain, design, train, search, evaluate, compare, data, library, serve  # noqa: F401  # isort: skip  (the order of --help)
from ribocast.cli.options import app
from ribocast.cli.terminal import drop_output, fail, prepare_streams
from ribocast.errors import RibocastError
from ribocast.io.interrupts import verdict

_EXTRAS = {
    "learn": {"torch", "safetensors", "onnx", "onnxscript", "scipy", "optuna"},
    "variants": {"pysam", "pyfaidx"},
    "scale": {"ray"},
    "plots": {"matplotlib", "jinja2"},
    "design": {"Bio", "RNA"},
    "web": {"fastapi", "prometheus_client", "python_multipart", "starlette", "uvicorn"},
}


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    if version:
        from ribocast import __version__

        print(__version__)  # noqa: T201
        raise typer.Exit


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code (see docs/robustness.md)."""
    prepare_streams()
    try:
        code = _run(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()
        return code
    except RibocastError as error:
        return fail(str(error))
    except BrokenPipeError:
        # The reader of our output (head, less) has seen enough.
        drop_output()
        return 141
    except OSError as error:
        if error.filename is None:
            drop_output()
        return fail(f"{error.filename or 'output'}: {error.strerror or error}")
    except MemoryError:
        return fail("not enough memory")
    except KeyboardInterrupt:
        return fail("interrupted", 130)
    except ModuleNotFoundError as error:
        needed = (error.name or "").partition(".")[0]
        for extra, parts in _EXTRAS.items():
            if needed in parts:
                return fail(f"this needs {needed}: pip install 'ribocast[{extra}]'")
        raise
    except Exception as error:
        if verdict():
            return fail("")
        if not hasattr(error, "format_message"):
            raise
        # typer's own complaints about options, which it would print over many lines.
        return fail(str(error.format_message()))


def _run(arguments: list[str]) -> int:
    if "design" in arguments:
        design.add_request_options()
    command = typer.main.get_command(app)
    try:
        # Not by its own main(), which would print and exit in its own ways.
        with command.make_context("ribocast", arguments) as context:
            command.invoke(context)
    except typer.Exit as done:
        return done.exit_code
    except Exception as error:
        if type(error).__name__ != "NoArgsIsHelpError":
            raise
        print(error.format_message())  # type: ignore[attr-defined]  # noqa: T201
    return 0
