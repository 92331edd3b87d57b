"""Work on a Ray cluster of several nodes: the output is one machine's, also when workers and nodes die."""

import json
import os
import re
import signal
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_shards import contents, rows, write, write_genome

import ribocast
from ribocast.cli import main
from ribocast.errors import RibocastError
from ribocast.io import cluster as reaching
from ribocast.learn.data.simulate import simulate
from ribocast.learn.tune.ray import _join
from ribocast.predict import ray as scale
from ribocast.predict.files import predict_file
from ribocast.predict.ray import Assignment, PortionWorker, _hear, work_on_ray
from ribocast.predict.shards import Portion, TableWork, divide, terms_of, work_off

pytest.importorskip("ray", reason="Ray is not installed: pip install 'ribocast[scale]'")


@pytest.fixture(scope="module")
def cluster():
    """Start a cluster of two nodes with one CPU each, on this machine."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_health_check_period_ms"] = "500"  # noqa: SIM112
    # Workers import this module, for what it has them do, and what it imports.
    here = Path(__file__).parent
    os.environ["PYTHONPATH"] = os.pathsep.join([str(here), str(here.parent), os.environ.get("PYTHONPATH", "")])
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


PLAIN = TableWork(predict_file, {})


@dataclass(frozen=True)
class Slow:
    """Predictions where a worker waits, as long as there is a file, when it has half done its portion."""

    hold: str = ""

    def do(self, model, portion, *, resume, keep, done, say):
        def hold(count):
            while Path(self.hold).exists():
                time.sleep(0.05)
            done(count)

        return PLAIN.do(model, portion, resume=resume, keep=keep, done=hold, say=say)

    def settings(self):
        return PLAIN.settings()


def begun(folder, count):
    """Wait until this many workers have half done a portion, and wait; the processes."""
    deadline = time.monotonic() + 120
    while len(list(folder.glob(".*.part"))) < count and time.monotonic() < deadline:
        time.sleep(0.1)
    return [int(path.read_text()) for path in folder.glob(".*.ray-*.tries")]


def is_alive(process):
    with suppress(ProcessLookupError):
        os.kill(process, 0)
        return True
    return False


def test_outputs_are_those_of_one_machine_though_a_worker_is_killed(cluster, framed, tmp_path):
    sources = [write(tmp_path / f"{name}.{kind}", rows(300, seed)) for seed, (name, kind) in
               enumerate([("a", "csv"), ("b", "parquet"), ("c", "tsv.gz"), ("d", "csv"), ("e", "csv")])]  # fmt: skip
    model = ribocast.load(framed, threads=1)
    work_off(model, PLAIN, divide(sources, f"{tmp_path}/one"), resume=False, done=print, say=print)
    hold = tmp_path / "hold"
    hold.touch()

    def kill():
        os.kill(begun(tmp_path / "many", 1)[0], signal.SIGKILL)
        hold.unlink()

    killer = threading.Thread(target=kill)
    killer.start()
    portions = divide(sources, f"{tmp_path}/many")
    counts, said = [], []
    done = work_on_ray(cluster.address, model, Slow(hold=str(hold)), portions, done=counts.append, say=said.append)
    killer.join()
    assert sum("a worker has died" in line for line in said) == 1
    # The other worker may be done before a third one has its model.
    assert sum("process" in line for line in said) in (2, 3)
    assert done == (1500, 0)
    assert counts == sorted(counts)
    assert counts[-1] == 1500
    assert contents(tmp_path / "many") == contents(tmp_path / "one")
    assert not list((tmp_path / "many").glob(".*ray-*"))


def test_a_node_that_goes_away_loses_nothing(cluster, framed, tmp_path):
    sources = [write(tmp_path / f"{seed}.csv", rows(200, seed)) for seed in range(4)]
    model = ribocast.load(framed, threads=1)
    work_off(model, PLAIN, divide(sources, f"{tmp_path}/one"), resume=False, done=print, say=print)
    node = cluster.add_node(num_cpus=1, object_store_memory=80 << 20, node_ip_address="127.0.0.2")
    hold = tmp_path / "hold"
    hold.touch()

    def remove():
        workers = begun(tmp_path / "many", 3)
        cluster.remove_node(node, False)
        # Its worker ends a moment after it.
        deadline = time.monotonic() + 60
        while all(map(is_alive, workers)) and time.monotonic() < deadline:
            time.sleep(0.1)
        hold.unlink()

    remover, said = threading.Thread(target=remove), []
    remover.start()
    job, portions = Slow(hold=str(hold)), divide(sources, f"{tmp_path}/many")
    assert work_on_ray(cluster.address, model, job, portions, say=said.append) == (800, 0)
    remover.join()
    assert any("a worker has died" in line for line in said)
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


def test_a_portion_that_ends_every_worker_is_stopped(cluster, framed, tmp_path):
    source = write(tmp_path / "t.csv", rows(10))
    with pytest.raises(RibocastError, match=r"t\.csv: ended 3 workers"):
        work_on_ray(cluster.address, ribocast.load(framed), Deadly(*PLAIN), [Portion(source, f"{tmp_path}/o.t.csv")])


class Deadly(TableWork):
    def do(self, model, portion, **how):
        os.kill(os.getpid(), signal.SIGKILL)


class Otherwise(TableWork):
    """Work that another version of the program does otherwise."""

    def settings(self):
        return {"process": os.getpid()}


def test_a_worker_with_other_settings_is_refused(cluster, framed, tmp_path):
    source = write(tmp_path / "t.csv", rows(10))
    with pytest.raises(RibocastError, match=r"the worker on .* has process \d+, here it is \d+"):
        work_on_ray(cluster.address, ribocast.load(framed), Otherwise(*PLAIN), [Portion(source, f"{tmp_path}/o.csv")])


def test_a_worker_writes_what_one_machine_writes_and_says_in_words_what_it_cannot_do(framed, tmp_path):
    job, source = TableWork(predict_file, {"assay": "egfp_random50"}), write(tmp_path / "a.csv", rows(30, 1))
    mine, missing = Portion(source, f"{tmp_path}/mine.csv"), Portion(f"{tmp_path}/none.csv", f"{tmp_path}/o.csv")
    terms = terms_of(ribocast.load(framed), job)
    assignment = Assignment(str(framed), "openvino", 1, terms, job, [mine, missing], "ray-00000000")
    worker, name = PortionWorker(assignment), f"{socket.gethostname()} (process {os.getpid()})"
    (tmp_path / ".mine.csv.ray-00000000.tries").write_text("5\n")
    (tmp_path / ".mine.csv.000000000000.part").write_text("half")
    done = worker({"portion": 0})
    assert done.pop("said").startswith("a worker has died: this is done again")
    assert done == {"portion": 0, "rows": 30, "skipped": 0, "error": "", "worker": name}
    assert not [*tmp_path.glob(".*ray-*.tries"), *tmp_path.glob(".*.part")]
    alone = [Portion(source, f"{tmp_path}/alone.csv")]
    work_off(ribocast.load(framed), job, alone, resume=False, done=[].append, say=[].append)
    assert Path(mine.output).read_bytes() == Path(alone[0].output).read_bytes()
    # Asked again, it does not do it again.
    written = Path(mine.output).stat().st_mtime_ns
    assert worker({"portion": 0}) == {**done, "said": ""}
    assert Path(mine.output).stat().st_mtime_ns == written
    assert worker({"portion": 1})["error"] == f"{tmp_path}/none.csv: no such file"
    assert not (tmp_path / "o.csv").exists()
    nowhere = assignment._replace(model=f"{tmp_path}/nowhere", portions=[Portion(source, f"{tmp_path}/o.csv")])
    assert f"{tmp_path}/nowhere" in PortionWorker(nowhere)({"portion": 0})["error"]


@pytest.mark.parametrize("has_begun", [False, True])
def test_it_is_said_that_no_worker_begins(tmp_path, monkeypatch, has_begun):
    monkeypatch.setattr(scale, "_SILENT_SECONDS", 0.05)
    portions, said = [Portion("a.csv", f"{tmp_path}/a.csv")], []
    assignment = Assignment("m", "openvino", 1, {}, PLAIN, portions, "ray-12345678")
    if has_begun:
        (tmp_path / ".a.csv.ray-12345678.tries").write_text("1\n")

    def answers():
        time.sleep(0.5)
        yield {"portion": 0, "rows": 2, "skipped": 1, "said": "slow", "error": "", "worker": "w"}

    assert _hear(answers(), assignment, [].append, said.append) == (2, 1)
    silent = [] if has_begun else ["no worker has begun yet: are all CPUs of the cluster in use?"]
    assert said == [*silent, "worker 1 on w", "a.csv: slow"]
    with pytest.raises(RibocastError, match="answered for 0 of 1 portions"):
        _hear(iter(()), assignment, [].append, said.append)


def test_more_threads_than_any_machine_has_are_refused(cluster, framed, tmp_path):
    source = write(tmp_path / "t.csv", rows(10))
    with pytest.raises(RibocastError, match="no machine of the cluster has 99 CPUs"):
        work_on_ray(cluster.address, ribocast.load(framed), PLAIN, [Portion(source, f"{tmp_path}/o.csv")],
                    threads=99)  # fmt: skip


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
    assert ribocast.load(tmp_path / "many" / "best").card.evaluations
    assert main([*asked, "-o", str(tmp_path / "many"), "--ray", cluster.address]) == 2
    assert "holds a search already" in capsys.readouterr().err


@pytest.mark.parametrize("listener", ["nobody", "silent", "web server", "no port"])
def test_where_no_cluster_answers_one_line_says_so_within_half_a_minute(
    listener, framed, tmp_path, capsys, monkeypatch
):
    assert reaching._KNOCK_SECONDS + reaching._ANSWER_SECONDS < 28
    assert reaching._KNOCK_SECONDS + reaching._ANSWER_SECONDS < 30  # nobody there is said within half a minute
    monkeypatch.setattr(reaching, "_ANSWER_SECONDS", 3.0)
    source = write(tmp_path / "a.csv", rows(3, 1))
    with socket.socket() as taken, ThreadingHTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as web:
        taken.bind(("127.0.0.1", 0))
        if listener == "silent":
            taken.listen()
        threading.Thread(target=web.serve_forever, daemon=True).start()
        port = web.server_port if listener == "web server" else taken.getsockname()[1]
        address = "127.0.0.1" if listener == "no port" else f"127.0.0.1:{port}"
        arguments = ["predict", str(source), "-o", f"{tmp_path}/out/", "--model", str(framed), "--ray", address]
        assert main(arguments) == 2
        web.shutdown()
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert f"--ray {address}" in said
