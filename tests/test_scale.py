"""Work on a Ray cluster of several nodes: the output is one machine's, also when workers and nodes die."""

import json
import os
import re
import signal
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import ribocast
from ribocast import scale
from ribocast.cli import main
from ribocast.errors import RibocastError
from ribocast.jobs import Predictions
from ribocast.learn.search.on_ray import _join
from ribocast.learn.simulate import simulate
from ribocast.scale import Hand, Order, work_on_ray
from ribocast.shards import Portion, divide, terms_of, work_off
from test_shards import contents, rows, write, write_genome

pytest.importorskip("ray", reason="Ray is not installed: pip install 'ribocast[scale]'")


@pytest.fixture(scope="module")
def cluster():
    """Start a cluster of two nodes with one CPU each, on this machine."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_health_check_period_ms"] = "500"  # noqa: SIM112
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    from ray.cluster_utils import Cluster

    small = {"num_cpus": 1, "object_store_memory": 80 << 20, "node_ip_address": "127.0.0.2"}
    with pytest.MonkeyPatch.context() as patch:
        # Ray's own processes, were their coverage measured, would take longer to start than Ray waits for them.
        patch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
        try:
            started = Cluster(initialize_head=True, head_node_args={**small, "include_dashboard": False})
            started.add_node(**small)
        except Exception as error:
            pytest.skip(f"no Ray cluster starts on this machine: {str(error).splitlines()[0]}")
        yield started
        started.shutdown()


@dataclass(frozen=True)
class Slow(Predictions):
    """Predictions of a job in which a worker waits, as long as there is a file, when it has half done its portion."""

    hold: str = ""

    def do(self, model, portion, *, resume, mark, done, say):
        def hold(count):
            while Path(self.hold).exists():
                time.sleep(0.05)
            done(count)

        plain = Predictions(self.assay)
        return plain.do(model, portion, resume=resume, mark=mark, done=hold, say=say)

    def settings(self):
        return Predictions(self.assay).settings()


class Teller:
    """Remembers what is said, and calls back once something was said that matches."""

    def __init__(self, **at):
        self.said, self._at = [], {pattern.replace("_", " "): call for pattern, call in at.items()}

    def __call__(self, line):
        self.said.append(line)
        for pattern in list(self._at):
            if re.search(pattern, line):
                self._at.pop(pattern)(line)


def test_outputs_are_those_of_one_machine_though_a_worker_is_killed(cluster, framed, tmp_path):
    sources = [write(tmp_path / f"{name}.{kind}", rows(300, seed)) for seed, (name, kind) in
               enumerate([("a", "csv"), ("b", "parquet"), ("c", "tsv.gz"), ("d", "csv"), ("e", "csv")])]  # fmt: skip
    model = ribocast.load(framed, threads=1)
    work_off(model, Predictions(), divide(sources, f"{tmp_path}/one"), resume=False, done=print, say=print)
    hold = tmp_path / "hold"
    hold.touch()

    def kill(line):
        def later():
            # Its first portion is half done, and waits.
            deadline = time.monotonic() + 60
            while not list((tmp_path / "many").glob(".*.ray-*.part")) and time.monotonic() < deadline:
                time.sleep(0.1)
            os.kill(int(re.search(r"process (\d+)", line)[1]), signal.SIGKILL)
            hold.unlink()

        threading.Thread(target=later).start()

    say = Teller(worker_1_on=kill)
    portions = divide(sources, f"{tmp_path}/many")
    counts = []
    done = work_on_ray(cluster.address, model, Slow(hold=str(hold)), portions, done=counts.append, say=say)
    assert sum("is done again" in line for line in say.said) == 1
    # The other worker may be done before a third one has its model.
    assert sum("process" in line for line in say.said) in (2, 3)
    assert done == (1500, 0)
    assert counts == sorted(counts)
    assert counts[-1] == 1500
    assert contents(tmp_path / "many") == contents(tmp_path / "one")
    assert not list((tmp_path / "many").glob(".*.part"))


def test_a_node_that_goes_away_loses_nothing(cluster, framed, tmp_path):
    sources = [write(tmp_path / f"{seed}.csv", rows(200, seed)) for seed in range(4)]
    model = ribocast.load(framed, threads=1)
    work_off(model, Predictions(), divide(sources, f"{tmp_path}/one"), resume=False, done=print, say=print)
    node = cluster.add_node(num_cpus=1, object_store_memory=80 << 20, node_ip_address="127.0.0.2")
    hold = tmp_path / "hold"
    hold.touch()

    def remove(_):
        threading.Thread(target=cluster.remove_node, args=(node, False)).start()

    # Nobody ends anything before it was noticed.
    say = Teller(worker_3_on=remove, is_done_again=lambda _: hold.unlink())
    work_on_ray(cluster.address, model, Slow(hold=str(hold)), divide(sources, f"{tmp_path}/many"), say=say)
    assert any("is done again" in line for line in say.said)
    assert contents(tmp_path / "many") == contents(tmp_path / "one")


def test_the_command_divides_parquet_and_skips_what_is_finished(cluster, framed, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(scale, "SHARD_ROWS", 100)
    source, text = write(tmp_path / "t.parquet", rows(250)), write(tmp_path / "u.csv", rows(30, bad=3))
    options = ["--model", str(framed), "--on-error", "skip"]
    command = ["predict", source, text, "-o", f"{tmp_path}/many/", "--ray", cluster.address, *options]
    assert main(command) == 0
    assert main(["predict", source, text, "-o", f"{tmp_path}/one/", *options]) == 0
    names = sorted(contents(tmp_path / "many"))
    assert names == [*(f"t.0000{part}-of-00003.parquet" for part in (1, 2, 3)), "u.csv", "u.rejected.csv"]
    parts = pd.concat([pd.read_parquet(tmp_path / "many" / name) for name in names[:3]], ignore_index=True)
    pd.testing.assert_frame_equal(parts, pd.read_parquet(tmp_path / "one" / "t.parquet"))
    for name in names[3:]:
        assert (tmp_path / "many" / name).read_bytes() == (tmp_path / "one" / name).read_bytes()
    (tmp_path / "many" / names[1]).unlink()
    capsys.readouterr()
    assert main([*command, "--resume"]) == 0
    said = capsys.readouterr().err
    assert "3 of 4 were finished before" in said
    assert said.count("process") == 1
    assert sorted(contents(tmp_path / "many")) == names


def test_all_substitutions_are_those_of_one_machine(cluster, framed, tmp_path, monkeypatch):
    pytest.importorskip("pyfaidx")
    monkeypatch.setattr(scale, "SHARD_ROWS", 500)
    options = ["--all", *map(str, write_genome(tmp_path)), "--model", str(framed)]
    assert main(["variants", "-o", f"{tmp_path}/whole.parquet", *options]) == 0
    assert main(["variants", "-o", f"{tmp_path}/out/", "--ray", cluster.address, *options]) == 0
    parts = sorted((tmp_path / "out").glob("*.parquet"))
    assert len(parts) > 2
    together = pd.concat(map(pd.read_parquet, parts), ignore_index=True)
    pd.testing.assert_frame_equal(together, pd.read_parquet(tmp_path / "whole.parquet"))


def test_what_a_worker_cannot_do_is_said_in_one_line_and_the_rest_stays(cluster, framed, tmp_path, capsys):
    sources = [write(tmp_path / f"{seed}.csv", rows(20, seed, bad=seed // 2)) for seed in range(3)]
    assert main(["predict", *sources, "-o", f"{tmp_path}/out", "--model", str(framed), "--ray", cluster.address]) == 2
    assert re.search(r"^error: 2.csv row \d+: .*X", capsys.readouterr().err, re.MULTILINE)
    assert "2.csv" not in contents(tmp_path / "out")


def test_a_portion_that_ends_every_worker_is_given_up(cluster, framed, tmp_path):
    source = write(tmp_path / "t.csv", rows(10))
    with pytest.raises(RibocastError, match=r"t\.csv: ended 3 workers"):
        work_on_ray(cluster.address, ribocast.load(framed), Deadly(), [Portion(source, f"{tmp_path}/o.t.csv")])


@dataclass(frozen=True)
class Deadly(Predictions):
    def do(self, model, portion, **how):
        os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class Otherwise(Predictions):
    """A job that another version of the program does otherwise."""

    def settings(self):
        return {"process": os.getpid()}


def test_a_worker_with_other_settings_is_refused(cluster, framed, tmp_path):
    source = write(tmp_path / "t.csv", rows(10))
    with pytest.raises(RibocastError, match=r"the worker on .* has process \d+, here it is \d+"):
        work_on_ray(cluster.address, ribocast.load(framed), Otherwise(), [Portion(source, f"{tmp_path}/o.csv")])


def test_a_hand_writes_what_one_machine_writes_and_says_in_words_what_it_cannot_do(framed, tmp_path):
    job, source = Predictions("egfp_random50"), write(tmp_path / "a.csv", rows(30, 1))
    hand = Hand(Order(str(framed), "openvino", 1, job))
    mine = Portion(source, f"{tmp_path}/mine.csv")
    assert hand.do(mine, "m") == {"error": "the worker has no model"}
    begun = hand.begin()
    assert begun["process"] == os.getpid()
    assert begun["terms"] == terms_of(ribocast.load(framed), job)
    done = hand.do(mine, "m")
    assert done == {"done": (30, 0), "said": done["said"]}
    alone = [Portion(source, f"{tmp_path}/alone.csv")]
    work_off(ribocast.load(framed), job, alone, resume=False, done=[].append, say=[].append)
    assert Path(mine.output).read_bytes() == Path(alone[0].output).read_bytes()
    missing = hand.do(Portion(f"{tmp_path}/none.csv", f"{tmp_path}/o.csv"), "m")
    assert missing == {"error": f"{tmp_path}/none.csv: no such file"}
    assert not (tmp_path / "o.csv").exists()
    nowhere = Hand(Order(f"{tmp_path}/none", "openvino", 1, job)).begin()
    assert str(tmp_path / "none") in nowhere["error"]


def test_a_machine_that_cannot_join_a_search_says_so_and_who_it_is(tmp_path):
    (line,) = _join(simulate(30, seed=1)[["seq", "mrl"]], str(tmp_path), 1, {"grid": tmp_path / "none.toml"})
    assert line.startswith(f"{socket.gethostname()}: {tmp_path / 'none.toml'}: ")


def test_a_cluster_that_is_not_there_is_said_in_one_line(framed, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("RAY_gcs_rpc_server_reconnect_timeout_s", "1")
    source = write(tmp_path / "t.csv", rows(10))
    assert main(["predict", source, "-o", f"{tmp_path}/out/", "--model", str(framed), "--ray", "no address"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: --ray no address: ")
    assert said.count("\n") == 1
    assert np.all([not name.endswith(".csv") for name in contents(tmp_path / "out")])


def test_a_search_on_all_nodes_finds_what_one_process_finds_though_a_node_goes_away(cluster, tmp_path, capsys):
    frame = simulate(240, seed=4)[["seq"]]
    frame.assign(label=frame["seq"].str.count("G") / 3 + 3).to_csv(tmp_path / "train.csv", index=False)
    (tmp_path / "grid.toml").write_text("[grid]\nfilters = [4, 12]\nrecipe.learning_rate = [1e-7, 1e-2]\n")
    asked = ["search", str(tmp_path / "train.csv"), "--grid", str(tmp_path / "grid.toml"), "--folds", "4", "--epochs",
             "2", "--batch-size", "16", "--set", "layers=1", "--set", "dense=16", "--assay", "any"]  # fmt: skip
    assert main([*asked, "-o", str(tmp_path / "one"), "--workers", "2"]) == 0
    node = cluster.add_node(num_cpus=1, object_store_memory=80 << 20, node_ip_address="127.0.0.2")
    removal = threading.Timer(12, cluster.remove_node, (node, False))
    removal.start()
    assert main([*asked, "-o", str(tmp_path / "many"), "--ray", cluster.address]) == 0
    removal.join()
    assert "searching on 3 machines of the cluster" in capsys.readouterr().err
    one, many = (pd.read_csv(tmp_path / name / "trials.csv").drop(columns="seconds") for name in ("one", "many"))
    pd.testing.assert_frame_equal(one, many)
    best = [json.loads((tmp_path / name / "search.json").read_text())["winner"] for name in ("one", "many")]
    assert best[0] == best[1]
    assert ribocast.load(tmp_path / "many" / "best").card.figures
    assert main([*asked, "-o", str(tmp_path / "many"), "--ray", cluster.address]) == 2
    assert "holds a search already" in capsys.readouterr().err
