"""Send a server what a hostile client would, for some time, and see that nothing comes of it.

    python tests/hostile_requests.py [--seconds 600] [--seed 0] [--clients 8]

Random bytes, half requests, wrong lengths, huge headers, deep and wrong JSON, packed rubbish, names of files wherever a
name may stand, odd encodings, drops, and clients that leave. The server is started with a hook that notes every file
that its process opens. It fails for an answer of 5xx, a dead server, memory that grows, and a file that was named.
"""

import argparse
import gzip
import json
import random
import re
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from served import UTR, serving

# The hook is installed when the models are loaded, and notes what is opened from then on.
BEFORE = """
import os, sys, ribocast.web.serving as serving
start = serving._Server.startup
async def startup(self, sockets=None):
    await start(self)
    log = os.open({log!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    def note(event, details):
        if event in ("open", "os.listdir", "os.scandir", "os.remove", "os.rename", "subprocess.Popen"):
            os.write(log, (event + " " + repr(details[0]) + chr(10)).encode("utf-8", "replace"))
    sys.addaudithook(note)
serving._Server.startup = startup
"""
NAMED = "hostile-name"
PATHS = [f"/tmp/{NAMED}.csv", f"../../{NAMED}.fasta", "/dev/zero", "/etc/passwd", f"file:///{NAMED}",
         "/proc/self/environ", f"\\\\host\\{NAMED}", f"..%2f..%2f{NAMED}", "-", f"https://{NAMED}.invalid/x",
         "~/.ssh/id_rsa"]  # fmt: skip
OPENED = re.compile(rf"{NAMED}|/dev/zero|/etc/passwd|/self/environ|\.ssh")
KINDS = ["application/json", "text/csv", "text/tab-separated-values", "text/plain", "text/x-fasta", "application/gzip",
         "application/vnd.apache.parquet", "multipart/form-data; boundary=x", "text/html", "",
         "text/plain; charset=utf-16"]  # fmt: skip
ROUTES = ["predict", "explain", "variants", "design", "models", "healthz", "metrics", "design/x", "design/x/result",
          "design/x/cancel", "", "../openapi.json", "docs", f"{NAMED}"]  # fmt: skip
BODIES = [
    {"sequences": [UTR, {"id": "a", "seq": UTR}], "profile": True, "assay": None},
    {"seq": UTR, "indels": 1, "near_cognates": True},
    {"pairs": [{"ref": UTR, "alt": UTR[:-1] + "A"}]},
    {"utrs": f">HBB\n{UTR}", "vcf": "HBB\t22\t.\tG\tA\n"},
    {"n": 2, "length": 30, "budget": 200, "forbid": ["ATG"], "gc": [0.3, 0.7], "target": 7},
    {"template": "NNNNACGT", "like": UTR, "max_edits": 3, "forbid_sites": ["BsaI"], "budget": 100},
]
JUNK = [None, True, -1, 0, 1e308, 10**400, "", "\0", "\ud800", "NaN", [], {}, [[]], "A" * 6_000, "N" * 300, "é", *PATHS]
TABLES = [f">a\n{UTR}\n", f"seq\n{UTR}\n", f"ref\talt\n{UTR}\t{UTR}A\n", "seq,seq\n,\n",
          "\ufeffseq\n=1+1\n", "PAR1" + "\0" * 40 + "PAR1", "a" * 70_000, "\r" * 999, '"' * 999, f'"{UTR}\n',
          "##fileformat=VCFv4.2\n"]  # fmt: skip


