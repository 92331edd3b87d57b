"""What every architecture, engine, designing algorithm and table format must do, whichever it is.

Like scikit-learn's checks of estimators: whoever is added to a registry is checked here without being named.
"""

import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ribocast
from ribocast.design import DesignRequest, propose
from ribocast.design.algorithms import ALGORITHMS
from ribocast.errors import RibocastError, SequenceError
from ribocast.io.tables import read_chunks, read_table
from ribocast.io.writers import TABLE_ENDINGS, open_table
from ribocast.learn import fit
from ribocast.learn.data.assays import KNOWN_ASSAYS
from ribocast.learn.data.simulate import simulate
from ribocast.learn.networks import ARCHITECTURES, load_network
from ribocast.learn.train.export import write_network
from ribocast.learn.train.setup import own_recipe
from ribocast.model.bundle import open_bundle
from ribocast.predict.files import predict_file
from ribocast.sequence.batch import encode
from ribocast.sequence.letters import PAD, is_missing, to_dna

SMALL = {"framed": {"channels": 8, "dilations": (1, 2)}, "optimus": {"filters": 8, "dense": 8},
         "optimus-profile": {"filters": 8, "dense": 8}, "framepool": {"filters": 8, "layers": 1},
         "ensemble": {"member": "optimus", "members": 2, "member_settings": {"filters": 8, "dense": 8}}}  # fmt: skip
UTRS = ["ACGTA" * 10, "TTGCA" * 10, "acguu" * 10, "N" * 50, "ATGCC" * 10]
NOTES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=9)
RELAXED = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


# --- architectures ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def assay_cards(framed):
    return open_bundle(framed).card.assays[:1]


@pytest.fixture(scope="module", params=ARCHITECTURES)
def network(request, assay_cards):
    torch.manual_seed(1)
    return ARCHITECTURES[request.param].build(assay_cards, **SMALL.get(request.param, {})).eval()


def test_an_architecture_gives_finite_numbers_of_the_promised_shape(network, assay_cards):
    with torch.inference_mode():
        outputs = network(torch.from_numpy(encode(UTRS))).numpy()
    width = 1 if network.output == "standardised" else len(assay_cards[0].fraction_weights)
    assert outputs.shape == (len(UTRS), 1, width)
    assert outputs.dtype == np.float32
    assert np.isfinite(outputs).all()
    # The paper's profile network has linear outputs: it is trained to give shares, and gives others before.
    if network.output == "fractions" and "optimus" not in type(network).__module__:
        assert (outputs >= 0).all()
        np.testing.assert_allclose(outputs.sum(axis=2), 1, atol=1e-5)


def test_an_architecture_does_not_mind_case_u_order_or_company(network):
    letters = encode(UTRS)
    with torch.inference_mode():
        together = network(torch.from_numpy(letters)).numpy()
        spelt = letters | np.uint8(32) * (letters != PAD)  # ASCII's lower case
        spelt[spelt == ord("t")] = ord("u")
        spelt = network(torch.from_numpy(spelt)).numpy()
        turned = network(torch.from_numpy(letters[::-1].copy())).numpy()[::-1]
        alone = np.concatenate([network(torch.from_numpy(letters[row : row + 1])).numpy() for row in range(len(UTRS))])
    for other in (spelt, turned, alone):
        np.testing.assert_allclose(other, together, rtol=0, atol=1e-5)


def test_an_architecture_trains_every_weight_it_has(network):
    network.zero_grad()
    outputs = network(torch.from_numpy(encode(UTRS)))
    (outputs * torch.arange(1, 1 + outputs.shape[2])).square().sum().backward()
    for name, weights in network.named_parameters():
        assert weights.grad is not None, name
        assert weights.grad.isfinite().all(), name
        assert weights.grad.abs().sum() > 0, name


