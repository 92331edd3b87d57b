"""Processes that train together: what one process would make of their rows, written once."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ribocast.errors import RibocastError
from ribocast.learn.data.simulate import simulate
from ribocast.learn.networks.norms import LengthNorm
from ribocast.learn.train.checkpoint import CHECKPOINT_NAME
from ribocast.learn.train.distributed import Team, join_team

ALONE = (sys.executable, "-m", "ribocast")
TWO = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "ribocast")
# No chance in what is compared: none of dropout's, and in float32 none of rounding's.
SAME = ("--set", "dropout=0", "--set", "letter_dropout=0", "--set", "channels=16", "--set", "dilations=[1,2]",
        "--device", "cpu", "--seed", "3")  # fmt: skip
FLOAT32 = {**os.environ, "ATEN_CPU_CAPABILITY": "avx2", "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Give a file of sequences of many lengths, whose last batch is an odd one."""
    file = tmp_path_factory.mktemp("together") / "rows.csv"
    simulate(677, seed=4, min_length=25, max_length=100)[["seq", "mrl"]].to_csv(file, index=False)
    return file


def train(command, table, folder, *options, epochs=3):
    return subprocess.run(
        [*command, "train", str(table), "--label", "mrl", "-o", str(folder), "--epochs", str(epochs), *options],
        env=FLOAT32, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.fixture(scope="module")
def both(table, tmp_path_factory):
    """Train alone, and in two processes with batches half as large; give folders and what was said."""
    folder = tmp_path_factory.mktemp("runs")
    alone = train(ALONE, table, folder / "alone", *SAME, "--batch-size", "64")
    two = train(TWO, table, folder / "two", *SAME, "--batch-size", "32", "--json")
    return folder, alone, two


def test_two_processes_lose_what_one_does_with_batches_twice_as_large(both):
    folder, _, _ = both
    alone, two = (pd.read_csv(folder / name / "history.csv") for name in ("alone", "two"))
    columns = ["train_loss", "val_loss"]
    np.testing.assert_allclose(two[columns], alone[columns], rtol=2e-3)
    # Rounding differs and grows with every step.
    np.testing.assert_allclose(two.loc[0, columns].astype(float), alone.loc[0, columns].astype(float), rtol=1e-4)


def test_the_model_says_what_the_one_of_one_process_says(both):
    folder, _, _ = both
    alone, two = (safetensors.torch.load_file(folder / name / "model.safetensors") for name in ("alone", "two"))
    assert alone.keys() == two.keys()
    for name, tensor in alone.items():
        torch.testing.assert_close(two[name], tensor, rtol=0.02, atol=0.01)
    cards = [json.loads((folder / name / "model.json").read_text()) for name in ("alone", "two")]
    assert cards[0]["recipe"] == cards[1]["recipe"]
    assert cards[0]["recipe"]["batch_size"] == 64


def test_only_one_of_them_speaks(both):
    _, alone, two = both
    assert json.loads(two.stdout)["evaluations"][0]["rows"] > 100
    assert two.stderr.count("epoch 1:") == 1
    assert two.stderr.count("2 processes train together: 64 rows a batch") == 1
    assert "processes" not in alone.stderr


def children(number):
    return [int(child) for child in Path(f"/proc/{number}/task/{number}/children").read_text().split()]


@pytest.mark.thorough
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds processes through /proc")
def test_killed_they_go_on_to_the_same_weights_by_dropout_too(table, tmp_path):
    options = ("--set", "channels=16", "--set", "dilations=[1,2]", "--device", "cpu", "--batch-size", "32")
    train(TWO, table, tmp_path / "undisturbed", *options)
    process = subprocess.Popen(
        [*TWO, "train", str(table), "--label", "mrl", "-o", str(tmp_path / "killed"), "--epochs", "3", *options],
        env=FLOAT32, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    while not (tmp_path / "killed" / CHECKPOINT_NAME).exists():
        assert process.poll() is None
        time.sleep(0.02)
    # Torchrun's processes are in sessions of their own, and would train on without it.
    for number in [process.pid, *children(process.pid)]:
        os.kill(number, signal.SIGKILL)
    process.wait()
    train(TWO, table, tmp_path / "killed", *options, "--resume")
    undisturbed, killed = (tmp_path / name / "model.safetensors" for name in ("undisturbed", "killed"))
    assert killed.read_bytes() == undisturbed.read_bytes()


@given(st.integers(1, 300), st.integers(1, 9))
def test_every_row_of_a_batch_has_one_process(rows, size):
    batch = np.arange(rows)
    shares = [batch[Team(number, size).share(batch)] for number in range(size)]
    assert sorted(np.concatenate(shares)) == list(batch)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@settings(deadline=None)
@given(st.integers(2, 8), st.integers(1, 30), st.floats(-50, 50), st.floats(0.1, 9))
def test_a_norm_over_processes_is_batch_normalisation(rows, positions, mean, scale):
    torch.manual_seed(rows * 31 + positions)
    plain, ours = nn.BatchNorm1d(3), LengthNorm(3, 40)
    ours.total = Team().total
    x = (torch.randn(rows, 3, positions) * scale + mean).requires_grad_()
    expected, found = plain(x), ours(x, torch.full((rows,), positions))
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
    for name in ("running_mean", "running_var"):
        torch.testing.assert_close(getattr(ours, name), getattr(plain, name), rtol=1e-4, atol=1e-4)
    weights = torch.randn_like(expected)
    slopes = [torch.autograd.grad((y * weights).sum(), x)[0] for y in (expected, found)]
    torch.testing.assert_close(slopes[1], slopes[0], rtol=1e-2, atol=1e-3)


def test_a_device_on_which_processes_cannot_work_together_is_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with (
        pytest.raises(RibocastError, match="train together on cpu or cuda, not on mps"),
        join_team(torch.device("mps")),
    ):
        pass