class Hostile:
    """Makes requests."""

    def __init__(self, seed):
        self.rng = random.Random(seed)

    def request(self):
        """Make the bytes of a request, or of what is not one."""
        rng, one_in = self.rng, lambda number: self.rng.random() < 1 / number
        if one_in(12):
            return rng.randbytes(rng.choice([1, 100, 5_000, 70_000]))
        kind, body = self.body()
        method = rng.choice(["POST"] * 30 + ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "CONNECT", "TRACE", "P\x7fT"])
        target = f"/api/v1/{rng.choice(ROUTES[:4] if one_in(1.2) else ROUTES)}{self.query()}"
        if one_in(20):
            target = rng.choice(
                [f"{place}{path}" for path in PATHS for place in ("/", "/page/")] + ["*", "//", "/%00", "/%ff"]
            )
        headers = {
            "Host": "127.0.0.1",
            "Content-Type": rng.choice(KINDS) if one_in(5) else kind,
            "Content-Length": len(body),
        }
        if one_in(6):
            body = gzip.compress(body)[: rng.choice([5, 10**9])]
            headers |= {"Content-Encoding": "gzip", "Content-Length": len(body)}
        for odd in range(rng.choice([0, 0, 0, 0, 0, 1, 3])):
            headers |= rng.choice([
                {"Content-Length": rng.choice([0, -1, 10**19, "1 1", len(body) + 1, max(0, len(body) - 1)])},
                {"Transfer-Encoding": rng.choice(["chunked", "identity", "x"])}, {"Host": rng.choice(PATHS)},
                {"Accept": rng.choice(["text/csv;q=0", "*/*;q=x", "," * 999])},
                {f"X-{odd}": "y" * rng.choice([9, 70_000])}, {"Range": "bytes=0-," * 500},
                {"Expect": "100-continue"}, {"Upgrade": "websocket", "Connection": "Upgrade"},
                {"Connection": "close"}, {"Authorization": "Basic " + "=" * 99}, {"X-Forwarded-For": rng.choice(PATHS)},
                {"If-None-Match": '"' * 99}, {"Accept-Encoding": "gzip;q=1, br, " * 99}, {"Content-Encoding": "br"},
            ])  # fmt: skip
        head = f"{method} {target} HTTP/1.{rng.choice('1110')}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n"
        raw = head.encode("utf-8", "replace") + body
        return raw[: rng.randrange(len(raw))] if one_in(8) else raw * (3 if one_in(20) else 1)

    def body(self):
        """Make a body and name its media type."""
        rng = self.rng
        match rng.randrange(10):
            case 0:
                return rng.choice(KINDS[1:5]), rng.choice(TABLES).encode("utf-8", "replace")
            case 1:
                depth = rng.choice([10, 1_000, 100_000])
                deep = b'{"sequences":' + b"[" * depth + b"]" * depth + b"}"
                return KINDS[0], rng.choice([b"[" * depth, b'{"a":' * depth, deep])
            case 2:
                items = [rng.choice(["1", '""', "{}", '"A"', "[]", "null"])] * rng.choice([1, 99_000])
                return KINDS[0], f'{{"{rng.choice(["sequences", "pairs", "seq"])}": [{",".join(items)}]}}'.encode()
            case 3:
                disposition = f'Content-Disposition: form-data; name="{{}}"; filename="{rng.choice(PATHS)}"\r\n\r\n'
                parts = [f"--x\r\n{disposition.format('utrs')}>HBB\n{UTR}\r\n"]
                parts += [f"--x\r\n{disposition.format('vcf')}HBB\t22\t.\tG\tA\n\r\n"] * rng.choice([1, 1, 99])
                return KINDS[7], ("".join(parts) + rng.choice(["--x--\r\n", "--x", ""])).encode()
            case 4:
                return rng.choice(KINDS[1:7]), rng.choice(TABLES).encode("utf-16", "replace") + rng.randbytes(9)
        return KINDS[0], json.dumps(self.changed(rng.choice(BODIES))).encode()

    def changed(self, value):
        """Put junk into some places of a value."""
        if self.rng.random() < 0.04:
            return self.rng.choice(JUNK)
        if isinstance(value, dict):
            value = {key: self.changed(one) for key, one in value.items()}
            odd = {self.rng.choice(["", "model", "x", "assay", *value]): self.rng.choice(JUNK)}
            return value | odd if self.rng.random() < 0.1 else value
        if isinstance(value, list):
            return [self.changed(one) for one in value] * self.rng.choice([1, 1, 1, 0, 300])
        return value

    def query(self):
        rng, names = (
            self.rng,
            ["column", "model", "assay", "format", "on_error", "offset", "limit", "ref_column", "profile"],
        )
        values = ["csv", "tsv", "parquet", "svg", "png", "skip", "0", "-1", "9" * 30, "", "%00", "%ff", *PATHS]
        given = [f"{rng.choice(names)}={rng.choice(values)}" for _ in range(rng.choice([0, 0, 0, 1, 3]))]
        return f"?{'&'.join(given)}" if given else ""


