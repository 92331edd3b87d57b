"""The page, driven in a real browser as a person would: every tab, by mouse, by keyboard and on a narrow screen.

``RIBOCAST_SCREENSHOTS=docs pytest tests/test_page.py`` takes the pictures of docs/ anew.
"""

import csv
import gzip
import io
import os
import re
import shutil
import socket
import time
from pathlib import Path

import httpx
import pytest

import ribocast
from ribocast.bundle import PRETRAINED, open_bundle
from served import LEADER, serving

CHROMIUM = shutil.which("chromium")
if CHROMIUM is None:
    pytest.skip("there is no Chromium: apt-get install chromium", allow_module_level=True)
from playwright.sync_api import expect, sync_playwright  # noqa: E402

CHANGED = LEADER[:21] + "A" + LEADER[22:]
SECONDS = 60_000
expect.set_options(timeout=SECONDS)  # a machine that does much else at the same time is slow
UNPACKED = 300_000
SCREENSHOTS = os.environ.get("RIBOCAST_SCREENSHOTS")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(
        tmp_path_factory.mktemp("page"), "--model", "default", "--model", "default-large",
        max_unpacked_bytes=UNPACKED, calls_per_minute=0, max_body_bytes=1_000_000, job_seconds=40,
    ) as running:  # fmt: skip
        yield running


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        # CI runs as root, where Chromium's own sandbox does not start.
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        # One context, so that Gradio's files are fetched once.
        context = running.new_context(viewport={"width": 1000, "height": 900})
        yield context
        running.close()


@pytest.fixture
def page(browser, server):
    """Give the page, opened anew; at the end, nothing was asked of other servers and no script failed."""
    hosts, complaints = set(), []
    opened = browser.new_page()
    opened.set_default_timeout(SECONDS)
    opened.on("request", lambda request: hosts.add(request.url) if request.url.startswith("http") else None)
    opened.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.goto(server.url)
    expect(opened.get_by_role("button", name="Predict", exact=True)).to_be_visible(timeout=SECONDS)
    yield opened
    opened.close()
    assert {url for url in hosts if not url.startswith(server.url)} == set()
    assert complaints == []


def press(page, name):
    page.get_by_role("button", name=name, exact=True).click()


def choose_tab(page, name):
    page.get_by_role("tab", name=name, exact=True).click()


def shown(page, area):
    """Wait for an area's table."""
    expect(page.locator(f"#{area}-result table").first).to_be_visible(timeout=SECONDS)
    return page.locator(f"#{area}-result")


def every_tab_with_an_example(page):
    """Go through the tabs; what is shown is an example's result, but for designs, which take long."""
    examples = {"Predict": "six leaders", "Explain": "beta-globin with an upstream ATG",
                "Variants": "two disease variants", "Design": None}  # fmt: skip
    for name, example in examples.items():
        choose_tab(page, name)
        if example:
            press(page, f"Example: {example}")
            shown(page, name.lower())
        yield name


def problem(page, area):
    found = page.locator(f"#{area}-problem [role=alert]")
    expect(found).to_be_visible(timeout=SECONDS)
    return found.inner_text()


def saved(page, name):
    with page.expect_download() as waiting:
        page.get_by_role("link", name=name).click()
    return list(csv.DictReader(io.StringIO(Path(waiting.value.path()).read_text(encoding="utf-8"))))


def keep_picture(page, name):
    if SCREENSHOTS:
        page.wait_for_timeout(500)
        page.screenshot(path=Path(SCREENSHOTS) / f"page-{name}.png", full_page=True)


def upload(page, button, name, content):
    with page.expect_file_chooser() as waiting:
        press(page, button)
    waiting.value.set_files({"name": name, "mimeType": "text/plain", "buffer": content})


