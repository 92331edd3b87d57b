"""After a power cut an output is whole or not there: to the disk, then renamed, then the folder to the disk."""

import hashlib
import os
import stat
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from ribocast.cli import main
from ribocast.errors import RibocastError
from ribocast.io.writers import make_folder, open_table, remove_leftovers, whole_file
from ribocast.learn import fit
from ribocast.learn.data.download import fetch
from ribocast.learn.networks import architecture
from small_genomes import Gene, Small, fasta, gtf
from web_server import serving

SEQS = [f"ACGTACGTAC{a}{b}{c}" for a in "ACGT" for b in "ACGT" for c in "ACGT"]
posix = pytest.mark.skipif(sys.platform == "win32", reason="of POSIX")


class Traced:
    """What became of each file (by its number), in order."""

    def __init__(self, monkeypatch) -> None:
        self.events: list[tuple[str, object]] = []
        sync, replace = os.fsync, Path.replace

        def traced_sync(handle):
            sync(handle)
            facts = os.fstat(handle)
            self.events.append(("sync", (facts.st_ino, None if stat.S_ISDIR(facts.st_mode) else facts.st_size)))

        def traced_replace(path, target):
            number = path.stat().st_ino
            done = replace(path, target)
            self.events.append(("rename", number))
            return done

        monkeypatch.setattr(os, "fsync", traced_sync)
        monkeypatch.setattr(Path, "replace", traced_replace)

    def check(self, path: Path) -> None:
        """Assert that a file had all its bytes on the disk before it had its name, and its name there after that."""
        facts, folder = path.stat(), path.parent.stat().st_ino
        # The last one: numbers are given again.
        renamed = max(at for at, event in enumerate(self.events) if event == ("rename", facts.st_ino))
        assert ("sync", (facts.st_ino, facts.st_size)) in self.events[:renamed], f"{path.name} was not on the disk"
        assert ("sync", (folder, None)) in self.events[renamed:], f"the name {path.name} was not on the disk"


