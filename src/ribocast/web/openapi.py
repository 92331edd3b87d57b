"""The API's description in OpenAPI."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from ribocast.web import schemas
from ribocast.web.settings import Settings

_REQUESTS = (schemas.PredictIn, schemas.ExplainIn, schemas.VariantsIn, schemas.DesignIn, schemas.Seq, schemas.Pair,
             schemas.Problem)  # fmt: skip


def describe(app: FastAPI, settings: Settings) -> dict[str, Any]:
    """Describe the API; made once, then the same again."""
    if app.openapi_schema is not None:
        return app.openapi_schema
    found = app.openapi()
    kinds: list[tuple[Any, Any]] = [(model, "validation") for model in _REQUESTS]
    _, definitions = models_json_schema(kinds, ref_template="#/components/schemas/{model}")
    parts = found.setdefault("components", {})
    parts.setdefault("schemas", {}).update(definitions["$defs"])
    for name in ("HTTPValidationError", "ValidationError"):
        parts["schemas"].pop(name, None)
    parts["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer"},
        "password": {"type": "http", "scheme": "basic", "description": "Any name, and the token as password."},
    }
    needs_token = settings.token is not None and settings.auth
    found["security"] = [{"token": []}, {"password": []}] if needs_token else [{}]
    found["info"]["description"] += _limits(settings)
    return found


def _limits(settings: Settings) -> str:
    return (
        f" Limits: {settings.max_body_bytes:,} bytes of a request, {settings.max_sequences:,} sequences of at most "
        f"{settings.max_length:,} nt and {settings.max_letters:,} letters in a call, {settings.calls_per_minute:,} "
        f"calls a minute (0 means no limit); results of designs are kept for {settings.keep_job_seconds:,.0f} s."
    )
