"""The page, driven in a real browser as a person would: every tab, by mouse, by keyboard and on a narrow screen.

``RIBOCAST_SCREENSHOTS=docs pytest tests/web/test_page.py`` takes the pictures of docs/ anew.
"""

import csv
import gzip
import io
import json
import os
import re
import shutil
import socket
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

import ribocast
from ribocast.model.bundle import PRETRAINED, open_bundle
from served import UTR, serving

CHROMIUM = shutil.which("chromium")
if CHROMIUM is None:
    pytest.skip("there is no Chromium: apt-get install chromium", allow_module_level=True)
from playwright.sync_api import expect, sync_playwright  # noqa: E402

from where import ROOT  # noqa: E402

CHANGED = UTR[:21] + "A" + UTR[22:]
SECONDS = 60_000
expect.set_options(timeout=SECONDS)  # a machine that does much else at the same time is slow
UNPACKED, BODY = 300_000, 200_000
TABS = ("Predict", "Explain", "Variants", "Design")
EXAMPLES = {"Predict": "six 5′ UTRs", "Explain": "beta-globin with an upstream ATG", "Variants": "two disease variants"}
AXE = ROOT / "node_modules/axe-core/axe.min.js"
SCREENSHOTS = os.environ.get("RIBOCAST_SCREENSHOTS")
WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 380, "height": 800}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(
        tmp_path_factory.mktemp("page"), "--model", "default", "--model", "default-large",
        max_unpacked_bytes=UNPACKED, calls_per_minute=0, max_body_bytes=BODY,
    ) as running:  # fmt: skip
        yield running


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as playwright:
        # CI runs as root, where Chromium's own sandbox does not start.
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield running
        running.close()


@pytest.fixture(scope="module")
def browser(chromium):
    """One context, so that the page's files are fetched once."""
    return chromium.new_context(viewport={"width": 1000, "height": 900}, accept_downloads=True)


@pytest.fixture
def page(browser, server):
    """Give the page, opened anew; at the end nothing was asked of others, kept in cookies, or failed."""
    urls, complaints = set(), []
    opened = browser.new_page()
    opened.set_default_timeout(SECONDS)
    opened.on("request", lambda request: urls.add(request.url) if request.url.startswith("http") else None)
    # An answer that refuses is a line of the console too.
    opened.on("console", lambda said: complaints.append(said.text)
              if said.type == "error" and not said.text.startswith("Failed to load resource") else None)  # fmt: skip
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    visit(opened, server)
    yield opened
    assert set(opened.evaluate("[...Object.keys(localStorage), ...Object.keys(sessionStorage)]")) <= {"ribocast-theme"}
    opened.close()
    assert {url for url in urls if not url.startswith(server.url)} == set()
    # Pasted sequences are in no address that was asked for.
    assert {url for url in urls if UTR[:20] in url.partition("#")[0]} == set()
    assert browser.cookies() == []
    assert complaints == []


def visit(page, server, fragment=""):
    page.goto(f"{server.url}/{fragment}")
    expect(page.get_by_role("tab", name="Predict")).to_be_visible()


def press(page, name):
    page.get_by_role("button", name=name, exact=True).click()


def choose_tab(page, name):
    page.get_by_role("tab", name=name, exact=True).click()


def shown(page, area):
    """Wait for a result's table."""
    expect(page.locator(f"#{area}-result table").first).to_be_visible()
    return page.locator(f"#{area}-result")


def paste(page, field, text):
    page.locator(f"#{field}").fill(text)


def every_tab_with_a_result(page):
    """Go through the tabs, each with a result."""
    for name in TABS:
        choose_tab(page, name)
        if name == "Design":
            quick_design(page)
        else:
            press(page, f"Example: {EXAMPLES[name]}")
        shown(page, "pairs" if name == "Variants" else name.lower())
        yield name
        if name == "Variants":
            choose_tab(page, "VCF")
            press(page, "Example: a VCF of two rows")
            shown(page, "vcf")
            yield "VCF"


def quick_design(page, count="2"):
    page.locator("#design-n").fill(count)
    page.locator("#design-length").fill("30")
    if not page.locator("#design-budget").is_visible():
        page.get_by_text("More rules").click()
    page.locator("#design-budget").fill("400")
    press(page, "Design")


def problem(page):
    found = page.get_by_role("alert")
    expect(found).to_be_visible()
    return found.inner_text()


def saved(page, area, name):
    with page.expect_download() as waiting:
        page.locator(f"#{area}-result").get_by_role("button", name=name, exact=True).click()
    return Path(waiting.value.path()).read_bytes()


def saved_rows(page, area, name="Download CSV"):
    return list(csv.DictReader(io.StringIO(saved(page, area, name).decode())))


def column(page, area, title):
    """Return the cells of a column."""
    titles = page.locator(f"#{area}-result thead tr > *").all_inner_texts()
    at = next(place for place, words in enumerate(titles) if words.split("\n")[0].strip(" ▲▼") == title)
    return page.locator(f"#{area}-result tbody tr td:nth-child({at + 1})").all_inner_texts()


def keep_picture(page, name):
    if SCREENSHOTS:
        page.set_viewport_size(WIDE)
        page.wait_for_timeout(500)
        page.screenshot(path=Path(SCREENSHOTS) / f"page-{name}.png", full_page=True)


def upload(page, button, name, content):
    with page.expect_file_chooser() as waiting:
        press(page, button)
    waiting.value.set_files({"name": name, "mimeType": "text/plain", "buffer": content})


def files_left(server):
    return [path for path in server.temporary.rglob("*") if path.is_file()]


# Predict


