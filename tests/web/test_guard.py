"""What stands before the API: whom it lets in, how much it takes of whom, and in which form it refuses."""

import json
import re
import signal
import socket
import time
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ribocast.web.limits import RefusedError, RowError, problem
from served import UTR, serving


@given(st.sampled_from([400, 413, 422, 429, 503]), st.text(st.characters(), max_size=20) | st.just("\ud800"))
def test_a_problem_is_json_of_one_form_whatever_it_quotes(status, quoted):
    rows = [RowError(row, None, "seq", quoted, "why") for row in range(1, 151)]
    answer = problem(RefusedError(status, f"no {quoted}", 7, "seq", rows))
    told = json.loads(answer.body.decode())
    assert told["status"] == answer.status_code == status
    assert (told["field"], len(told["errors"]), told["errors_total"]) == ("seq", 100, 150)
    assert told["title"]
    assert told["detail"].startswith("no")
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.headers["retry-after"], int(answer.headers["content-length"])) == ("7", len(answer.body))
    assert "errors" not in json.loads(problem(RefusedError(status, "no")).body)


TOKEN = "a-token-of-some-length"
SITE = "ribocast.example.org"
LARGE = (UTR * 12)[:570]
SECRET = "TTTTGGGGSECRETACGT"


TELLS = """
import sys, ribocast.explain.explain
module = sys.modules["ribocast.explain.explain"]  # the package has a function of that name
explain = module.explain
def tell(*given, **options):
    found = explain(*given, **options)
    print("explained", file=sys.stderr, flush=True)
    return found
module.explain = tell
"""


@pytest.fixture(scope="module")
def proxied(tmp_path_factory):
    """A server behind one proxy, which we play: X-Forwarded-For says who we are."""
    with serving(
        tmp_path_factory.mktemp("proxied"), "--no-page", trusted_proxy="1", calls_per_minute=100, explains_per_client=3,
        allowed_hosts=f"127.0.0.1,{SITE}", jobs_at_once=2, jobs_per_client=3, token=TOKEN,
        before=TELLS,
    ) as running:  # fmt: skip
        running.client.headers["authorization"] = f"Bearer {TOKEN}"
        yield running


def of(client, **others):
    return {"x-forwarded-for": f"1.2.3.4, {client}", **others}


def predict(server, client, **headers):
    return server.post("predict", {"sequences": [UTR]}, headers=of(client, **headers))


def test_answers_say_how_many_calls_are_left(proxied):
    first, second = (predict(proxied, "203.0.113.1") for _ in range(2))
    assert first.headers["ratelimit-policy"] == '"calls";q=100;w=60'
    left = [int(re.fullmatch(r'"calls";r=(\d+);t=\d+', one.headers["ratelimit"])[1]) for one in (first, second)]
    assert left == [99, 98]
    assert "ratelimit" not in proxied.get("models", headers=of("203.0.113.1")).headers
    # Who writes other addresses before his own is the same client still.
    for number in range(3, 106):
        answer = predict(proxied, "203.0.113.1", **{"x-forwarded-for": f"10.9.8.{number}, 203.0.113.1"})
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.headers["content-type"] == "application/problem+json"
    assert predict(proxied, "203.0.113.2").status_code == 200


