"""What the API takes and gives beyond JSON: tables as bodies, formats of answers, bad rows, pages of results."""

import csv
import gzip
import io
import json

import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

import ribocast
from ribocast.design.constraints import CONSTRAINTS
from ribocast.web.answers import _quality, choose_format, table_answer
from ribocast.web.limits import RefusedError
from served import UTR, serving

CHANGED = UTR[:21] + "A" + UTR[22:]
TABLE = f"gene,seq,n\nHBB,{UTR},-3\n=cmd,{UTR[:30]},=1+1\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(
        tmp_path_factory.mktemp("api"), "--no-page", "--model", "default", calls_per_minute=0, max_sequences=300,
        max_unpacked_bytes=300_000, max_letters=200_000,
    ) as running:  # fmt: skip
        yield running
        assert "failed" not in running.log


def send(server, path, content, kind, **options):
    headers = {"content-type": kind, **options.pop("headers", {})}
    return server.client.post(f"/api/v1/{path}", content=content, headers=headers, **options)


def parquet_of(rows):
    stream = io.BytesIO()
    pa.parquet.write_table(pa.table(rows), stream)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "kind", "headers"),
    [
        (TABLE, "text/csv", {}),
        (TABLE, "text/plain; charset=UTF-8", {}),
        (TABLE.replace(",", "\t"), "text/tab-separated-values", {}),
        (gzip.compress(TABLE.encode()), "application/gzip", {}),
        (gzip.compress(TABLE.encode()), "text/csv", {"content-encoding": "gzip"}),
        (parquet_of({"gene": ["HBB", "=cmd"], "seq": [UTR, UTR[:30]], "n": ["-3", "=1+1"]}),
         "application/vnd.apache.parquet", {}),
    ],
    ids=["csv", "a charset", "tsv", "gzip", "csv, encoded", "parquet"],
)  # fmt: skip
def test_a_table_is_a_body_in_any_of_its_formats(server, content, kind, headers):
    found = send(server, "predict", content, kind, headers=headers).json()
    wanted = ribocast.load().predict([UTR, UTR[:30]])
    assert [one["mrl"] for one in found["predictions"]] == pytest.approx(wanted["mrl"].tolist(), abs=1e-5)
    assert [one["input"] for one in found["predictions"]] == [{"gene": "HBB", "n": "-3"}, {"gene": "=cmd", "n": "=1+1"}]


@pytest.mark.parametrize("text", [f">HBB x\n{UTR[:20]}\n{UTR[20:]}\n", f"{UTR}\n", f"\ufeff{UTR}"])
def test_fasta_and_lines_are_bodies_too(server, text):
    (found,) = send(server, "predict", text, "text/plain").json()["predictions"]
    assert found["seq"] == UTR
    assert found["id"] == ("HBB x" if text[0] == ">" else None)


def test_a_table_comes_back_as_the_command_line_writes_it_without_formulas(server):
    answer = send(server, "predict", TABLE, "text/csv", params={"format": "csv"})
    first, second = csv.DictReader(io.StringIO(answer.text))
    assert (first["gene"], first["n"]) == ("HBB", "-3")
    assert (second["gene"], second["n"]) == ("'=cmd", "'=1+1")
    wanted = ribocast.load().predict([UTR])
    assert float(first["mrl"]) == pytest.approx(wanted["mrl"][0], abs=1e-5)
    answer = send(server, "predict", TABLE, "text/csv", params={"format": "parquet", "profile": "true"})
    table = pa.parquet.read_table(io.BytesIO(answer.content))
    assert table["gene"].to_pylist() == ["HBB", "=cmd"]
    assert {"mrl", "r0", "r13", "note"} <= set(table.column_names)


@given(st.lists(st.text(st.sampled_from("=+-@\t\r1.e5aA,\"'\n"), max_size=6), min_size=1, max_size=20))
def test_no_text_of_a_csv_begins_as_a_formula_unless_it_is_a_number(texts):
    answer = table_answer(pa.table({"=x": texts, "number": [-1.5] * len(texts)}), "csv")
    rows = list(csv.reader(io.StringIO(answer.body.decode(), newline="")))
    assert rows[0] == ["'=x", "number"]
    for text, (shown, number) in zip(texts, rows[1:], strict=True):
        assert shown in (text, f"'{text}")
        assert number == "-1.5"
        if shown[:1] in set("=+-@\t\r"):
            float(shown)