def test_a_table_is_uploaded_predicted_and_downloaded(page, server):
    table = f"gene,seq\nHBB,{UTR}\nshort,{UTR[:30]}\n"
    upload(page, "Upload a file", "../../utrs.csv.gz", gzip.compress(table.encode()))
    expect(page.locator("#predict-text")).to_have_value(table)
    press(page, "Predict")
    shown(page, "predict")
    assert column(page, "predict", "gene") == ["HBB", "short"]
    rows = saved_rows(page, "predict")
    assert [row["gene"] for row in rows] == ["HBB", "short"]
    wanted = ribocast.load().predict([row["seq"] for row in rows])
    assert [float(row["mrl"]) for row in rows] == pytest.approx(wanted["mrl"].tolist(), abs=1e-4)
    assert [row["note"] for row in rows] == wanted["note"].tolist()
    assert files_left(server) == []


def test_an_example_is_one_click_away_and_drawn_as_a_histogram_and_on_the_scale_of_the_assay(page):
    press(page, "Example: six 5′ UTRs")
    area = shown(page, "predict")
    assert area.locator("tbody tr").count() == 6
    assert "Sequences by MRL" in area.locator("svg.bars").get_attribute("aria-label")
    strip = area.locator("svg.strip").last.get_attribute("aria-label")
    assert re.search(r"90 % interval \d.* to \d.*above \d+ % of the measured", strip)
    keep_picture(page, "predict")
    assert saved(page, "predict", "SVG").startswith(b"<svg")
    assert saved(page, "predict", "PNG").startswith(b"\x89PNG")


def test_a_wrong_letter_is_said_beside_the_field_as_on_the_command_line(page):
    paste(page, "predict-text", f"{UTR}\nACGXT\n")
    press(page, "Predict")
    assert "row 2: 'X' at position 4 is not a nucleotide (A, C, G, T, U or N)" in problem(page)
    assert page.locator("#predict-text").get_attribute("aria-invalid") == "true"
    paste(page, "predict-text", UTR)
    press(page, "Predict")
    shown(page, "predict")
    assert page.get_by_role("alert").count() == 0


def test_bad_rows_are_listed_and_can_be_skipped(page):
    paste(page, "predict-text", "\n".join([UTR, "ACGXX", UTR[:40], "12345"]))
    press(page, "Predict")
    told = problem(page)
    assert "row 2" in told
    assert "row 4" in told
    assert page.locator("#predict-result").count() == 0
    press(page, "Skip bad rows")
    area = shown(page, "predict")
    assert area.locator("tbody tr").count() == 2
    area.get_by_text("2 rows were skipped").click()
    assert "row 4: '1' at position 1" in area.inner_text()
    assert len(saved_rows(page, "predict")) == 2


def test_a_column_that_is_not_known_is_named(page):
    press(page, "Predict")
    assert "paste sequences, or upload a file" in problem(page)
    paste(page, "predict-text", f"gene,region\nHBB,{UTR}\n")
    press(page, "Predict")
    told = problem(page)
    assert "no sequence column" in told
    assert "?column=" not in told
    page.get_by_label("Column of the sequences").fill("region")
    press(page, "Predict")
    shown(page, "predict")
    assert column(page, "predict", "gene") == ["HBB"]


def test_long_tables_are_sorted_filtered_and_have_pages(page):
    seqs = [UTR[: 20 + at % 31] for at in range(250)]
    paste(page, "predict-text", "id,seq\n" + "\n".join(f"utr{at},{seq}" for at, seq in enumerate(seqs)))
    press(page, "Predict")
    area = shown(page, "predict")
    expect(area.get_by_text("page 1 of 5")).to_be_visible()
    assert area.locator("tbody tr").count() == 50
    press(page, "Next")
    assert column(page, "predict", "name")[0] == "utr50"
    area.get_by_role("button", name=re.compile("^MRL")).first.click()
    assert area.locator("th[aria-sort=descending]").inner_text().startswith("MRL")
    found = [float(cell) for cell in column(page, "predict", "MRL")]
    assert found == sorted(found, reverse=True)
    wanted = ribocast.load().mrl(seqs)
    assert found[0] == pytest.approx(max(wanted), abs=0.01)
    area.get_by_role("searchbox").fill("utr24")
    assert set(column(page, "predict", "name")) == {"utr24", *(f"utr24{at}" for at in range(10))}
    area.get_by_role("searchbox").fill("MRL > 7.5")
    expect(area.get_by_text(f"{sum(one > 7.5 for one in wanted)} pass the filter").first).to_be_visible()
    area.get_by_role("searchbox").fill("nothing of the kind")
    expect(area.get_by_text("No row passes the filter.")).to_be_visible()
    area.get_by_role("searchbox").fill("foo > 3")
    expect(area.get_by_text("No column foo; the columns are name, ")).to_be_visible()
    area.get_by_role("searchbox").fill("")
    assert area.locator("tbody tr").count() == 50


def test_what_is_copied_and_saved_is_what_is_shown_as_it_is_shown(page, browser):
    browser.grant_permissions(["clipboard-read", "clipboard-write"])
    names = ["q1", "b1", "=q2", "b2", '"q\n3"', "b3", "q4", "b4", "q5", "b5"]
    table = "gene,seq\n" + "".join(f"{name},{UTR[: 50 - 2 * at]}\n" for at, name in enumerate(names))
    paste(page, "predict-text", table)
    press(page, "Predict")
    area = shown(page, "predict")
    area.get_by_role("button", name=re.compile("^MRL")).first.click()
    area.get_by_role("searchbox").fill("q")
    expect(area.get_by_role("button", name="Download CSV (5 of 10)", exact=True)).to_be_visible()
    shown_names = column(page, "predict", "gene")
    assert sorted(shown_names) == ["=q2", "q 3", "q1", "q4", "q5"]
    rows = saved_rows(page, "predict", "Download CSV (5 of 10)")
    # The cells are as the API makes them safe for a spreadsheet.
    assert [row["gene"].lstrip("'").replace("\n", " ") for row in rows] == shown_names
    assert "'=q2" in [row["gene"] for row in rows]
    found = [float(row["mrl"]) for row in rows]
    assert found == sorted(found, reverse=True)
    press(page, "Copy (5 of 10)")
    expect(page.locator("#predict-result .told")).to_have_text("Copied 5 rows")
    copied = csv.DictReader(io.StringIO(page.evaluate("navigator.clipboard.readText()")), delimiter="\t")
    assert [row["mrl"] for row in copied] == [row["mrl"] for row in rows]
    press(page, "Copy link")
    expect(page.locator("#predict-result .told")).to_have_text("Copied the link")
    other = browser.new_page()
    other.goto(page.evaluate("navigator.clipboard.readText()"))
    expect(other.locator("#predict-result tbody tr")).to_have_count(5)
    assert column(other, "predict", "gene") == shown_names
    other.close()