@pytest.fixture
def traced(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("t.csv").write_text("seq\nACGTACGTACGT\nXXXX\n")
    Path("pairs.csv").write_text("ref,alt\nACGTACGTACGT,ACGTACGAACGT\n")
    Path("lab.csv").write_text("seq,label,pred\n" + "".join(f"{seq},{n},{n % 5}\n" for n, seq in enumerate(SEQS)))
    Path("out").mkdir()
    return Traced(monkeypatch)


@posix
@pytest.mark.parametrize(
    "command",
    [
        "predict t.csv -o out/t.csv --on-error skip --model MODEL",
        "predict t.csv -o out/t.tsv.gz --on-error skip --model MODEL",
        "predict t.csv -o out/t.parquet --on-error skip --model MODEL",
        "predict t.csv -o out/ --on-error skip --model MODEL",
        "variants pairs.csv -o out/t.csv --model MODEL",
        "explain t.csv -o out/why.png --table out/t.csv --on-error skip --model MODEL",
        "explain t.csv -o out/why.html --on-error skip --model MODEL",
        "design --target 7 -n 1 --length 30 --budget 60 -o out/d.fasta --order idt --figure out/d.svg --model MODEL",
        "compare p=lab.csv:pred --data lab.csv -o out/report.html",
        "simulate -n 10 -o out/t.csv",
        "train lab.csv -o out/run --model attention-2conv --epochs 1 --device cpu",
    ],
)
def test_every_output_of_a_command_is_on_the_disk(traced, framed, command):
    assert main([str(framed) if word == "MODEL" else word for word in command.split()]) == 0
    made = [path for path in Path("out").rglob("*") if path.is_file()]
    assert made
    for path in made:
        traced.check(path)


@posix
@pytest.mark.parametrize("name", ["out/t.vcf", "out/t.vcf.gz", "out/t.csv"])
def test_what_is_scored_of_a_genome_is_on_the_disk(traced, framed, name):
    small = Small("GC" * 15 + "ATGGCCTAA" + "GC" * 5, [Gene("g", "+", [(1, 49)], 31)])
    Path("g.fa").write_text(fasta(small))
    Path("g.gtf").write_text(gtf(small))
    rows = "chr1\t3\t.\tG\tA\t.\t.\t.\nchr1\t5\t.\tT\tA\t.\t.\t.\n"
    Path("v.vcf").write_text("##fileformat=VCFv4.3\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n" + rows)
    options = ["--gtf", "g.gtf", "--fasta", "g.fa", "--on-error", "skip", "--model", str(framed)]
    assert main(["variants", "v.vcf", "-o", name, *options]) == 0
    assert sorted(path.name for path in Path("out").iterdir()) == sorted(["t.rejected.csv", name[4:]])
    for path in Path("out").iterdir():
        traced.check(path)


@posix
def test_a_downloaded_file_is_on_the_disk(traced, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with serving() as site:
        site.put("x.npy", b"a file")
        fetch(f"{site.url}/x.npy", "out/x.npy", hashlib.sha256(b"a file").hexdigest())
    traced.check(Path("out/x.npy"))


@posix
def test_a_new_folder_is_on_the_disk_with_those_above_it(traced):
    make_folder("out/a/b")
    for folder in ("out", "out/a"):
        assert ("sync", (Path(folder).stat().st_ino, None)) in traced.events


@posix
def test_the_journal_of_a_stopped_run_is_on_the_disk(traced, framed, monkeypatch):
    from ribocast.predict import journal
    from ribocast.predict import stream as flow

    monkeypatch.setattr(journal, "_WORTH_SECONDS", 0.0)
    Path("t.csv").write_text("seq\nACGTACGTACGT\n")

    def break_off(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(flow, "add_columns", break_off)
    assert main(["predict", "t.csv", "-o", "out/t.csv", "--model", str(framed)]) == 130
    kept = Path("out/.t.csv.resume").stat()
    synced = traced.events.index(("sync", (kept.st_ino, kept.st_size)))
    assert ("sync", (Path("out").stat().st_ino, None)) in traced.events[synced:]


@posix
def test_a_bundle_a_checkpoint_and_a_study_are_on_the_disk(traced):
    table = pd.read_csv("lab.csv").rename(columns={"label": "mrl"})
    recipe = architecture("attention-2conv").recipe.with_changes(epochs=1)
    fit(table, "out/run", assay="mine", model="attention-2conv", recipe=recipe, device="cpu")
    for name in ("model.json", "model.onnx", "model.safetensors", "checkpoint.safetensors"):
        traced.check(Path("out/run") / name)
    Path("grid.toml").write_text("[grid]\nhidden = [16]\n")
    options = ["--model", "attention-2conv", "--epochs", "1", "--folds", "2", "--workers", "1", "--device", "cpu"]
    assert main(["search", "lab.csv", "-o", "out/s", "--grid", "grid.toml", *options]) == 0
    for name in ("rows.parquet", "trials.csv", "search.json", "importance.png", "best/model.json", "best/model.onnx"):
        traced.check(Path("out/s") / name)
    journal, folder = Path("out/s/study.journal").stat(), Path("out/s").stat().st_ino
    assert ("sync", (journal.st_ino, journal.st_size)) in traced.events
    # The folder of the best has its name by a rename of its own.
    assert [event for event in traced.events if event[0] == "sync"].count(("sync", (folder, None))) >= 6


# --- names beside outputs --------------------------------------------------------------------------------------


@posix
def test_two_processes_of_one_number_write_two_files(tmp_path, monkeypatch):
    """Two containers are both process 1."""
    monkeypatch.setattr(os, "getpid", lambda: 1)
    with whole_file(tmp_path / "s.csv") as first, whole_file(tmp_path / "s.csv") as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert (tmp_path / "s.csv").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["s.csv"]


@posix
def test_what_a_killed_run_left_is_removed_and_nothing_else(tmp_path):
    script = """
import os, signal, sys
from ribocast.io.writers import whole_file
with whole_file(sys.argv[1]) as partial:
    partial.write_text("half")
    print(partial, flush=True)
    sys.stdin.read()
"""
    run = [sys.executable, "-c", script, tmp_path / "t.csv"]
    with subprocess.Popen(run, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as dead:
        left = Path(dead.stdout.readline().strip())
        dead.kill()
    with subprocess.Popen(run, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as alive:
        written = Path(alive.stdout.readline().strip())
        assert not left.exists()
        mine = [tmp_path / name for name in (".t.csv.notes.part", ".t.csv.12ab.part", ".other.csv.0123456789ab.part")]
        for path in mine:
            path.write_text("mine")
        (tmp_path / "far").write_text("far")
        (tmp_path / ".t.csv.aaaaaaaaaaaa.part").symlink_to("far")
        os.mkfifo(tmp_path / ".t.csv.bbbbbbbbbbbb.part")
        with whole_file(tmp_path / "t.csv") as partial:
            partial.write_text("whole")
        remove_leftovers([tmp_path / "t.csv"])
        assert written.exists()
        assert all(path.exists() for path in mine)
        assert (tmp_path / "far").read_text() == "far"
        alive.communicate("")
    assert (tmp_path / "t.csv").read_text() == "half"


@posix
def test_a_file_that_somebody_puts_in_the_place_of_what_is_written_is_not_taken(tmp_path):
    (tmp_path / "evil").write_text("evil")

    def write() -> None:
        with whole_file(tmp_path / "t.csv") as partial:
            partial.unlink()
            partial.symlink_to("evil")

    with pytest.raises(RibocastError, match="somebody else"):
        write()
    assert not (tmp_path / "t.csv").exists()
    assert (tmp_path / "evil").read_text() == "evil"


# --- what is replaced ------------------------------------------------------------------------------------------


@posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o755])
def test_the_mode_of_what_is_replaced_is_kept_and_nobody_reads_what_is_half(tmp_path, mode):
    path = tmp_path / "t.csv"
    path.write_text("old")
    path.chmod(mode)
    with open_table(path) as sink:
        assert [stat.S_IMODE(beside.stat().st_mode) for beside in tmp_path.glob(".*.part")] == [0o600]
        sink.write(pd.DataFrame({"seq": ["A"]}))
    assert stat.S_IMODE(path.stat().st_mode) == mode


@posix
def test_a_new_file_has_the_mode_of_any_new_file(tmp_path):
    before = os.umask(0o027)
    try:
        with whole_file(tmp_path / "t.csv"):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "t.csv").stat().st_mode) == 0o640


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may give files away")
@pytest.mark.parametrize("is_allowed", [True, False])
def test_the_owner_of_what_is_replaced_is_kept_or_its_groups_rights_are_not_given_to_another(
    tmp_path, monkeypatch, is_allowed
):
    path = tmp_path / "t.csv"
    path.write_text("old")
    os.chown(path, 1234, 2345)
    path.chmod(0o4664)

    def refuse(*_):
        raise PermissionError

    if not is_allowed:
        monkeypatch.setattr(os, "fchown", refuse)
    with whole_file(path) as partial:
        partial.write_text("new")
    facts = path.stat()
    assert path.read_text() == "new"
    if is_allowed:
        assert (facts.st_uid, facts.st_gid, stat.S_IMODE(facts.st_mode)) == (1234, 2345, 0o4664)
    else:
        assert stat.S_IMODE(facts.st_mode) == 0o644


OUTPUTS = {
    "predict": ["predict", "t.csv", "--model", "MODEL", "-o"],
    "variants": ["variants", "t.csv", "--model", "MODEL", "-o"],
    "explain": ["explain", "t.csv", "--model", "MODEL", "--table"],
    "explain figure": ["explain", "t.csv", "--model", "MODEL", "-o"],
    "explain global": ["explain", "--global", "--measured", "t.csv", "--model", "MODEL", "-o"],
    "design": ["design", "--target", "7", "-n", "1", "--length", "12", "--budget", "50", "--no-overlap", "t.csv",
               "--overlap", "12", "--model", "MODEL", "-o"],
    "design figure": ["design", "--target", "7", "-n", "1", "--length", "12", "--budget", "50", "--no-overlap",
                      "t.csv", "--overlap", "12", "--model", "MODEL", "--figure"],
    "compare": ["compare", "p=t.csv:pred", "--data", "t.csv", "-o"],
    "simulate": ["simulate", "-n", "10", "-o"],
    "train": ["train", "t.csv", "--overwrite", "--model", "attention-2conv", "-o"],
    "search": ["search", "t.csv", "--grid", "grid.toml", "--folds", "2", "--model", "attention-2conv", "-o"],
}  # fmt: skip
ENDINGS = {"explain figure": ".png", "explain global": ".html", "design figure": ".svg", "compare": ".html",
           "train": "", "search": ""}  # fmt: skip


@posix
@pytest.mark.parametrize("command", OUTPUTS)
def test_what_no_output_may_be_is_refused_by_every_command_in_one_line(tmp_path, monkeypatch, framed, capsys, command):
    monkeypatch.chdir(tmp_path)
    rows = [
        f"ACGTACGTAC{a}{b},ACGTACGTACGG,{n},{n % 5}" for n, (a, b) in enumerate((a, b) for a in "ACGT" for b in "ACGT")
    ]
    text = "\n".join(["seq,alt_seq,label,pred", *rows]) + "\n"
    Path("t.csv").write_text(text.replace("seq,alt", "ref,alt") if command == "variants" else text)
    Path("grid.toml").write_text("[grid]\nhidden = [16]\n")
    ending = ENDINGS.get(command, ".csv")
    arguments = [str(framed) if word == "MODEL" else word for word in OUTPUTS[command]]
    cases = {"folder": f"folder{ending}", "pipe": f"pipe{ending}", "device": f"device{ending}", "same": f"same{ending}",
             "loop": f"loop{ending}"}  # fmt: skip
    Path(cases["folder"]).mkdir()
    os.mkfifo(cases["pipe"])
    Path(cases["device"]).symlink_to("/dev/null")
    Path(cases["same"]).hardlink_to("t.csv")
    Path(cases["loop"]).symlink_to(cases["loop"])
    if command in ("train", "search", "predict", "variants"):
        # There they write into it.
        del cases["folder"]
    if command == "simulate":
        del cases["same"]
    before = Path("t.csv").read_text()
    for case, name in cases.items():
        capsys.readouterr()
        assert main([*arguments, name]) == 2, case
        said = capsys.readouterr()
        assert said.err.splitlines()[-1].startswith("error: "), case
        assert name in said.err.splitlines()[-1], case
        assert Path("t.csv").read_text() == before
    assert Path(cases["pipe"]).is_fifo()
    assert Path("/dev/null").is_char_device()
    assert Path(cases["loop"]).is_symlink()


@posix
@pytest.mark.parametrize("command", [name for name in OUTPUTS if name != "search"])
def test_of_a_link_the_file_is_written_and_the_link_stays(tmp_path, monkeypatch, framed, command):
    monkeypatch.chdir(tmp_path)
    rows = [f"{seq},{n},{n % 5}" for n, seq in enumerate(SEQS)]
    Path("t.csv").write_text("\n".join(["seq,label,pred", *rows]) + "\n")
    Path("far").mkdir()
    ending = ENDINGS.get(command, ".csv")
    arguments = [str(framed) if word == "MODEL" else word for word in OUTPUTS[command]]
    target, link = Path("far") / f"real{ending}", Path(f"link{ending}")
    if command == "variants":
        Path("t.csv").write_text("ref,alt\nACGT,ACGG\n")
    if command == "explain figure":
        Path("t.csv").write_text("seq\nACGT\n")
    if command == "train":
        target.mkdir()
    if command == "explain global":
        arguments = [word for word in arguments if word not in ("--measured", "t.csv")]
    link.symlink_to(target)
    more = ["--epochs", "1", "--device", "cpu"] if command == "train" else []
    assert main([*arguments, str(link), *more]) == 0
    assert link.is_symlink()
    assert (target / "model.json").is_file() if command == "train" else target.stat().st_size > 0
    assert not list(Path("far").glob(".*.part"))
