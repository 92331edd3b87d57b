"""Load a server of this machine with many clients at once, with batching and without it.

    python benchmarks/serve_load.py [--clients 64] [--seconds 60] [--json FILE]

Each client asks for one random 50-nt sequence at a time, over a connection that it keeps, and asks again as soon as it
is answered. Clients and server share the machine's cores. Latency is from sending to the last byte; memory is what the
server's process holds, after a warm-up (a third of the time) and at the end, and by how much it grew between the two.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

_START_SECONDS = 120


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--json", type=Path, help="write the table here too")
    options = parser.parse_args()
    results = {
        name: load_server(arguments, options.clients, options.seconds)
        for name, arguments in (("batched", []), ("one by one", ["--no-batching"]))
    }
    columns = ["calls", "errors", "calls_per_second", "p50_ms", "p99_ms", "calls_per_batch", "memory_mb_warm",
               "memory_mb_end", "memory_mb_growth"]  # fmt: skip
    print(f"{options.clients} clients, {options.seconds:g} s each, {os.cpu_count()} cores")
    print(f"{'':<18}" + "".join(f"{name:>14}" for name in results))
    for column in columns:
        print(f"{column:<18}" + "".join(f"{result[column]:>14,.1f}" for result in results.values()))
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


def load_server(arguments: list[str], clients: int, seconds: float) -> dict[str, Any]:
    """Start a server, load it, and stop it."""
    command = [sys.executable, "-m", "ribocast", "serve", "--no-page", "--port", "0", "--model", "default", *arguments]
    environment = {**os.environ, "RIBOCAST_CALLS_PER_MINUTE": "0"}
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with log.open("w") as stream:
            process = subprocess.Popen(command, stderr=stream, env=environment)
        try:
            return _load(process.pid, _port(log), clients, seconds)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def _load(pid: int, port: int, clients: int, seconds: float) -> dict[str, Any]:
    latencies: list[float] = []
    errors: list[str] = []
    end = time.monotonic() + seconds

    def call(seed: int) -> None:
        rng = random.Random(seed)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while time.monotonic() < end:
            body = json.dumps({"sequences": ["".join(rng.choices("ACGT", k=50))]})
            began = time.perf_counter()
            try:
                connection.request("POST", "/api/v1/predict", body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                content = answer.read()
                if answer.status != 200 or b'"mrl"' not in content:
                    errors.append(f"{answer.status} {content[:80]!r}")
            except OSError as error:
                errors.append(repr(error))
                connection.close()
            latencies.append(time.perf_counter() - began)
        connection.close()

    threads = [threading.Thread(target=call, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    time.sleep(seconds / 3)
    warm = _memory(pid)
    for thread in threads:
        thread.join()
    at_end = _memory(pid)
    latencies.sort()
    return {
        "calls": len(latencies), "errors": len(errors), "first_errors": errors[:3],
        "calls_per_second": len(latencies) / seconds, "p50_ms": 1e3 * latencies[len(latencies) // 2],
        "p99_ms": 1e3 * latencies[int(len(latencies) * 0.99)], "calls_per_batch": _per_batch(port),
        "memory_mb_warm": warm, "memory_mb_end": at_end, "memory_mb_growth": at_end - warm,
    }  # fmt: skip


def _per_batch(port: int) -> float:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/api/v1/metrics")
    text = connection.getresponse().read().decode()
    calls, batches = (
        float(re.search(rf"^ribocast_batch_calls_{name} (\S+)$", text, re.MULTILINE)[1]) for name in ("sum", "count")
    )
    return calls / batches


def _memory(pid: int) -> float:
    """Return the megabytes that a process holds (Linux)."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024


def _port(log: Path) -> int:
    end = time.monotonic() + _START_SECONDS
    while not (found := re.search(r"ribocast is at http://\S+:(\d+) ", log.read_text())):
        if time.monotonic() > end:
            raise SystemExit(f"the server does not start: {log.read_text()}")
        time.sleep(0.1)
    return int(found[1])


if __name__ == "__main__":
    main()
