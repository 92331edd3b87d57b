"""The running form of a network: written only if it can be read."""

import pytest
import torch
from torch import nn

from ribocast.errors import ModelError
from ribocast.learn.train.export import to_onnx


class Tiny(nn.Module):
    """Letters to one number of one assay, by any function on the way."""

    fixed_length = None

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, letters):
        return self.function(letters.float()).mean(dim=1)[:, None, None]


def test_what_can_be_read_is_written():
    assert to_onnx(Tiny(torch.relu)).startswith(b"\x08")


def test_an_operator_that_is_not_read_is_refused_when_written():
    with pytest.raises(ModelError, match=r"cannot be written in its running form: .*[Cc]um[Ss]um"):
        to_onnx(Tiny(lambda numbers: torch.cumsum(numbers, dim=1)))
