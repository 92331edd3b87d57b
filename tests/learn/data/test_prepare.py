"""Published tables of every form become tables to train on, and no row disappears uncounted."""

import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from published_files import FORMS, WEIGHTS_12, designed, egfp_unmod_1, twelve, varying, write
from ribocast.errors import RibocastError
from ribocast.learn import fit
from ribocast.learn.data.assays import KNOWN_ASSAYS, labelled_rows
from ribocast.learn.data.published.prepare import prepare
from ribocast.learn.data.published.published import find_columns, read_published, shares_of
from ribocast.learn.data.published.series import LIBRARIES, PAIRS
from ribocast.learn.data.published.utr_ends import cut_to_utr
from ribocast.learn.networks import architecture
from ribocast.sequence.construct import EGFP, MCHERRY
from where import MEASUREMENTS


def small(name, **changes):
    return replace(LIBRARIES[name], **{"keep": 500, "test": 3 if "varying" in name else 50} | changes)


def prepared(frame, name, tmp_path, library=None, **options):
    write(frame, tmp_path, name, options.get("replicate", 1))
    report = prepare(library or small(name), tmp_path, tmp_path / "out", **options)
    return report, pd.read_csv(report.output)


def error_of(call, *arguments, **options):
    with pytest.raises(RibocastError) as error:
        call(*arguments, **options)
    return str(error.value)


@pytest.fixture(scope="module")
def frames():
    return {name: form() for name, form in FORMS.items()}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_gives_a_table_to_train_on(frames, tmp_path, name):
    report, table = prepared(frames[name], name, tmp_path, LIBRARIES[name])
    assert report.rows == len(table) == report.train + report.test
    assert report.rows_in == report.rows + sum(report.left_out.values())
    rows, assays = labelled_rows(report.output)
    assert list(assays) == [name]
    assert assays[name] is KNOWN_ASSAYS[name]
    np.testing.assert_array_equal(rows["mrl"], table["mrl"])
    source = frames[name].assign(seq=frames[name]["utr"].str[: 50 if "50" in name else 100])
    mrl = source.drop_duplicates("seq").set_index("seq")["rl"]
    np.testing.assert_allclose(table["mrl"], mrl[table["seq"]], rtol=1e-8)


@pytest.mark.parametrize("name", ["egfp_random50", "egfp_human50", "egfp_varying25to100"])
@pytest.mark.skipif(not MEASUREMENTS.is_dir(), reason="the measurements are not on this machine")
def test_the_columns_and_the_way_numbers_are_written_are_those_of_the_measurements_at_hand(frames, tmp_path, name):
    report, table = prepared(frames[name], name, tmp_path)
    with gzip.open(MEASUREMENTS / f"{name}.csv.gz", "rt") as theirs, gzip.open(report.output, "rt") as ours:
        # The random library at hand is ordered by reads, of which it says the rank alone.
        assert ours.readline() == theirs.readline().replace(",rank_by_reads", "")
        assert max(len(field.lstrip("0.").replace(".", "")) for field in ours.readline().split(",")[1:2]) <= 9
    known = pd.read_csv(MEASUREMENTS / f"{name}.csv.gz", nrows=500)
    assert set(table["origin"]) <= {"random", "human"}
    assert set(table["published_split"]) == {"train", "test"}
    assert table["seq"].dtype == known["seq"].dtype


def test_the_split_is_by_reads(frames, tmp_path):
    source = frames["egfp_random50"]
    report, table = prepared(source, "egfp_random50", tmp_path)
    order = source.sort_values("total_reads", ascending=False, kind="stable")
    assert table["seq"].tolist() == order["utr"].tolist()[:500]
    assert table["reads"].tolist() == order["total_reads"].tolist()[:500]
    assert table["published_split"].tolist() == ["test"] * 50 + ["train"] * 450
    assert report.left_out == {"beyond the 500 with the most reads": 100}
    assert (report.rows_in, report.train, report.test) == (600, 450, 50)


def test_the_published_numbers_are_those_of_the_paper():
    assert (LIBRARIES["egfp_random50"].keep, LIBRARIES["egfp_random50"].test) == (280_000, 20_000)
    assert (LIBRARIES["egfp_human50"].keep, LIBRARIES["egfp_human50"].test) == (None, 25_000)
    assert (LIBRARIES["egfp_varying25to100"].least_reads, LIBRARIES["egfp_varying25to100"].test) == (10, 100)


