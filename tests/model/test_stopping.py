"""Work whose result nobody waits for ends between two batches; a design search keeps what it has found."""

import itertools

import pytest

import ribocast
from ribocast.design.design import propose
from ribocast.design.request import DesignRequest
from ribocast.errors import StoppedError
from ribocast.model.stopping import check_stopped, is_stopped, stopping_when

LONG = "ACATTTGCTTCTGACACAACTGTGTTCACTAGCAACCTCAAACAGACACC" * 8


@pytest.fixture(scope="module")
def model():
    return ribocast.load(threads=2)


def after(count):
    """Give false this many times, then true."""
    left = itertools.count()
    return lambda: next(left) >= count


@pytest.mark.parametrize(
    "work",
    [
        lambda model: model.mrl([LONG[:at] for at in range(20, 400)]),
        lambda model: model.substitutions(LONG),
        lambda model: ribocast.explain(model, LONG),
        lambda model: ribocast.score_variants(model, [LONG] * 300, [LONG[:at] + "A" for at in range(50, 350)]),
        lambda model: propose(model, DesignRequest(n=20, length=50), independent=None),
    ],
    ids=["predict", "substitutions", "explain", "variants", "design"],
)
def test_work_ends_when_it_is_asked_to(model, work):
    with stopping_when(after(2)), pytest.raises(StoppedError):
        work(model)
    assert not is_stopped()
    check_stopped()


def test_a_search_that_is_stopped_keeps_what_it_has_found(model):
    rounds = []
    with stopping_when(lambda: len(rounds) >= 3):
        found = propose(model, DesignRequest(n=5, length=300, budget=50_000), watch=rounds.append)
    assert found.stopped
    assert len(found.table) == 5
    # What takes long is left out of what is given at once.
    assert found.table["free_energy"].isna().all()
    assert found.table["mrl"].notna().all()


def test_many_long_designs_are_given_soon_after_being_stopped():
    model, rounds = ribocast.load("default-large", threads=2), []
    with stopping_when(lambda: bool(rounds)):
        found = propose(
            model,
            DesignRequest(n=200, length=300, budget=200_000),
            independent=None,
            watch=rounds.append,
        )
    assert found.stopped
    assert len(rounds) == 1
    assert len(found.table) == 200
    # Folding them alone takes 14 seconds.
    assert found.table["free_energy"].isna().all()