def test_the_oligos_that_are_ordered_are_those_that_are_shown(page):
    choose_tab(page, "Design")
    quick_design(page, "8")
    area = shown(page, "design")
    every = saved_rows(page, "design")
    area.get_by_role("button", name=re.compile("^MRL")).first.click()
    least = sorted((float(row["mrl"]) for row in every), reverse=True)[2]
    area.get_by_role("searchbox").fill(f"MRL >= {least}")
    part = re.compile(r"Order sheet \(IDT\) \(\d of 8\)")
    (words,) = [name for name in area.get_by_role("button").all_inner_texts() if part.fullmatch(name)]
    wanted = [row["seq"] for row in sorted(every, key=lambda row: -float(row["mrl"])) if float(row["mrl"]) >= least]
    count = f"({len(wanted)} of 8)"
    assert words.endswith(count)
    order = saved_rows(page, "design", words)
    assert len(order) == len(wanted)
    assert all(seq in row["Sequence"] for seq, row in zip(wanted, order, strict=True))
    fasta = saved(page, "design", f"Download FASTA {count}").decode()
    assert ["".join(one.split("\n")[1:]) for one in fasta.split(">")[1:]] == wanted
    assert [row["seq"] for row in saved_rows(page, "design", f"Download CSV {count}")] == wanted


def test_an_old_result_is_marked_when_input_model_or_assay_change(page):
    paste(page, "predict-text", UTR)
    press(page, "Predict")
    note = shown(page, "predict").get_by_text("changed since this result")
    assert note.count() == 0
    page.locator("#predict-skip").check()
    expect(note).to_be_visible()
    page.locator("#predict-skip").uncheck()
    expect(note).to_have_count(0)
    page.locator("#predict-assay").select_option("egfp_human50")
    expect(note).to_be_visible()
    page.locator("#predict-assay").select_option("")
    expect(note).to_have_count(0)
    page.locator("#predict-model").select_option("default-large")
    expect(note).to_be_visible()
    press(page, "Predict")
    expect(note).to_have_count(0)
    paste(page, "predict-text", UTR + "A")
    expect(note).to_be_visible()


def test_a_row_is_explained_at_a_press_and_a_table_is_copied(page, browser):
    browser.grant_permissions(["clipboard-read", "clipboard-write"])
    press(page, "Example: six 5′ UTRs")
    shown(page, "predict")
    press(page, "Copy")
    expect(page.locator("#predict-result .told")).to_have_text("Copied 6 rows")
    expect(page.locator("#predict-result .told")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.splitlines()[0].split("\t")[-4:] == ["mrl", "mrl_low", "mrl_high", "note"]
    assert len(copied.splitlines()) == 7
    press(page, "Explain HBB human beta-globin")
    assert "HBB human beta-globin: MRL" in shown(page, "explain").inner_text()
    assert page.evaluate("document.activeElement.innerText").strip() == "Explain"
    page.go_back()
    expect(page.locator("#predict-result")).to_be_visible()


# Uploads


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (gzip.compress(bytes(50_000_000)), f"more than {UNPACKED:,} bytes when unpacked"),
        (gzip.compress(b"ACGT" * 1000)[:-20], "damaged or cut short"),
        (b"\xff\xfeA", "not UTF-8 text"),
        (b"seq\nAC\0GT\n", "not a text file"),
        (b"PK\x03\x04 and so on", "a workbook or a zip archive"),
        (b"ACGT\n" * 60_000, f"the server takes {BODY:,}"),
    ],
    ids=["unpacks to much", "cut short", "not UTF-8", "a zero byte", "a workbook", "too large"],
)
def test_bad_uploads_are_refused_in_words_before_they_are_sent(page, content, said):
    upload(page, "Upload a file", "utrs.csv.gz", content)
    told = problem(page)
    assert said in told
    assert "utrs.csv.gz" in told


def test_a_refused_upload_stops_nothing(page):
    """On every tab: a refused upload, then pasted text, then the example."""
    bad = b"name,utr\n\xb5-opioid,ACATTTGC\n"
    choose_tab(page, "Variants")
    choose_tab(page, "VCF")
    vcf = {"vcf-utrs": f">HBB\n{UTR}\n", "vcf-vcf": "HBB\t22\t.\tG\tA\n"}
    for tab, part, button, fields, go in (
        ("Predict", None, "Upload a file", {"predict-text": UTR}, "Predict"),
        ("Explain", None, "Upload a file", {"explain-text": UTR}, "Explain"),
        ("Variants", "Pairs of sequences", "Upload a table of pairs", {"pairs-refs": UTR, "pairs-alts": CHANGED},
         "Score"),
        ("Variants", "VCF", "Upload a VCF", vcf, "Score the VCF"),
    ):  # fmt: skip
        choose_tab(page, tab)
        if part:
            choose_tab(page, part)
        upload(page, button, "latin1.csv", bad)
        assert "latin1.csv" in problem(page), tab
        for field, text in fields.items():
            paste(page, field, text)
        assert page.get_by_role("alert").count() == 0
        press(page, go)
        area = next(iter(fields)).split("-")[0]
        before = shown(page, area).inner_text()
        page.get_by_role("button", name=re.compile("^Example: ")).click()
        expect(page.locator(f"#{area}-result")).not_to_have_text(before)
        shown(page, area)
    choose_tab(page, "Design")
    upload(page, "Upload a sequence", "latin1.csv", bad)
    assert "latin1.csv" in problem(page)
    paste(page, "design-like", UTR)
    assert page.get_by_role("alert").count() == 0
    quick_design_near(page)
    shown(page, "design")


