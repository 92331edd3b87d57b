"""A server forgets what its clients sent: nothing of it is held, and it grows with none of them."""

import gc
import gzip
import os
import re
import socket
import threading
import time
from pathlib import Path

import httpx
import numpy as np
import pytest
import uvicorn

from ribocast.web.app import Application
from ribocast.web.connections import Connections
from ribocast.web.settings import Settings

# In two halves, so that this module does not hold what is looked for.
HALVES = ("GATTACAGATTACAGGCATTTGCTTCA", "CCTGCAGGATAACTTTGCAGGTCCATG")
VISITS = int(os.environ.get("RIBOCAST_VISITS", "40"))
"""RIBOCAST_VISITS=500 is what docs/serving.md says of it."""


def marked():
    return "".join(HALVES)


def memory():
    return int(re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024


def holders():
    """List the objects of this process that hold a text, bytes or an array with the middle of the marked sequence."""
    needle = marked()[9:-9]
    raw = needle.encode()
    found = []
    for owner in gc.get_objects():
        if owner is found:
            continue
        for held in gc.get_referents(owner):
            kind = type(held)  # not isinstance: some of what is here answers when it is asked for its class
            if issubclass(kind, str):
                is_marked = held is not needle and needle in held.upper().replace("U", "T")
            elif issubclass(kind, (bytes, bytearray)):
                is_marked = held is not raw and raw in held
            elif issubclass(kind, np.ndarray) and held.dtype == np.uint8:
                is_marked = raw in held.tobytes()
            else:
                continue
            if is_marked:
                found.append(f"{type(owner)} with {str(held)[:100]}")
    return found


@pytest.fixture
def served():
    settings = Settings(
        models=("default",), page=True, calls_per_minute=0, keep_job_seconds=0.5, threads=2, header_seconds=2
    )
    application = Application(settings)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(application, log_config=None, access_log=False, ws="none", timeout_graceful_shutdown=5,
                                http=Connections(settings).protocol)  # fmt: skip
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}", application
        finally:
            server.should_exit = True
            thread.join()


def visit(url, number):
    seq = marked()
    with httpx.Client(base_url=f"{url}/api/v1", trust_env=False, timeout=60) as client:
        client.get(url)
        answers = [client.post("/predict", json={"sequences": [seq, seq.lower().replace("t", "u")], "profile": True})]
        table = gzip.compress(f">{number}\n{seq}\n".encode() * 20)
        answers.append(client.post("/predict", content=table, headers={"content-type": "application/gzip"}))
        answers.append(client.post("/predict", json={"sequences": [seq + "X"]}))
        answers.append(client.post("/variants", json={"pairs": [{"ref": seq, "alt": seq[:-1] + "A"}]}))
        if number % 20 == 5:
            answers.append(client.post("/explain", json={"seq": seq}))
            answers.append(client.post("/design", json={"like": seq, "n": 1, "max_edits": 2, "budget": 50}))
        if number % 20 == 1:
            files = {"utrs": ("a.fa", f">HBB\n{seq}\n"), "vcf": ("b.vcf", "HBB\t2\t.\tA\tG\n")}
            answers.append(client.post("/variants", files=files))
        assert {answer.status_code for answer in answers} <= {200, 202, 422}
    if number % 10 == 0:
        # One who leaves, and one who never sends all.
        for length in (30, 3_000):
            port = int(url.rsplit(":", 1)[1])
            with socket.create_connection(("127.0.0.1", port)) as connection:
                body = f'{{"seq": "{seq}"}}'.ljust(length).encode()[:length]
                head = f"POST /api/v1/explain HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {max(length, 100)}\r\n"
                connection.sendall(f"{head}Content-Type: application/json\r\n\r\n".encode() + body)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_nothing_of_what_visitors_sent_is_held(served):
    url, application = served
    for number in range(VISITS):
        visit(url, number)
        if number == VISITS // 5:
            warm = memory()
    assert memory() < warm + 30
    service = application.service
    end = time.monotonic() + 60
    while not service.wait(1) or service.jobs.count("done") + service.jobs.count("failed"):
        assert time.monotonic() < end
        time.sleep(0.1)
    while True:
        gc.collect()
        found = holders()
        if not found or time.monotonic() > end:
            break
        time.sleep(0.2)
    assert not found
    kept = [marked()]
    assert holders(), "what is held would not be found"
    del kept
    assert not list(Path(os.environ.get("TMPDIR", "/tmp")).glob("*.fa"))
