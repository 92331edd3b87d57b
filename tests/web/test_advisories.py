"""What was published against the parts that the server is made of, tried on it; docs/serving.md lists them."""

import socket

import httpx
import pytest

from served import UTR, serving

MEGABYTES = 4_000_000


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("advisories"), "--model", "default", calls_per_minute=0) as running:
        yield running


def raw(server, head, body=b""):
    """Send bytes and give the answer's status; what costs too much is not answered within the minute."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(head.replace("\n", "\r\n").encode("latin-1") + b"\r\n\r\n" + body)
        answer = connection.recv(65536)
        return int(answer[9:12])


def form(server, *parts, before=b"", after=b"", boundary="x"):
    """Send a form to `variants` and see that others are answered and nothing is left behind."""
    body = before + b"".join(b"--x\r\n" + head + b"\r\n\r\n" + content + b"\r\n" for head, content in parts)
    body += b"--x--\r\n" + after
    head = f"POST /api/v1/variants HTTP/1.1\nHost: 127.0.0.1\nContent-Length: {len(body)}\n"
    status = raw(server, f"{head}Content-Type: multipart/form-data; boundary={boundary}", body)
    assert server.get("healthz").status_code == 200
    assert not [path for path in server.temporary.rglob("*") if path.is_file()]
    return status


def named(name, filename='; filename="x"', more=b""):
    return f'Content-Disposition: form-data; name="{name}"{filename}'.encode() + more


UTRS, VCF = f">HBB\n{UTR}\n".encode(), b"HBB\t22\t.\tG\tA\n"


def test_a_form_that_is_right_is_taken(server):
    assert form(server, (named("utrs"), UTRS), (named("vcf"), VCF)) == 200


@pytest.mark.parametrize(
    ("parts", "around"),
    [
        # CVE-2024-47874: fields without a file name, of any size.
        ([(named("utrs", ""), b"A" * MEGABYTES)], {}),
        # CVE-2025-54121: a file that is large enough to go to the disk stops the event loop.
        ([(named("utrs"), b"A" * MEGABYTES), (named("vcf"), VCF)], {}),
        # CVE-2024-53981: line ends before the first boundary; CVE-2026-40347: anything before it, or after the last.
        ([(named("utrs"), UTRS)], {"before": b"\r\n" * (MEGABYTES // 2)}),
        ([(named("utrs"), UTRS)], {"before": b"x" * MEGABYTES}),
        ([(named("utrs"), UTRS)], {"after": b"\r\n" * (MEGABYTES // 2)}),
        # CVE-2026-42561: a part with many headers, or one without end.
        ([(named("utrs", more=b"\r\nX: y" * 100_000), UTRS)], {}),
        ([(named("utrs", more=b"\r\nX: " + b"y" * MEGABYTES), UTRS)], {}),
        ([(named("utrs"), UTRS)] * 10_000, {}),
        ([(named("utrs"), UTRS)], {"boundary": "y" * 60_000}),
        ([(named("utrs"), UTRS)], {"boundary": "-"}),
    ],
)
def test_forms_that_cost_much_are_refused(server, parts, around):
    assert 400 <= form(server, *parts, **around) < 500


def test_names_of_files_in_forms_are_never_paths(server, tmp_path):
    # CVE-2026-24486: files written where their names say.
    for name in (str(tmp_path / "written"), "../" * 20 + str(tmp_path / "written")):
        assert form(server, (named("utrs", f'; filename="{name}"'), UTRS), (named("vcf"), VCF)) == 200
    assert not list(tmp_path.iterdir())


def test_names_in_forms_have_one_spelling(server):
    # CVE-2026-53537: a name in the spelling of RFC 2231 that overrides the other.
    assert form(server, (named("utrs", "; name*=utf-8''vcf"), UTRS), (named("vcf"), VCF)) in (400, 422)


@pytest.mark.parametrize("body", ["a;" * 1_000_000, "&".join(["a=1"] * 1_000_000), "utrs=" + "A" * MEGABYTES])
def test_forms_of_the_other_kind_are_not_read(server, body):
    # CVE-2026-54283, CVE-2026-53538, CVE-2026-53539: limits that do not hold for them, semicolons, quadratic time.
    answer = server.client.post(
        "/api/v1/variants", content=body, headers={"content-type": "application/x-www-form-urlencoded"}
    )
    assert answer.status_code == 415


def test_ranges_of_files_are_not_read(server):
    # CVE-2025-62727: thousands of ranges, merged in quadratic time.
    (page,) = [path for path in ("/", "/page/index.html") if server.client.get(path).status_code == 200][:1]
    ranges = "bytes=" + ",".join(f"{at}-{at}" for at in range(0, 9_000, 2))
    assert server.client.get(page, headers={"range": ranges}).status_code == 200


@pytest.mark.parametrize(
    ("head", "statuses"),
    [
        # CVE-2026-48710: a Host that changes the path; CVE-2026-54282: a path that changes the host.
        ("GET /api/v1/models HTTP/1.1\nHost: 127.0.0.1/api/v1/healthz?", {400}),
        ("GET /api/v1/models HTTP/1.1\nHost: 127.0.0.1#", {400}),
        ("GET @example.org HTTP/1.1\nHost: 127.0.0.1", {400, 404}),
        ("GET @example.org/api/v1/models HTTP/1.1\nHost: 127.0.0.1", {400, 404}),
        # Names of other machines' folders, as Windows spells them.
        ("GET /page/%5C%5Chost%5Cshare HTTP/1.1\nHost: 127.0.0.1", {404}),
        ("GET /page/..%2f..%2fguard.py HTTP/1.1\nHost: 127.0.0.1", {404}),
        ("GET /page/%2e%2e/guard.py HTTP/1.1\nHost: 127.0.0.1", {404}),
        # Any word as a method.
        ("dispatch /api/v1/models HTTP/1.1\nHost: 127.0.0.1", {405}),
        ("__class__ / HTTP/1.1\nHost: 127.0.0.1", {404, 405}),
        # A length below 0 (python-multipart, GHSA-v9pg-7xvm-68hf), two lengths, length and pieces.
        ("POST /api/v1/predict HTTP/1.1\nHost: 127.0.0.1\nContent-Length: -1", {400}),
        ("POST /api/v1/predict HTTP/1.1\nHost: 127.0.0.1\nContent-Length: 1\nContent-Length: 2", {400}),
        ("POST /api/v1/predict HTTP/1.1\nHost: 127.0.0.1\nHost: 127.0.0.2", {400}),
        ("POST /api/v1/predict HTTP/1.1\nHost: 127.0.0.1\nTransfer-Encoding: xchunked", {400, 501}),
    ],
)
def test_heads_that_mean_two_things_are_refused(server, head, statuses):
    assert raw(server, head) in statuses


def test_pieces_of_a_body_end_where_they_say(server):
    # CVE-2025-43859: any two bytes were taken for the end of a piece, so that two servers saw two requests.
    head = "POST /api/v1/predict HTTP/1.1\nHost: 127.0.0.1\nContent-Type: application/json\nTransfer-Encoding: chunked"
    assert raw(server, head, b"2\r\n{}XX0\r\n\r\n") == 400
    assert raw(server, head, b"2\r\n{}\r\n0\r\n\r\n") == 422


def test_the_server_is_well_after_all_that(server):
    assert httpx.get(f"{server.url}/api/v1/healthz", trust_env=False).status_code == 200
    assert "failed" not in server.log
    assert len(server.log) < 100_000