def quick_design_near(page):
    page.get_by_text("More rules").click()
    page.locator("#design-budget").fill("400")
    page.locator("#design-n").fill("1")
    press(page, "Design")


def test_a_large_file_is_sent_as_it_is_and_a_wrong_table_is_said(page):
    upload(page, "Upload a file", "wrong.parquet", b"PAR1 and so on")
    expect(page.get_by_text("sent as it is")).to_be_visible()
    press(page, "Predict")
    assert "arquet" in problem(page)
    press(page, "Remove the file")
    many = gzip.compress(("\n".join([UTR] * 5_000) + "\n").encode())
    upload(page, "Upload a file", "many.txt.gz", many)
    expect(page.get_by_text("many.txt.gz", exact=True)).to_be_visible()
    press(page, "Predict")
    assert "5,000 predictions" in shown(page, "predict").inner_text()
    expect(page).to_have_url(re.compile("many.txt.gz"))
    page.reload()
    expect(page.get_by_text("many.txt.gz has to be given again")).to_be_visible()
    paste(page, "predict-text", UTR)
    press(page, "Predict")
    assert "1 prediction " in shown(page, "predict").inner_text()
    expect(page.get_by_text("has to be given again")).to_have_count(0)


def test_a_table_of_pairs_is_uploaded(page):
    choose_tab(page, "Variants")
    table = f"id,ref,alt\nc.-29G>A,{UTR},{CHANGED}\n"
    upload(page, "Upload a table of pairs", "pairs.csv", table.encode())
    press(page, "Score")
    assert "c.-29G>A" in shown(page, "pairs").inner_text()
    upload(page, "Upload a table of pairs", "pairs.csv", b"a,b\n1,2\n")
    press(page, "Score")
    assert "ref" in problem(page)
    press(page, "Remove the file")
    press(page, "Example: two disease variants")
    shown(page, "pairs")


def test_half_a_request_leaves_nothing_behind(server):
    head = (
        b"POST /api/v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/csv\r\nContent-Length: 100000\r\n\r\n"
    )
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(head + b"Content-Length: 100000\r\n\r\nseq\n" + UTR.encode())
    assert files_left(server) == []
    assert httpx.get(server.url, trust_env=False).status_code == 200


# Models and assays


def test_the_assay_and_its_figures_and_limits_are_one_press_away(page):
    figure = open_bundle(PRETRAINED / "default").card.evaluations[0]
    about = page.locator("#panel-predict details.accuracy")
    about.locator("summary").click()
    expect(about.get_by_text("Accuracy of default on egfp_random50")).to_contain_text(f"r² {figure.pearson_r2:.3f}")
    assert "not of your cells" in about.inner_text()
    assert "human" in about.locator("table").inner_text()
    page.locator("#predict-assay").select_option("egfp_random50_m1psi")
    expect(about.get_by_text("Accuracy of default on egfp_random50_m1psi")).to_be_visible()
    paste(page, "predict-text", UTR)
    press(page, "Predict")
    assert "egfp_random50_m1psi" in shown(page, "predict").inner_text()


def test_variants_show_the_accuracy_of_the_assay_that_scores_them(page):
    choose_tab(page, "Variants")
    about = page.locator("#panel-pairs details.accuracy")
    about.locator("summary").click()
    expect(about.get_by_text("Accuracy of default on egfp_human50")).to_be_visible()
    press(page, "Example: two disease variants")
    assert "of egfp_human50" in shown(page, "pairs").inner_text()


def test_another_model_is_chosen_for_every_tab_and_says_its_own_figures(page):
    figure = open_bundle(PRETRAINED / "default-large").card.evaluations[0]
    page.locator("#predict-model").select_option("default-large")
    about = page.locator("#panel-predict details.accuracy")
    about.locator("summary").click()
    expect(about.get_by_text("Accuracy of default-large")).to_contain_text(f"r² {figure.pearson_r2:.3f}")
    large = ribocast.load("default-large")
    paste(page, "predict-text", UTR)
    press(page, "Predict")
    assert f"{large.mrl([UTR])[0]:.2f}" in shown(page, "predict").inner_text()
    for name, area in (("Explain", "explain"), ("Variants", "pairs")):
        choose_tab(page, name)
        press(page, f"Example: {EXAMPLES[name]}")
        assert "default-large" in shown(page, area).inner_text()


# Explain


def test_an_explanation_is_read_by_pointer_and_by_arrow_keys(page):
    choose_tab(page, "Explain")
    press(page, "Example: beta-globin with an upstream ATG")
    area = shown(page, "explain")
    assert "overlapping uORF" in area.inner_text()
    keep_picture(page, "explain")
    tip = area.locator(".tip")
    area.locator("[data-at='23,1']").hover()
    assert tip.inner_text().startswith("−27, letter 24: G to C, MRL ")
    assert "log2 fold change +" in tip.inner_text()
    # The pointer would point again where the page moves below it.
    page.mouse.move(1, 1)
    area.get_by_role("application").focus()
    page.keyboard.press("ArrowRight")
    expect(tip).to_have_text(re.compile("^−26, letter 25: "))
    page.keyboard.press("ArrowDown")
    expect(tip).to_have_text(re.compile("^−26, letter 25: [GT]"))
    effects = saved_rows(page, "explain")
    assert len(effects) == 3 * len(UTR)
    sizes = [abs(float(row["log2_fold_change"])) for row in effects]
    assert sizes == sorted(sizes, reverse=True)
    for name, begins in (("SVG", b"<?xml"), ("PNG", b"\x89PNG")):
        assert saved(page, "explain", name).startswith(begins)
    paste(page, "explain-text", "ACGX")
    press(page, "Explain")
    assert "'X' at position 4" in problem(page)


