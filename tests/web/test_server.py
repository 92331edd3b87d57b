"""What a server sends beside a file, and addresses: anything is understood or refused in words."""

from email.message import Message

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ribocast.errors import RibocastError
from ribocast.learn.data.published.server import MAX_BYTES, Answer, LostError, ask, refuse_large
from web_server import serving

NUMBERS = st.integers(0, 10**9).map(str) | st.sampled_from(["", "-1", "1" * 5000, "²", "٣", "*", "x", "1,1"])


class Sent:
    status = 206

    def __init__(self, **headers):
        self.headers = Message()
        for name, value in headers.items():
            self.headers[name.replace("_", "-")] = value


@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS, st.sampled_from(["bytes", "Bytes", "letters", ""]))
def test_lengths_are_those_that_were_sent_or_unknown(length, first, last, total, unit):
    answer = Answer("http://a", Sent(Content_Length=length, Content_Range=f"{unit} {first}-{last}/{total}"))

    def known(text):
        return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None

    assert answer.size == known(length)
    whole = unit == "bytes" and known(first) is not None and known(last) is not None
    right = whole and (total == "*" or known(total) is not None)
    assert answer.start == (known(first) if right else None)
    assert answer.total == (known(total) if right else None)


@given(st.integers(0, 10**9))
def test_a_range_that_is_not_to_be_had_says_how_long_the_file_is(total):
    answer = Answer("http://a", Sent(Content_Range=f" bytes */{total} "))
    assert (answer.start, answer.total, answer.size) == (None, total, None)


@given(st.text('"W/abc', max_size=5), st.none() | st.just("Thu, 01 Jan 2026 00:00:00 GMT"))
def test_a_version_is_a_strong_tag_or_else_a_date(tag, date):
    answer = Answer("http://a", Sent(ETag=tag, **({"Last_Modified": date} if date else {})))
    assert answer.version == (tag if tag and not tag.startswith("W/") else date)


@given(st.text(max_size=20))
@example("http://[")
@example("http://[::1")
@example("http://\uff0f")
@example("ftp://a/b")
@example("http://")
@example("http://a b/c")
@example("http://a\x00/")
@example("http://127.0.0.1:99999/")
@example("http://127.0.0.1:x/")
def test_what_is_no_address_is_refused_in_one_line(url):
    with pytest.raises((RibocastError, LostError)) as caught:
        ask(url, "GET", {}, 1)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("place", ["http://[", "http://a b", "//[/", "http://127.0.0.1:x/"])
def test_where_a_server_sends_us_on_must_be_an_address(monkeypatch, place):
    monkeypatch.setenv("no_proxy", "*")
    with serving() as site:
        site.put("t.gz", b"x")
        site.meet("t.gz", f"to:{place}")
        with pytest.raises((RibocastError, LostError), match=r"address|Invalid|nonnumeric|space"):
            ask(f"{site.url}/t.gz", "GET", {}, 5)


@given(st.none() | st.integers(0, 2 * MAX_BYTES))
def test_more_bytes_than_any_published_table_has_are_refused(size):
    if size is None or size <= MAX_BYTES:
        refuse_large("http://a", size)
        return
    with pytest.raises(RibocastError, match=f"^http://a: {size:,} bytes, more than the "):
        refuse_large("http://a", size)