def test_bad_rows_are_told_one_by_one_or_skipped(server):
    table = f"id,seq\na,{UTR}\nb,ACGXT\nc,\nd,{UTR}\n"
    refused = send(server, "predict", table, "text/csv")
    assert refused.status_code == 422
    assert refused.headers["content-type"] == "application/problem+json"
    told = refused.json()
    assert [(one["row"], one["id"], one["column"], one["value"]) for one in told["errors"]] == [
        (2, "b", "seq", "ACGXT"), (3, "c", "seq", ""),
    ]  # fmt: skip
    assert (told["errors_total"], told["status"]) == (2, 422)
    found = send(server, "predict", table, "text/csv", params={"on_error": "skip"}).json()
    assert [(one["row"], one["id"]) for one in found["predictions"]] == [(1, "a"), (4, "d")]
    assert [one["row"] for one in found["skipped"]] == [2, 3]
    answer = send(server, "predict", table, "text/csv", params={"on_error": "skip", "format": "csv"})
    assert len(list(csv.DictReader(io.StringIO(answer.text)))) == 2
    assert answer.headers["ribocast-skipped-rows"] == "2"
    nothing = send(server, "predict", "seq\nX\n", "text/csv", params={"on_error": "skip"})
    assert nothing.status_code == 422
    assert "row 1" in nothing.json()["detail"]


def test_items_of_json_are_checked_one_by_one(server):
    answer = server.post("predict", {"sequences": [UTR, 3, None, {"id": "x", "seq": "ACGX"}]})
    assert [one["row"] for one in answer.json()["errors"]] == [2, 3, 4]
    assert answer.json()["errors"][2]["id"] == "x"
    for item in ({"sequence": UTR}, {"seq": UTR, "label": 1}):
        answer = server.post("predict", {"sequences": [item]})
        assert (answer.status_code, answer.json()["field"]) == (422, "seq")


def test_long_results_come_in_pages(server):
    text = "\n".join(UTR[:20] + "ACGT"[number % 4] * (number % 30 + 1) for number in range(50))
    whole = send(server, "predict", text, "text/plain").json()
    place, seen = "/api/v1/predict?limit=20", []
    while place:
        answer = server.client.post(place, content=text, headers={"content-type": "text/plain"})
        assert answer.json()["rows"] == 50
        seen += answer.json()["predictions"]
        place = answer.links.get("next", {}).get("url")
    assert seen == whole["predictions"]
    assert send(server, "predict", text, "text/plain", params={"offset": 60}).json()["predictions"] == []
    effects = server.post("explain", {"seq": UTR}, params={"offset": 190, "limit": 20}).json()
    assert (len(effects["effects"]), effects["effects_total"]) == (10, 200)


def test_more_than_the_limits_is_refused_before_it_is_looked_at(server):
    for content, kind, status in (
        (b'{"sequences":[' + b"1," * 1_600_000 + b"1]}", "application/json", 413),
        (json.dumps({"sequences": [{"seq": "A", "id": [1] * 200}]}).encode(), "application/json", 413),
        (json.dumps({str(number): 1 for number in range(1000)}).encode(), "application/json", 422),
        (b"seq\n" + b"ACGT\n" * 301, "text/csv", 413),
        (gzip.compress(b"ACGTACGTAC\n" * 1_800_000), "application/gzip", 413),
        (gzip.compress(gzip.compress(b"ACGT\n")), "application/gzip", 422),
        (parquet_of({"seq": pa.array([UTR] * 100_000).dictionary_encode()}), "application/vnd.apache.parquet", 413),
    ):
        answer = send(server, "predict", content, kind)
        assert answer.status_code == status, answer.text
        assert len(answer.content) < 2_000


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/html", "text/csv; charset=utf-16", ""])
def test_other_media_types_are_refused_with_those_that_are_taken(server, kind):
    answer = send(server, "predict", TABLE, kind)
    assert answer.status_code == 415
    assert "text/csv" in answer.json()["detail"]


