"""A server of ours as its own process, talked to over loopback as anybody would."""

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import httpx

UTR = "ACATTTGCTTCTGACACAACTGTGTTCACTAGCAACCTCAAACAGACACC"
_START_SECONDS = 180
_RUN = "import sys; from ribocast.cli import main; sys.exit(main(sys.argv[1:]))"


class Server:
    """A running server: its address, a client, and what it has logged."""

    def __init__(self, process, log, temporary):
        self.process, self._log, self.temporary = process, log, temporary
        self.url = self._wait()
        self.client = httpx.Client(base_url=self.url, timeout=120, trust_env=False)

    @property
    def log(self):
        return self._log.read_text()

    @property
    def port(self):
        return int(self.url.rsplit(":", 1)[1])

    def post(self, path, body, **options):
        return self.client.post(f"/api/v1/{path}", json=body, **options)

    def get(self, path, **options):
        return self.client.get(f"/api/v1/{path}", **options)

    def metric(self, name):
        found = re.search(rf"^{re.escape(name)} (\S+)$", self.get("metrics").text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    def wait_for_job(self, place, states=("done", "failed", "cancelled")):
        """Ask for a job until it is in one of some states."""
        end = time.monotonic() + 120
        while (job := self.client.get(place).json())["state"] not in states:
            assert time.monotonic() < end, job
            time.sleep(0.05)
        return job

    def _wait(self):
        end = time.monotonic() + _START_SECONDS
        while not (found := re.search(r"ribocast is at (http://\S+) ", self.log)):
            assert self.process.poll() is None, self.log
            assert time.monotonic() < end, self.log
            time.sleep(0.05)
        return found[1]


@contextmanager
def serving(folder: Path, *arguments, before="", **settings):
    """Start a server whose log and temporary files are in a folder; stop it with SIGTERM.

    `before` is Python that its process runs first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log, temporary = folder / "log", folder / "temporary"
    temporary.mkdir()
    settings = {f"RIBOCAST_{name.upper()}": str(value) for name, value in settings.items()}
    command = [sys.executable, "-c", f"{before}\n{_RUN}", "serve", "--port", "0", *arguments]
    environment = {**os.environ, "TMPDIR": str(temporary), **settings}
    with log.open("w") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream, cwd=folder, env=environment)
    try:
        server = Server(process, log, temporary)
        with server.client:
            yield server
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