def test_tokens_are_not_guessed(proxied):
    for number in range(10):
        answer = predict(proxied, "203.0.113.3", authorization=f"Bearer guess-{number}")
        assert answer.status_code == 401
    assert predict(proxied, "203.0.113.3", authorization="Bearer guess").status_code == 429
    # Not even the right one is looked at.
    assert predict(proxied, "203.0.113.3").status_code == 429
    assert predict(proxied, "203.0.113.4").status_code == 200
    for _ in range(20):
        assert proxied.get("models", headers=of("203.0.113.5", authorization="")).status_code == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        # A proxy at port 8443 that leaves the port out of Host, as nginx's $host does.
        ({"host": SITE, "origin": f"https://{SITE}:8443"}, 200),
        ({"host": SITE, "origin": f"https://{SITE}:8443", "sec-fetch-site": "same-origin"}, 200),
        ({"host": SITE, "origin": f"https://{SITE}:8443", "sec-fetch-site": "same-site"}, 403),
        ({"host": SITE, "origin": f"https://{SITE}.evil.org"}, 403),
        ({"host": SITE, "origin": "https://evil.org", "sec-fetch-site": "cross-site"}, 403),
        ({"host": f"{SITE}:8443", "origin": f"https://{SITE}:9000"}, 403),
        ({"host": SITE, "origin": "null"}, 403),
        ({"host": SITE, "sec-fetch-site": "none"}, 200),
        ({"host": "evil.org", "origin": "https://evil.org"}, 421),
    ],
)  # fmt: skip
def test_only_pages_of_the_same_origin_may_call(proxied, headers, status):
    assert predict(proxied, "203.0.113.6", **headers).status_code == status