def test_a_misspelt_option_is_refused_and_none_is_given_twice(server):
    answer = server.post("predict", {"sequences": [UTR]}, params={"asay": "egfp_human50"})
    assert (answer.status_code, "asay" in answer.json()["detail"]) == (422, True)
    answer = server.post("predict", {"sequences": [UTR], "profile": False}, params={"profile": True})
    assert (answer.status_code, answer.json()["field"]) == (422, "profile")
    answer = server.post("predict", {"sequences": [UTR]}, params={"assay": "egfp_human50"})
    assert answer.json()["assay"] == "egfp_human50"


def test_messages_name_the_fields_of_the_api(server):
    answer = send(server, "predict", "a,b\n1,2\n", "text/csv")
    assert "--" not in answer.json()["detail"]
    assert "?column=" in answer.json()["detail"]
    assert send(server, "predict", f"a,b\n1,{UTR}\n", "text/csv", params={"column": "b"}).status_code == 200
    answer = server.post("design", {"max_edits": 3})
    assert "--" not in answer.json()["detail"]
    assert "max_edits" in answer.json()["detail"]


def test_explain_takes_one_sequence_and_draws_it(server):
    found = send(server, "explain", f">HBB\n{UTR}\n", "text/plain").json()
    assert (found["id"], found["seq"]) == ("HBB", UTR)
    several = send(server, "explain", f">a\n{UTR}\n>b\n{UTR}\n", "text/plain")
    assert several.status_code == 422
    assert "2 (a, b)" in several.json()["detail"]
    assert b"<svg" in server.post("explain", {"seq": UTR}, params={"format": "svg"}).content
    picture = server.post("explain", {"seq": UTR}, headers={"accept": "image/png"}).content
    assert picture.startswith(b"\x89PNG")
    table = server.post("explain", {"seq": UTR}, headers={"accept": "text/csv"})
    assert len(list(csv.DictReader(io.StringIO(table.text)))) == 4 * len(UTR)


def test_variants_come_as_pairs_tables_and_vcfs(server):
    wanted = ribocast.score_variants(ribocast.load(), [UTR], [CHANGED])["log2_fold_change"][0]
    utrs, vcf = f">HBB beta\n{UTR}\n", "HBB\t22\trs1\tG\tA,<DEL>\n"
    files = {"utrs": ("u.fasta", utrs), "vcf": ("v.vcf.gz", gzip.compress(vcf.encode()))}
    found = [
        server.post("variants", {"pairs": [{"id": "rs1", "ref": UTR, "alt": CHANGED}]}),
        send(server, "variants", f"id,ref,alt\nrs1,{UTR},{CHANGED}\n", "text/csv"),
        send(server, "variants", f"id,a,b\nrs1,{UTR},{CHANGED}\n", "text/csv",
             params={"ref_column": "a", "alt_column": "b"}),
        server.post("variants", {"utrs": utrs, "vcf": vcf}, params={"on_error": "skip"}),
        server.client.post("/api/v1/variants", files=files, params={"on_error": "skip"}),
    ]  # fmt: skip
    for answer in found:
        (one,) = answer.json()["variants"]
        assert (one["id"], one["alt"]) == ("rs1", CHANGED)
        assert one["log2_fold_change"] == pytest.approx(wanted, abs=1e-5)
    assert [one["value"] for one in found[3].json()["skipped"]] == ["<DEL>"]
    assert (found[4].json()["variants"][0]["pos"], found[4].json()["variants"][0]["vcf_alt"]) == (22, "A")
    refused = server.post("variants", {"utrs": utrs, "vcf": vcf})
    assert (refused.status_code, refused.json()["errors"][0]["row"]) == (422, 1)
    for body in ({}, {"utrs": utrs}, {"pairs": [{"ref": UTR, "alt": CHANGED}], "vcf": vcf, "utrs": utrs}):
        assert server.post("variants", body).status_code == 422


@given(st.lists(st.sampled_from(["text/csv", "application/json", "text/*", "*/*", "image/png"]), max_size=4), st.data())
def test_accept_is_read_with_its_weights(kinds, data):
    weights = [data.draw(st.sampled_from(["", ";q=0", ";q=0.5", "; q=1.0"])) for _ in kinds]
    accept = ", ".join(kind + weight for kind, weight in zip(kinds, weights, strict=True))
    liked = {name: _quality(accept, kind) for name, kind in (("json", "application/json"), ("csv", "text/csv"))}

    request = Request({"type": "http", "headers": [(b"accept", accept.encode())]})
    if max(liked.values()) > 0:
        assert liked[choose_format(request, None, ("json", "csv"))] == max(liked.values())
    else:
        with pytest.raises(RefusedError) as refused:
            choose_format(request, None, ("json", "csv"))
        assert refused.value.status == 406