def test_an_architecture_is_what_it_was_after_writing_and_reading_on_every_engine(network, framed, tmp_path):
    known = open_bundle(framed).card
    name = next(name for name, entry in ARCHITECTURES.items() if is_of(network, entry))
    card = known.model_copy(update={
        "architecture": name, "settings": network.settings_dict(), "output": network.output,
        "fixed_length": network.fixed_length, "assays": known.assays[:1], "default_assay": known.assays[0].name,
    })  # fmt: skip
    bundle = write_network(network, card, tmp_path / "m")
    again = load_network(bundle).eval()
    assert all(torch.equal(one, other) for one, other in
               zip(network.state_dict().values(), again.state_dict().values(), strict=True))  # fmt: skip
    with torch.inference_mode():
        expected = network(torch.from_numpy(encode(UTRS))).numpy()
    for engine in ("openvino", "torch"):
        np.testing.assert_allclose(ribocast.load(tmp_path / "m", engine=engine).outputs(UTRS), expected, atol=1e-4)


def is_of(network, entry) -> bool:
    """Say whether an architecture's file makes such networks, and with an output like this one's."""
    makes_profiles = entry.defaults.get("profile", False)
    return type(network).__module__.endswith(f".{entry.module}") and (
        entry.module != "optimus" or makes_profiles == (network.output == "fractions")
    )


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("changes", [{"strange": 1}, {"dropout": "much"}])
def test_an_architecture_refuses_what_it_does_not_know_in_one_line(name, changes, assay_cards):
    with pytest.raises(RibocastError) as caught:
        ARCHITECTURES[name].build(assay_cards, **changes)
    assert "\n" not in str(caught.value)


# --- predictors ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=itertools.product(["framed", "fixed"], ["openvino", "torch"]), ids="-".join)
def model(request):
    which, engine = request.param
    return ribocast.load(request.getfixturevalue(which), engine=engine, threads=1)


@RELAXED
@given(
    utrs=st.lists(
        st.text("ACGTUNacgtun", min_size=1, max_size=90).filter(lambda utr: not is_missing(utr)), min_size=1, max_size=8
    ),
    data=st.data(),
)
def test_a_predictor_gives_the_same_in_any_order_spelling_and_company(model, utrs, data):
    for assay in model.card.assays:
        mrls = model.mrl(utrs, assay=assay.name)
        assert mrls.shape == (len(utrs),)
        assert np.isfinite(mrls).all()
        order = data.draw(st.permutations(range(len(utrs))))
        other = model.mrl([to_dna(utrs[row]) for row in order], assay=assay.name)
        np.testing.assert_allclose(other, mrls[list(order)], rtol=0, atol=1e-5)
        table = model.predict(utrs, assay=assay.name)
        np.testing.assert_allclose(table["mrl"], mrls, rtol=0, atol=1e-5)
        known = table["mrl_low"].notna()
        assert (table["mrl_low"][known] <= table["mrl"][known]).all()
        assert (table["mrl"][known] <= table["mrl_high"][known]).all()


@RELAXED
@given(utrs=st.lists(st.text("ACGTXU-n é", max_size=12), min_size=1, max_size=5))
def test_a_predictor_refuses_exactly_the_sequences_that_have_a_fault(model, utrs):
    faults = model.faults(utrs)
    if faults:
        with pytest.raises(SequenceError, match=f"row {faults[0].row + 1}: ") as caught:
            model.mrl(utrs)
        assert "\n" not in str(caught.value)
    else:
        assert len(model.mrl(utrs)) == len(utrs)


def test_a_predictor_says_which_assays_and_columns_it_knows(model):
    for call in (model.mrl, model.predict):
        with pytest.raises(RibocastError, match="'nope'"):
            call(UTRS, assay="nope")
    with pytest.raises(RibocastError, match="no sequence column"):
        model.predict(pd.DataFrame({"a": UTRS}))


# --- designers -------------------------------------------------------------------------------------------------


