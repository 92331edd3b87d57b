"""What strangers write is shown so that no terminal obeys it; pages and figures give the same bytes again."""

import base64
import io
import json
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ribocast import __version__
from ribocast.errors import RibocastError, UnavailableError
from ribocast.io.cluster import cluster, workers_by_machine
from ribocast.io.columns import column_called
from ribocast.io.safe_text import for_stdout, is_safe, safe_text
from ribocast.io.text import number

ODD = st.sampled_from("\x00\x07\x1b\x7f\x85\u061c\u200b\u200e\u2028\u202e\u2066\ufeff\ud800\U000e0041\r")


@given(st.text() | st.lists(ODD | st.characters(), max_size=9).map("".join))
def test_text_is_shown_without_what_a_terminal_obeys(text):
    shown = safe_text(text)
    assert is_safe(shown)
    assert (shown == text) == is_safe(text)
    for letter in text:
        obeyed = unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") and letter not in "\t\n"
        assert not (obeyed and is_safe(letter))
        # As JSON writes it too.
        assert is_safe(letter) or safe_text(letter) == json.dumps(letter)[1:-1] or letter in "\b\f\r\x7f\x85" or (
            safe_text(letter) == f"\\u{ord(letter):04x}"
        )  # fmt: skip


def test_letters_of_any_writing_and_lines_are_left_as_they_are():
    text = "5′ UTR\tµ é 中文 🧬\nline"
    assert is_safe(text)
    assert safe_text(text) == text
    assert safe_text("a\x1b[31mb\U000e0041") == "a\\u001b[31mb\\udb40\\udc41"


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_file_gets_a_result_as_it_is_and_a_terminal_a_safe_one(monkeypatch, is_terminal):
    class Stream(io.StringIO):
        def isatty(self):
            return is_terminal

    monkeypatch.setattr(sys, "stdout", Stream())
    assert for_stdout("\x1b[0m") == ("\\u001b[0m" if is_terminal else "\x1b[0m")


@given(st.lists(st.sampled_from(["seq", "SEQ", " Seq ", "utr", "x"]), max_size=5))
def test_a_column_is_found_by_the_first_name_and_place_that_fit(columns):
    found = column_called(columns, ("utr", "seq"))
    plain = [column.strip().lower() for column in columns]
    wanted = next((name for name in ("utr", "seq") if name in plain), None)
    assert found == (None if wanted is None else columns[plain.index(wanted)])


def test_a_figure_of_accuracy_has_four_digits_or_is_undefined():
    assert (number(0.123456), number(0), number(None)) == ("0.1235", "0.0000", "undefined")


# --- clusters --------------------------------------------------------------------------------------------------


class Ray:
    """A cluster of machines with so many CPUs; None is one that is gone."""

    def __init__(self, *cpus):
        self.cpus = cpus

    def nodes(self):
        return [
            {"NodeID": f"n{at}", "Alive": cpu is not None, "Resources": {"CPU": cpu} if cpu else {}}
            for at, cpu in enumerate(self.cpus)
        ]


def test_a_machine_has_as_many_workers_as_its_cpus_take():
    assert workers_by_machine(Ray(4.0, None, 7.9, 1.0, 0), 2) == {"n0": 2, "n2": 3}
    assert workers_by_machine(Ray(1.0), 1) == {"n0": 1}
    with pytest.raises(UnavailableError, match="3 CPUs"):
        workers_by_machine(Ray(2.0, None), 3)


@pytest.mark.parametrize("address", ["nowhere", "ray://host:x", f"127.0.0.1:{10**30}", "127.0.0.1:1"])
def test_an_address_where_nobody_answers_is_told_at_once(address):
    pytest.importorskip("ray")
    with pytest.raises(UnavailableError) as caught, cluster(address, print):
        pytest.fail("it was joined")
    assert f"--ray {address}" in str(caught.value)
    assert ("10.0.0.1:6379" in str(caught.value)) == (address != "127.0.0.1:1")


# --- pages and figures -----------------------------------------------------------------------------------------


def drawn():
    pytest.importorskip("matplotlib")
    from ribocast.io.figures import new_figure

    figure = new_figure(3, 2)
    figure.subplots().plot([1, 2, 3], [0.1, 0.7, 0.2])
    return figure


@pytest.mark.parametrize("ending", [".png", ".svg", ".pdf"])
def test_the_same_figure_gives_the_same_bytes_without_version_and_date(tmp_path, ending):
    pytest.importorskip("matplotlib")
    from ribocast.io.figures import save_figure

    save_figure(drawn(), tmp_path / f"a{ending}", ending)
    again = io.BytesIO()
    save_figure(drawn(), again, ending)
    content = (tmp_path / f"a{ending}").read_bytes()
    assert content == again.getvalue()
    assert content.startswith({".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}[ending])
    for told in (b"Software", b"dc:date", b"CreationDate", b"Producer"):
        assert told not in content
    if ending == ".png":
        # 3 by 2 inches at 150 dots each.
        assert (int.from_bytes(content[16:20]), int.from_bytes(content[20:24])) == (450, 300)


def test_a_figure_of_a_page_is_a_small_png():
    pytest.importorskip("matplotlib")
    from ribocast.io.figures import png_of

    content = png_of(drawn())
    assert content == png_of(drawn())
    assert (int.from_bytes(content[16:20]), int.from_bytes(content[20:24])) == (330, 220)
    assert b"Software" not in content


def test_a_page_shows_text_as_text_and_names_the_version(tmp_path):
    pytest.importorskip("jinja2")
    from ribocast.io.html import embedded, write_page

    write_page(tmp_path / "a.html", "page.html", title="<b>&", command="ribocast <x>")
    text = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;&amp;" in text
    assert __version__ in text
    assert "ribocast &lt;x&gt;" in text
    assert "<b>" not in text
    assert base64.b64decode(embedded(b"\x00\xff")) == b"\x00\xff"


def test_a_page_without_one_of_its_values_is_not_written(tmp_path):
    jinja2 = pytest.importorskip("jinja2")
    from ribocast.io.html import write_page

    with pytest.raises((jinja2.UndefinedError, RibocastError)):
        write_page(tmp_path / "a.html", "page.html", title="x")
    assert not list(tmp_path.iterdir())
