"""Splits: scikit-learn's rows, and no leaks."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from ribocast.errors import RibocastError
from ribocast.learn.data.splits import (
    KMER,
    grouped_k_fold,
    grouped_split,
    k_fold,
    random_split,
    shared_kmer_groups,
    split,
)


def random_utrs(rows: int, length: int = 50, seed: int = 0) -> list[str]:
    letters = np.random.default_rng(seed).choice(list("ACGT"), size=(rows, length))
    return ["".join(row) for row in letters]


def kmers(utr: str, k: int) -> set[str]:
    utr = utr.upper().replace("U", "T")
    return {utr[start : start + k] for start in range(len(utr) - k + 1)} or {utr}


@given(rows=st.integers(5, 400), fraction=st.floats(0.05, 0.6), seed=st.integers(0, 2**31))
def test_random_split_gives_the_rows_of_scikit_learn_in_its_order(rows, fraction, seed):
    train, test = train_test_split(np.arange(rows), test_size=fraction, random_state=seed)
    ours = random_split(rows, fraction, seed=seed)
    assert ours.train.tolist() == train.tolist()
    assert ours.held_out.tolist() == test.tolist()


def test_the_homeworks_split_of_260000_rows():
    train, test = train_test_split(np.arange(260_000), test_size=0.2, random_state=42)
    ours = random_split(260_000, 0.2, seed=42)
    assert np.array_equal(ours.train, train)
    assert np.array_equal(ours.held_out, test)


@settings(max_examples=60, deadline=None)
@given(
    utrs=st.lists(st.text("ACG", min_size=1, max_size=12), min_size=1, max_size=40),
    k=st.integers(2, 6),
)
def test_groups_are_the_connected_components_of_shared_kmers(utrs, k):
    groups = shared_kmer_groups(utrs, k)
    # Brute force: spread the smallest number of any row that shares a k-mer until nothing changes.
    own = [kmers(utr, k) for utr in utrs]
    expected = list(range(len(utrs)))
    changed = True
    while changed:
        changed = False
        for i, mine in enumerate(own):
            for j, other in enumerate(own):
                same_kind = (len(utrs[i]) < k) == (len(utrs[j]) < k)
                if same_kind and mine & other and expected[i] != expected[j]:
                    expected[i] = expected[j] = min(expected[i], expected[j])
                    changed = True
    pairs = {(ours, theirs) for ours, theirs in zip(groups.tolist(), expected, strict=True)}
    assert len(pairs) == len(set(groups.tolist())) == len(set(expected))


def test_case_and_u_do_not_hide_a_shared_kmer_and_n_is_a_letter_of_its_own():
    base = random_utrs(1, 30)[0]
    other = base.lower().replace("t", "u")
    assert len(set(shared_kmer_groups([base, other]))) == 1
    with_n = [base[:12] + "N" + base[13:], base[:12] + "A" + base[13:]]
    assert len(set(shared_kmer_groups(with_n))) == 2


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), families=st.integers(4, 30), folds=st.integers(2, 4))
def test_no_kmer_stands_on_both_sides_of_a_grouped_split_or_in_two_folds(seed, families, folds):
    random = np.random.default_rng(seed)
    utrs = []
    for reference in random_utrs(families, 60, seed):
        utrs.append(reference)
        for _ in range(random.integers(0, 4)):
            position = int(random.integers(60))
            utrs.append(reference[:position] + "ACGT"[random.integers(4)] + reference[position + 1 :])
    groups = shared_kmer_groups(utrs)
    parts = grouped_split(groups, 0.3, seed=seed)
    assert sorted([*parts.train, *parts.held_out]) == list(range(len(utrs)))
    train = set().union(*(kmers(utrs[row], KMER) for row in parts.train))
    held_out = set().union(*(kmers(utrs[row], KMER) for row in parts.held_out))
    assert not train & held_out
    fold = grouped_k_fold(groups, folds, seed=seed)
    assert set(fold) == set(range(folds))
    assert all(len(set(fold[groups == group])) == 1 for group in set(groups))


@given(
    sizes=st.lists(st.integers(1, 60), min_size=2, max_size=40),
    fraction=st.floats(0.05, 0.9),
    seed=st.integers(0, 99),
)
def test_a_grouped_split_holds_out_no_more_than_asked_and_as_many_whole_groups_as_fit(sizes, fraction, seed):
    groups = np.repeat(np.arange(len(sizes)), sizes)
    wanted = int(np.ceil(fraction * len(groups)))
    assume(wanted < len(groups))
    parts = grouped_split(groups, fraction, seed=seed)
    assert len(parts.train)
    assert not set(groups[parts.train]) & set(groups[parts.held_out])
    if wanted < min(sizes):
        assert len(parts.held_out) == min(sizes)
    else:
        assert 0 < len(parts.held_out) <= wanted
        # No group that is left would have fitted in beside those.
        assert min(np.array(sizes)[np.unique(groups[parts.train])]) > wanted - len(parts.held_out)


def test_one_large_family_does_not_decide_how_much_is_held_out():
    groups = np.repeat(np.arange(41), [60] + [1] * 40)
    assert {len(grouped_split(groups, 0.2, seed=seed).held_out) for seed in range(100)} == {20}
    assert ", 0.2 held out" in grouped_split(groups, 0.2).how


def test_auto_groups_natural_rows_and_splits_random_ones_by_row():
    utrs = random_utrs(300)
    assert split(utrs).how.startswith("random")
    variants = [utr[:-1] + ("A" if utr[-1] != "A" else "C") for utr in utrs]
    assert split(utrs + variants).how.startswith("grouped")
    assert split(utrs + variants, kind="random").how.startswith("random")


@given(kept=st.lists(st.booleans(), min_size=4, max_size=40), seed=st.integers(0, 99))
def test_a_split_among_the_rows_that_are_kept_is_of_the_same_rows(kept, seed):
    utrs, kept = np.array(random_utrs(len(kept))), np.array(kept)
    whole = random_split(len(utrs), 0.4, seed=seed)
    part = whole.among(kept)
    for before, after in zip(whole[:2], part[:2], strict=True):
        assert utrs[kept][after].tolist() == utrs[before[kept[before]]].tolist()


def test_folds_are_even_and_repeatable():
    fold = k_fold(103, 10, seed=3)
    assert np.ptp(np.bincount(fold)) <= 1
    assert np.array_equal(fold, k_fold(103, 10, seed=3))
    assert not np.array_equal(fold, k_fold(103, 10, seed=4))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: random_split(10, 0.0), "between 0 and 1, not 0"),
        (lambda: random_split(10, 1.0), "between 0 and 1, not 1"),
        (lambda: random_split(1, 0.5), "too few"),
        (lambda: grouped_split(np.zeros(9, dtype=np.int64)), "no leak-free split"),
        (lambda: k_fold(3, 4), "folds"),
        (lambda: k_fold(3, 1), "folds"),
        (lambda: shared_kmer_groups(["ACGT"], 26), "between 1 and 25, not 26"),
    ],
)
def test_what_cannot_be_split_is_said(call, words):
    with pytest.raises(RibocastError, match=words):
        call()
