"""The API, version 1: JSON or a table in; JSON, a table or a figure out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from ribocast import __version__
from ribocast.io.rejects import OnError
from ribocast.sequence.letters import to_dna
from ribocast.web import schemas
from ribocast.web.alleles import read_alleles
from ribocast.web.answers import (
    FIGURE_FORMATS,
    MEDIA,
    TABLE_FORMATS,
    choose_format,
    figure_answer,
    frame_answer,
    json_answer,
    next_page,
    plain,
    plain_rows,
    table_answer,
)
from ribocast.web.bodies import (
    FORM,
    JSON,
    TABLES,
    Body,
    Rows,
    body_of,
    inflate,
    read_json,
    read_rows,
    read_text,
)
from ribocast.web.catalogue import catalogue
from ribocast.web.design_jobs import Designed, start_design
from ribocast.web.jobs import ENDED, Job
from ribocast.web.limits import RefusedError, RowError, list_rows, stopping
from ribocast.web.metrics import TYPE, Metrics
from ribocast.web.service import Result, Service

if TYPE_CHECKING:
    import pandas as pd

PREFIX = "/api/v1"
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {
        "description": words,
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for status, words in {
        400: "Not JSON", 401: "No token, or a wrong one", 403: "From another site's page", 404: "No such thing",
        405: "No such method", 406: "Accept takes no format of the answer", 408: "The request took too long to arrive",
        413: "More than a limit allows", 415: "A media type that is not supported", 421: "Not this server's name",
        422: "Something in the request is wrong", 429: "Too many calls; Retry-After says when to try again",
        503: "The server is stopping",
    }.items()
}  # fmt: skip
_RATE = {
    "RateLimit-Policy": {"description": "Calls a minute of a client.", "schema": {"type": "string"}},
    "RateLimit": {"description": "How many are left, and in how many seconds more are.", "schema": {"type": "string"}},
}
_LINK = {"Link": {"description": 'rel="next": what follows on this page.', "schema": {"type": "string"}}}

Assay = Annotated[str | None, Query(max_length=schemas.MOST_TEXT, description="As the field of JSON.")]
Model = Annotated[str | None, Query(max_length=schemas.MOST_TEXT, description="As the field of JSON.")]
ColumnName = Annotated[str | None, Query(max_length=schemas.MOST_TEXT, description="The column of a table.")]
Cut = Annotated[bool | None, Query(description="As the field of JSON.")]
Skip = Annotated[OnError, Query(description="skip leaves bad rows out and lists them; stop refuses the call.")]
Offset = Annotated[int, Query(ge=0, le=10**9, description="The first row of the answer, from 0.")]
Limit = Annotated[int | None, Query(ge=1, le=10**9, description="Rows of the answer at most.")]


_FORMAT = Query(alias="format", description="Format of the answer; without it, the one that Accept likes best.")
TableFormat = Annotated[Literal["json", "csv", "tsv", "parquet"] | None, _FORMAT]
ExplainFormat = Annotated[Literal["json", "csv", "tsv", "parquet", "svg", "png"] | None, _FORMAT]
DesignFormat = Annotated[Literal["json", "csv", "tsv", "parquet", "fasta", "order", "svg", "png"] | None, _FORMAT]


async def _refuse_unknown_query(request: Request) -> None:
    """Refuse a query parameter that a route does not have: a misspelt one would be ignored without a word."""
    # A coroutine, though it waits for nothing: others are run in a thread, at a fifth of what a call costs.
    known = {field.alias for field in request.scope["route"].dependant.query_params}
    for name in request.query_params:
        if name not in known:
            there = f"; use {', '.join(sorted(known))}" if known else "; this route takes none"
            raise RefusedError(422, f"unknown query parameter {name[:60]!r}{there}", field="query")


def _body(model: str, *, table: str = "", form: bool = False) -> dict[str, Any]:
    """Describe a body: JSON of a model, and the media types of tables."""
    content: dict[str, Any] = {JSON: {"schema": {"$ref": f"#/components/schemas/{model}"}}}
    if table:
        content |= {
            kind: {"schema": {"type": "string", "format": "binary"}, "example": table}
            if kind in ("text/csv", "text/plain")
            else {"schema": {"type": "string", "format": "binary"}}
            for kind in TABLES
        }
    if form:
        files = {name: {"type": "string", "format": "binary"} for name in ("utrs", "vcf")}
        content[FORM] = {"schema": {"type": "object", "properties": files, "required": list(files)}}
    return {"requestBody": {"required": True, "content": content}}


def _answers(model: type, formats: Sequence[str], description: str, **headers: Any) -> dict[int | str, dict[str, Any]]:
    content = {MEDIA[form]: {"schema": {"type": "string", "format": "binary"}} for form in formats}
    return {200: {"model": model, "description": description, "content": content, "headers": {**_RATE, **headers}}}


def make_router(service: Service, metrics: Metrics) -> APIRouter:
    """Make the routes of the API."""
    router = APIRouter(prefix=PREFIX, responses=_PROBLEMS, dependencies=[Depends(_refuse_unknown_query)])
    limits = service.settings

    @router.post(
        "/predict", operation_id="predict", openapi_extra=_body("PredictIn", table="id,seq\nHBB,ACATTTGCTTCTG\n"),
        responses=_answers(schemas.PredictOut, TABLE_FORMATS, "Predictions", **_LINK),
    )  # fmt: skip
    async def predict(
        request: Request, assay: Assay = None, model: Model = None,
        profile: Annotated[bool | None, Query(description="As the field of JSON.")] = None, column: ColumnName = None,
        cut_at_start: Cut = None, on_error: Skip = "stop", offset: Offset = 0, limit: Limit = None,
        form: TableFormat = None,
    ) -> Response:  # fmt: skip
        """Predict the mean ribosome load (MRL) of sequences, with a 90 % interval."""
        answer = choose_format(request, form, ("json", *TABLE_FORMATS))
        body = await body_of(request, (JSON, *TABLES))
        given = {"assay": assay, "model": model, "cut_at_start": cut_at_start, "profile": profile}

        def read() -> tuple[Rows, dict[str, Any]]:
            if body.kind != JSON:
                return read_rows(body, limits, column=column), _given(given)
            asked = read_json(body, schemas.PredictIn, limits)
            return _rows_of(asked.sequences, "seq"), _either(asked, given, column)

        rows, options = await service.read(len(body.content), read)
        found = await service.predict(rows, **options, on_error=on_error, offset=offset, limit=limit)
        return await service.read(100 * len(found.rows), lambda: _predictions(request, found, answer, offset))

    @router.post(
        "/explain", operation_id="explain", openapi_extra=_body("ExplainIn", table=">HBB\nACATTTGCTTCTG\n"),
        responses=_answers(schemas.ExplainOut, (*TABLE_FORMATS, *FIGURE_FORMATS), "Why", **_LINK),
    )  # fmt: skip
    async def explain(
        request: Request, assay: Assay = None, model: Model = None,
        indels: Annotated[int | None, Query(ge=0, le=3, description="As the field of JSON.")] = None,
        near_cognates: Annotated[bool | None, Query(description="As the field of JSON.")] = None,
        cut_at_start: Cut = None, column: ColumnName = None, offset: Offset = 0, limit: Limit = None,
        form: ExplainFormat = None,
    ) -> Response:  # fmt: skip
        """Explain a prediction: every substitution, upstream ORFs, Kozak contexts. Tables have the substitutions."""
        answer = choose_format(request, form, ("json", *TABLE_FORMATS, *FIGURE_FORMATS))
        body = await body_of(request, (JSON, *TABLES))
        given = {"assay": assay, "model": model, "cut_at_start": cut_at_start, "indels": indels,
                 "near_cognates": near_cognates}  # fmt: skip

        def read() -> tuple[Rows, dict[str, Any]]:
            if body.kind != JSON:
                return read_rows(body, limits, column=column), _given(given)
            asked = read_json(body, schemas.ExplainIn, limits)
            return Rows([1], [asked.id], ("seq",), ([asked.seq],), None), _either(asked, given, column)

        rows, options = await service.read(len(body.content), read)
        name, found = await service.explain(rows, **options)
        if answer in FIGURE_FORMATS:
            return await service.workers.run(lambda: figure_answer(found.plot, answer))
        effects = found.effects[offset:] if limit is None else found.effects[offset : offset + limit]
        if answer != "json":
            return frame_answer(effects, answer)
        from ribocast.explain.files import as_dict

        shown = as_dict(found)
        del shown["strongest"], shown["name"]
        total = len(found.effects)
        return json_answer(
            {"id": rows.ids[0], **shown, "model": name, "unit": found.assay.unit, "effects": plain_rows(effects),
             "effects_total": total, "offset": offset},
            headers=next_page(request, offset, len(effects), total),
        )  # fmt: skip

    @router.post(
        "/variants", operation_id="score_variants",
        openapi_extra=_body("VariantsIn", table="id,ref,alt\nc.-2G>A,ACATTTGCTTCTG,ACATTTGCTTCAG\n", form=True),
        responses=_answers(schemas.VariantsOut, TABLE_FORMATS, "Scores", **_LINK),
    )  # fmt: skip
    async def variants(
        request: Request, assay: Assay = None, model: Model = None, ref_column: ColumnName = None,
        alt_column: ColumnName = None, cut_at_start: Cut = None, on_error: Skip = "stop", offset: Offset = 0,
        limit: Limit = None, form: TableFormat = None,
    ) -> Response:  # fmt: skip
        """Score variants: the log2 fold change of the MRL, with a 90 % interval, and why."""
        answer = choose_format(request, form, ("json", *TABLE_FORMATS))
        body = await body_of(request, (JSON, FORM, *TABLES))
        given = {"assay": assay, "model": model, "cut_at_start": cut_at_start}
        files = await _files(request, body, service) if body.kind == FORM else None

        def read() -> tuple[Rows, list[RowError], dict[str, Any]]:
            if files is not None:
                return *_alleles(service, *files), _given(given)
            if body.kind != JSON:
                return read_rows(body, limits, column=ref_column, other=alt_column, pairs=True), [], _given(given)
            asked = read_json(body, schemas.VariantsIn, limits)
            options = _either(asked, given)
            if asked.pairs is not None and asked.utrs is None and asked.vcf is None:
                return _rows_of(asked.pairs, "ref", "alt"), [], options
            if asked.pairs is not None or asked.utrs is None or asked.vcf is None:
                raise RefusedError(422, "give either pairs, or both utrs and vcf", field="pairs")
            return *_alleles(service, asked.utrs, asked.vcf), options

        rows, unreadable, options = await service.read(len(body.content), read)
        found = await service.variants(rows, unreadable, **options, on_error=on_error, offset=offset, limit=limit)
        return await service.read(100 * len(found.rows), lambda: _scores(request, found, answer, offset))

    @router.post(
        "/design", operation_id="start_design", status_code=202, openapi_extra=_body("DesignIn"),
        responses={202: {"model": schemas.JobOut, "description": "Begun", "headers": {
            **_RATE, "Location": {"description": "Where the job is.", "schema": {"type": "string"}},
        }}},
    )  # fmt: skip
    async def design(request: Request) -> Response:
        """Begin to design 5′ UTRs: a job, whose address is in Location."""
        body = await body_of(request, (JSON,))
        asked = await service.read(len(body.content), lambda: read_json(body, schemas.DesignIn, limits))
        job = start_design(service, asked)
        return json_answer(_job(service, job), 202, {"location": f"{PREFIX}/design/{job.id}"})

    @router.get("/design/{id}", operation_id="get_design", response_model=schemas.JobOut)
    async def design_job(id: str) -> Response:
        """Say where a job is."""
        return json_answer(_job(service, service.jobs.get(id)))

    @router.post("/design/{id}/cancel", operation_id="cancel_design", response_model=schemas.JobOut)
    async def cancel_design(id: str) -> Response:
        """Cancel a job: it ends within a second, and what it has found can be fetched."""
        return json_answer(_job(service, service.jobs.cancel(id)))

    @router.delete("/design/{id}", operation_id="delete_design", status_code=204, response_class=Response)
    async def delete_design(id: str) -> Response:
        """Stop a job and delete its result."""
        service.jobs.forget(id)
        return Response(status_code=204)

    @router.get(
        "/design/{id}/result", operation_id="get_design_result",
        responses={
            **_answers(schemas.DesignsOut, (*TABLE_FORMATS, "fasta", *FIGURE_FORMATS), "Designs", **_LINK),
            409: {**_PROBLEMS[422], "description": "Not ended yet, or nothing was found"},
        },
    )  # fmt: skip
    async def design_result(
        request: Request, id: str, offset: Offset = 0, limit: Limit = None, form: DesignFormat = None
    ) -> Response:
        """Fetch the designs: JSON, a table, FASTA, a figure, or an order sheet of Integrated DNA Technologies."""
        answer = choose_format(request, form, ("json", *TABLE_FORMATS, "fasta", *FIGURE_FORMATS))
        job = service.jobs.get(id)
        found = _result(job)
        designs = found.designs
        if answer in FIGURE_FORMATS:
            from ribocast.design.plot import draw_designs

            return await service.workers.run(lambda: figure_answer(lambda: draw_designs(designs), answer))
        total = len(designs.table)
        table = designs.table[offset:] if limit is None else designs.table[offset : offset + limit]
        if answer == "fasta":
            from ribocast.design.output import as_fasta

            return Response(as_fasta(table), media_type=MEDIA["fasta"])
        if answer == "order":
            from ribocast.design.output import order_sheet

            return frame_answer(order_sheet(table, designs.construct, "idt"), "csv")
        if answer != "json":
            return frame_answer(table, answer)
        remarks = [*designs.remarks, *([job.remark] if job.remark else [])]
        return json_answer(
            {"state": job.state, "assay": found.assay.name, "model": found.model, "unit": found.assay.unit,
             "predictions": designs.calls, "remarks": remarks, "rows": total, "offset": offset,
             "designs": plain_rows(table)},
            headers=next_page(request, offset, len(table), total),
        )  # fmt: skip

    @router.get("/models", operation_id="list_models", response_model=schemas.ModelsOut)
    async def models() -> schemas.ModelsOut:
        """List the models that are served, how accurate they are, and the words, limits and examples of the API."""
        return catalogue(service)

    @router.get(
        "/healthz", operation_id="healthz",
        responses={200: {"model": schemas.HealthOut, "description": "There"}, 503: _PROBLEMS[503]},
    )  # fmt: skip
    @router.head("/healthz", include_in_schema=False)
    async def healthz() -> Response:
        """Say that the server is there; 503 while it is stopping."""
        if service.jobs.is_closing:
            raise stopping()
        return json_answer({"status": "ok", "version": __version__})

    @router.get(
        "/metrics", operation_id="metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}}
    )
    async def read_metrics() -> Response:
        """Give the server's counters, in Prometheus's text format."""
        return Response(metrics.text(), headers={"content-type": TYPE})

    return router


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _either(asked: Any, query: dict[str, Any], column: str | None = None) -> dict[str, Any]:
    """Take each option from JSON or from the query; both is an error, and so is one that JSON has no use for."""
    if column is not None:
        raise RefusedError(422, "column is for tables; JSON has no columns", field="column")
    given = _given(query)
    for name in given:
        if name in asked.model_fields_set:
            raise RefusedError(422, f"{name} is given in the query and in the body; give it once", field=name)
    return {name: getattr(asked, name) for name in query} | given


def _rows_of(items: list[Any], *names: str) -> Rows:
    """Read a list of sequences or pairs: objects with these names and ``id``, or for one name just texts."""
    ids, *values = map(list, zip(*(_fields(row, item, names) for row, item in enumerate(items, 1)), strict=True))
    return Rows(range(1, len(items) + 1), ids, names, tuple(values), None)


def _fields(row: int, item: Any, names: tuple[str, ...]) -> tuple[Any, ...]:
    """Take the name and the sequences of an item; a field that is not known is refused, not ignored."""
    if names == ("seq",) and not isinstance(item, dict):
        return None, item
    if not isinstance(item, dict) or not item.keys() <= {"id", *names}:
        wanted = ", ".join(names)
        raise RefusedError(422, f"row {row}: must have {wanted} and optionally id, nothing else", field=names[0])
    name = item.get("id")
    if not (name is None or (isinstance(name, str) and len(name) <= schemas.MOST_TEXT)):
        raise RefusedError(422, f"row {row}: id must be a text of at most {schemas.MOST_TEXT} characters", field="id")
    return name, *(item.get(column) for column in names)


async def _files(request: Request, body: Body, service: Service) -> tuple[str, str]:
    """Take the texts of the two files of a form."""
    from starlette.datastructures import UploadFile

    texts = []
    async with request.form(max_files=2, max_fields=0) as form:
        if set(form) != {"utrs", "vcf"}:
            raise RefusedError(422, "the form needs the files utrs (FASTA) and vcf, nothing else", field="utrs")
        for name in ("utrs", "vcf"):
            file = form[name]
            content = await file.read() if isinstance(file, UploadFile) else b""
            if content[:2] == b"\x1f\x8b":
                content = inflate(content, service.settings)
            try:
                texts.append(content.decode("utf-8-sig"))
            except UnicodeDecodeError:
                raise RefusedError(422, f"{name} is not UTF-8 text", field=name) from None
    return texts[0], texts[1]


def _alleles(service: Service, utrs: str, vcf: str) -> tuple[Rows, list[RowError]]:
    return read_alleles(read_text(utrs, "utrs", service.settings), vcf, service.settings.max_sequences)


def _predictions(request: Request, found: Result[dict[str, Any]], form: str, offset: int) -> Response:
    columns = found.table
    if form != "json":
        numbers = {name: values.round(8 if name[0] == "r" else 5) for name, values in columns.items() if name != "note"}
        return _table(request, found, {**numbers, "note": list(columns["note"])}, form, offset)
    names = ("mrl", "mrl_low", "mrl_high", "note")
    told = [dict(zip(names, map(plain, row), strict=True)) for row in zip(*map(columns.get, names), strict=True)]
    shares = [columns[name].tolist() for name in columns if name[0] == "r"]
    if shares:
        told = [{**row, "profile": list(one)} for row, one in zip(told, zip(*shares, strict=True), strict=True)]
    return _json(request, found, "predictions", told, offset)


def _scores(request: Request, found: Result[pd.DataFrame], form: str, offset: int) -> Response:
    if form != "json":
        columns = {str(name): values.to_numpy() for name, values in found.table.round(5).items()}
        return _table(request, found, columns, form, offset)
    return _json(request, found, "variants", plain_rows(found.table), offset)


def _json(request: Request, found: Result[Any], what: str, results: list[dict[str, Any]], offset: int) -> Response:
    """Answer with JSON: of each row its name and sequences, the result, and the other columns of a table."""
    rows, names = found.rows, ("seq",) if len(found.rows.values) == 1 else ("ref", "alt")
    seqs = ([to_dna(value) for value in column] for column in rows.values)
    told = [
        {"row": number, "id": name, **dict(zip(names, values, strict=True)), **result}
        for number, name, result, *values in zip(rows.numbers, rows.ids, results, *seqs, strict=True)
    ]
    about = {"assay": found.assay.name, "model": found.model, "unit": found.assay.unit, "rows": found.total}
    return json_answer(
        {**about, "offset": offset, what: _with_input(rows, told), **list_rows("skipped", found.skipped)},
        headers=next_page(request, offset, len(rows), found.total),
    )


def _with_input(rows: Rows, told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add the other columns of a table to its rows; those of a VCF's alleles stand beside the scores."""
    if rows.table is None:
        return told
    others = rows.table.drop_columns([name for name in rows.columns if name in rows.table.column_names])
    if others.column_names[:1] == ["chrom"] and "vcf_ref" in others.column_names:
        return [row | cells for row, cells in zip(told, others.drop_columns(["id"]).to_pylist(), strict=True)]
    cells = [{name: plain(value) for name, value in row.items()} for row in others.to_pylist()]
    return [row | {"input": one} for row, one in zip(told, cells, strict=True)] if others.num_columns else told


