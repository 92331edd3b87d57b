// The tab Variants: pairs of sequences, or a small VCF against pasted 5′ UTRs.
import { ApiError, checkSize } from "./api.js";
import { explainColumn, filled, identity, intervalColumn, withInputs } from "./columns.js";
import { PasteBox, UploadButton } from "./inputs.js";
import { RowsTab } from "./rows_tab.js";
import { readSequences } from "./sequences.js";
import { columnsOf } from "./table.js";
import { html, some } from "./view.js";

/** @typedef {import("./api.js").Call} Call */

/** Letters of a sequence that is shown whole; of a longer one, and of a change in it, a part is. */
const WHOLE = 60;
const PART = 25;

class Scores extends RowsTab {
  path = "variants";
  what = "variant";
  done = " scored";

  /** @param {any} found */
  show(found) {
    /** @param {any[]} answers */
    const make = (answers) => tableOf(answers, this.props.catalogue.columns, this.props.go);
    return this.tableOf(found, found.variants, "variants.csv", make);
  }
}

export class PairsTab extends Scores {
  name = "pairs";

  /** @returns {Call} */
  asked() {
    const { refs = "", alts = "" } = this.props.values;
    const file = this.state.attached.refs;
    if (file) return { body: file.content, type: file.type, query: { ...this.options, ...this.query } };
    const [one, other] = [readSequences(refs), readSequences(alts)];
    if (!one || !other) {
      throw new ApiError(
        { detail: "a table with references and alternatives is uploaded as a file", field: "refs" },
        0,
      );
    }
    if (!one.length || !other.length) {
      const [field, said] = one.length ? ["alts", "alternative"] : ["refs", "reference"];
      throw new ApiError({ detail: `paste the ${said} sequences`, field }, 0);
    }
    if (one.length !== other.length) {
      const said = `${some(one.length, "reference")} and ${some(other.length, "alternative")}`;
      throw new ApiError({ detail: `${said}: give as many of one as of the other`, field: "alts" }, 0);
    }
    const pairs = one.map(({ id, seq }, at) => {
      const alt = other[at] ?? { id: "", seq: "" };
      return { id: alt.id || id || undefined, ref: seq, alt: alt.seq };
    });
    return jsonCall({ pairs, ...this.options }, this.query, this.props.catalogue);
  }

  render() {
    const { values, catalogue, settings } = this.props;
    const { busy, problem, result, attached } = this.state;
    const example = catalogue.examples.variants ?? {};
    const take = (/** @type {File} */ file) => this.takeTable(file);
    const boxes = /** @type {const} */ ([
      ["refs", "Reference", "The whole 5′ UTR without the variant: letters or FASTA; several, one a line."],
      ["alts", "Alternative", "The whole 5′ UTR with the variant, in the same order."],
    ]);
    return html`<form class="ask" onSubmit=${this.onSubmit} onKeyDown=${this.onKey} aria-busy=${busy}>
        <div>
          ${boxes.map(
            ([name, label, hint]) =>
              (name === "refs" || !attached.refs) &&
              html`<${PasteBox}
                id=${`pairs-${name}`} label=${attached.refs ? "Table of pairs" : label} hint=${hint} rows=${3}
                value=${values[name] ?? ""} attached=${name === "refs" ? attached.refs : null} key=${name}
                invalid=${problem?.field === name} onRemove=${() => this.change({ refs: "" })}
                onText=${(/** @type {string} */ text) => this.change({ [name]: text })}
              />`,
          )}
        </div>
        <div class="side">
          <button type="submit" class="primary">${busy ? "Scoring…" : "Score"}</button>
          <${UploadButton} label="Upload a table of pairs" accept=".csv,.tsv,.gz,.parquet" onFile=${take} />
          <button type="button" onClick=${() => this.change({ refs: example.refs, alts: example.alts }, "go")}>
            Example: ${example.title}
          </button>
          ${settings} ${this.cutTick()} ${this.skipTick()}
        </div>
      </form>
      ${this.notesOfRows()}
      ${result && this.frame(this.show(result.found), "Score")}`;
  }

  /**
   * Attach a table of pairs: the server finds its columns ref and alt.
   * @param {File} file
   */
  async takeTable(file) {
    await this.take("refs", file, "file");
  }
}

export class VcfTab extends Scores {
  name = "vcf";

  /** @returns {Call} */
  asked() {
    const { utrs = "", vcf = "" } = this.props.values;
    const { attached } = this.state;
    if (!utrs.trim() && !attached.utrs) {
      throw new ApiError({ detail: "paste the 5′ UTRs that the VCF is about", field: "utrs" }, 0);
    }
    if (!vcf.trim() && !attached.vcf) throw new ApiError({ detail: "paste a VCF, or upload one", field: "vcf" }, 0);
    const form = new FormData();
    form.append("utrs", attached.utrs?.content ?? new Blob([utrs]), "utrs.fasta");
    form.append("vcf", attached.vcf?.content ?? new Blob([vcf]), "variants.vcf");
    const size = [...form.values()].reduce((sum, file) => sum + /** @type {File} */ (file).size, 0);
    checkSize(size, this.props.catalogue);
    return { body: form, query: { ...this.options, ...this.query } };
  }