def test_a_table_is_uploaded_predicted_and_downloaded(page, server):
    table = f"gene,seq\nHBB,{LEADER}\nshort,{LEADER[:30]}\n"
    upload(page, "Upload a file", "leaders.csv.gz", gzip.compress(table.encode()))
    expect(page.get_by_label("Sequences")).to_have_value(table)
    press(page, "Predict")
    shown(page, "predict")
    rows = saved(page, "Download CSV")
    assert [row["gene"] for row in rows] == ["HBB", "short"]
    wanted = ribocast.load().predict([row["seq"] for row in rows])
    assert [float(row["mrl"]) for row in rows] == pytest.approx(wanted["mrl"].tolist(), abs=1e-4)
    assert [row["note"] for row in rows] == wanted["note"].tolist()
    assert [path for path in server.temporary.rglob("*") if path.is_file()] == []


def test_an_example_is_one_click_away_and_drawn_as_a_histogram(page):
    press(page, "Example: six leaders")
    area = shown(page, "predict")
    assert area.locator("tbody tr").count() == 6
    assert "Sequences by load" in area.get_by_role("img").get_attribute("aria-label")
    keep_picture(page, "predict")


def test_a_wrong_letter_is_said_beside_the_field_as_on_the_command_line(page):
    page.get_by_label("Sequences").fill(f"{LEADER}\nACGXT\n")
    press(page, "Predict")
    assert problem(page, "predict") == (
        "error: the pasted text row 2: 'X' at position 4 is not a nucleotide (A, C, G, T, U or N)"
    )
    page.get_by_label("Sequences").fill(LEADER)
    press(page, "Predict")
    shown(page, "predict")
    assert page.locator("#predict-problem [role=alert]").count() == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (gzip.compress(bytes(50_000_000)), f"more than {UNPACKED:,} bytes when unpacked"),
        (b"PAR1 and so on", "not a text file"),
        (gzip.compress(b"ACGT" * 1000)[:-20], "damaged or cut short"),
        (b"\xff\xfeA", "not UTF-8 text"),
    ],
)
def test_bad_uploads_are_refused_in_words_and_removed(page, server, content, said):
    upload(page, "Upload a file", "../../leaders.csv.gz", content)
    assert said in problem(page, "predict")
    assert [path for path in server.temporary.rglob("*") if path.is_file()] == []


def test_half_an_upload_leaves_nothing_behind(server):
    part = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.csv"\r\n\r\nseq\n' + LEADER.encode()
    head = b"POST /gradio_api/upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=x\r\n"
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(head + b"Content-Length: 100000\r\n\r\n" + part)
    deadline = time.monotonic() + 30
    while (left := [path for path in server.temporary.rglob("*") if path.is_file()]) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert left == []
    assert httpx.get(server.url, trust_env=False).status_code == 200


def test_a_path_in_the_name_of_an_upload_leads_nowhere(server, tmp_path):
    name = f"../../../../../../..{tmp_path}/evil.csv"
    answer = httpx.post(f"{server.url}/gradio_api/upload", files={"files": (name, LEADER.encode())}, trust_env=False)
    assert answer.status_code in (200, 400, 403)
    assert list(tmp_path.iterdir()) == []
    for path in answer.json() if answer.status_code == 200 else []:
        assert Path(path).resolve().is_relative_to(server.temporary)
        Path(path).unlink()
    answer = httpx.get(f"{server.url}/gradio_api/file=/etc/passwd", trust_env=False)
    assert answer.status_code in (403, 404)
    too_large = httpx.post(f"{server.url}/gradio_api/upload", files={"files": ("a", bytes(2_000_000))}, trust_env=False)
    assert too_large.status_code == 413


def test_the_assay_and_its_figures_and_limits_stand_at_the_top(page):
    figure = open_bundle(PRETRAINED / "default").card.figures[0]
    assert f"r² {figure.pearson_r2:.3f}" in page.get_by_text("Accuracy of default").inner_text()
    page.get_by_role("radio", name="N1-methylpseudouridine").check()
    expect(page.get_by_text("Accuracy of default on egfp_random50_m1psi")).to_be_visible()
    page.get_by_label("Sequences").fill(LEADER)
    press(page, "Predict")
    assert "egfp_random50_m1psi" in shown(page, "predict").inner_text()