def test_effects_differ_in_grey_and_in_shape(page):
    choose_tab(page, "Explain")
    press(page, "Example: beta-globin with an upstream ATG")
    shown(page, "explain")
    squares = page.evaluate("""() => [...document.querySelectorAll("rect[data-effect]")].map(one => [
        +one.dataset.effect, one.getAttribute("fill"), one.nextElementSibling?.tagName === "path"])""")
    strongest, weakest = max(squares), min(squares, key=lambda one: one[0])

    def grey(colour):
        red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
        return 0.299 * red + 0.587 * green + 0.114 * blue

    assert strongest[0] > 0 > weakest[0]
    assert all(one[2] for one in (strongest, weakest))
    assert abs(grey(strongest[1]) - grey(weakest[1])) > 20


def test_several_sequences_are_not_joined_but_offered(page):
    choose_tab(page, "Explain")
    paste(page, "explain-text", f"{UTR}\n{CHANGED}\n")
    press(page, "Explain")
    assert "2 sequences: choose one" in problem(page)
    page.get_by_label("Which sequence").select_option("2")
    assert f"{ribocast.load().mrl([CHANGED])[0]:.2f}" in shown(page, "explain").inner_text()
    page.get_by_label("Which sequence").select_option("joined")
    expect(page.locator("#explain-result h3")).to_contain_text(f"{ribocast.load().mrl([UTR + CHANGED])[0]:.2f}")
    paste(page, "explain-text", f">one\n{UTR[:20]}\n{UTR[20:]}\n>two\n{CHANGED}\n")
    page.get_by_label("Which sequence").select_option("1")
    expect(page.locator("#explain-result h3")).to_contain_text(f"one: MRL {ribocast.load().mrl([UTR])[0]:.2f}")


# Variants


def test_pairs_are_scored_and_downloaded(page):
    choose_tab(page, "Variants")
    paste(page, "pairs-refs", UTR)
    paste(page, "pairs-alts", f"{CHANGED}\n{CHANGED}")
    press(page, "Score")
    assert "1 reference and 2 alternatives" in problem(page)
    paste(page, "pairs-alts", CHANGED)
    press(page, "Score")
    assert "uATG gained" in shown(page, "pairs").inner_text()
    (row,) = saved_rows(page, "pairs")
    wanted = ribocast.score_variants(ribocast.load(), [UTR], [CHANGED])["log2_fold_change"][0]
    assert float(row["log2_fold_change"]) == pytest.approx(wanted, abs=1e-4)
    press(page, "Example: two disease variants")
    expect(page.locator("#pairs-result tbody tr")).to_have_count(2)
    keep_picture(page, "variants")


def test_a_vcf_is_uploaded_and_scored_against_pasted_utrs(page):
    choose_tab(page, "Variants")
    choose_tab(page, "VCF")
    paste(page, "vcf-utrs", f">HBB beta-globin\n{UTR}\n")
    upload(page, "Upload a VCF", "calls.vcf", b"HBB\t22\t.\tC\tA\n")
    expect(page.locator("#vcf-vcf")).to_have_value(re.compile("HBB"))
    press(page, "Score the VCF")
    assert "REF is C, but HBB has G there" in problem(page)
    upload(page, "Upload a VCF", "calls.vcf", b"HBB\t22\t.\tG\tA,T,<DEL>\nHBB\t1\t.\tA\tAC\n")
    expect(page.locator("#vcf-vcf")).to_have_value(re.compile("AC"))
    press(page, "Score the VCF")
    assert "'<DEL>'" in problem(page)
    press(page, "Skip bad rows")
    assert "uATG gained" in shown(page, "vcf").inner_text()
    assert "1 row was skipped" in page.locator("#vcf-result").inner_text()
    rows = saved_rows(page, "vcf")
    assert [(row["pos"], row["vcf_alt"]) for row in rows] == [("22", "A"), ("22", "T"), ("1", "AC")]


# Design


def test_designs_are_searched_with_progress_and_downloaded(page):
    choose_tab(page, "Design")
    page.locator("#design-target").fill("6.5, 7")
    quick_design(page)
    shown(page, "design")
    assert "done: " in page.locator("#design-progress").inner_text()
    rows = saved_rows(page, "design")
    assert [float(row["target"]) for row in rows] == [6.5, 6.5, 7, 7]
    assert all(len(row["seq"]) == 30 and "ATG" not in row["seq"] for row in rows)
    order = saved_rows(page, "design", "Order sheet (IDT)")
    assert all(row["seq"] in line["Sequence"] for row, line in zip(rows, order, strict=True))
    assert saved(page, "design", "Download FASTA").count(b">") == 4
    assert saved(page, "design", "PNG").startswith(b"\x89PNG")
    page.get_by_text("More rules").click()
    keep_picture(page, "design")
    place = httpx.URL(server_job(page))
    press(page, "Delete the result")
    expect(page.locator("#design-result")).to_have_count(0)
    expect(page.get_by_text("the result is deleted")).to_be_attached()
    assert httpx.get(place, trust_env=False).status_code == 404
    page.locator("#design-forbid").fill("AXG")
    press(page, "Design")
    assert "AXG" in problem(page)


def server_job(page):
    """Return the address of the job that the page's own address names."""
    (id,) = re.findall(r"design\.job=([^&]+)", page.url)
    parts = urlsplit(page.url)
    return f"{parts.scheme}://{parts.netloc}/api/v1/design/{id}"


