"""Asking a web server for a file, the rest of a file, or only its length, with errors that people can read.

Only ``http`` and ``https`` are spoken, by the standard library.
"""

from __future__ import annotations

import http.client
import re
import ssl
import urllib.error
import urllib.parse
import urllib.request
from types import TracebackType
from typing import Any, NamedTuple, Self

from ribocast.errors import OptionError, RibocastError, UnavailableError

MAX_BYTES = 5 << 30
"""No published table is as large: a server that announces more is not trusted."""
_BLOCK = 1 << 18
_LOOK = 1024
_GZIP = b"\x1f\x8b"
# Python makes no number of thousands of digits.
_LENGTH = re.compile("[0-9]{1,18}")
_PART = re.compile(r"bytes (?:([0-9]{1,18})-[0-9]{1,18}|\*)/([0-9]{1,18}|\*)")
_PASSING = {408, 425, 429, 500, 502, 503, 504}
"""Refusals that mean: try again later."""
_OF_USE = {"GET": {416}, "HEAD": {405, 501}}
"""Refusals that tell whoever asked something: nothing is left to send, lengths are told only with the file."""
_BROKEN = (http.client.HTTPException, urllib.error.URLError, OSError)


class LostError(Exception):
    """The connection broke, or the server asks for patience: another attempt may help."""


class Remote(NamedTuple):
    """What a server says of a file: its length in bytes, and what changes when the file does; None if unsaid."""

    size: int | None
    version: str | None


class Answer:
    """What a server sends; use it as a context.

    Parameters
    ----------
    url : str
        What was asked for.
    response : http.client.HTTPResponse or urllib.error.HTTPError
        The standard library's view of it.

    Attributes
    ----------
    status : int
        200 for a whole file, 206 for a part, 416 where there is none.
    size : int or None
        Bytes that follow.
    version : str or None
        A strong ETag, or else the date of the last change.
    start, total : int or None
        Where a part begins, and how long the whole file is.
    """

    def __init__(self, url: str, response: Any) -> None:
        self._url, self._response = url, response
        headers = response.headers
        self.status: int = response.status
        length, tag = headers.get("Content-Length") or "", headers.get("ETag")
        self.size = self._left = int(length) if _LENGTH.fullmatch(length) else None
        # A weak tag says that the file means the same, not that its bytes are the same.
        self.version: str | None = tag if tag and not tag.startswith("W/") else headers.get("Last-Modified")
        place = _PART.fullmatch((headers.get("Content-Range") or "").strip())
        self.start = int(place[1]) if place and place[1] else None
        self.total = int(place[2]) if place and place[2] != "*" else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._response.close()

    def read(self, at_least: int = 1) -> bytes:
        """Read what has come, nothing at the end; an answer that breaks off raises LostError.

        Parameters
        ----------
        at_least : int
            Wait for this many bytes, or the end.
        """
        block = b""
        while len(block) < at_least and self._left != 0:
            try:
                # What is there, not as much as was asked for: over a slow line, that is long in coming.
                more: bytes = self._response.read1(_BLOCK if self._left is None else min(_BLOCK, self._left))
            except _BROKEN as error:
                raise LostError(_reason(error)) from None
            if not more:
                break
            if self._left is not None:
                self._left -= len(more)
            block += more
        return block

    def refuse_unless_gzip(self, first: bytes) -> None:
        """Raise RibocastError, saying what was sent instead, if a file's first block is not that of gzip data."""
        if not first:
            raise LostError("the server sent nothing")
        if not first.startswith(_GZIP):
            kind = self._response.headers.get_content_type()
            page = kind == "text/html" or first.lstrip().startswith(b"<")
            what = "an HTML page" if page else kind
            raise UnavailableError(f"{self._url}: the server sent {what}, not a gzip file{_quote(first)}")


def ask(url: str, method: str, headers: dict[str, str], timeout: float) -> Answer:
    """Make a request.

    Raises
    ------
    LostError
        Where another attempt may help.
    RibocastError
        Where none will.
    """
    try:
        parts = urllib.parse.urlsplit(url)
    except ValueError as error:
        raise OptionError(f"{url}: not a usable address: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise OptionError(f"{url}: the address must begin with http:// or https://")
    # Not urlopen's own opener: that one also opens ftp:, file: and data:.
    opener = urllib.request.OpenerDirector()
    handlers = (urllib.request.ProxyHandler, urllib.request.HTTPHandler, urllib.request.HTTPSHandler, _Redirects,
                urllib.request.HTTPDefaultErrorHandler, urllib.request.HTTPErrorProcessor)  # fmt: skip
    for handler in handlers:
        opener.add_handler(handler())
    asked = {"User-Agent": "ribocast", "Accept-Encoding": "identity", **headers}
    try:
        # The scheme was checked above.
        request = urllib.request.Request(url, method=method, headers=asked)  # noqa: S310
        return Answer(url, opener.open(request, timeout=timeout))
    except urllib.error.HTTPError as refusal:
        answer = Answer(url, refusal)
        if refusal.code in _OF_USE[method]:
            return answer
        words = f"the server answers {refusal.code} {refusal.reason}{_refusal(answer)}"
        if refusal.code in _PASSING:
            raise LostError(words) from None
        raise UnavailableError(f"{url}: {words}") from None
    except (http.client.InvalidURL, UnicodeError) as error:
        raise OptionError(f"{url}: not a usable address: {error}") from None
    except _BROKEN as error:
        if isinstance(getattr(error, "reason", error), ssl.SSLCertVerificationError):
            raise UnavailableError(f"{url}: {_reason(error)}") from None
        raise LostError(_reason(error)) from None
    except RibocastError:
        raise
    except ValueError as error:
        raise UnavailableError(f"{url}: the server sends us on to no usable address: {error}") from None


def refuse_large(url: str, size: int | None) -> None:
    """Raise RibocastError for more bytes than ``MAX_BYTES``."""
    if size is not None and size > MAX_BYTES:
        raise UnavailableError(f"{url}: {size:,} bytes, more than the {MAX_BYTES:,} that any of these files can have")


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a server elsewhere, but never from https to http, and never to anything else (ftp, file)."""

    def redirect_request(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, newurl: str) -> Any:
        schemes = [urllib.parse.urlsplit(url).scheme for url in (req.full_url, newurl)]
        if schemes not in (["http", "http"], ["http", "https"], ["https", "https"]):
            raise UnavailableError(f"{req.full_url}: the server sends us on to {newurl}, which is not followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _refusal(answer: Answer) -> str:
    try:
        with answer:
            return _quote(answer.read(at_least=_LOOK))
    except LostError:
        return ""


def _quote(sent: bytes) -> str:
    """Give the title of an HTML page, or else the first words of a text, for a message."""
    text = sent[:4096].decode("utf-8", "replace")
    found = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
    words = " ".join((found[1] if found else re.sub(r"<[^>]*>", " ", text)).split())
    words = "".join(letter for letter in words if letter.isprintable())
    return f": {words[:80]!r}" if words else ""


def _reason(error: BaseException) -> str:
    cause = getattr(error, "reason", error)
    if isinstance(cause, TimeoutError):
        return "the server is silent"
    return f"no connection: {getattr(cause, 'strerror', None) or cause or type(cause).__name__}"