def of_letters(utrs):
    """Stand in for a model: the more A, the higher."""
    return [3 + 5 * utr.count("A") / len(utr) for utr in utrs]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(
    "wanted",
    [
        {"n": 3, "length": 20},
        {"target": 6.0, "n": 2, "length": (15, 18)},
        {"n": 2, "length": 24, "forbid": ["ATG", "AAA"]},
        {"target": (4.0, 7.0), "n": 1, "length": 20},
    ],
    ids=lambda wanted: "-".join(wanted),
)  # fmt: skip
def test_a_designer_keeps_rules_and_budget_and_repeats_itself(algorithm, wanted, framed):
    # Gradients need a trained model.
    model = ribocast.load(framed, threads=1) if algorithm == "gradient" else of_letters
    request = DesignRequest(algorithm=algorithm, budget=400, seed=2, **wanted)
    found, again = (propose(model, request, independent=None) for _ in range(2))
    pd.testing.assert_frame_equal(found.table, again.table)
    goals = len(wanted["target"]) if isinstance(wanted.get("target"), tuple) else 1
    assert len(found.table) == wanted["n"] * goals
    assert found.table.groupby("target", dropna=False)["seq"].nunique().tolist() == [wanted["n"]] * goals
    lengths = wanted["length"] if isinstance(wanted["length"], tuple) else (wanted["length"],) * 2
    for seq in found.table["seq"]:
        assert lengths[0] <= len(seq) <= lengths[1]
        assert set(seq) <= set("ACGT")
        assert not any(motif in seq for motif in wanted.get("forbid", ()))
    # The gradients after the last round count as well.
    assert found.calls <= 400 * (1.1 if algorithm == "gradient" else 1)
    mrls = of_letters(found.table["seq"]) if model is of_letters else model.mrl(found.table["seq"])
    np.testing.assert_allclose(found.table["mrl"], mrls, atol=1e-4)


# --- table formats ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", TABLE_ENDINGS)
@RELAXED
@given(
    rows=st.lists(
        st.tuples(st.text("ACGTUNacgtun", min_size=4, max_size=60), NOTES),
        min_size=1, max_size=12,
    ),
    size=st.integers(1, 5),
)  # fmt: skip
def test_a_table_format_keeps_rows_cells_and_order_in_pieces_of_any_size(ending, rows, size, tmp_path):
    frame, path = pd.DataFrame(rows, columns=["seq", "note"], dtype=str), tmp_path / f"t{ending}"
    with open_table(path) as sink:
        for first in range(0, len(rows), size):
            sink.write(frame[first : first + size].reset_index(drop=True))
    assert read_table(path).frame.to_numpy().tolist() == frame.to_numpy().tolist()
    pieces = list(read_chunks(path, chunk_rows=size))
    assert [utr for piece in pieces for utr in piece.utrs] == frame["seq"].tolist()
    assert [piece.first_row for piece in pieces] == list(np.cumsum([1, *map(len, pieces)])[:-1])


@pytest.mark.parametrize("ending", [*TABLE_ENDINGS, ".fasta", ".txt", ".fasta.gz", ".txt.gz"])
def test_a_table_format_is_predicted_like_any_other(ending, framed, tmp_path):
    import gzip

    model = ribocast.load(framed, threads=1)
    path = tmp_path / f"in{ending}"
    if ending in TABLE_ENDINGS:
        with open_table(path) as sink:
            sink.write(pd.DataFrame({"seq": UTRS}))
    else:
        lines = [f">r{row}\n{utr}" if "fasta" in ending else utr for row, utr in enumerate(UTRS)]
        content = ("\n".join(lines) + "\n").encode()
        path.write_bytes(gzip.compress(content) if ending.endswith("gz") else content)
    predict_file(model, path, tmp_path / "out.csv")
    np.testing.assert_allclose(pd.read_csv(tmp_path / "out.csv")["mrl"], model.mrl(UTRS), atol=1e-5)


def test_every_known_assay_can_be_trained_on_and_says_what_it_is(tmp_path):
    for name, assay in KNOWN_ASSAYS.items():
        assert assay.name == name
        assert assay.description
        rows = simulate(40, seed=1, min_length=assay.min_length, max_length=assay.max_length)[["seq", "mrl"]]
        trained = fit(rows, tmp_path / name, assay=name, model="optimus", settings=SMALL["optimus"],
                      recipe=own_recipe("optimus").with_changes(epochs=1), export=False)  # fmt: skip
        assert [card.name for card in trained.bundle.card.assays] == [name]
        assert np.isfinite(ribocast.load(tmp_path / name).mrl(rows["seq"].tolist())).all()
