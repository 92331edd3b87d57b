"""Any request gives designs that are what was asked for, or one line that says why there are none."""

import functools
import importlib

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ribocast
from ribocast.design.distances import edit_distance
from ribocast.errors import RibocastError
from ribocast.sequence.construct import EGFP

DNA = st.text("ACGT", min_size=6, max_size=20)
MOTIFS = st.text("ACGTNRY", min_size=2, max_size=4) | st.lists(st.text("ACGT", min_size=3, max_size=5), max_size=2)
ALGORITHMS = st.sampled_from(["genetic", "beam", "evolution"])
BRIEFS = st.fixed_dictionaries(
    {"n": st.integers(1, 4), "seed": st.integers(0, 99), "algorithm": ALGORITHMS},
    optional={
        "target": st.floats(1, 9) | st.lists(st.floats(1, 9), min_size=1, max_size=2, unique=True),
        "length": st.integers(4, 20) | st.tuples(st.integers(4, 12), st.integers(12, 20)),
        "forbid": MOTIFS,
        "like": DNA,
    },
)  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def loaded_once():
    """Load the independent shipped model once, not for every request."""
    with pytest.MonkeyPatch.context() as patch:
        module = importlib.import_module("ribocast.design.design")
        patch.setattr(module, "load", functools.cache(module.load))
        yield


def cheap(seqs):
    """Stand in for a model: more C and less G is a higher MRL."""
    return [5 + (seq.count("C") - seq.count("G")) / 4 for seq in seqs]


@settings(max_examples=12, deadline=None)
@given(BRIEFS)
def test_designs_are_what_was_asked_for_with_the_mrls_that_the_model_gives(request):
    def design():
        return ribocast.design(cheap, budget=200, independent=None, **request)

    try:
        found = design()
    except RibocastError as error:
        # Rules that leave no sequence, such as a length that is too far from what is to be stayed near to.
        assert set(request) & {"forbid", "like", "length"}
        assert len(str(error).splitlines()) == 1  # noqa: PT017
        return
    targets = request.get("target")
    targets = targets if isinstance(targets, list) else [targets]
    assert found["target"].nunique(dropna=False) <= len(targets)
    for _, of_one in found.groupby("target", dropna=False):
        assert 1 <= len(of_one) <= request["n"]
        assert of_one["seq"].is_unique
    np.testing.assert_allclose(found["mrl"], cheap(found["seq"]))
    assert found["length"].tolist() == found["seq"].str.len().tolist()
    if "length" in request:
        least, most = request["length"] if isinstance(request["length"], tuple) else (request["length"],) * 2
        assert found["length"].between(least, most).all()
    motifs = [request["forbid"]] if isinstance(request.get("forbid"), str) else request.get("forbid", [])
    for motif in motifs:
        spelled = motif.replace("N", "[ACGT]").replace("R", "[AG]").replace("Y", "[CT]")
        whole = EGFP.before[-len(motif) + 1 :] + found["seq"] + EGFP.after[: len(motif) - 1]
        assert not whole.str.contains(spelled).any()
    if "like" in request:
        edits = [edit_distance(request["like"], seq) for seq in found["seq"]]
        assert found["edits"].tolist() == edits
        assert max(edits) <= max(1, len(request["like"]) // 4)
    pd.testing.assert_frame_equal(design(), found)