def attack(port, raw, rng):
    """Send a request, in drops perhaps, perhaps leave, and give the statuses of the answers."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            for piece in [raw[:9], raw[9:60], raw[60:]] if rng.random() < 0.1 else [raw]:
                connection.sendall(piece)
                time.sleep(0.02 if len(piece) < len(raw) else 0)
            if rng.random() < 0.15:
                return []
            connection.shutdown(socket.SHUT_WR) if rng.random() < 0.05 else None
            answer = connection.recv(100)
            while len(answer) < 10_000_000 and (more := _more(connection)):
                answer += more
            return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]
    except OSError:
        return []


def _more(connection):
    connection.settimeout(0.05)
    try:
        return connection.recv(100_000)
    except OSError:
        return b""


def memory(pid):
    """Return the megabytes that a process holds (Linux)."""
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) / 1024


def run(seconds, seed, clients, folder, say=lambda _: None):
    """Attack a server of its own; give what was wrong, and how often which status was answered."""
    log, wrong, statuses = str(folder / "opened"), [], Counter()
    with serving(
        folder / "server", "--model", "default", before=BEFORE.format(log=log), calls_per_minute=0, body_seconds=2,
        header_seconds=2, job_seconds=1, keep_job_seconds=2, max_budget=300, max_explain_letters=100_000,
        jobs_per_client=20,
    ) as server:  # fmt: skip
        begun = time.monotonic()

        def client(number):
            hostile = Hostile(f"{seed} {number}")
            while time.monotonic() < begun + seconds:
                raw = hostile.request()
                for status in attack(server.port, raw, hostile.rng):
                    statuses[status] += 1
                    if status >= 500:
                        wrong.append(f"{status} for {raw[:2_000]!r}")

        threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
        for thread in threads:
            thread.start()
        # What the libraries take for themselves was taken after some of it.
        time.sleep(seconds * 0.4)
        warm = memory(server.process.pid)
        for thread in threads:
            thread.join()
        time.sleep(3)
        if (now := memory(server.process.pid)) > warm + 100:
            wrong.append(f"memory grew from {warm:.0f} to {now:.0f} MB")
        say(f"memory {warm:.0f} MB after {0.4 * seconds:.0f} s, {now:.0f} MB at the end")
        if server.process.poll() is not None or server.get("healthz").status_code != 200:
            wrong.append("the server does not answer")
        opened = Path(log).read_text(errors="replace").splitlines()
        wrong += [line for line in dict.fromkeys(opened) if OPENED.search(line) or str(server.temporary) in line]
        wrong += [line for line in server.log.splitlines() if " failed: " in line or NAMED in line or UTR in line]
        ours = sorted({line for line in opened if "site-packages" not in line and "/lib/python" not in line})
        say("files opened, but for those of libraries: " + ", ".join(ours))
    return wrong, statuses


def main():
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--clients", type=int, default=16)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wrong, statuses = run(options.seconds, options.seed, options.clients, Path(folder), print)
    print(f"{sum(statuses.values()):,} answers: {dict(sorted(statuses.items()))}")
    print("\n".join(wrong[:50]) or "nothing went wrong")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