def send(server, body, client, path="explain"):
    """Send a call and do not wait for its answer."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=60)
    content = json.dumps(body).encode()
    head = f"POST /api/v1/{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    head += f"Authorization: Bearer {TOKEN}\r\nX-Forwarded-For: {client}\r\nContent-Length: {len(content)}\r\n\r\n"
    connection.sendall(head.encode() + content)
    return connection


def test_what_nobody_waits_for_is_not_computed_and_others_come_in_turn(proxied):
    heavy = {"seq": LARGE, "model": "default-large"}
    before = proxied.log.count("explained")
    for number in range(20):
        connection = send(proxied, heavy, f"203.0.113.{20 + number}")
        time.sleep(0.02)
        if number % 2:
            # Also when there is more to read than the call.
            connection.sendall(b"GET / HTTP/1.1\r\n")
            time.sleep(0.02)
        connection.close()
    assert proxied.post("explain", {"seq": UTR}, headers=of("203.0.113.8")).status_code == 200
    # Of the twenty at most some that were done when their client left; this one did not wait for the others.
    assert proxied.log.count("explained") - before < 5
    assert "499" in proxied.log


def test_one_client_leaves_room_for_others(proxied):
    heavy = {"seq": LARGE, "model": "default-large"}
    waiting, answer = [], None
    # Again where all three were done before the fourth came.
    while answer is None or answer.status_code != 429:
        waiting += [send(proxied, heavy, "203.0.113.9") for _ in range(3)]
        answer = proxied.post("explain", {"seq": UTR}, headers=of("203.0.113.9"))
    assert int(answer.headers["retry-after"]) >= 1
    assert proxied.post("explain", {"seq": UTR}, headers=of("203.0.113.10")).status_code == 200
    for connection in waiting:
        connection.close()


def test_one_client_leaves_job_places_to_others_and_cancelled_jobs_end_within_a_round(proxied):
    asked = {"n": 200, "length": 300, "budget": 200_000, "model": "default-large"}
    mine = of("203.0.113.11")
    places = [proxied.post("design", asked, headers=mine).headers["location"] for _ in range(3)]
    answer = proxied.post("design", asked, headers=mine)
    assert (answer.status_code, "retry-after" in answer.headers) == (429, True)
    assert proxied.client.get(places[2]).json()["place"] == 2
    other = proxied.post("design", {"n": 1, "length": 30, "budget": 300}, headers=of("203.0.113.12"))
    assert other.status_code == 202
    # It has the second thread to itself, though it came last.
    assert proxied.wait_for_job(other.headers["location"])["state"] == "done"
    proxied.wait_for_job(places[0], ("running",))
    end = time.monotonic() + 60
    while not (round_ := proxied.client.get(places[0]).json()["done"]):
        assert time.monotonic() < end
        time.sleep(0.1)
    for place in places[:0:-1]:
        assert proxied.client.delete(place).status_code == 204
    cancelled = proxied.client.post(f"{places[0]}/cancel", headers=mine).json()
    job = proxied.wait_for_job(places[0])
    assert job["state"] == "cancelled"
    assert job["done"] <= cancelled["done"] + round_
    result = proxied.client.get(f"{places[0]}/result").json()
    assert len(result["designs"]) > 0
    assert proxied.client.get(places[1]).status_code == 404


def test_head_is_get_without_a_body(proxied):
    for path in ("healthz", "models"):
        answer = proxied.client.head(f"/api/v1/{path}")
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["content-type"] == "application/json"
    assert proxied.client.head("/api/v1/predict").status_code == 405


@pytest.fixture(scope="module")
def direct(tmp_path_factory):
    with serving(
        tmp_path_factory.mktemp("direct"), "--no-page", "--model", "default", calls_per_minute=0, header_seconds=1,
        body_seconds=2, answer_seconds=1, connections_per_client=30, calls_per_client_at_once=5,
    ) as running:  # fmt: skip
        yield running


def is_closed(connection, seconds=10):
    connection.settimeout(seconds)
    try:
        while connection.recv(65536):
            pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True


def drips_until_closed(connection, drop, seconds):
    end = time.monotonic() + seconds
    with suppress(OSError):
        while time.monotonic() < end:
            connection.sendall(drop)
            time.sleep(0.1)
        return False
    return True


def test_silent_connections_keep_nobody_out_and_are_closed(direct):
    heads = [b"", b"GET /api/v1/healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ", b"\r\n"]
    connections = []
    for number in range(300):
        connection = socket.create_connection(("127.0.0.1", direct.port), timeout=10)
        with suppress(OSError):
            connection.sendall(heads[number % 3])
        connections.append(connection)
        if number % 100 == 99:
            assert httpx.get(f"{direct.url}/api/v1/healthz", timeout=5, trust_env=False).status_code == 200
    files = len(list(Path(f"/proc/{direct.process.pid}/fd").iterdir()))
    assert files < 200
    assert all(is_closed(connection) for connection in connections)
    for connection in connections:
        connection.close()
    assert direct.log.count("connections") == 1


@pytest.mark.parametrize("drop", [b"X", b"\r\n", b"X: y\r\n"])
def test_a_header_that_comes_in_drops_is_ended(direct, drop):
    with socket.create_connection(("127.0.0.1", direct.port)) as connection:
        if drop != b"\r\n":
            connection.sendall(b"GET /api/v1/healthz HTTP/1.1\r\n")
        assert drips_until_closed(connection, drop, 10)


def test_a_body_that_comes_in_drops_is_ended_and_its_client_has_few_of_them(direct):
    head = b"POST /api/v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n{"
    connections = [socket.create_connection(("127.0.0.1", direct.port)) for _ in range(8)]
    for connection in connections:
        connection.sendall(head)
    said = []
    for connection in connections:
        connection.settimeout(10)
        said.append(connection.recv(12)[9:12])
        connection.close()
    assert sorted(said) == [b"408"] * 5 + [b"429"] * 3


def test_an_answer_that_nobody_takes_is_ended(direct):
    body = json.dumps({"sequences": [UTR] * 10_000, "profile": True}).encode()
    head = "POST /api/v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", direct.port))
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        end = time.monotonic() + 60
        while (calls := direct.log.count("POST /api/v1/predict 200")) == 0:
            assert time.monotonic() < end
            time.sleep(0.1)
        assert drips_until_closed(connection, b"\r\n", 30)
    assert calls


def test_other_ports_of_the_same_host_are_other_sites(direct):
    for headers in ({"origin": "http://127.0.0.1:1"}, {"origin": direct.url, "sec-fetch-site": "same-site"}):
        assert direct.post("predict", {"sequences": [UTR]}, headers=headers).status_code == 403
    assert direct.post("predict", {"sequences": [UTR]}, headers={"origin": direct.url}).status_code == 200


def test_nothing_that_a_client_wrote_is_in_the_log(direct):
    posts = [
        {"json": {"sequences": [SECRET]}},
        {"json": {"sequences": {SECRET: SECRET}}},
        {"json": {SECRET: [SECRET]}},
        {"content": f'{{"sequences": ["{SECRET}"'.encode(), "headers": {"content-type": "application/json"}},
        {"content": SECRET.encode(), "headers": {"content-type": "text/csv"}},
        {"content": SECRET.encode(), "headers": {"content-type": SECRET, "x-secret": SECRET}},
        {"content": b"\x1f\x8b" + SECRET.encode(), "headers": {"content-type": "application/gzip"}},
        {"json": {"sequences": [UTR], "model": SECRET}, "params": {"column": SECRET, SECRET: SECRET}},
    ]
    for path in ("predict", "explain", "variants", "design", SECRET):
        for post in posts:
            assert direct.client.post(f"/api/v1/{path}", **post).status_code < 500
    direct.get(f"design/{SECRET}")
    direct.get("models", headers={"host": SECRET, "user-agent": SECRET})
    direct.client.request(SECRET, f"/{SECRET}")
    for raw in (f"{SECRET}\r\n\r\n", f"GET /{SECRET} HTTP/9.{SECRET}\r\n\r\n", f"GET / HTTP/1.1\r\n{SECRET}\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", direct.port)) as connection:
            connection.sendall(raw.encode())
            assert connection.recv(100).startswith(b"HTTP/1.1 400")
    # Who leaves before anything is answered, and who goes on with nonsense, are not failures of ours.
    head = "POST /api/v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    for end in ("\r\n", "Content-Length: 0\r\n\r\n", f"Transfer-Encoding: chunked\r\n\r\n2\r\n[]{SECRET}"):
        for _ in range(10):
            with socket.create_connection(("127.0.0.1", direct.port)) as connection:
                connection.sendall((head + end).encode())
    assert direct.get("healthz").status_code == 200
    assert "SECRET" not in direct.log
    assert "Traceback" not in direct.log
    assert "failed" not in direct.log


STUCK = """
import sys, time, ribocast.explain.explain
module = sys.modules["ribocast.explain.explain"]
{}
"""


def test_calls_under_way_are_answered_when_the_server_stops(tmp_path):
    with serving(tmp_path, "--no-page", shutdown_seconds=60) as server:
        with send(server, {"seq": LARGE, "model": "default-large"}, "1.2.3.4") as connection:
            end = time.monotonic() + 30
            time.sleep(0.5)
            server.process.send_signal(signal.SIGTERM)
            while server.get("healthz").status_code != 503:
                assert time.monotonic() < end
                time.sleep(0.02)
            refused = server.post("predict", {"sequences": [UTR]})
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "60")
            assert connection.recv(12) == b"HTTP/1.1 200"
            assert is_closed(connection)
        assert server.process.wait(30) == 0


def test_an_explanation_that_takes_too_long_is_told_so_when_the_server_stops(tmp_path):
    slow = STUCK.format("""