def _table(request: Request, found: Result[Any], columns: dict[str, Any], form: str, offset: int) -> Response:
    """Answer with a table: what was sent, then the columns of the result, as the command line writes them."""
    import pyarrow as pa

    from ribocast.io.rejects import add_columns

    rows = found.rows
    table, headers = rows.table, next_page(request, offset, len(rows), found.total)
    if found.skipped:
        headers["ribocast-skipped-rows"] = str(len(found.skipped))
    seqs = {name: pa.array(values) for name, values in zip(rows.columns, rows.values, strict=True)}
    if table is None:
        ids = {"id": pa.array(rows.ids, pa.string())} if any(rows.ids) else {}
        table = pa.table({**ids, **seqs})
    elif not set(rows.columns) <= set(table.column_names):
        for name, values in seqs.items():
            table = table.append_column(name, values)
    added = {name: pa.array(values, from_pandas=True) for name, values in columns.items()}
    return table_answer(add_columns(table, added, like="predictions", say=None), form, headers)


def _job(service: Service, job: Job[Designed]) -> dict[str, Any]:
    return {
        "id": job.id, "state": job.state, "done": job.done, "total": job.total, "best": job.best,
        "seconds": round(job.seconds, 3), "error": job.error, "remark": job.remark,
        "place": service.jobs.place(job), "expires_seconds": service.jobs.expires(job),
    }  # fmt: skip


def _result(job: Job[Designed]) -> Designed:
    if job.state not in ENDED:
        raise RefusedError(409, f"the job is {job.state} and has no result yet")
    if job.state == "failed":
        raise RefusedError(422, job.error)
    if job.result is None:
        raise RefusedError(409, "the job was cancelled before it had found anything")
    return job.result