  render() {
    const { values, catalogue, settings } = this.props;
    const { busy, problem, result, attached } = this.state;
    const example = catalogue.examples.vcf ?? {};
    const boxes = /** @type {const} */ ([
      ["utrs", "5′ UTRs of transcripts", "FASTA; each ends right before the start codon."],
      ["vcf", "VCF", "CHROM is the name of a pasted 5′ UTR; POS counts from 1 at its first letter."],
    ]);
    return html`<form class="ask" onSubmit=${this.onSubmit} onKeyDown=${this.onKey} aria-busy=${busy}>
        <div>
          ${boxes.map(
            ([name, label, hint]) => html`<${PasteBox}
              id=${`vcf-${name}`} label=${label} hint=${hint} rows=${3} value=${values[name] ?? ""} key=${name}
              attached=${attached[name]} onRemove=${() => this.change({ [name]: "" })}
              invalid=${problem?.field === name} onFile=${(/** @type {File} */ file) => this.take(name, file)}
              onText=${(/** @type {string} */ text) => this.change({ [name]: text })}
            />`,
          )}
        </div>
        <div class="side">
          <button type="submit" class="primary">${busy ? "Scoring…" : "Score the VCF"}</button>
          <${UploadButton}
            label="Upload 5′ UTRs" accept=".fasta,.fa,.fna,.txt,.gz"
            onFile=${(/** @type {File} */ file) => this.take("utrs", file)}
          />
          <${UploadButton}
            label="Upload a VCF" accept=".vcf,.gz"
            onFile=${(/** @type {File} */ file) => this.take("vcf", file)}
          />
          <button type="button" onClick=${() => this.change({ utrs: example.utrs, vcf: example.vcf }, "go")}>
            Example: ${example.title}
          </button>
          ${settings} ${this.cutTick()} ${this.skipTick()}
        </div>
      </form>
      ${this.notesOfRows()}
      ${result && this.frame(this.show(result.found), "Score the VCF")}`;
  }
}

/**
 * @param {unknown} json
 * @param {Call["query"]} query
 * @param {import("./api.js").Catalogue} catalogue
 * @returns {Call}
 */
function jsonCall(json, query, catalogue) {
  checkSize(new Blob([JSON.stringify(json)]).size, catalogue);
  return { json, query };
}

/**
 * @param {any[]} variants
 * @param {Record<string, import("./api.js").ColumnWords>} words
 * @param {(tab: string, changes: import("./link.js").Values) => void} go
 */
function tableOf(variants, words, go) {
  const { rows, inputs } = withInputs(variants);
  /** @param {any} row */
  const name = (row) => row.id ?? (row.chrom ? `${row.chrom}:${row.pos}${row.vcf_ref}>${row.vcf_alt}` : null);
  const kinds = /** @type {Record<string, Partial<import("./table.js").TableColumn>>} */ ({
    row: { kind: "whole" },
    pos: { kind: "whole" },
    // The pair shows them.
    vcf_ref: { isMore: true },
    vcf_alt: { isMore: true },
    log2_fold_change: { kind: "number" },
    ref_mrl: { kind: "number" },
    alt_mrl: { kind: "number" },
    consequence: { kind: "words" },
    note: { kind: "words" },
    log2_low: { kind: "number", isMore: true },
    log2_high: { kind: "number", isMore: true },
    ref: { kind: "seq", isMore: true },
    alt: { kind: "seq", isMore: true },
  });
  /** @param {string[]} keys */
  const made = (...keys) => columnsOf(filled(rows, keys), words, kinds);
  const columns = [
    ...columnsOf(identity(rows, "id", "chrom", "pos", "vcf_ref", "vcf_alt"), words, kinds),
    pairColumn,
    ...made("log2_fold_change"),
    ...intervalColumn(rows, words, "log2_low", "log2_high"),
    ...made("ref_mrl", "alt_mrl", "consequence"),
    explainColumn(go, name, (row) => row.alt),
    ...made("note"),
    ...inputs,
    ...made("log2_low", "log2_high", "ref", "alt"),
  ];
  return { rows, columns };
}

/** @type {import("./table.js").TableColumn} */
const pairColumn = {
  key: "pair",
  title: "reference, alternative",
  kind: "seq",
  description: "The reference above the alternative; what differs is marked.",
  cell: (row) => html`<${Pair} reference=${row.ref} alternative=${row.alt} />`,
};

/**
 * A reference above its alternative, with what differs marked.
 * @param {{reference: string, alternative: string}} props
 */
function Pair({ reference, alternative }) {
  const least = Math.min(reference.length, alternative.length);
  let first = 0;
  while (first < least && reference[first] === alternative[first]) first += 1;
  let same = 0;
  while (same < least - first && reference.at(-1 - same) === alternative.at(-1 - same)) same += 1;
  const isLong = Math.max(reference.length, alternative.length) > WHOLE;
  const from = isLong ? Math.max(0, first - PART) : 0;
  return html`<div>${[reference, alternative].map((seq) => {
    const end = seq.length - same;
    const to = isLong ? Math.min(seq.length, end + PART) : seq.length;
    const changed = end - first > 2 * PART ? `${seq.slice(first, first + 2 * PART)}…` : seq.slice(first, end);
    return html`<code class="line"
      >${from > 0 && "…"}${seq.slice(from, first)}<mark>${changed}</mark>${seq.slice(end, to)}${to < seq.length && "…"}</code
    >`;
  })}</div>`;
}