def test_length_is_set_by_a_template_or_a_sequence_and_says_so(page):
    choose_tab(page, "Design")
    assert page.locator("#design-length").is_enabled()
    paste(page, "design-like", f">HBB\n{UTR}\n")
    expect(page.locator("#design-length")).to_be_disabled()
    expect(page.get_by_text("Set by the sequence to stay near to.")).to_be_visible()
    paste(page, "design-like", "")
    page.get_by_text("More rules").click()
    page.locator("#design-template").fill("N" * 20 + "GCCACC")
    expect(page.get_by_text("Set by the template.")).to_be_visible()
    page.locator("#design-budget").fill("300")
    page.locator("#design-n").fill("1")
    press(page, "Design")
    shown(page, "design")
    (row,) = saved_rows(page, "design")
    assert re.fullmatch("[ACGT]{20}GCCACC", row["seq"])
    page.locator("#design-n").fill("many")
    press(page, "Design")
    assert "Designs: many is not a number" in problem(page)
    assert page.locator("#design-n").get_attribute("aria-invalid") == "true"
    page.locator("#design-n").fill("0")
    press(page, "Design")
    assert "Designs: " in problem(page)
    assert page.locator("#design-n").get_attribute("aria-invalid") == "true"


def begin_long_search(page):
    choose_tab(page, "Design")
    page.locator("#design-goal").select_option("highest")
    page.locator("#design-n").fill("100")
    page.locator("#design-length").fill("100")
    press(page, "Design")
    expect(page.get_by_role("progressbar", name="Search")).to_be_visible()
    expect(page.get_by_text(re.compile("searching: [1-9]"))).to_be_visible()


def test_a_running_design_survives_a_reload_and_is_cancelled(page, server):
    begin_long_search(page)
    expect(page).to_have_url(re.compile("design.job="))
    job = server_job(page)
    page.reload()
    expect(page.get_by_text(re.compile("searching: [1-9]"))).to_be_visible()
    assert server_job(page) == job
    assert page.get_by_role("button", name="Designing…").is_disabled()
    press(page, "Cancel")
    expect(page.get_by_text(re.compile("^cancelled: "))).to_be_visible()
    assert server.metric('ribocast_jobs_total{end="cancelled"}') >= 1


def test_a_lost_connection_is_said_and_the_search_is_found_again(page, browser):
    begin_long_search(page)
    browser.set_offline(True)
    expect(page.get_by_text("The connection is lost; trying again.")).to_be_visible()
    browser.set_offline(False)
    expect(page.get_by_text("The connection is lost; trying again.")).to_have_count(0)
    press(page, "Cancel")
    expect(page.get_by_text(re.compile("^cancelled: "))).to_be_visible()


def test_a_search_that_nobody_waits_for_ends_by_itself(browser, tmp_path):
    with serving(tmp_path / "short", "--model", "default", job_seconds=2) as server:
        page = browser.new_page()
        visit(page, server)
        choose_tab(page, "Design")
        assert "A search goes on when you close this page" in page.locator("body").inner_text()
        page.locator("#design-n").fill("100")
        press(page, "Design")
        expect(page).to_have_url(re.compile("design.job="))
        job = server_job(page)
        page.close()
        assert server.wait_for_job(job)["state"] == "done"


# Links


def test_a_reload_and_a_link_lose_nothing(page, browser, server):
    page.locator("#predict-model").select_option("default-large")
    page.locator("#predict-assay").select_option("egfp_human50")
    paste(page, "predict-text", f">a & b #1 100%\n{UTR}\n")
    page.locator("#predict-skip").check()
    press(page, "Predict")
    before = shown(page, "predict").inner_text()
    expect(page).to_have_url(re.compile("predict.run=1"))
    page.reload()
    assert shown(page, "predict").inner_text() == before
    assert page.locator("#predict-skip").is_checked()
    other = browser.new_page()
    other.goto(page.url)
    assert shown(other, "predict").inner_text() == before
    assert other.locator("#predict-model").input_value() == "default-large"
    other.close()


def test_a_link_holds_the_inputs_of_its_own_tab_alone(page, browser):
    paste(page, "predict-text", UTR)
    press(page, "Predict")
    shown(page, "predict")
    expect(page).to_have_url(re.compile(UTR))
    for name, control in (("Explain", "explain-near"), ("Design", "design-n"), ("Variants", "pairs-skip")):
        choose_tab(page, name)
        expect(page).to_have_url(re.compile(f"tab={name.lower()}"))
        page.locator(f"#{control}").press("Space")
        page.wait_for_timeout(400)  # longer than the page waits before it writes its address
        assert UTR not in page.url, name
    expect(page).to_have_url(re.compile("pairs.skip=1"))
    paste(page, "pairs-refs", CHANGED)
    choose_tab(page, "VCF")
    expect(page).to_have_url(re.compile("variants.part=vcf"))
    assert CHANGED not in page.url
    # In this page nothing is lost.
    choose_tab(page, "Predict")
    assert page.locator("#predict-text").input_value() == UTR
    shown(page, "predict")
    page.go_back()
    choose_tab(page, "Pairs of sequences")
    assert page.locator("#pairs-refs").input_value() == CHANGED
    assert page.locator("#predict-text").input_value() == UTR


def test_long_inputs_are_packed_in_the_address(page):
    text = "".join(f">utr{at}\n{UTR}\n" for at in range(200))
    paste(page, "predict-text", text)
    expect(page).to_have_url(re.compile("#z="))
    assert len(page.url) < len(text) / 3
    page.reload()
    expect(page.locator("#predict-text")).to_have_value(text)


def test_a_wrong_link_opens_an_empty_page(page, server):
    for fragment in ("#z=%%%", "#z=AAAA", "#tab=nothing&predict.x=1&model=none&assay=none", "#=&&&"):
        visit(page, server, fragment)
        page.reload()
        paste(page, "predict-text", UTR)
        press(page, "Predict")
        shown(page, "predict")


