"""What a server keeps of its clients is bounded, whoever they are and however long it runs."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ribocast.errors import RibocastError
from ribocast.spelling import Spelled
from ribocast.web import jobs as jobs_module
from ribocast.web import limits
from ribocast.web.batching import rounded
from ribocast.web.jobs import ENDED, Jobs
from ribocast.web.limits import Rate, RefusedError
from ribocast.web.page.boxes import read_alleles, read_box

LEADERS = st.lists(st.text("ACGT", min_size=1, max_size=60), min_size=1, max_size=300)


def test_of_ever_new_clients_only_the_last_are_remembered(monkeypatch):
    monkeypatch.setattr(limits, "_CLIENTS", 10)
    rate = Rate(1)
    for number in range(100):
        rate.take(str(number))
    assert len(rate._left) == 10
    with pytest.raises(RefusedError):
        rate.take("99")
    rate.take("0")


def test_of_ended_jobs_only_the_last_are_kept(monkeypatch):
    monkeypatch.setattr(jobs_module, "_MOST_KEPT", 3)
    jobs = Jobs(at_once=1, waiting=0, seconds=60, keep_seconds=3600)
    made = []
    for number in range(10):
        made.append(jobs.submit(lambda _, number=number: number))
        end = time.monotonic() + 60
        while made[-1].state not in ENDED:
            assert time.monotonic() < end
            time.sleep(0.001)
    assert [jobs.get(job.id).result for job in made[-3:]] == [7, 8, 9]
    assert len(jobs._jobs) == 3
    with pytest.raises(RefusedError, match="no such job"):
        jobs.get(made[0].id)


@given(LEADERS)
def test_batches_are_filled_up_to_few_numbers_of_rows_with_what_was_asked_first(leaders):
    filled = rounded(Spelled.of(leaders))
    assert len(leaders) <= len(filled) <= 1.5 * len(leaders)
    assert max(filled.lengths) == max(map(len, leaders))
    assert list(filled.lengths[: len(leaders)]) == list(map(len, leaders))


def test_there_are_few_numbers_of_rows():
    numbers = {len(rounded(Spelled.of(["ACGT"] * rows))) for rows in range(1, 257)}
    assert numbers == {1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256}


def test_alleles_are_of_the_utr_that_they_name():
    utrs = read_box(">HBB human\nACGTACGT\n>other\nGGGG\n")
    shown, refs, alts = read_alleles("HBB\t1\tx\tA\tG,.,*\nother\t4\ty\tG\tGA\n", utrs)
    assert shown == [["HBB", "1", "x", "A", "G"], ["other", "4", "y", "G", "GA"]]
    assert (refs, alts) == (["ACGTACGT", "GGGG"], ["GCGTACGT", "GGGGA"])
    with pytest.raises(RibocastError, match="the UTR HBB: the sequence is missing"):
        read_alleles("HBB\t1\tx\tA\tG\n", read_box(">HBB\nNA\n"))
    twice = read_box(">HBB one\nACGTACGT\n>HBB two\nACGTAC\n")
    with pytest.raises(RibocastError, match="two UTRs are called HBB"):
        read_alleles("HBB\t1\tx\tA\tG\n", twice)