def test_the_words_of_the_page_come_with_the_models(server):
    known = server.get("models").json()
    (model,) = known["models"]
    for assay in model["assays"]:
        assert assay["measured"]["quantiles"] == sorted(assay["measured"]["quantiles"])
        assert assay["name"] in assay["accuracy"]
    assert known["fields"]["gc"] == {"label": "Share of G and C", "kind": "numbers", "example": "0.35:0.6"}
    of_rules = {name for kind in CONSTRAINTS if kind.on_web for name in kind.Options.model_fields}
    assert of_rules <= known["fields"].keys()
    examples = known["examples"]
    assert len(send(server, "predict", examples["predict"]["text"], "text/plain").json()["predictions"]) == 6
    assert send(server, "explain", examples["explain"]["text"], "text/plain").status_code == 200
    vcf = {name: examples["vcf"][name] for name in ("utrs", "vcf")}
    scored = server.post("variants", vcf).json()["variants"]
    assert len(scored) == 2
    assert set(scored[0]) <= {"input", *known["columns"]}
    assert known["limits"]["max_sequences"] == 300
    place = server.post("design", {**examples["design"]["request"], "budget": 300}).headers["location"]
    server.wait_for_job(place)
    (*_, design) = server.client.get(f"{place}/result").json()["designs"]
    assert set(design) <= set(known["columns"])
    for form, start in (("svg", b"<?xml"), ("png", b"\x89PNG"), ("tsv", b"name\t"), ("fasta", b">")):
        assert server.client.get(f"{place}/result", params={"format": form}).content.startswith(start)


def test_health_is_told_to_head_too(server):
    answer = server.client.head("/api/v1/healthz")
    assert (answer.status_code, answer.content) == (200, b"")


def test_the_description_says_how_to_get_in_what_is_limited_and_what_each_call_is_called(server):
    described = server.client.get("/api/openapi.json").json()
    assert set(described["components"]["securitySchemes"]) == {"token", "password"}
    assert "300 sequences" in described["info"]["description"]
    calls = [call for path in described["paths"].values() for call in path.values()]
    names = [call["operationId"] for call in calls]
    assert len(set(names)) == len(names) == 11
    assert "predict" in names
    assert "RateLimit" in described["paths"]["/api/v1/predict"]["post"]["responses"]["200"]["headers"]
    for name in ("Seq", "Pair", "Prediction", "RowProblem", "PredictIn", "ExplainIn", "VariantsIn", "DesignIn"):
        assert described["components"]["schemas"][name]["examples"], name
    page = server.client.get("/api/docs").text
    assert "text/csv" in page
    assert "<style" not in page
    assert "<script" not in page


def test_large_answers_are_compressed(server):
    for headers, encoding in (({"accept-encoding": "gzip"}, "gzip"), ({"accept-encoding": "identity"}, None)):
        answer = server.post("explain", {"seq": UTR}, headers=headers)
        assert answer.headers.get("content-encoding") == encoding
        assert answer.json()["effects_total"] == 200


def test_sequences_are_cut_at_their_start_codon_where_asked(server):
    for asked in ({"sequences": [UTR + "ATGG"]}, {"sequences": [UTR + "ATGG"], "cut_at_start": True}):
        (row,) = server.post("predict", asked).json()["predictions"]
        assert "start codon" in row["note"]
    whole = server.post("predict", {"sequences": [UTR]}).json()["predictions"][0]
    assert row["mrl"] == pytest.approx(whole["mrl"])
    cut = {"params": {"cut_at_start": True}}
    assert send(server, "predict", f"seq\n{UTR}ATG\n", "text/csv", **cut).json()["predictions"][0]["mrl"] == row["mrl"]
    assert server.post("explain", {"seq": UTR + "ATG"}, **cut).json()["seq"] == UTR
    pair = {"pairs": [{"ref": UTR + "ATG", "alt": "G" + UTR + "ATG"}], "cut_at_start": True}
    assert "last 3 nt" in server.post("variants", pair).json()["variants"][0]["note"]
