"""A hundred kills of each command at work: outputs are absent or whole, and a second run completes them."""

import sys

import pytest

import killing
from where import share

WITH_OUTPUTS = ["predict CSV", "predict Parquet", "variants table", "variants VCF", "explain table", "design",
                "simulate", "train", "search", "compare"]  # fmt: skip


def test_every_command_with_outputs_is_killed(framed, tmp_path):
    commands = killing.make_commands(tmp_path, str(framed), 2)
    assert [name for name, command in commands.items() if command.outputs] == WITH_OUTPUTS


@pytest.mark.thorough
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
@pytest.mark.parametrize("name", [*WITH_OUTPUTS, "serve"])
def test_a_command_killed_a_hundred_times_ends_well(framed, name):
    killing.main(["--times", str(share(100)), "--rows", "3000", "--model", str(framed), "--only", name])
