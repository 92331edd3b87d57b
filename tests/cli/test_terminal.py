"""What strangers wrote is shown so that no terminal obeys it."""

import json

from hypothesis import given
from hypothesis import strategies as st

from ribocast.cli import main
from ribocast.cli.terminal import fail, print_json, print_table, say
from ribocast.io.safe_text import for_stdout, is_safe, safe_text

EVIL = "\x1b]0;owned\x07\x9b31m\u202egnp\u2066\x7f\r\u200bx"


@given(text=st.text())
def test_safe_text_has_nothing_that_is_obeyed_and_keeps_the_rest(text):
    assert is_safe(safe_text(text))
    assert (safe_text(text) == text) == is_safe(text)
    if is_safe(text):
        assert json.loads(safe_text(json.dumps(text, ensure_ascii=False))) == text


def test_all_that_is_said_is_safe_and_json_stays_what_it_was(capsys):
    fail(EVIL)
    say(EVIL)
    print_table(["a"], [[EVIL]])
    said = capsys.readouterr()
    for line in [*said.err.splitlines(), *said.out.splitlines()]:
        assert is_safe(line)
        assert "owned" in line or line.strip() == "a"
    assert "\\u001b]0;owned\\u0007" in said.err
    print_json({"name": EVIL + "\U000e0041"})
    shown = capsys.readouterr().out
    assert is_safe(shown)
    assert json.loads(shown) == {"name": EVIL + "\U000e0041"}


def test_names_in_a_table_do_not_reach_the_terminal_as_they_are(tmp_path, capsys):
    (tmp_path / "in.csv").write_bytes(f'"{EVIL.replace(chr(13), "")}",other\n1,2\n'.encode())
    assert main(["predict", str(tmp_path / "in.csv")]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert is_safe(said)


def test_a_result_is_safe_on_a_terminal_and_as_it_was_in_a_pipe(monkeypatch, capsys):
    assert for_stdout(EVIL) == EVIL
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert is_safe(for_stdout(EVIL))
