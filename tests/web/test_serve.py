"""The API of a real server: what it answers, what it refuses, and that it is still there afterwards."""

import csv
import gzip
import io
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

import ribocast
from ribocast.cli import main
from ribocast.errors import RibocastError
from ribocast.sequence.letters import to_dna
from ribocast.web.settings import Settings, read_settings
from served import UTR, serving
from where import ROOT

MOST_BYTES = 200_000
TOKEN = "a-token-of-some-length"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(
        tmp_path_factory.mktemp("server"), "--no-page", "--model", "default", calls_per_minute=0,
        max_body_bytes=MOST_BYTES, max_sequences=500, max_length=1_000, max_letters=20_000, body_seconds=2,
        jobs_at_once=1, jobs_waiting=1, job_seconds=60,
    ) as running:  # fmt: skip
        yield running


@pytest.fixture(scope="module")
def model():
    return ribocast.load()


def test_predictions_are_those_of_the_library(server, model):
    seqs = [UTR, UTR.lower().replace("t", "u"), UTR[:30] + "N" * 5]
    answer = server.post("predict", {"sequences": seqs, "assay": "egfp_human50", "profile": True})
    assert answer.status_code == 200
    found = answer.json()
    assert (found["assay"], found["model"]) == ("egfp_human50", "default")
    wanted = model.predict(seqs, assay="egfp_human50", profile=True)
    for row, one in zip(wanted.itertuples(), found["predictions"], strict=True):
        assert one["seq"] == to_dna(row.seq)
        assert one["note"] == row.note
        assert [one[name] for name in ("mrl", "mrl_low", "mrl_high")] == pytest.approx(
            [row.mrl, row.mrl_low, row.mrl_high], abs=1e-4
        )
        assert one["profile"] == pytest.approx([getattr(row, f"r{number}") for number in range(14)], abs=1e-5)


def test_csv_comes_on_request(server):
    for options in ({"headers": {"accept": "text/csv"}}, {"params": {"format": "csv"}}):
        answer = server.post("predict", {"sequences": [UTR]}, **options)
        assert answer.headers["content-type"].startswith("text/csv")
        (row,) = csv.DictReader(io.StringIO(answer.text))
        assert row["seq"] == UTR
        assert float(row["mrl_low"]) < float(row["mrl"]) < float(row["mrl_high"])


def test_explanations_and_variants_are_those_of_the_library(server, model):
    found = server.post("explain", {"seq": UTR}).json()
    wanted = ribocast.explain(model, UTR)
    assert len(found["effects"]) == 4 * len(UTR)
    assert [one["mrl"] for one in found["effects"]] == pytest.approx(wanted.effects["mrl"].tolist(), abs=1e-3)
    assert len(found["uorfs"]) == len(wanted.uorfs)
    changed = UTR[:21] + "A" + UTR[22:]
    (pair,) = server.post("variants", {"pairs": [{"ref": UTR, "alt": changed}]}).json()["variants"]
    (row,) = ribocast.score_variants(model, [UTR], [changed]).to_dict("records")
    assert pair["consequence"] == row["consequence"]
    assert pair["log2_fold_change"] == pytest.approx(row["log2_fold_change"], abs=1e-4)


def test_errors_are_in_the_words_of_the_command_line(server, tmp_path, capsys):
    table = tmp_path / "t.csv"
    table.write_text(f"seq\n{UTR}\nACGXT\n")
    assert main(["predict", str(table)]) == 2
    said = capsys.readouterr().err.strip().removeprefix("error: t.csv ")
    answer = server.post("predict", {"sequences": [UTR, "ACGXT"]})
    assert (answer.status_code, answer.json()["detail"], answer.json()["field"]) == (422, said, "seq")
    (error,) = answer.json()["errors"]
    assert (error["row"], error["column"], error["value"]) == (2, "seq", "ACGXT")
    answer = server.post("predict", {"sequences": [UTR], "assay": "yeast"})
    assert answer.status_code == 422
    assert answer.json()["field"] == "assay"
    assert "egfp_human50" in answer.json()["detail"]


