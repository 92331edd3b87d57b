"""What a server keeps of its clients is bounded, whoever they are and however long it runs."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ribocast.errors import RibocastError
from ribocast.sequence.batch import Batch
from ribocast.web import jobs as jobs_module
from ribocast.web import limits
from ribocast.web.alleles import read_alleles
from ribocast.web.batching import rounded
from ribocast.web.bodies import read_text
from ribocast.web.jobs import Jobs
from ribocast.web.limits import Rate, RefusedError
from ribocast.web.settings import Settings

UTRS = st.lists(st.text("ACGT", min_size=1, max_size=60), min_size=1, max_size=300)


def test_of_ever_new_clients_only_the_last_are_remembered(monkeypatch):
    monkeypatch.setattr(limits, "_CLIENTS", 10)
    rate = Rate(1)
    for number in range(100):
        rate.take(str(number))
    for number in range(90, 100):
        with pytest.raises(RefusedError):
            rate.take(str(number))
    rate.take("89")


def test_of_ended_jobs_only_the_last_are_kept(monkeypatch):
    monkeypatch.setattr(jobs_module, "_MOST_JOBS", 3)
    jobs = Jobs(at_once=1, waiting=0, seconds=60, keep_seconds=3600)
    made = []
    for number in range(10):
        made.append(jobs.submit(lambda _, number=number: number))
        assert jobs.wait(60)
    end = time.monotonic() + 60
    while is_kept(jobs, made[6]):
        assert time.monotonic() < end
        time.sleep(0.001)
    assert [jobs.get(job.id).result for job in made[-3:]] == [7, 8, 9]
    assert not any(is_kept(jobs, job) for job in made[:7])


def is_kept(jobs, job):
    try:
        return jobs.get(job.id) is not None
    except RefusedError:
        return False


@given(UTRS)
def test_batches_are_filled_up_to_few_numbers_of_rows_with_what_was_asked_first(utrs):
    filled = rounded(Batch.of(utrs))
    assert len(utrs) <= len(filled) <= 1.5 * len(utrs)
    assert max(filled.lengths) == max(map(len, utrs))
    assert list(filled.lengths[: len(utrs)]) == list(map(len, utrs))


def test_there_are_few_numbers_of_rows():
    numbers = {len(rounded(Batch.of(["ACGT"] * rows))) for rows in range(1, 257)}
    assert numbers == {1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256}


def utrs_of(text):
    return read_text(text, "utrs", Settings())


def test_alleles_are_of_the_utr_that_they_name():
    utrs = utrs_of(">HBB human\nACGTACGT\n>other\nGGGG\n")
    rows, errors = read_alleles(utrs, "HBB\t1\tx\tA\tG,.,*\nother\t4\ty\tG\tGA\n", 10)
    assert rows.table.to_pylist() == [
        {"chrom": "HBB", "pos": 1, "id": "x", "vcf_ref": "A", "vcf_alt": "G"},
        {"chrom": "other", "pos": 4, "id": "y", "vcf_ref": "G", "vcf_alt": "GA"},
    ]
    assert rows.values == (["ACGTACGT", "GGGG"], ["GCGTACGT", "GGGGA"])
    assert (rows.ids, errors) == (["x", "y"], [])
    for wrong, said in ((">HBB\nNA\n", "HBB: the sequence is missing"), (">HBB 1\nAC\n>HBB 2\nAC\n", "two UTRs")):
        with pytest.raises(RibocastError, match=said):
            read_alleles(utrs_of(wrong), "HBB\t1\tx\tA\tG\n", 10)


def test_rows_of_a_vcf_that_do_not_fit_are_listed_and_the_rest_is_read():
    vcf = "HBB\t1\tx\tA\tG,<DEL>\nHBB\t2\t.\tA\tG\nother\t1\t.\tA\tG\nHBB\t99\t.\tA\tG\nHBB\tx\t.\tA\tG\n"
    rows, errors = read_alleles(utrs_of(">HBB\nACGT\n"), vcf, 10)
    assert (list(rows.numbers), rows.values[1]) == ([1], ["GCGT"])
    assert [(error.row, error.column, error.value) for error in errors] == [
        (1, "ALT", "<DEL>"), (2, "REF", "A"), (3, "CHROM", "other"), (4, "REF", "A"), (5, "VCF", None),
    ]  # fmt: skip
    with pytest.raises(RefusedError, match="more than 2 alleles"):
        read_alleles(utrs_of(">HBB\nACGT\n"), vcf, 2)