from ribocast.model.stopping import check_stopped
def explain(*_, **__):
    while True:
        check_stopped()
        time.sleep(0.01)
module.explain = explain
""")
    with serving(tmp_path, "--no-page", "--model", "default", before=slow, shutdown_seconds=0.5) as server:
        with send(server, {"seq": UTR}, "1.2.3.4") as connection:
            time.sleep(0.5)
            server.process.send_signal(signal.SIGTERM)
            assert connection.recv(12) == b"HTTP/1.1 503"
        assert server.process.wait(10) == 0


@pytest.mark.parametrize(
    ("stuck", "seconds"),
    [
        # A thread that heeds nothing is left behind.
        ("module.explain = lambda *_, **__: time.sleep(1e6)", 12),
        # The thread of the event loop can only be ended from outside.
        ("import ribocast.web.service as service; service.Service.find = lambda *_: [None for _ in iter(int, 1)]", 2),
    ],
)
def test_a_server_that_is_stuck_ends_in_time(tmp_path, stuck, seconds):
    soon = STUCK.format(f"{stuck}\nimport ribocast.web.serving; ribocast.web.serving.STOP_SECONDS = {seconds}")
    with (
        serving(tmp_path, "--no-page", "--model", "default", before=soon, shutdown_seconds=0.2) as server,
        send(server, {"seq": UTR}, "1.2.3.4"),
    ):
        time.sleep(0.5)
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(60)
