"""A web server on this machine that sends files, and whatever else a server may do to a download."""

import _thread
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain, repeat


class Site:
    """What is served, and how: `plan` says what each further request for a path meets, "well" when it has run out.

    well        the file
    wrong       as many bytes, one of them another
    interrupt   half of what was announced, and then Ctrl-C
    hang        half of what was announced, and then nothing
    half        the connection is closed after half of what was announced
    long        announces more bytes than there are, short fewer
    html        a page with 200; 404, 503 and so on a page with that status
    endless     no length is announced
    length:X    the length is announced as X
    to:URL      the server says that the file is elsewhere
    """

    def __init__(self):
        self.files, self.plan, self.asked = {}, {}, []
        self.url = ""
        self.hanging = threading.Event()
        self.closing = threading.Event()

    def put(self, path, content):
        self.files["/" + path] = content

    def meet(self, path, *plan):
        self.plan["/" + path] = chain(plan, repeat("well"))

    def count(self, path):
        return self.asked.count("/" + path)


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Say nothing of clients that hang up."""


PAGE = b"<!DOCTYPE html><html><head><title>We are\n down today</title></head><body>Sorry</body></html>"


@contextmanager
def serving():
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def do_GET(self):
            site.asked.append(self.path)
            how = str(next(site.plan.get(self.path, repeat("well")))) if self.path in site.files else "404"
            if how.isdigit() or how == "html":
                self.head(int(how) if how.isdigit() else 200, len(PAGE), "text/html; charset=utf-8")
                self.wfile.write(PAGE)
                return
            if how.startswith("to:"):
                self.send_response(302)
                self.send_header("Location", how.removeprefix("to:"))
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            content = site.files[self.path]
            if how == "wrong":
                content = content[:-1] + bytes([content[-1] ^ 1])
            size = len(content)
            announced = {"long": size + 100, "short": size - 100, "endless": None}.get(how, size)
            self.head(200, how.removeprefix("length:") if how.startswith("length:") else announced)
            self.wfile.write(content[: size // 2] if how in ("half", "interrupt", "hang") else content[:announced])
            if how == "hang":
                site.hanging.set()
                site.closing.wait(60)
            if how == "interrupt":
                time.sleep(0.2)
                # Not a signal of the system: pytest's faulthandler leaves it too small a stack where there is AMX.
                _thread.interrupt_main()
                time.sleep(0.2)
            self.close_connection = how != "well"

        def head(self, status, length, kind="application/octet-stream"):
            self.send_response(status)
            self.send_header("Content-Type", kind)
            if length is not None:
                self.send_header("Content-Length", str(length))
            self.end_headers()

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        site.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield site
        finally:
            site.closing.set()
            server.shutdown()
            thread.join()