def test_of_varying_lengths_the_best_read_of_each_length_and_origin_are_the_test_set(frames, tmp_path):
    library = small("egfp_varying25to100", keep=None, test=3)
    report, table = prepared(frames["egfp_varying25to100"], "egfp_varying25to100", tmp_path, library)
    assert table["reads"].min() >= 10
    assert report.left_out["with fewer than 10 reads"] == (frames["egfp_varying25to100"]["total_reads"] < 10).sum()
    groups = table.groupby([table["origin"], table["seq"].str.len()])
    assert len(groups) == 2 * 76
    for _, group in groups:
        test = group["published_split"] == "test"
        assert test.sum() == min(3, len(group))
        assert group.loc[test, "reads"].min() >= group.loc[~test, "reads"].max() or test.all()


def test_of_the_designed_library_human_utrs_and_variants_are_taken(frames, tmp_path):
    report, table = prepared(frames["egfp_human50"], "egfp_human50", tmp_path)
    assert report.left_out == {"designed, neither human UTRs nor variants of them": 40}
    assert set(table["origin"]) == {"human"}


def test_pairs_are_designed_variants_beside_their_measured_references(frames, tmp_path):
    source = frames["egfp_human50"]
    report, table = prepared(source, PAIRS, tmp_path, LIBRARIES[PAIRS])
    mrl = source.set_index("utr")["rl"]
    variants = source[(source["info4"] == "variant") & source["designed"]]
    assert sorted(table["id"]) == sorted(variants["id"])
    assert table["alt_reads"].is_monotonic_decreasing
    np.testing.assert_allclose(table["ref_mrl"], mrl[table["ref_seq"]], rtol=1e-11)
    np.testing.assert_allclose(table["alt_mrl"], mrl[table["alt_seq"]], rtol=1e-11)
    np.testing.assert_allclose(table["log2_fold_change"], np.log2(table["alt_mrl"] / table["ref_mrl"]), atol=1e-9)
    assert all(sum(map(str.__ne__, a, b)) == 1 for a, b in zip(table["ref_seq"], table["alt_seq"], strict=True))
    assert table[["gene_symbol", "clin_sig", "phenotype"]].isna().all(axis=None)
    assert any("gene_symbol" in remark for remark in report.remarks)
    if MEASUREMENTS.is_dir():
        assert list(table) == list(pd.read_csv(MEASUREMENTS / f"{PAIRS}.csv.gz", nrows=1))


def test_a_variant_whose_reference_was_not_measured_makes_no_pair(frames, tmp_path):
    source = frames["egfp_human50"]
    without = source[source["id"] != "NC_0:g.1C>T"]
    report, table = prepared(without, PAIRS, tmp_path, LIBRARIES[PAIRS])
    assert report.left_out["variants whose reference was not measured"] == 2
    assert not table["id"].str.startswith("NC_0:").any()


# --- ends of UTRs -----------------------------------------------------------------------------------------------


def test_sequences_that_run_on_are_cut_at_the_start_codon_and_it_is_said_how_many(frames, tmp_path):
    source = frames["egfp_random50_pseudo"]
    assert set(source["utr"].str.len()) == {59}
    report, table = prepared(source, "egfp_random50_pseudo", tmp_path)
    assert set(table["seq"]) <= set(source["utr"].str[:50])
    assert "600 of 600 sequences run on: their last 50 nt before the start codon are kept" in report.remarks


@pytest.mark.parametrize("construct", [EGFP, MCHERRY])
def test_the_last_letters_before_the_start_codon_are_kept(construct):
    utr = "ACGTTGCAGGTTACCATGCA" * 3
    after = construct.after
    given = [utr[:50], utr[:50] + after[:9], utr[:50] + "ATGTTT", utr[:52] + after[:7], utr[:47] + after[:12],
             utr[:30], utr[:60], utr[:50] + after]  # fmt: skip
    expected = [utr[:50], utr[:50], utr[:50], utr[2:52], utr[:47], utr[:30], "", utr[:50]]
    assert cut_to_utr(pd.Series(given), construct, 50).tolist() == expected


def test_odd_ends_are_cut_or_counted_row_by_row(frames, tmp_path):
    source = frames["egfp_random50_pseudo"].copy()
    first = source["utr"][0]
    source.loc[1, "utr"] = "A" + source["utr"][1][:58]
    source.loc[2, "utr"] = source["utr"][2][1:]
    source.loc[3, "utr"] = first[:50] + "CCCCCCCCC"
    report, table = prepared(source, "egfp_random50_pseudo", tmp_path, small("egfp_random50_pseudo", keep=None))
    assert report.left_out == {
        "longer than the UTR, but no start codon follows it": 1,
        "of other lengths than 50 nt": 1,
    }
    assert frames["egfp_random50_pseudo"]["utr"][1][:50] in set(table["seq"])