def test_another_model_is_chosen_for_every_tab_and_says_its_own_figures(page):
    figure = open_bundle(PRETRAINED / "default-large").card.figures[0]
    page.get_by_role("radio", name="default-large").check()
    expect(page.get_by_text("Accuracy of default-large")).to_contain_text(f"r² {figure.pearson_r2:.3f}")
    large = ribocast.load("default-large")
    page.get_by_label("Sequences").fill(LEADER)
    press(page, "Predict")
    assert f"{large.mrl([LEADER])[0]:.2f}" in shown(page, "predict").inner_text()
    for name, example in (("Explain", "beta-globin with an upstream ATG"), ("Variants", "two disease variants")):
        choose_tab(page, name)
        press(page, f"Example: {example}")
        assert "default-large" in shown(page, name.lower()).inner_text()


CONTRASTS = """() => {
  const numbers = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0);
  const behind = one => {
    for (; one; one = one.parentElement) {
      const colour = numbers(getComputedStyle(one).backgroundColor);
      if (colour.length === 3 || colour[3] > 0.99) return colour;
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const one of document.querySelectorAll("body *:not(svg *)")) {
    const own = [...one.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
    if (!own || one.offsetParent === null || one.closest("[disabled]")) continue;
    const [a, b] = [light(numbers(getComputedStyle(one).color)), light(behind(one))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.push(`${ratio.toFixed(2)}: ${one.innerText.slice(0, 60)}`);
  }
  return poor;
}"""


def test_letters_stand_out_from_what_is_behind_them(page):
    """WCAG 2.2, 1.4.3: a contrast of 4.5 to 1, results included."""
    for name in every_tab_with_an_example(page):
        assert page.evaluate(CONTRASTS) == [], name


def test_an_explanation_is_read_by_pointer_and_by_arrow_keys(page):
    choose_tab(page, "Explain")
    press(page, "Example: beta-globin with an upstream ATG")
    area = shown(page, "explain")
    assert "overlapping uORF" in area.inner_text()
    tip = area.locator(".rc-tip")
    area.locator("[data-tip*='-27 G to C']").hover()
    assert "log2 fold change +" in tip.inner_text()
    area.get_by_role("application").focus()
    page.keyboard.press("ArrowRight")
    assert tip.inner_text().startswith("-26 ")
    page.keyboard.press("ArrowDown")
    assert tip.inner_text().startswith("-26 T")
    effects = saved(page, "Download all effects as CSV")
    assert len(effects) == 4 * len(LEADER)
    keep_picture(page, "explain")
    page.get_by_label("Sequence One").fill("ACGX")
    press(page, "Explain")
    assert "'X' at position 4" in problem(page, "explain")


def test_pairs_are_scored_and_downloaded(page):
    choose_tab(page, "Variants")
    page.get_by_label("Reference").fill(LEADER)
    page.get_by_label("Alternative").fill(f"{CHANGED}\n{CHANGED}")
    press(page, "Score")
    assert "1 references and 2 variants: there must be as many" in problem(page, "variants")
    page.get_by_label("Alternative").fill(CHANGED)
    press(page, "Score")
    assert "uATG gained" in shown(page, "variants").inner_text()
    (row,) = saved(page, "Download CSV")
    wanted = ribocast.score_variants(ribocast.load(), [LEADER], [CHANGED])["log2_fold_change"][0]
    assert float(row["log2_fold_change"]) == pytest.approx(wanted, abs=1e-4)
    press(page, "Example: two disease variants")
    expect(page.locator("#variants-result tbody tr")).to_have_count(2)
    keep_picture(page, "variants")