def test_what_is_no_route_is_answered_in_the_same_form(server):
    for method, path, status in (("PUT", "predict", 405), ("GET", "predict", 405), ("GET", "nothing", 404)):
        answer = server.client.request(method, f"/api/v1/{path}")
        assert (answer.status_code, answer.json()["field"]) == (status, None)
        assert answer.json()["title"] == {404: "Not Found", 405: "Method Not Allowed"}[status]
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers.get("allow") == ("POST" if status == 405 else None)


@pytest.mark.parametrize(
    "body",
    [
        {"sequences": [UTR] * 501},
        {"sequences": ["A" * 1_001]},
        {"sequences": ["A" * 100] * 201},
    ],
)
def test_more_than_a_limit_allows_is_413_and_says_the_limit(server, body):
    answer = server.post("predict", body)
    assert answer.status_code == 413
    assert "the maximum" in answer.json()["detail"]


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"sequences": NaN}', b'{"sequences": ["\\ud800"]}',
        b'{"sequences": [' + b"9" * 10_000 + b"]}", b"[" * 100_000, b'{"sequences": ["ACGT"], "assay": "\\ud800"}',
        b'{"sequences": ["ACGT"], "\\ud800": 1}', b'{"sequences": [""]}', b'{"sequences": [null]}',
        b'{"sequences": []}', b'{"sequences": ["ACGT\\u0000"]}',
    ],
)  # fmt: skip
def test_wrong_json_is_answered_with_one_line(server, content):
    answer = server.client.post("/api/v1/predict", content=content, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 422)
    assert answer.json()["detail"]
    assert "\n" not in answer.json()["detail"]


def test_a_hundred_megabytes_are_refused_whether_announced_or_not(server):
    piece = b"A" * 1_000_000

    def pieces():
        for _ in range(100):
            yield piece

    for headers in ({"content-length": str(100 * len(piece))}, {}):
        with httpx.Client(trust_env=False, timeout=60) as client:
            try:
                answer = client.post(f"{server.url}/api/v1/predict", content=pieces(), headers=headers)
                assert answer.status_code == 413
                assert f"{MOST_BYTES:,} bytes" in answer.json()["detail"]
            except (httpx.WriteError, httpx.ReadError):
                # It hung up on us, as it may after thirty times its limit.
                pass
    just_too_large = server.client.post("/api/v1/predict", content=b" " * (MOST_BYTES + 1))
    assert just_too_large.status_code == 413
    assert server.get("healthz").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "application/json", "content-encoding": "gzip"},
        {"content-type": "text/csv", "content-encoding": "gzip"},
        {"content-type": "application/gzip"},
    ],
)
def test_a_packed_bomb_is_refused_before_it_is_unpacked_whole(server, headers):
    bomb = gzip.compress(bytes(100_000_000))
    answer = server.client.post("/api/v1/predict", content=bomb, headers=headers)
    assert answer.status_code == 413
    assert "20,000,000 bytes" in answer.json()["detail"]


def test_half_a_body_harms_nobody(server):
    head = b"POST /api/v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n{"
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(head)
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(head)
        answer = connection.recv(10_000)
    assert answer.startswith(b"HTTP/1.1 408")
    assert server.post("predict", {"sequences": [UTR]}).status_code == 200


def test_a_client_that_hangs_up_harms_nobody(server):
    body = b'{"seq": "' + UTR.encode() + b'", "indels": 2}'
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            head = f"POST /api/v1/explain HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n"
            connection.sendall(head.encode() + b"Content-Type: application/json\r\n\r\n" + body)
    assert server.post("predict", {"sequences": [UTR]}).status_code == 200


def test_names_that_clients_give_are_never_paths(server, tmp_path):
    secret = tmp_path / "secret.fasta"
    secret.write_text(f">secret\n{UTR}\n")
    assert server.post("predict", {"sequences": [UTR], "model": str(tmp_path)}).status_code == 422
    answer = server.post("design", {"like": str(secret)})
    assert answer.status_code == 422
    assert "sequence" in answer.json()["detail"]
    assert UTR[:10] not in answer.text
    assert server.get("design/..%2f..%2fetc%2fpasswd").status_code == 404


def test_every_setting_is_read_from_the_environment_and_described(capsys):
    described = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
    for name, field in Settings.model_fields.items():
        assert f"| `{name}` |" in described
        assert field.description in described
    assert read_settings({"RIBOCAST_MODELS": "a, b", "RIBOCAST_MAX_LENGTH": "70"}, port=1).models == ("a", "b")
    for environment in ({"RIBOCAST_PORT": "many"}, {"RIBOCAST_TOKEN": "short"}):
        with pytest.raises(RibocastError, match=next(iter(environment))):
            read_settings(environment)


