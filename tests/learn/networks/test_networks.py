"""Architectures: the homework's and the paper's sizes, reading frames against brute force, padding without effect."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from ribocast.errors import RibocastError
from ribocast.learn.data.assays import ASSAYS
from ribocast.learn.data.simulate import simulate
from ribocast.learn.networks import ARCHITECTURES, architecture, parse_settings
from ribocast.learn.networks.framed import OpenFrames
from ribocast.learn.networks.network import Convolution, LetterTable, channels_last
from ribocast.model.bundle import AssayCard
from ribocast.sequence.batch import encode
from ribocast.sequence.construct import EGFP
from ribocast.sequence.letters import is_missing

STOPS = {"TAA", "TAG", "TGA"}


def cards(*names, weights=True):
    return [
        AssayCard(
            name=name, before=EGFP.before, after=EGFP.after, min_length=1, max_length=100, label_mean=5, label_scale=2,
            fraction_weights=ASSAYS[name].fraction_weights if weights else None,
        )
        for name in names
    ]  # fmt: skip


def build(name, **settings):
    torch.manual_seed(0)
    assays = cards(*ASSAYS) if name in ("framed", "framepool") else cards("egfp_random50")
    return architecture(name).build(assays, **settings).eval()


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("attention-2conv", 51_650), ("attention-3conv", 72_194), ("optimus", 474_681), ("framepool", 282_633)],
)
def test_sizes_are_those_of_the_homework_and_the_paper(name, parameters):
    assert build(name).count_parameters() == parameters


def test_the_homeworks_shapes_are_51_then_25_then_12_positions():
    network = build("attention-2conv")
    letters = torch.tensor(encode(["ACGTA" * 10]))
    x = channels_last(network.letters(letters)[:, :4])
    widths = []
    for layer in network.convolutions:
        x = layer(x)
        if not isinstance(layer, torch.nn.ReLU):
            widths.append(x.shape[3])
    assert widths == [51, 25, 25, 12]


def test_the_homeworks_network_has_the_loss_and_gradients_of_the_notebooks_layers():
    torch.manual_seed(0)
    network = build("attention-3conv", dropout=0.0)
    letters, target = torch.from_numpy(encode(simulate(64, seed=0)["seq"].tolist())), torch.randn(64)

    def plainly():
        x = network.letters(letters)[:, :4].contiguous()
        for number, layer in enumerate(layer for layer in network.convolutions if isinstance(layer, Convolution)):
            x = torch.relu(F.conv1d(x, layer.weight, layer.bias, padding=layer.padding))
            x = F.max_pool1d(x, 2) if number != 1 else x
        x = x.transpose(1, 2)
        return network.head((torch.softmax(network.score(x), dim=1) * x).sum(dim=1))[:, 0]

    found = []
    for outputs in (plainly(), network(letters)[:, 0, 0]):
        loss = ((outputs - target) ** 2).mean()
        found.append((loss, *torch.autograd.grad(loss, list(network.parameters()))))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_letters_are_looked_up_alike_in_both_cases_and_for_t_and_u():
    table = LetterTable()(torch.tensor([list(b"ACGTUNacgtun")], dtype=torch.uint8))[0]
    channels = ["A", "C", "G", "T", "T", "-", "a", "c", "g", "t", "t", "-"]
    for position, channel in enumerate(channels):
        expected = [float(channel.upper() == base) for base in "ACGT"] + [1.0]
        assert table[:, position].tolist() == expected


def frames_by_hand(utr, before, after):
    """Walk each frame codon by codon, as a ribosome would."""
    around = before[-2:] + utr + after[:2]
    start, is_open, stop_ahead = (np.zeros(len(utr)) for _ in range(3))
    for frame in range(3):
        codons = [at for at in range(len(around) - 2) if (at - 2 - len(utr)) % 3 == frame]
        opened = False
        for at in codons:
            codon = around[at : at + 3]
            opened = (opened or codon == "ATG") and codon not in STOPS
            ahead = any(around[later : later + 3] in STOPS for later in codons if later >= at)
            if at >= 2:
                start[at - 2] = codon == "ATG"
                is_open[at - 2] = opened
                stop_ahead[at - 2] = ahead
    return np.stack([start, is_open, stop_ahead, is_open * (1 - stop_ahead)])


@settings(max_examples=150, deadline=None)
@given(
    utrs=st.lists(
        st.text("ACGTN", min_size=1, max_size=90).filter(lambda utr: not is_missing(utr))
        | st.text("ATG", min_size=1, max_size=60),
        min_size=1,
        max_size=5,
    ),
    before=st.text("ACGT", max_size=4),
)
def test_open_frames_are_those_a_ribosome_would_walk_across_both_joints(utrs, before):
    table = LetterTable()(torch.from_numpy(encode(utrs)))
    channels = OpenFrames(before, EGFP.after)(table[:, :4], table[:, 4:]).numpy()
    for row, utr in enumerate(utrs):
        padding = channels.shape[2] - len(utr)
        assert np.array_equal(channels[row, :, padding:], frames_by_hand(utr, "NN" + before, EGFP.after))
        assert not channels[row, :, :padding].any()


@pytest.mark.parametrize(("name", "small"), [("framed", {"channels": 8, "dilations": (1, 2)}), ("framepool", {})])
@settings(max_examples=30, deadline=None)
@given(
    utrs=st.lists(
        st.text("ACGTN", min_size=1, max_size=130).filter(lambda utr: not is_missing(utr)), min_size=2, max_size=6
    )
)
def test_padding_and_company_change_no_prediction(name, small, utrs):
    network = build(name, **small)
    with torch.inference_mode():
        together = network(torch.from_numpy(encode(utrs))).numpy()
        alone = [network(torch.from_numpy(encode([utr]))).numpy()[0] for utr in utrs]
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_framepool_pools_each_frame_of_the_start_codon_alone():
    network = build("framepool", filters=1, filter_length=1, layers=1)
    with torch.no_grad():
        network.convolutions[0].weight.copy_(torch.tensor([1.0, 0, 0, 0]).reshape(1, 4, 1))  # sees A
    seen = []
    network.hidden.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    network(torch.from_numpy(encode(["CCACC", "ACCCA"])))
    # Maxima by frame (the third ends at the start codon), then means over the whole length.
    expected = [[1, 0, 0, 0.2, 0, 0], [0, 1, 1, 0, 0.2, 0.2]]
    np.testing.assert_allclose(seen[0].detach(), expected, atol=1e-6)


def test_fractions_are_shares_and_lacking_ones_are_never_filled():
    network = build("framed", channels=8, dilations=(1,))
    fractions = network(torch.from_numpy(encode(["ACGT" * 12, "ATG"]))).detach().numpy()
    assert fractions.shape == (2, 4, 14)
    assert (fractions >= 0).all()
    np.testing.assert_allclose(fractions.sum(axis=2), 1, atol=1e-6)
    assert not fractions[:, list(ASSAYS).index("egfp_varying25to100"), 13].any()


def test_training_sees_what_evaluation_sees_where_nothing_is_padded():
    network = build("framed", channels=8, dilations=(1, 2), dropout=0.0, letter_dropout=0.0)
    letters = torch.from_numpy(encode(["ACGTTGCA" * 6, "TTGACATG" * 6]))
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.momentum = 0.0
            module.eval()
    evaluated = network(letters)
    network.training = True
    np.testing.assert_allclose(network(letters).detach(), evaluated.detach(), atol=1e-6)


def test_hidden_letters_are_hidden_in_training_alone():
    network = build("framed", channels=8, dilations=(1,), dropout=0.0, letter_dropout=0.5)
    letters = torch.from_numpy(encode(["ACGTTGCA" * 6]))
    assert torch.equal(network(letters), network(letters))
    network.training = True
    assert not torch.equal(network(letters), network(letters))


def test_assays_with_other_coding_sequences_share_a_network_and_other_joints_do_not():
    mcherry = cards("egfp_random50")[0].model_copy(update={"name": "red", "after": "ATGGTGAGCAAG"})
    network = architecture("framed").build([*cards("egfp_random50"), mcherry], channels=8, dilations=(1,)).eval()
    assert network(torch.from_numpy(encode(["ACGT"]))).shape[1] == 2
    with pytest.raises(RibocastError, match="next to the UTR"):
        architecture("framed").build([*cards("egfp_random50"), mcherry.model_copy(update={"before": "GGGCC"})])


def test_without_fraction_weights_framed_gives_standardised_mrls():
    network = architecture("framed").build(cards("egfp_random50", weights=False), channels=8, dilations=(1,))
    assert network.output == "standardised"
    assert network(torch.from_numpy(encode(["ACGT"]))).shape == (1, 1, 1)


def test_wrong_names_settings_and_assays_are_refused_in_words():
    with pytest.raises(RibocastError, match="architecture 'nope'; use "):
        architecture("nope")
    with pytest.raises(RibocastError, match="has no setting 'nope'; it has: layers"):
        build("optimus", nope=1)
    with pytest.raises(RibocastError, match="one assay at a time, not 4"):
        architecture("optimus").build(cards(*ASSAYS))
    with pytest.raises(RibocastError, match="not of the form name=value"):
        parse_settings(["channels"])
    for beyond in ("9" * 5000, "[" * 100_000):
        with pytest.raises(RibocastError, match="setting channels cannot be read"):
            parse_settings([f"channels={beyond}"])
    assert parse_settings(["channels=96", "dilations=[1,2]", "kind=word"]) == {
        "channels": 96, "dilations": [1, 2], "kind": "word",
    }  # fmt: skip


def test_every_architecture_says_what_it_is():
    assert all(entry.name == name and entry.summary for name, entry in ARCHITECTURES.items())


def test_the_papers_profile_network_has_14_linear_outputs_for_a_library_with_14_weights():
    network = build("optimus-profile")
    assert network.output == "fractions"
    assert network.settings.dense == 80
    assert network(torch.tensor(encode(["ACGTA" * 10]))).shape == (1, 1, 14)
    thirteen = architecture("optimus-profile").build(cards("egfp_varying25to100"), length=100)
    assert thirteen(torch.tensor(encode(["A" * 100]))).shape == (1, 1, 13)
    with pytest.raises(RibocastError, match="not known: no profile model"):
        architecture("optimus-profile").build(cards("egfp_random50", weights=False))