def test_a_link_asks_again_but_begins_no_search(page, server):
    before = server.metric('ribocast_calls_total{method="POST",route="/api/v1/design",status="202"}')
    explain = f"tab=explain&explain.text={UTR}&explain.run=1"
    for fragment in (explain, "tab=design&design.run=go", "tab=design&design.run=1"):
        page.goto(f"{server.url}/#{fragment}")
        if "explain" in fragment:
            shown(page, "explain")
        else:
            expect(page.get_by_role("button", name="Design", exact=True)).to_be_enabled()
            page.reload()
            expect(page.get_by_role("button", name="Design", exact=True)).to_be_enabled()
    page.goto(f"{server.url}/#tab=design&design.job=nothing-of-the-kind")
    assert "no longer on the server" in problem(page)
    assert server.metric('ribocast_calls_total{method="POST",route="/api/v1/design",status="202"}') == before


# Reaching it: keyboard, screen readers, small screens, colours


def test_all_of_it_works_by_keyboard(page):
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.innerText") == "Skip to the input"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "predict-text"
    page.keyboard.insert_text(UTR)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.innerText").strip() == "Predict"
    page.keyboard.press("Enter")
    shown(page, "predict")
    expect(page.get_by_role("status").filter(has_text="1 prediction by the model default")).to_be_attached()
    page.get_by_role("tab", name="Predict").focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.innerText").strip() == "Explain"
    page.locator("#explain-text").focus()
    page.keyboard.insert_text(UTR)
    page.keyboard.press("Control+Enter")
    shown(page, "explain")
    page.get_by_role("tab", name="Explain").focus()
    page.keyboard.press("End")
    assert page.get_by_role("tab", name="Design").get_attribute("aria-selected") == "true"
    page.keyboard.press("ArrowRight")
    assert page.get_by_role("tab", name="Predict").get_attribute("aria-selected") == "true"
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert page.evaluate(outline) == "solid"


def test_every_control_has_a_name(page):
    nameless = """() => [...document.querySelectorAll("input, textarea, select, button")]
        .filter(one => one.offsetParent !== null && one.type !== "file")
        .filter(one => !(one.labels?.length || one.getAttribute("aria-label") || one.innerText.trim() || one.title))
        .map(one => one.outerHTML.slice(0, 200))"""
    for name in TABS:
        choose_tab(page, name)
        assert page.evaluate(nameless) == []


def test_input_and_button_are_on_the_first_screen(page):
    for size in (WIDE, NARROW):
        page.set_viewport_size(size)
        for name, go in zip(TABS, ("Predict", "Explain", "Score", "Design"), strict=True):
            choose_tab(page, name)
            page.evaluate("scrollTo(0, 0)")
            box = page.get_by_role("button", name=go, exact=True).bounding_box()
            first = page.locator("[role=tabpanel]:visible :is(textarea, select, input):visible").first.bounding_box()
            assert first["y"] < 400
            assert box["y"] + box["height"] <= size["height"], (name, size)


