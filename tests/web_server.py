"""A web server on this machine that sends files, parts of files, and whatever else a server may do to a download."""

import _thread
import threading
import time
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain, repeat


class Site:
    """What is served, and how: `plan` says what each further GET of a path meets, "well" when it has run out.

    well        the file, or the part that is asked for
    interrupt   half of what was announced, and then Ctrl-C
    half        the connection is closed after half of what was announced
    long        announces more bytes than there are, short fewer
    html        a page with 200; 404, 503 and so on a page with that status
    whole       the whole file although a part was asked for
    shifted     a part that begins elsewhere
    endless     no length is announced
    to:URL      the server says that the file is elsewhere
    """

    def __init__(self):
        self.files, self.versions, self.plan, self.heads, self.asked = {}, {}, {}, {}, []
        self.url = ""

    def put(self, path, content, version='"1"'):
        self.files["/" + path], self.versions["/" + path] = content, version

    def meet(self, path, *plan):
        self.plan["/" + path] = chain(plan, repeat("well"))

    def gets(self, path):
        return [headers for method, asked, headers in self.asked if method == "GET" and asked == "/" + path]


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

        def do_HEAD(self):
            site.asked.append(("HEAD", self.path, dict(self.headers)))
            status = site.heads.get(self.path, 200 if self.path in site.files else 404)
            if status == 200:
                self.head(200, len(site.files[self.path]))
            else:
                self.head(status, 0)

        def do_GET(self):
            site.asked.append(("GET", self.path, dict(self.headers)))
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
            content, start = site.files[self.path], 0
            wanted = self.headers.get("Range")
            same = self.headers.get("If-Range") in (None, site.versions[self.path])
            if wanted and same and how != "whole":
                start = int(wanted.removeprefix("bytes=").removesuffix("-"))
                if start >= len(content):
                    self.head(416, 0, place=f"bytes */{len(content)}")
                    return
            part = content[start:]
            if how == "shifted":
                start += 1
            announced = {"long": len(part) + 100, "short": len(part) - 100, "endless": None}.get(how, len(part))
            place = f"bytes {start}-{len(content) - 1}/{len(content)}" if start else None
            self.head(206 if start else 200, announced, place=place)
            self.wfile.write(part[: len(part) // 2] if how in ("half", "interrupt") else part[:announced])
            if how == "interrupt":
                time.sleep(0.2)
                # Not a signal of the system: pytest's faulthandler leaves it too small a stack where there is AMX.
                _thread.interrupt_main()
                time.sleep(0.2)
            self.close_connection = how in ("interrupt", "half", "long", "endless")

        def head(self, status, length, kind="application/x-gzip", place=None):
            self.send_response(status)
            self.send_header("Content-Type", kind)
            if length is not None:
                self.send_header("Content-Length", str(length))
            if place:
                self.send_header("Content-Range", place)
            version = site.versions.get(self.path)
            if version:
                self.send_header("ETag", version)
            self.send_header("Last-Modified", formatdate(0, usegmt=True))
            self.end_headers()

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        site.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield site
        finally:
            server.shutdown()
            thread.join()