def test_a_file_whose_ends_are_not_understood_is_refused(frames, tmp_path):
    source = frames["egfp_random50_pseudo"].assign(utr=frames["egfp_random50"]["utr"] + "CCCC")
    path = write(source, tmp_path, "egfp_random50_pseudo")
    message = error_of(prepare, small("egfp_random50_pseudo"), tmp_path, tmp_path)
    assert message.startswith(f"{path.name}: 6")
    assert "longer than 50 nt, but no start codon follows the UTR, as in " in message


# --- bad rows ---------------------------------------------------------------------------------------------------


def test_bad_rows_are_left_out_and_counted_by_reason(frames, tmp_path):
    source = frames["egfp_random50"].copy()
    source.loc[0, "utr"] = None
    source.loc[1, "utr"] = source["utr"][1][:-1] + "X"
    source.loc[2, "utr"] = source["utr"][2].lower().replace("t", "u")
    source.loc[3, "utr"] = source["utr"][3][:-1] + "N"
    source.loc[4, "utr"] = source["utr"][4][5:]
    source.loc[5, "rl"] = np.nan
    source.loc[6, "total_reads"] = 0
    source.loc[7, "utr"] = source["utr"][8]
    source.loc[7, "total_reads"] = 1
    source.loc[9, "r3"] = 0.9
    report, table = prepared(source, "egfp_random50", tmp_path, small("egfp_random50", keep=None))
    assert report.left_out == {
        "without a sequence": 1,
        "with letters other than A, C, G, T, U and N": 1,
        "of other lengths than 50 nt": 1,
        "without an MRL": 1,
        "without reads": 1,
        "repeats of a UTR with more reads": 1,
    }
    assert len(table) == 594
    assert frames["egfp_random50"]["utr"][2] in set(table["seq"])
    assert "shares do not sum to 1 in 1 of 600 rows: there they are left empty" in report.remarks
    assert table[[f"r{number}" for number in range(14)]].isna().sum(axis=None) == 14


def test_a_table_without_a_usable_row_is_refused_with_the_reasons(frames, tmp_path):
    source = frames["egfp_random50"].assign(total_reads=0)
    path = write(source, tmp_path, "egfp_random50")
    message = error_of(prepare, small("egfp_random50"), tmp_path, tmp_path / "out")
    assert message == f"{path.name}: no row is usable: 600 without reads"
    assert not list((tmp_path / "out").iterdir())


# --- columns ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (",utr,0,1,total_reads,total,r0,r1,rl", ("utr", "rl", ("total_reads", "total"), ("r0", "r1"), ("0", "1"))),
        (",utr,00,01,total,r_00,r_01,rl", ("utr", "rl", ("total",), ("r_00", "r_01"), ("00", "01"))),
        (",UTR,Total,R1,R0,RL", ("UTR", "RL", ("Total",), ("R0", "R1"), ())),
        ("seq,mrl,reads", ("seq", "mrl", ("reads",), (), ())),
        ("utr,0,1,hrl", ("utr", "hrl", (), (), ("0", "1"))),
        (
            "utr," + ",".join(f"0{n}" for n in range(12)) + ",total",
            ("utr", None, ("total",), (), tuple(f"0{n}" for n in range(12))),
        ),
    ],
)
def test_columns_are_found_by_all_the_names_they_have(header, expected):
    assert find_columns(header.split(","), "f.csv")[:5] == expected


@pytest.mark.parametrize(
    ("header", "missing"),
    [
        (",sequences,total,rl", "utr or seq or sequence among: , sequences, total, rl"),
        ("utr,rl", "total_reads or reads or total among: utr, rl"),
        ("utr,total,r0,r2,rl", "of shares of fraction 1 among: utr, total, r0, r2, rl"),
        ("utr,total,1,2,rl", "of counts of fraction 0 among: utr, total, 1, 2, rl"),
    ],
)
def test_a_missing_column_is_named_with_those_there_are(header, missing):
    assert error_of(find_columns, header.split(","), "f.csv").startswith("f.csv: no column " + missing)