CONTRASTS = """() => {
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const known = {};
  const numbers = text => known[text] ??= paint(text);
  const paint = text => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = text; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0);
  const behind = one => {
    for (; one; one = one.parentElement) {
      const colour = numbers(getComputedStyle(one).backgroundColor);
      if (colour[3] > 250) return colour;
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const one of document.querySelectorAll("body *:not(svg *)")) {
    const own = [...one.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
    if (!own || one.offsetParent === null || one.closest(":disabled")) continue;
    const [a, b] = [light(numbers(getComputedStyle(one).color)), light(behind(one))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.push(`${ratio.toFixed(2)}: ${one.innerText.slice(0, 60)}`);
  }
  return poor;
}"""
AXE_RUN = """async () => {
  const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
  const found = await axe.run(document, {runOnly: {type: "tag", values: tags}});
  return found.violations.map(one => [one.id, one.help, one.nodes.slice(0, 3).map(node => node.html.slice(0, 200))]);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_by_all_on_screens_of_every_size(browser, server, scheme):
    """WCAG 2.2: contrasts of 4.5 to 1, results included; nothing that axe-core finds; no scrolling sideways."""
    page = browser.new_page()
    page.set_default_timeout(SECONDS)
    page.emulate_media(color_scheme=scheme)
    visit(page, server)
    if AXE.exists():
        page.evaluate(AXE.read_text())
    for name in every_tab_with_a_result(page):
        for size in (WIDE, NARROW):
            page.set_viewport_size(size)
            assert page.evaluate(CONTRASTS) == [], (name, size)
            assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], (name, size)
            if AXE.exists():
                assert page.evaluate(AXE_RUN) == [], (name, size)
    for size in (WIDE, NARROW):
        page.set_viewport_size(size)
        page.goto(f"{server.url}/api/docs")
        assert page.evaluate(CONTRASTS) == [], size
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], size
        if AXE.exists():
            page.evaluate(AXE.read_text())
            assert page.evaluate(AXE_RUN) == [], size
    page.close()
    if not AXE.exists():
        pytest.skip("axe-core is not installed (npm ci): contrasts and widths alone were looked at")


def test_values_are_large_enough_to_be_read_on_a_phone(page):
    page.set_viewport_size(NARROW)
    choose_tab(page, "Explain")
    press(page, "Example: beta-globin with an upstream ATG")
    shown(page, "explain")
    sizes = page.evaluate("""() => [...document.querySelectorAll("#panel-explain :is(td, th, p, .tip, svg text)")]
        .map(one => parseFloat(getComputedStyle(one).fontSize))""")
    assert min(sizes) >= 12
    square = page.locator("[data-at='10,0']").bounding_box()
    assert square["width"] >= 18
    page.locator("[data-at='3,1']").click()
    assert page.locator(".tip").inner_text().startswith("−47, letter 4: ")


def every_cell_fits(page, area):
    return page.locator(f"#{area}-result .table .scroll").evaluate("one => one.scrollWidth <= one.clientWidth")


def test_name_sequence_and_mrl_are_seen_without_scrolling(page):
    for size in (WIDE, NARROW):
        page.set_viewport_size(size)
        for name in every_tab_with_a_result(page):
            area = {"Variants": "pairs"}.get(name, name.lower())
            if area == "explain":
                continue
            assert every_cell_fits(page, area), (name, size)
            cells = page.locator(f"#{area}-result td.seq")
            whole = 2 * 50 if area in ("pairs", "vcf") else 30 if area == "design" else 50
            assert len(cells.first.inner_text().replace("\n", "")) == whole, name
        page.reload()
    choose_tab(page, "Predict")
    page.set_viewport_size(WIDE)
    press(page, "Example: six 5′ UTRs")
    area = shown(page, "predict")
    low, high = column(page, "predict", "90 % interval")[0].split(" to ")
    press(page, "More columns")
    assert [column(page, "predict", f"MRL, {end}")[0] for end in ("low", "high")] == [low, high]
    assert area.locator("tbody td").first.inner_text().startswith("HBB")


def test_what_was_asked_for_is_on_the_screen_of_a_phone(page):
    page.set_viewport_size(NARROW)
    paste(page, "predict-text", f"{UTR}\n{CHANGED}\n")
    press(page, "Predict")
    shown(page, "predict")
    value = page.locator("#predict-result td[data-label=MRL]").first
    expect(value).to_be_in_viewport()
    bars = page.locator("#predict-result svg.bars").bounding_box()
    assert bars["x"] + bars["width"] <= NARROW["width"]
    choose_tab(page, "Explain")
    press(page, "Example: beta-globin with an upstream ATG")
    expect(page.locator("#explain-result h3")).to_be_in_viewport()
    starts = page.locator("svg.uorfs").bounding_box()
    assert starts["x"] + starts["width"] <= NARROW["width"]
    # Of the map that is wider, the strongest effect is seen first.
    region = page.get_by_role("application")
    assert region.evaluate("one => one.scrollWidth > one.clientWidth")
    expect(page.get_by_text("Scroll sideways to see all of it.")).to_be_visible()
    assert region.evaluate("""one => {
        const size = square => Math.abs(square.dataset.effect);
        const all = [...one.querySelectorAll("rect[data-effect]")].sort((a, b) => size(b) - size(a));
        const [square, frame] = [all[0].getBoundingClientRect(), one.getBoundingClientRect()];
        return square.left >= frame.left && square.right <= frame.right;
    }""")


def test_accuracy_and_limits_are_read_in_full_and_move_nothing(page):
    for size in (WIDE, NARROW):
        page.set_viewport_size(size)
        about = page.locator("#panel-predict details.accuracy")
        below = page.locator("#predict-skip")
        before = below.bounding_box()
        about.locator("summary").click()
        table = about.locator(".scroll")
        expect(table).to_be_visible()
        assert below.bounding_box() == before
        assert table.evaluate("one => one.scrollWidth <= one.clientWidth"), size
        page.keyboard.press("Escape")
        expect(table).to_be_hidden()


def test_light_and_dark_are_switched_and_remembered(page):
    def background():
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    before = background()
    press(page, "Dark")
    assert background() != before
    page.reload()
    expect(page.get_by_role("button", name="Light", exact=True)).to_be_visible()
    assert background() != before
    press(page, "Light")
    assert background() == before


# The files


def test_the_token_is_the_password_of_browsers(chromium, tmp_path):
    token = "a-token-of-the-test"
    with serving(tmp_path / "guarded", "--model", "default", token=token) as server:
        for password, there in (("wrong-one", 0), (token, 1)):
            context = chromium.new_context(http_credentials={"username": "any", "password": password})
            page = context.new_page()
            page.goto(server.url)
            if there:
                press(page, "Example: six 5′ UTRs")
                shown(page, "predict")
            assert page.get_by_role("tab", name="Predict").count() == there
            context.close()


def test_a_first_prediction_sends_little(chromium, server):
    """From a cold cache: everything that is sent, compressed, until the table is there."""
    context = chromium.new_context(viewport=WIDE)
    page = context.new_page()
    sizes = {}
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    session.on("Network.loadingFinished", lambda event: sizes.update({event["requestId"]: event["encodedDataLength"]}))
    page.goto(server.url)
    press(page, "Example: six 5′ UTRs")
    shown(page, "predict")
    expect(page.locator("#predict-result .sort").first).to_be_visible()
    context.close()
    assert sum(sizes.values()) < 150_000


def test_scripts_and_styles_are_files_of_this_server_alone(server):
    answer = server.client.get("/")
    policy = answer.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert "set-cookie" not in answer.headers
    html = answer.text
    assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=|https?://", html)
    for source in re.findall(r'(?:src|href)="(/page/[^"]+)"', html):
        found = server.client.get(source)
        assert found.status_code == 200
        assert server.client.get(source, headers={"if-none-match": found.headers["etag"]}).status_code == 304
        assert found.headers["cache-control"] == "no-cache"


def test_every_file_is_preloaded_and_no_other_can_be_named(server):
    html = server.client.get("/").text
    folder = Path(ribocast.__file__).parent / "web/page"
    scripts = {f"/page/{path.name}" for path in folder.glob("*.js")}
    assert scripts == set(re.findall(r'"(/page/[^/"]+\.js)"', html))
    for path in ("../app.py", "..%2fapp.py", "%2e%2e/app.py", "....//app.py", "/etc/passwd", "%2fetc%2fpasswd", "",
                 "vendor", "vendor/", "vendor/preact.d.mts", "page/index.html", "style.css%00"):  # fmt: skip
        answer = httpx.get(f"{server.url}/page/{path}", trust_env=False)
        assert answer.status_code == 404, path
        assert json.loads(answer.text)["status"] == 404
    assert server.client.post("/", content=b"").status_code == 405
