"""Downloads: whatever a server does, the published file is there whole, or one line says why not."""

import hashlib
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ribocast.errors import RibocastError
from ribocast.learn.data import download
from ribocast.learn.data.download import cache_folder, fetch, read_checked
from web_server import serving

WHOLE = np.random.default_rng(0).integers(0, 256, 700_000, dtype=np.uint8).tobytes()
SHA256 = hashlib.sha256(WHOLE).hexdigest()


@pytest.fixture
def site(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with serving() as site:
        site.put("x.npy", WHOLE)
        yield site


@pytest.fixture
def told():
    return []


def get(site, tmp_path, told=None, **options):
    options = {"attempts": 3, "pause": 0.0, "timeout": 5.0} | options
    said = told if told is not None else []
    return fetch(f"{site.url}/x.npy", tmp_path / "mine.npy", SHA256, say=said.append, **options)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_comes_whole_under_our_name(site, tmp_path):
    assert get(site, tmp_path / "new" / "folder") == "downloaded"
    assert read_checked(tmp_path / "new" / "folder" / "mine.npy", SHA256) == WHOLE
    assert names(tmp_path / "new" / "folder") == ["mine.npy"]


def test_what_is_there_is_not_downloaded_again(site, tmp_path):
    get(site, tmp_path)
    assert get(site, tmp_path) == "cached"
    assert site.count("x.npy") == 1


def test_a_file_that_has_changed_is_said_and_fetched_again(site, tmp_path, told):
    get(site, tmp_path)
    (tmp_path / "mine.npy").write_bytes(WHOLE[:-1] + b"?")
    with pytest.raises(RibocastError, match=r"mine\.npy.*SHA-256"):
        read_checked(tmp_path / "mine.npy", SHA256)
    assert get(site, tmp_path, told) == "downloaded"
    assert read_checked(tmp_path / "mine.npy", SHA256) == WHOLE
    (line,) = told
    assert "mine.npy" in line


@pytest.mark.parametrize(("how", "words"), [
    ("half", "350,000 of 700,000 bytes"), ("long", "700,000 of 700,100 bytes"), ("short", "699,900 bytes"),
    ("wrong", SHA256), ("html", "We are down today"), (503, "503 Service Unavailable"), (429, "429"),
    ("length:-1", None), ("length:²", None), ("length:" + "1" * 5000, None), ("endless", None),
])  # fmt: skip
def test_a_bad_answer_is_asked_for_again_and_leaves_nothing(site, tmp_path, told, how, words):
    site.meet("x.npy", how, how)
    assert get(site, tmp_path, told) == "downloaded"
    assert read_checked(tmp_path / "mine.npy", SHA256) == WHOLE
    # A length that is no number is no length.
    assert len(told) == (2 if words else 0)
    assert all("mine.npy" in line and words in line for line in told)
    if words:
        (tmp_path / "mine.npy").unlink()
        site.meet("x.npy", *[how] * 9)
        with pytest.raises(RibocastError, match=rf"^{site.url}/x\.npy.*3 attempts") as caught:
            get(site, tmp_path)
        assert words in str(caught.value)
        assert len(str(caught.value).splitlines()) == 1
        assert names(tmp_path) == []


def test_a_failed_download_leaves_what_was_there(site, tmp_path):
    (tmp_path / "mine.npy").write_bytes(b"of another version")
    site.meet("x.npy", *["wrong"] * 9)
    with pytest.raises(RibocastError):
        get(site, tmp_path)
    assert (tmp_path / "mine.npy").read_bytes() == b"of another version"


def test_ctrl_c_leaves_nothing_half_written(site, tmp_path):
    site.meet("x.npy", "interrupt")
    with pytest.raises(KeyboardInterrupt):
        get(site, tmp_path)
    assert names(tmp_path) == []
    assert get(site, tmp_path) == "downloaded"


@pytest.mark.skipif(sys.platform == "win32", reason="of POSIX")
def test_a_killed_download_leaves_nothing_under_its_name(site, tmp_path):
    site.meet("x.npy", "hang")
    call = f"fetch({site.url + '/x.npy'!r}, {str(tmp_path / 'mine.npy')!r}, {SHA256!r})"
    script = f"from ribocast.learn.data.download import fetch; {call}"
    process = subprocess.Popen([sys.executable, "-c", script])
    assert site.hanging.wait(60)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(60)
    assert names(tmp_path) == []
    assert get(site, tmp_path) == "downloaded"


@pytest.mark.skipif(sys.platform == "win32", reason="of POSIX")
def test_a_full_disk_is_one_line(site, tmp_path):
    url, path = f"{site.url}/x.npy", tmp_path / "mine.npy"
    # A limit on the size of files stands for the disk.
    script = (
        "import resource, signal\n"
        "from ribocast.errors import RibocastError\n"
        "from ribocast.learn.data.download import fetch\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try:\n"
        f"    fetch({url!r}, {str(path)!r}, {SHA256!r})\n"
        "except RibocastError as error:\n"
        "    print(error)\n"
    )
    shown = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert shown.startswith(str(path))
    assert "File too large" in shown
    assert names(tmp_path) == []


def test_a_file_that_is_not_there_is_told_at_once(site, tmp_path):
    site.files.clear()
    with pytest.raises(RibocastError, match=rf"^{site.url}/x\.npy.*404 Not Found.*We are down today"):
        get(site, tmp_path)
    assert site.count("x.npy") == 1


def test_a_server_that_is_not_there_or_silent_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/x.npy"
        with pytest.raises(RibocastError, match=r"silent.*2 attempts"):
            fetch(url, tmp_path / "x.npy", SHA256, attempts=2, pause=0.0, timeout=0.05)
    with pytest.raises(RibocastError, match=r"Connection refused.*2 attempts"):
        fetch(url, tmp_path / "x.npy", SHA256, attempts=2, pause=0.0)


def test_what_is_no_http_answer_at_all_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with socket.create_server(("127.0.0.1", 0)) as odd:

        def answer():
            for _ in range(2):
                connection, _ = odd.accept()
                connection.recv(4096)
                connection.sendall(b"220 ftp ready\r\n")
                connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        url = f"http://127.0.0.1:{odd.getsockname()[1]}/x.npy"
        with pytest.raises(RibocastError, match="220 ftp ready"):
            fetch(url, tmp_path / "x.npy", SHA256, attempts=2, pause=0.0)
        thread.join()


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/t", "file:///etc/passwd", "http://", "t.npy", "", "https:t.npy"])
def test_other_addresses_than_of_the_web_are_refused(tmp_path, url):
    with pytest.raises(RibocastError, match="http:// or https://"):
        fetch(url, tmp_path / "x.npy", SHA256, attempts=1)


@given(st.text(max_size=20))
@example("http://[")
@example("http://[::1")
@example("http://\uff0f")
@example("http://a b/c")
@example("http://a\x00/")
@example("http://127.0.0.1:99999/")
@example("http://127.0.0.1:x/")
def test_an_unusable_address_is_refused_in_one_line(tmp_path_factory, url):
    with pytest.raises(RibocastError) as caught:
        fetch(url, tmp_path_factory.getbasetemp() / "x.npy", SHA256, attempts=1)
    assert len(str(caught.value).splitlines()) == 1


def test_a_server_can_send_us_elsewhere_on_the_web(site, tmp_path):
    site.put("there.npy", WHOLE)
    site.meet("x.npy", f"to:{site.url}/there.npy")
    assert get(site, tmp_path) == "downloaded"
    assert site.count("there.npy") == 1


@pytest.mark.parametrize(
    "place", ["ftp://127.0.0.1/t", "file:///etc/passwd", "http://[", "http://127.0.0.1:x/", "//[/"]
)
def test_a_server_cannot_send_us_off_the_web(site, tmp_path, place):
    site.meet("x.npy", *[f"to:{place}"] * 9)
    with pytest.raises(RibocastError, match=r"x\.npy"):
        get(site, tmp_path)
    assert set(site.asked) == {"/x.npy"}


@pytest.mark.parametrize("how", ["well", "endless"])
def test_a_file_that_is_too_large_is_refused(site, tmp_path, monkeypatch, how):
    monkeypatch.setattr(download, "MAX_BYTES", 1000)
    site.meet("x.npy", how)
    with pytest.raises(RibocastError, match="1,000 bytes"):
        get(site, tmp_path)
    assert site.count("x.npy") == 1
    assert names(tmp_path) == []


def test_a_folder_that_cannot_be_made_is_one_line(site, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RibocastError, match=r"Not a directory|File exists"):
        get(site, tmp_path / "file")


def test_the_cache_is_where_the_system_keeps_such_files(monkeypatch, tmp_path):
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder() == tmp_path / ".cache" / "ribocast"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == tmp_path / ".cache" / "ribocast"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert cache_folder() == tmp_path / "x" / "ribocast"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert cache_folder() == tmp_path / "Library" / "Caches" / "ribocast"
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.delenv("LOCALAPPDATA", raising=False)
    assert cache_folder() == tmp_path / "AppData" / "Local" / "ribocast" / "Cache"
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert cache_folder() == tmp_path / "local" / "ribocast" / "Cache"