@pytest.mark.parametrize(
    ("name", "column"), [("egfp_varying25to100", "set"), ("egfp_human50", "library"), (PAIRS, "mother")]
)
def test_a_missing_column_that_one_library_needs_is_named(frames, tmp_path, name, column):
    form = frames["egfp_human50" if name == PAIRS else name]
    path = write(form.drop(columns=column), tmp_path, name)
    assert f"{path.name}: no column {column} among: " in error_of(prepare, LIBRARIES[name], tmp_path, tmp_path)


def test_reads_are_whole_numbers_wherever_they_stand(frames, tmp_path):
    form = frames["egfp_random50"]
    report, _ = prepared(form, "egfp_random50", tmp_path)
    assert "reads are total_reads, not total" in report.remarks
    path = write(form.drop(columns="total_reads"), tmp_path, "egfp_random50")
    assert error_of(read_published, path) == f"{path.name}: total must be whole numbers of reads"
    twelfth = frames["egfp_random50_m1psi"]
    path = write(twelfth.drop(columns="total"), tmp_path, "egfp_random50_m1psi")
    published = read_published(path)
    assert "reads are the sum of the counts of all fractions" in published.remarks
    np.testing.assert_array_equal(published.rows["reads"], twelfth["total"])


# --- MRLs and shares -------------------------------------------------------------------------------------------


def test_mrls_are_compared_with_the_weighted_shares(frames, tmp_path):
    report, table = prepared(frames["egfp_random50"], "egfp_random50", tmp_path)
    assert any(remark.startswith("the MRLs are the shares with the assay's weights") for remark in report.remarks)
    weights = KNOWN_ASSAYS["egfp_random50"].fraction_weights
    np.testing.assert_allclose(table[[f"r{n}" for n in range(14)]].to_numpy() @ weights, table["mrl"], atol=1e-6)
    other = frames["egfp_random50"].copy()
    other.loc[11, "rl"] += 1.5
    report, _ = prepared(other, "egfp_random50", tmp_path)
    assert "warning: MRLs and shares with the assay's weights are up to 1.5 apart" in report.remarks
    assert "no weights of the fractions give the MRLs" in report.remarks


def test_mrls_that_are_not_there_are_computed_and_that_is_said(frames, tmp_path):
    _, expected = prepared(frames["egfp_human50"], "egfp_human50", tmp_path)
    report, table = prepared(frames["egfp_human50"].drop(columns="rl"), "egfp_human50", tmp_path)
    assert any(remark.startswith("no MRLs in the file") for remark in report.remarks)
    np.testing.assert_allclose(table["mrl"], expected["mrl"], atol=1e-8)
    path = write(frames["egfp_random50_m1psi"].drop(columns="rl"), tmp_path, "egfp_random50_m1psi")
    assert error_of(prepare, LIBRARIES["egfp_random50_m1psi"], tmp_path, tmp_path) == (
        f"{path.name}: no column of MRLs (rl), and the weights of its 12 fractions are not known"
    )


def test_shares_that_are_not_there_are_made_from_counts_as_the_authors_made_them(frames, tmp_path):
    form = frames["egfp_human50"]
    shares = [name for name in form if name.startswith("r") and name != "rl"]
    _, expected = prepared(form, "egfp_human50", tmp_path)
    report, table = prepared(form.drop(columns=shares), "egfp_human50", tmp_path)
    assert any(remark.startswith("shares are made from the counts") for remark in report.remarks)
    pd.testing.assert_frame_equal(table, expected, atol=1e-7)
    assert any(remark.startswith("the MRLs are the shares") for remark in report.remarks)


def test_shares_of_two_published_rows_are_those_that_were_published_with_them():
    # Two rows of the authors' table of variants, and how many reads each fraction had in all.
    counts = [[1763, 1880, 2154, 2959, 2122, 1896, 2618, 1899, 1007, 1075, 720, 897, 810, 846],
              [776, 808, 847, 1237, 1189, 1146, 1567, 1238, 623, 698, 467, 598, 538, 524]]  # fmt: skip
    totals = [6493569, 6108176, 5650849, 7646546, 8168107, 7198112, 9231216, 7860206, 7945856, 8127555, 5361551,
              5120027, 3767284, 3925001]  # fmt: skip
    rest = np.array(totals) - np.sum(counts, axis=0)
    shares = shares_of(np.array([*counts, rest, np.zeros(14)], dtype=float))
    assert shares[0, :3] == pytest.approx([0.0799735822016, 0.0906617303971, 0.112281884596], abs=1e-12)
    assert shares[1, -1] == pytest.approx(0.0725572935377, abs=1e-12)
    mrls = shares[:2] @ KNOWN_ASSAYS["egfp_human50"].fraction_weights
    assert mrls == pytest.approx([4.82308169062, 5.48789239077], abs=1e-10)
    assert np.isnan(shares[3]).all()


