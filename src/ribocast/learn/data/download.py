"""Downloading published files over connections that break: their SHA-256 is known, they come whole or not at all.

Only the standard library is needed. pooch, which does much of this, reads without a limit, follows a server from https
to http, gives a file its name before its bytes are on the disk, and leaves what it has begun when it is killed.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import ssl
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from ribocast.errors import InputError, OptionError, RibocastError, UnavailableError
from ribocast.io.writers import check_output, make_folder, whole_file

MAX_BYTES = 64 << 20
"""No file is longer: all 280,000 sequences of the random library together have 56 MB."""
_LOOK = 4096
"""So many bytes of a page give its title."""
# Busy, or out of order for the moment.
_PASSING = (408, 425, 429, 500, 502, 503, 504)
_BROKEN = (http.client.HTTPException, urllib.error.URLError, OSError)


class _LostError(Exception):
    """The connection broke, or the server asks for patience: another attempt may help."""


def cache_folder() -> Path:
    """Return where this system keeps what programs have downloaded, with a folder for ribocast."""
    home = Path.home()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "ribocast" / "Cache"
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "ribocast"
    chosen = Path(os.environ.get("XDG_CACHE_HOME") or "")
    # The specification of the variable: a relative path is to be ignored.
    return (chosen if chosen.is_absolute() else home / ".cache") / "ribocast"


def read_checked(path: str | Path, sha256: str) -> bytes:
    """Read a file that was fetched.

    Raises
    ------
    RibocastError
        If it is not there, or not the published one.
    """
    try:
        if Path(path).stat().st_size <= MAX_BYTES:
            content = Path(path).read_bytes()
            if hashlib.sha256(content).hexdigest() == sha256:
                return content
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    raise InputError(f"{path}: not the published file (its SHA-256 is not {sha256})")


def fetch(
    url: str,
    path: str | Path,
    sha256: str,
    *,
    attempts: int = 5,
    pause: float = 1.0,
    timeout: float = 60.0,
    say: Callable[[str], None] | None = None,
) -> Literal["cached", "downloaded"]:
    """Download a file unless it is there.

    Parameters
    ----------
    url : str
        ``http`` or ``https``.
    path : str or Path
        Where the file goes; what the server calls it does not matter. Its folder is made.
    sha256 : str
        Of the file, hexadecimal.
    attempts : int
        It stops after as many failures.
    pause : float
        Seconds before the second attempt; doubled before each further one.
    timeout : float
        Seconds that the server may be silent.
    say : callable, optional
        Told, in a line, what the user should know.

    Returns
    -------
    {"cached", "downloaded"}
        Whether it was there.

    Raises
    ------
    RibocastError
        If the file cannot be had: the last attempt's reason, in one line. What was at `path` stays.
    """
    path, say = Path(path), say or (lambda line: None)
    make_folder(path.parent)
    if path.exists():
        try:
            read_checked(path, sha256)
            return "cached"
        except InputError as fault:
            say(f"{fault}; it is fetched again")
    check_output(path)
    for attempt in range(1, attempts + 1):
        try:
            content = _receive(url, timeout)
            if (found := hashlib.sha256(content).hexdigest()) != sha256:
                raise _LostError(f"{_what(content)} came, not the published file (SHA-256 {found}, not {sha256})")
            break
        except _LostError as lost:
            if attempt == attempts:
                raise UnavailableError(f"{url}: {lost} ({attempts} attempt{'s' * (attempts != 1)})") from None
            say(f"{path.name}: {lost}; trying again")
            time.sleep(pause * 2 ** (attempt - 1))
    with whole_file(path) as partial:
        partial.write_bytes(content)
    return "downloaded"


def _receive(url: str, timeout: float) -> bytes:
    """Make one request; raise _LostError where another may help, RibocastError where none will."""
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
    try:
        # The scheme was checked above.
        request = urllib.request.Request(url, headers={"User-Agent": "ribocast", "Accept-Encoding": "identity"})  # noqa: S310
        with opener.open(request, timeout=timeout) as response:
            content: bytes = response.read(MAX_BYTES + 1)
            missing = response.length
    except urllib.error.HTTPError as refusal:
        page = b""
        with suppress(*_BROKEN), refusal:
            page = refusal.read(_LOOK)
        words = f"the server answers {refusal.code} {refusal.reason}{_title(page)}"
        if refusal.code in _PASSING:
            raise _LostError(words) from None
        raise UnavailableError(f"{url}: {words}") from None
    except (http.client.InvalidURL, UnicodeError) as error:
        raise OptionError(f"{url}: not a usable address: {error}") from None
    except _BROKEN as error:
        if isinstance(getattr(error, "reason", error), ssl.SSLCertVerificationError):
            raise UnavailableError(f"{url}: {_reason(error)}") from None
        raise _LostError(_reason(error)) from None
    except RibocastError:
        raise
    except ValueError as error:
        raise UnavailableError(f"{url}: the server sends us on to no usable address: {error}") from None
    if len(content) > MAX_BYTES:
        raise UnavailableError(f"{url}: more than the {MAX_BYTES:,} bytes that any of these files can have")
    if missing:
        raise _LostError(f"the connection was lost after {len(content):,} of {len(content) + missing:,} bytes")
    return content


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a server elsewhere, but never from https to http, and never to anything else (ftp, file)."""

    def redirect_request(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, newurl: str) -> Any:
        schemes = [urllib.parse.urlsplit(url).scheme for url in (req.full_url, newurl)]
        if schemes not in (["http", "http"], ["http", "https"], ["https", "https"]):
            raise UnavailableError(f"{req.full_url}: the server sends us on to {newurl}, which is not followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _what(content: bytes) -> str:
    return f"a page{_title(content[:_LOOK])}" if content.lstrip().startswith(b"<") else f"{len(content):,} bytes"


def _title(page: bytes) -> str:
    """Give the title of an HTML page, or else the first words of a text, for a message."""
    text = page.decode("utf-8", "replace")
    found = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
    words = " ".join((found[1] if found else re.sub(r"<[^>]*>", " ", text)).split())
    words = "".join(letter for letter in words if letter.isprintable())
    return f": {words[:80]!r}" if words else ""


def _reason(error: BaseException) -> str:
    cause = getattr(error, "reason", error)
    if isinstance(cause, TimeoutError):
        return "the server is silent"
    return f"no connection: {getattr(cause, 'strerror', None) or cause or type(cause).__name__}"