def test_other_sites_and_other_names_are_not_answered(server):
    body = {"sequences": [UTR]}
    assert server.post("predict", body, headers={"origin": "https://example.org"}).status_code == 403
    assert server.post("predict", body, headers={"origin": "http://["}).status_code == 403
    assert server.post("predict", body, headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert server.post("predict", body, headers={"origin": server.url}).status_code == 200
    assert server.get("models", headers={"host": "example.org"}).status_code == 421


def test_every_answer_has_security_headers_and_none_allows_other_sites(server):
    for answer in (server.get("healthz"), server.get("nothing"), server.client.get("/api/docs"),
                   server.post("predict", {}, headers={"origin": "null"})):  # fmt: skip
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert not [name for name in answer.headers if name.startswith("access-control")]
    assert "http" not in server.client.get("/api/docs").text.replace("http://127.0.0.1", "")


def test_calls_at_the_same_time_are_predicted_together(server, model):
    before = server.metric("ribocast_batch_calls_count"), server.metric("ribocast_batch_calls_sum")
    seqs = [UTR[: 20 + number % 30] for number in range(96)]

    def call(seq):
        return server.post("predict", {"sequences": [seq]}).json()["predictions"][0]["mrl"]

    with ThreadPoolExecutor(32) as pool:
        found = list(pool.map(call, seqs))
    assert found == pytest.approx(model.mrl(seqs).tolist(), abs=1e-3)
    batches = server.metric("ribocast_batch_calls_count") - before[0]
    assert server.metric("ribocast_batch_calls_sum") - before[1] == len(seqs)
    assert batches < len(seqs)


def test_models_say_what_they_know(server):
    (known,) = server.get("models").json()["models"]
    assert known["name"] == "default"
    assert len(known["assays"]) == 4
    assert all(0 < figure["pearson_r2"] < 1 for assay in known["assays"] for figure in assay["evaluations"])


def test_a_design_job_goes_from_waiting_to_its_result(server, model):
    answer = server.post("design", {"target": 7, "n": 2, "length": 30, "forbid": ["ATG"], "budget": 1500})
    assert answer.status_code == 202
    place = answer.headers["location"]
    assert server.client.get(f"{place}/result").status_code in (200, 409)
    job = server.wait_for_job(place)
    assert job["state"] == "done", job
    assert 0 < job["done"] <= job["total"]
    result = server.client.get(f"{place}/result").json()
    assert len(result["designs"]) == 2
    seqs = [design["seq"] for design in result["designs"]]
    assert all(len(seq) == 30 and "ATG" not in seq for seq in seqs)
    assert [design["mrl"] for design in result["designs"]] == pytest.approx(model.mrl(seqs).tolist(), abs=0.01)
    assert server.client.get(f"{place}/result", params={"format": "fasta"}).text.count(">design_") == 2
    assert "Scale" in server.client.get(f"{place}/result", params={"format": "order"}).text


def test_designs_can_be_cancelled_and_too_many_are_refused(server):
    long_job = {"n": 20, "length": 60, "budget": 100_000}
    first = server.post("design", long_job).headers["location"]
    second = server.post("design", long_job).headers["location"]
    third = server.post("design", long_job)
    assert third.status_code == 429
    assert int(third.headers["retry-after"]) > 0
    assert server.client.post(f"{second}/cancel").json()["state"] == "cancelled"
    server.wait_for_job(first, ("running",))
    server.client.post(f"{first}/cancel")
    job = server.wait_for_job(first)
    assert (job["state"], job["remark"]) == ("cancelled", "cancelled")
    assert job["done"] < 100_000
    assert server.client.get(f"{second}/result").status_code == 409
    for place in (first, second):
        assert server.client.delete(place).status_code == 204
        assert server.client.get(place).status_code == 404


def test_designs_stand_in_the_construct_that_is_given(server):
    asked = {"target": 7, "n": 1, "length": 30, "budget": 600, "adapter": "GGGAAA", "cds": "ATGGCCAAA",
             "gc": [0.3, 0.7], "gc_window": [0.2, 0.8, 15], "max_run": 4}  # fmt: skip
    place = server.post("design", asked).headers["location"]
    assert server.wait_for_job(place)["state"] == "done"
    (line,) = csv.DictReader(io.StringIO(server.client.get(f"{place}/result", params={"format": "order"}).text))
    assert line["Sequence"].startswith("GGGAAA")
    assert line["Sequence"].endswith("ATGGCCAAA")
    answer = server.post("design", asked | {"cds": "GCC"})
    assert answer.status_code == 422
    assert "ATG" in answer.json()["detail"]


@pytest.mark.parametrize("rule", ["forbid", "avoid"])
def test_motifs_of_too_many_letters_are_refused(server, rule):
    answer = server.post("design", {"n": 1, "length": 50, "budget": 100, rule: ["ACGT" * 500] * 3})
    assert answer.status_code == 422
    assert "6,000" in answer.json()["detail"]
    assert "5,000" in answer.json()["detail"]


def test_rules_that_contradict_each_other_fail_the_job_in_words(server):
    place = server.post("design", {"template": "ATGNN", "forbid": ["ATG"], "budget": 100}).headers["location"]
    job = server.wait_for_job(place)
    assert job["state"] == "failed"
    assert job["error"]
    assert server.client.get(f"{place}/result").json()["detail"] == job["error"]


def test_the_log_holds_calls_but_no_sequences_and_nothing_is_left_behind(server):
    server.post("predict", {"sequences": [UTR]})
    server.post("predict", {"sequences": [UTR + "X"]})
    server.client.get(f"/api/v1/predict/{UTR}")
    server.client.get("/api/v1/models", params={"q": UTR})
    assert "POST /api/v1/predict 200" in server.log
    assert UTR[:10] not in server.log
    assert "Traceback" not in server.log
    assert [path for path in server.temporary.rglob("*") if path.is_file()] == []


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    with serving(
        tmp_path_factory.mktemp("guarded"), "--no-page", "--host", "0.0.0.0", "--model", "default", "--log-sequences",
        token=TOKEN, calls_per_minute=20, shutdown_seconds=30,
    ) as running:  # fmt: skip
        running.client.base_url = f"http://127.0.0.1:{running.port}"
        yield running


def test_beyond_this_machine_a_token_is_needed(capsys, guarded):
    assert main(["serve", "--host", "0.0.0.0"]) == 2
    assert "RIBOCAST_TOKEN" in capsys.readouterr().err
    assert guarded.get("healthz").status_code == 200
    for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "Basic ====="}):
        answer = guarded.get("models", headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Basic")
    assert guarded.get("models", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200
    assert guarded.get("models", auth=("anybody", TOKEN)).status_code == 200
    assert TOKEN not in guarded.log


def test_sequences_are_logged_when_asked_for(guarded):
    assert guarded.post("predict", {"sequences": [UTR]}, auth=("", TOKEN)).status_code == 200
    assert UTR in guarded.log


def test_a_client_has_so_many_calls_a_minute(guarded):
    answers = [guarded.post("predict", {"sequences": [UTR]}, auth=("", TOKEN)) for _ in range(25)]
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert guarded.get("healthz").status_code == 200


def test_stopping_lets_a_running_job_finish_and_its_result_be_fetched(tmp_path):
    with serving(tmp_path, "--no-page", "--model", "default", shutdown_seconds=60) as server:
        job = {"target": 7, "n": 2, "length": 50, "budget": 2_000}
        place = server.post("design", job).headers["location"]
        server.wait_for_job(place, ("running", "done"))
        server.process.send_signal(signal.SIGTERM)
        while server.get("healthz").status_code != 503:
            time.sleep(0.02)
        assert server.post("design", job).status_code == 503
        assert server.wait_for_job(place)["state"] == "done"
        assert len(server.client.get(f"{place}/result").json()["designs"]) == 2
        assert server.process.wait(60) == 0


def test_stopping_ends_a_job_that_takes_too_long_and_says_so(tmp_path):
    with serving(tmp_path, "--no-page", "--model", "default", shutdown_seconds=0) as server:
        place = server.post("design", {"n": 20, "length": 80, "budget": 100_000}).headers["location"]
        server.wait_for_job(place, ("running",))
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == 0
        assert "was stopped with the server" in server.log