def test_fractions_of_unknown_weights_are_kept_and_their_weights_told_if_mrls_give_them_away(frames, tmp_path):
    report, table = prepared(frames["egfp_random50_pseudo"], "egfp_random50_pseudo", tmp_path)
    assert [column for column in table if column[0] == "r" and column != "reads"] == [f"r{n}" for n in range(12)]
    (told,) = (remark for remark in report.remarks if remark.startswith("the weights "))
    assert told.startswith(f"the weights {', '.join(f'{weight:g}' for weight in WEIGHTS_12)} give the MRLs")


def test_fractions_that_are_not_those_of_the_assay_are_left_out_and_that_is_said(frames, tmp_path):
    report, table = prepared(frames["egfp_random50_m1psi"], "egfp_random50_m1psi", tmp_path)
    assert list(table) == ["seq", "mrl", "origin", "published_split", "reads"]
    assert "its 12 fractions are not the 14 of the assay: they are left out" in report.remarks


# --- files ------------------------------------------------------------------------------------------------------


def test_the_second_replicate_is_a_table_of_its_own(frames, tmp_path):
    source = frames["egfp_random50_pseudo"]
    report, table = prepared(source, "egfp_random50", tmp_path, replicate=2)
    assert report.output.endswith("egfp_random50_replicate2.csv.gz")
    assert report.source == "GSM3130436_egfp_unmod_2.csv.gz"
    assert len(table) == 500
    assert "replicate 2, only 1" in error_of(prepare, LIBRARIES["egfp_human50"], tmp_path, tmp_path, replicate=2)


def test_a_file_that_is_not_there_is_told_with_the_command_that_fetches_it(tmp_path):
    message = error_of(prepare, LIBRARIES["mcherry_random50"], tmp_path, tmp_path)
    path = tmp_path / "GSM3130441_mcherry_1.csv.gz"
    assert message == f"{path}: no such file; ribocast data fetch GSE114002 --library mcherry_random50"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (gzip.compress(b""), "the file is empty"),
        (gzip.compress(b"utr,total,rl\n"), "has no rows"),
        (gzip.compress(b"utr,total,rl\nACGT,1,2\n" * 9)[:-9], "the gzip data is damaged or cut short"),
        (b"<html>,\n1,2\n", "no column utr or seq or sequence among: <html>,"),
        (gzip.compress(b"utr,total,rl\n\xff\xff,1,2\n"), "not UTF-8 text"),
        (gzip.compress(b"utr,total,rl\nA,1,2\nA,1,2,3,4\n"), "row 2: 5 fields, but the header has 3"),
    ],
    ids=["empty", "zipped nothing", "header alone", "cut short", "a web page", "other letters", "two more fields"],
)
def test_a_broken_file_is_one_line(tmp_path, content, words):
    path = tmp_path / LIBRARIES["egfp_random50"].files[0].name
    path.write_bytes(content)
    with pytest.raises(RibocastError, match=f"^{path.name}(: | ){words}"):
        prepare(LIBRARIES["egfp_random50"], tmp_path, tmp_path / "out")


def test_the_same_file_gives_the_same_bytes(frames, tmp_path):
    report, _ = prepared(frames["egfp_random50"], "egfp_random50", tmp_path)
    first = Path(report.output).read_bytes()
    report, _ = prepared(frames["egfp_random50"], "egfp_random50", tmp_path)
    assert Path(report.output).read_bytes() == first


def test_a_model_trains_on_prepared_tables(frames, tmp_path):
    names = ["egfp_random50_m1psi", "mcherry_random50"]
    reports = [prepared(frames[name], name, tmp_path, small(name, keep=200))[0] for name in names]
    rows = pd.concat([labelled_rows(report.output)[0] for report in reports], ignore_index=True)
    recipe = architecture("framed").recipe.with_changes(epochs=1)
    settings = {"channels": 8, "dilations": (1,)}
    card = fit(rows, tmp_path / "run", settings=settings, recipe=recipe, export=False).bundle.card
    assert [assay.name for assay in card.assays] == names
    assert [assay.after for assay in card.assays] == [EGFP.after, MCHERRY.after]


def test_forms_differ_as_the_published_files_do():
    assert "0" in egfp_unmod_1(5)
    assert "00" in twelve(5)
    assert not {"0", "00"} & set(varying(50))
    assert "mother" in designed(40)