def test_a_vcf_is_uploaded_and_scored_against_pasted_leaders(page):
    choose_tab(page, "Variants")
    choose_tab(page, "VCF")
    page.get_by_label("5′ UTRs of transcripts").fill(f">HBB beta-globin\n{LEADER}\n")
    upload(page, "Upload a VCF", "calls.vcf", b"HBB\t22\t.\tC\tA\n")
    expect(page.get_by_label("VCF CHROM")).to_have_value(re.compile("HBB"))
    press(page, "Score the VCF")
    assert "the VCF row 1: REF is C, but HBB has G there" in problem(page, "vcf")
    upload(page, "Upload a VCF", "calls.vcf", b"HBB\t22\t.\tG\tA,T\nHBB\t1\t.\tA\tAC\n")
    expect(page.get_by_label("VCF CHROM")).to_have_value(re.compile("AC"))
    press(page, "Score the VCF")
    assert "uATG gained" in shown(page, "vcf").inner_text()
    rows = saved(page, "Download CSV")
    assert [(row["pos"], row["alt"]) for row in rows] == [("22", "A"), ("22", "T"), ("1", "AC")]


def test_designs_are_searched_with_progress_and_downloaded(page):
    choose_tab(page, "Design")
    page.get_by_label("Designs", exact=True).fill("2")
    page.get_by_label("Length, nt").fill("30")
    press(page, "Design")
    expect(page.get_by_role("progressbar")).to_be_visible()
    shown(page, "design")
    rows = saved(page, "Download CSV")
    assert len(rows) == 2
    assert all(len(row["seq"]) == 30 and "ATG" not in row["seq"] for row in rows)
    order = saved(page, "Order sheet (IDT)")
    assert all(row["seq"] in line["Sequence"] for row, line in zip(rows, order, strict=True))
    keep_picture(page, "design")
    page.get_by_label("Forbidden motifs").fill("AXG")
    press(page, "Design")
    assert "AXG" in problem(page, "design")


def begin_long_search(page):
    choose_tab(page, "Design")
    page.get_by_role("radio", name="the highest load").check()
    page.get_by_label("Designs", exact=True).fill("100")
    page.get_by_label("Length, nt").fill("100")
    press(page, "Design")
    expect(page.get_by_text(re.compile("searching: [1-9]"))).to_be_visible(timeout=SECONDS)


def test_a_design_is_cancelled(page, server):
    begin_long_search(page)
    press(page, "Cancel")
    expect(page.get_by_text(re.compile("^cancelled: "))).to_be_visible(timeout=SECONDS)
    assert server.metric('ribocast_jobs_total{end="cancelled"}') >= 1


def test_a_search_ends_when_the_reader_leaves(browser, server):
    before = server.metric('ribocast_jobs_total{end="cancelled"}')
    page = browser.new_page()
    page.set_default_timeout(SECONDS)
    page.goto(server.url)
    begin_long_search(page)
    page.close()
    end = time.monotonic() + 60
    while server.metric('ribocast_jobs_total{end="cancelled"}') == before:
        assert time.monotonic() < end
        time.sleep(0.2)


def test_all_of_it_works_by_keyboard(page):
    page.get_by_label("Sequences").focus()
    page.keyboard.insert_text(LEADER)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.innerText").strip() == "Predict"
    page.keyboard.press("Enter")
    shown(page, "predict")
    page.get_by_role("tab", name="Predict").focus()
    for _ in range(4):
        if page.evaluate("document.activeElement.innerText").strip() == "Explain":
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Sequence One")).to_be_visible()


def test_every_control_has_a_name(page):
    nameless = """() => [...document.querySelectorAll("input, textarea, select, button")]
        .filter(one => one.offsetParent !== null && one.type !== "file")
        .filter(one => !(one.labels?.length || one.getAttribute("aria-label") || one.innerText.trim() || one.title))
        .map(one => one.outerHTML.slice(0, 200))"""
    for name in ("Predict", "Explain", "Variants", "Design"):
        choose_tab(page, name)
        assert page.evaluate(nameless) == []


def test_it_fits_a_screen_of_380_pixels(page):
    page.set_viewport_size({"width": 380, "height": 800})
    for name in every_tab_with_an_example(page):
        assert page.evaluate("document.documentElement.scrollWidth") <= 380, name
