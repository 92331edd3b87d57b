"""Downloads: whatever a server does, the file is whole, or there is one line that says why not."""

import gzip
import hashlib
import json
import socket
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ribocast.errors import RibocastError
from ribocast.io.locks import alone_at
from ribocast.learn.data.published import server
from ribocast.learn.data.published.download import cache_folder, cached, fetch, probe
from web_server import serving

NOISE = np.random.default_rng(0).integers(0, 256, 700_000, dtype=np.uint8).tobytes()
WHOLE = gzip.compress(NOISE, 1, mtime=0)


@pytest.fixture
def site(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with serving() as site:
        site.put("t.csv.gz", WHOLE)
        yield site


@pytest.fixture
def told():
    return []


def get(site, tmp_path, told=None, **options):
    options = {"attempts": 3, "pause": 0.0, "timeout": 5.0} | options
    said = told if told is not None else []
    return fetch(f"{site.url}/t.csv.gz", tmp_path / "mine.csv.gz", say=said.append, **options)


def begin(site, tmp_path, size, version='"1"', total=None, url=None):
    (tmp_path / "mine.csv.gz.part").write_bytes(WHOLE[:size])
    record = {"url": url or f"{site.url}/t.csv.gz", "size": total or len(WHOLE), "version": version}
    (tmp_path / "mine.csv.gz.part.json").write_text(json.dumps(record))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_comes_whole_under_our_name_with_its_sha256_beside_it(site, tmp_path):
    seen = []
    found = get(site, tmp_path, watch=lambda done, total: seen.append((done, total)))
    sha256 = hashlib.sha256(WHOLE).hexdigest()
    assert found == (tmp_path / "mine.csv.gz", len(WHOLE), sha256, "downloaded")
    assert found.path.read_bytes() == WHOLE
    assert (tmp_path / "mine.csv.gz.sha256").read_text() == f"{sha256}  mine.csv.gz\n"
    assert names(tmp_path) == ["mine.csv.gz", "mine.csv.gz.sha256"]
    assert [total for _, total in seen] == [len(WHOLE)] * len(seen)
    assert seen == sorted(seen)
    assert seen[-1][0] == len(WHOLE)


def test_what_is_there_is_not_downloaded_again(site, tmp_path):
    first = get(site, tmp_path)
    again = get(site, tmp_path)
    assert again == first._replace(how="cached")
    assert len(site.gets("t.csv.gz")) == 1


def test_a_cached_file_that_has_changed_is_said_and_fetched_again(site, tmp_path, told):
    path = get(site, tmp_path).path
    damaged = bytearray(WHOLE)
    damaged[1000] ^= 1
    path.write_bytes(damaged)
    assert get(site, tmp_path, told).how == "downloaded"
    assert path.read_bytes() == WHOLE
    assert told == [
        "mine.csv.gz: not what was downloaded (its SHA-256 has changed); it is fetched again",
    ]


def test_a_file_copied_from_elsewhere_is_taken_if_it_is_whole(tmp_path, told):
    path = tmp_path / "mine.csv.gz"
    assert cached(path, told.append) is None
    path.write_bytes(WHOLE[:-1])
    assert cached(path, told.append) is None
    assert told == ["mine.csv.gz: the gzip data is damaged or cut short; it is fetched again"]
    path.write_bytes(WHOLE)
    found = cached(path, told.append)
    assert found == (path, len(WHOLE), hashlib.sha256(WHOLE).hexdigest(), "cached")
    assert (tmp_path / "mine.csv.gz.sha256").read_text().startswith(found.sha256)
    assert len(told) == 1


# --- going on ---------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(size=st.integers(1, len(WHOLE)), version=st.sampled_from(['"1"', None]))
def test_from_whatever_byte_it_goes_on_the_file_is_the_same(site, tmp_path, size, version):
    for path in tmp_path.iterdir():
        path.unlink()
    site.asked.clear()
    begin(site, tmp_path, size, version)
    found = get(site, tmp_path)
    assert found.path.read_bytes() == WHOLE
    assert found.how == "resumed"
    (headers,) = site.gets("t.csv.gz")
    assert headers["Range"] == f"bytes={size}-"
    assert headers.get("If-Range") == version
    assert names(tmp_path) == ["mine.csv.gz", "mine.csv.gz.sha256"]


def test_a_connection_that_breaks_is_taken_up_where_it_broke(site, tmp_path, told):
    site.meet("t.csv.gz", "half", "half", "half", "half")
    assert get(site, tmp_path, told).path.read_bytes() == WHOLE
    # Every attempt brought something, so that none of them counts as in vain.
    asked = [headers.get("Range") for headers in site.gets("t.csv.gz")]
    assert len(asked) == 5
    assert asked[0] is None
    assert asked[1] == f"bytes={len(WHOLE) // 2}-"
    assert told[0] == (
        f"mine.csv.gz: the connection was lost after {len(WHOLE) // 2:,} of {len(WHOLE):,} bytes; trying again"
    )


def test_what_has_come_stays_for_the_next_call(site, tmp_path):
    site.meet("t.csv.gz", "half", 503)
    with pytest.raises(RibocastError, match=r"^mine\.csv\.gz: the connection was lost .* \(.*, 1 attempt; .* kept"):
        get(site, tmp_path, attempts=1)
    assert (tmp_path / "mine.csv.gz.part").read_bytes() == WHOLE[: len(WHOLE) // 2]
    with pytest.raises(RibocastError, match="503"):
        get(site, tmp_path, attempts=1)
    assert get(site, tmp_path, attempts=1).how == "resumed"


def test_ctrl_c_leaves_what_has_come(site, tmp_path):
    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(site, tmp_path, watch=interrupt)
    kept = (tmp_path / "mine.csv.gz.part").read_bytes()
    assert kept
    assert WHOLE.startswith(kept)
    assert get(site, tmp_path).how == "resumed"


@pytest.mark.parametrize("how", ["a new version", "no parts", "another address"])
def test_bytes_of_which_file_is_not_known_are_not_gone_on_from(site, tmp_path, how):
    begin(site, tmp_path, 5000, url="http://127.0.0.1/other" if how == "another address" else None)
    (tmp_path / "mine.csv.gz.part").write_bytes(b"\x1f\x8b" + b"x" * 4998)
    if how == "a new version":
        site.put("t.csv.gz", WHOLE, '"2"')
    elif how == "no parts":
        site.meet("t.csv.gz", "whole")
    found = get(site, tmp_path)
    assert found.path.read_bytes() == WHOLE
    assert found.how == "downloaded"


@pytest.mark.parametrize("record", [None, "[1]"], ids=["no record", "another's record"])
def test_somebody_elses_part_is_left_as_it_is(site, tmp_path, record):
    """Firefox names what it downloads like this."""
    begin(site, tmp_path, 5000)
    (tmp_path / "mine.csv.gz.part.json").unlink()
    if record:
        (tmp_path / "mine.csv.gz.part.json").write_text(record)
    with pytest.raises(RibocastError, match=r"mine\.csv\.gz\.part: of another download"):
        get(site, tmp_path)
    assert (tmp_path / "mine.csv.gz.part").read_bytes() == WHOLE[:5000]
    assert (tmp_path / "mine.csv.gz.part.json").exists() == (record is not None)


def test_two_downloads_of_one_file_do_not_write_to_one_part(site, tmp_path):
    with alone_at(tmp_path / "mine.csv.gz"), pytest.raises(RibocastError, match="another run is writing it"):
        get(site, tmp_path)
    assert get(site, tmp_path).path.read_bytes() == WHOLE
    assert names(tmp_path) == ["mine.csv.gz", "mine.csv.gz.sha256"]


def test_a_file_that_changes_between_two_attempts_is_begun_anew(site, tmp_path):
    other = gzip.compress(NOISE[::-1], 1)
    site.meet("t.csv.gz", "half")
    with pytest.raises(RibocastError, match="lost"):
        get(site, tmp_path, attempts=1)
    site.put("t.csv.gz", other, '"2"')
    assert get(site, tmp_path).path.read_bytes() == other


@pytest.mark.parametrize("total", [len(WHOLE) - 5, len(WHOLE) + 5])
def test_a_file_of_another_length_is_begun_anew_even_if_no_version_tells(site, tmp_path, total, told):
    begin(site, tmp_path, 5000, None, total)
    assert get(site, tmp_path, told).path.read_bytes() == WHOLE
    assert "the file has changed there" in told[0]


def test_a_part_that_is_not_the_one_asked_for_is_not_added(site, tmp_path, told):
    begin(site, tmp_path, 5000)
    site.meet("t.csv.gz", "shifted")
    assert get(site, tmp_path, told).path.read_bytes() == WHOLE
    assert told == [
        "mine.csv.gz: the server has no such part (status 206), or the file has changed there; trying again"
    ]


def test_more_bytes_than_there_are_is_begun_anew(site, tmp_path, told):
    begin(site, tmp_path, len(WHOLE))
    with (tmp_path / "mine.csv.gz.part").open("ab") as sink:
        sink.write(b"more")
    assert get(site, tmp_path, told).path.read_bytes() == WHOLE
    assert "no such part (status 416)" in told[0]


def test_wrong_bytes_of_an_earlier_call_are_noticed_and_replaced(site, tmp_path, told):
    begin(site, tmp_path, 9000)
    (tmp_path / "mine.csv.gz.part").write_bytes(WHOLE[:8000] + b"?" * 1000)
    found = get(site, tmp_path, told)
    assert found.path.read_bytes() == WHOLE
    assert found.how == "downloaded"
    assert told == ["mine.csv.gz: the gzip data is damaged or cut short; trying again"]


# --- servers that do wrong --------------------------------------------------------------------------------------


def test_a_length_that_is_too_large_is_noticed_and_does_not_go_on_for_ever(site, tmp_path):
    site.meet("t.csv.gz", *["long"] * 20)
    with pytest.raises(RibocastError) as error:
        get(site, tmp_path, timeout=0.5)
    assert f"lost after {len(WHOLE):,} of {len(WHOLE) + 100:,} bytes" in str(error.value)
    assert len(site.gets("t.csv.gz")) < 10
    assert not (tmp_path / "mine.csv.gz").exists()


def test_a_length_that_is_too_small_gives_no_file(site, tmp_path):
    site.meet("t.csv.gz", "short")
    with pytest.raises(RibocastError, match=r"^mine\.csv\.gz: the gzip data is damaged or cut short \(http"):
        get(site, tmp_path)
    assert names(tmp_path) == []


def test_a_file_of_no_announced_length_is_checked_by_its_checksum(site, tmp_path):
    site.meet("t.csv.gz", "endless")
    assert get(site, tmp_path).path.read_bytes() == WHOLE
    site.put("t.csv.gz", WHOLE[:-9])
    site.meet("t.csv.gz", "endless")
    (tmp_path / "mine.csv.gz").unlink()
    with pytest.raises(RibocastError, match="damaged or cut short"):
        get(site, tmp_path)


def test_a_page_in_place_of_the_file_is_quoted_and_not_kept(site, tmp_path):
    site.meet("t.csv.gz", "html")
    with pytest.raises(RibocastError) as error:
        get(site, tmp_path)
    assert str(error.value) == (
        f"{site.url}/t.csv.gz: the server sent an HTML page, not a gzip file: 'We are down today'"
    )
    assert not (tmp_path / "mine.csv.gz").exists()
    assert not (tmp_path / "mine.csv.gz.part").exists()


def test_a_page_in_place_of_the_rest_of_the_file_is_not_added_to_it(site, tmp_path):
    begin(site, tmp_path, 9000)
    site.meet("t.csv.gz", "html")
    with pytest.raises(RibocastError, match="an HTML page"):
        get(site, tmp_path)
    assert get(site, tmp_path).path.read_bytes() == WHOLE


@pytest.mark.parametrize("content", [b"utr,rl\nACGT,1\n", b"{}", b"\x00\x01"])
def test_what_is_no_gzip_file_is_refused(site, tmp_path, content):
    site.put("t.csv.gz", content)
    with pytest.raises(RibocastError, match="the server sent application/x-gzip, not a gzip file"):
        get(site, tmp_path)


def test_a_file_that_is_not_there_is_told_at_once(site, tmp_path):
    site.files.clear()
    message = rf"^{site.url}/t\.csv\.gz: the server answers 404 Not Found: 'We are down today'$"
    with pytest.raises(RibocastError, match=message):
        get(site, tmp_path)
    assert len(site.gets("t.csv.gz")) == 1
    with pytest.raises(RibocastError, match="404"):
        probe(f"{site.url}/t.csv.gz", pause=0.0)


def test_a_busy_server_is_asked_again(site, tmp_path, told):
    site.meet("t.csv.gz", 503, 429)
    assert get(site, tmp_path, told).how == "downloaded"
    assert told == [
        "mine.csv.gz: the server answers 503 Service Unavailable: 'We are down today'; trying again",
        "mine.csv.gz: the server answers 429 Too Many Requests: 'We are down today'; trying again",
    ]
    (tmp_path / "mine.csv.gz").unlink()
    site.meet("t.csv.gz", *[503] * 9)
    with pytest.raises(RibocastError, match=r"503 Service Unavailable.*3 attempts\)$"):
        get(site, tmp_path)


def test_an_empty_answer_is_asked_for_again(site, tmp_path):
    site.put("t.csv.gz", b"")
    with pytest.raises(RibocastError, match=r"the server sent nothing .*3 attempts"):
        get(site, tmp_path)


def test_a_server_that_is_not_there_or_silent_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/t.gz"
        with pytest.raises(RibocastError, match=r"the server is silent .*2 attempts"):
            fetch(url, tmp_path / "t.gz", attempts=2, pause=0.0, timeout=0.05)
    with pytest.raises(RibocastError, match=r"no connection: Connection refused .*2 attempts"):
        fetch(url, tmp_path / "t.gz", attempts=2, pause=0.0)
    with pytest.raises(RibocastError, match=r"no connection: Connection refused .*2 attempts"):
        probe(url, attempts=2, pause=0.0)


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
        with pytest.raises(RibocastError, match="no connection: 220 ftp ready"):
            fetch(f"http://127.0.0.1:{odd.getsockname()[1]}/t.gz", tmp_path / "t.gz", attempts=2, pause=0.0)
        thread.join()


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/t", "file:///etc/passwd", "http://", "t.gz", "", "https:t.gz"])
def test_other_addresses_than_of_the_web_are_refused(tmp_path, url):
    with pytest.raises(RibocastError, match="http:// or https://"):
        fetch(url, tmp_path / "t.gz", attempts=1)


def test_a_server_can_send_us_elsewhere_on_the_web(site, tmp_path):
    site.put("there.gz", WHOLE)
    site.meet("t.csv.gz", f"to:{site.url}/there.gz")
    site.meet("there.gz", "half")
    begin(site, tmp_path, 100)
    assert get(site, tmp_path).path.read_bytes() == WHOLE
    assert site.gets("there.gz")[0]["Range"] == "bytes=100-"


@pytest.mark.parametrize("place", ["ftp://127.0.0.1/t.gz", "file:///etc/passwd"])
def test_a_server_cannot_send_us_off_the_web(site, tmp_path, place):
    site.meet("t.csv.gz", f"to:{place}")
    with pytest.raises(RibocastError, match=rf"t\.csv\.gz: the server .*{place}"):
        get(site, tmp_path)
    assert len(site.asked) == 1


def test_a_file_that_is_too_large_is_refused_before_and_while_it_comes(site, tmp_path, monkeypatch):
    monkeypatch.setattr(server, "MAX_BYTES", 1000)
    with pytest.raises(RibocastError, match="more than the 1,000"):
        probe(f"{site.url}/t.csv.gz")
    with pytest.raises(RibocastError, match="more than the 1,000"):
        get(site, tmp_path)
    site.meet("t.csv.gz", "endless")
    with pytest.raises(RibocastError, match="more than the 1,000"):
        get(site, tmp_path)
    assert (tmp_path / "mine.csv.gz.part").stat().st_size == 0


def test_sizes_are_asked_for_without_downloading(site):
    assert probe(f"{site.url}/t.csv.gz") == (len(WHOLE), '"1"')
    site.heads["/t.csv.gz"] = 405
    assert probe(f"{site.url}/t.csv.gz") == (None, None)
    assert not site.gets("t.csv.gz")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_is_one_line(site, tmp_path):
    begin(site, tmp_path, 0)
    (tmp_path / "mine.csv.gz.part").unlink()
    (tmp_path / "mine.csv.gz.part").symlink_to("/dev/full")
    with pytest.raises(RibocastError, match=r"mine\.csv\.gz: No space left on device$"):
        get(site, tmp_path)


def test_a_folder_that_cannot_be_made_is_one_line(site, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RibocastError, match=r"Not a directory|File exists"):
        fetch(f"{site.url}/t.csv.gz", tmp_path / "file" / "t.gz")


# --- where files are kept ---------------------------------------------------------------------------------------


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
