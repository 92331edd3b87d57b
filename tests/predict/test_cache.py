"""Repeats: answered as the first time, forgotten in order, in bounded memory."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ribocast.predict.cache import AnswerCache

SEQUENCES = st.text("AC", min_size=1, max_size=4)
PIECES = st.lists(st.lists(SEQUENCES, unique=True, max_size=8), max_size=12)


def number(utr):
    return [len(utr), int(utr.replace("A", "1").replace("C", "2"))]


@given(pieces=PIECES, most=st.integers(1, 9), letters=st.integers(1, 30))
def test_an_answer_is_that_of_its_sequence_and_only_new_ones_are_asked_for(pieces, most, letters):
    seen = AnswerCache(2, sequences=most, letters=letters)
    questions = [(utrs, seen.ask(utrs)) for utrs in pieces]  # asking may be ahead of answering
    asked = []
    for utrs, question in questions:
        new = [utr for utr, is_new in zip(utrs, question.is_new, strict=True) if is_new]
        kept, total = [], 0
        for old in reversed(asked):
            total += len(old)
            if len(kept) == most or total > letters:
                break
            kept.append(old)
        assert new == [utr for utr in utrs if utr not in kept]
        asked += new
        outputs = np.array([number(utr) for utr in new], np.float32).reshape(-1, 2)
        assert seen.answer(question, outputs).tolist() == [number(utr) for utr in utrs]


def test_as_many_as_are_kept_come_again_for_nothing():
    utrs = [f"{n:b}".replace("0", "A").replace("1", "C").rjust(9, "G") for n in range(300)]
    seen = AnswerCache(1, sequences=300)
    assert seen.ask(utrs).is_new.all()
    assert not seen.ask(utrs[::-1]).is_new.any()
    assert seen.ask(["T"]).is_new.all()
    assert seen.ask(utrs[:1]).is_new.all()
    assert not seen.ask(utrs[2:]).is_new.any()
