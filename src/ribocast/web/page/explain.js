// The tab Explain: one sequence, its MRL, and why.
import { ApiError } from "./api.js";
import { HeatMap, Profile, UorfMap, uorfInWords } from "./charts.js";
import { Menu, PasteBox, Tick, UploadButton } from "./inputs.js";
import { ACCEPT } from "./predict.js";
import { textBody } from "./rows_tab.js";
import { readSequences } from "./sequences.js";
import { Tab } from "./tab.js";
import { columnsOf, ResultTable } from "./table.js";
import { count, html, number, some } from "./view.js";

/** Effects on a page of their table. */
const EFFECTS = 10;
const JOINED = "joined";
const INDELS = /** @type {[string, string][]} */ ([
  ["", "substitutions"],
  ["1", "and indels of 1 nt"],
  ["2", "and indels of 1–2 nt"],
  ["3", "and indels of 1–3 nt"],
]);

export class ExplainTab extends Tab {
  name = "explain";
  path = "explain";

  /** The sequences that stand in the box; null for a table. */
  get pasted() {
    return readSequences(this.props.values.text ?? "");
  }

  /** @returns {import("./api.js").Call} */
  asked() {
    const { text = "", choice = "", near, indels } = this.props.values;
    const near_cognates = near ? true : undefined;
    const given = { ...this.options, ...this.cut, indels: Number(indels) || undefined, near_cognates };
    const file = this.state.attached.text;
    if (file) return { body: file.content, type: file.type, query: given };
    const found = this.pasted;
    if (found === null) return { ...textBody(text, this.props.catalogue), query: given };
    const one = chosen(found, choice);
    if (!one) {
      const said = found.length ? `${count(found.length)} sequences: choose one to explain` : "paste a sequence";
      throw new ApiError({ detail: said, field: "seq" }, 0);
    }
    return { json: { seq: one.seq, id: one.id || undefined, ...given } };
  }

  /** @param {any} found */
  words(found) {
    const interval = found.mrl_low === null ? "" : ` (${number(found.mrl_low)} to ${number(found.mrl_high)})`;
    return `${found.id ? `${found.id}: ` : ""}MRL ${number(found.mrl)}${interval}, ${found.unit} of ${found.assay}`;
  }

  render() {
    const { values, catalogue, settings } = this.props;
    const { busy, problem, result, attached } = this.state;
    const example = catalogue.examples.explain ?? {};
    const take = (/** @type {File} */ file) => this.take("text", file);
    return html`<form class="ask" onSubmit=${this.onSubmit} onKeyDown=${this.onKey} aria-busy=${busy}>
        <div>
          <${PasteBox}
            id="explain-text" label="Sequence" rows=${5} value=${values.text ?? ""} attached=${attached.text}
            hint="One 5′ UTR, ending right before the start codon: letters, or FASTA."
            onText=${(/** @type {string} */ text) => this.change({ text, choice: "" })} onFile=${take}
            onRemove=${() => this.change({ text: "" })} invalid=${problem?.field === "seq"}
          />
          ${this.#choice()}
        </div>
        <div class="side">
          <button type="submit" class="primary">${busy ? "Explaining…" : "Explain"}</button>
          <${UploadButton} label="Upload a file" accept=${ACCEPT} onFile=${take} />
          <button type="button" onClick=${() => this.change({ text: example.text, choice: "" }, "go")}>
            Example: ${example.title}
          </button>
          ${settings}
          <${Menu}
            id="explain-indels" label="Changes" value=${values.indels ?? ""} options=${INDELS}
            onChange=${(/** @type {string} */ indels) => this.change({ indels })}
          />
          <${Tick}
            id="explain-near" label="List near-cognate starts too (CTG, GTG, TTG and the like)" value=${Boolean(values.near)}
            onChange=${(/** @type {boolean} */ near) => this.change({ near: near ? "1" : "" })}
          />
          ${this.cutTick()}
        </div>
      </form>
      ${this.notes()}
      ${result && this.frame(this.#show(result.found), "Explain")}`;
  }

  /** Several sequences: which one? */
  #choice() {
    const found = this.pasted;
    if (!found || found.length < 2 || this.state.attached.text) return null;
    const names = found
      .slice(0, 500)
      .map((one, at) => [String(at + 1), `${at + 1}: ${one.id || one.seq.slice(0, 40)}`]);
    const lines = found.every((one) => !one.id);
    const options = [["", `${count(found.length)} sequences: choose one`], ...names];
    if (lines) options.push([JOINED, "they are one sequence, broken into lines"]);
    return html`<${Menu}
      id="explain-choice" label="Which sequence" value=${this.props.values.choice ?? ""} options=${options}
      onChange=${(/** @type {string} */ choice) => this.change({ choice }, choice ? "go" : "")}
    />`;
  }

  /** @param {any} found */
  #show(found) {
    const { start } = found;
    const letters = `${start.context.slice(0, 6)} ${start.context.slice(6, 9)} ${start.context.slice(9)}`;
    const starts = found.uorfs.length ? found.uorfs.map(uorfInWords) : ["no upstream start codon"];
    return html`<h3 class="headline">${this.words(found)}</h3>
      <p>
        By the model ${found.model}; start codon: ${start.strength} Kozak, score ${start.score >= 0 ? "+" : ""}${number(start.score)}${" "}
        (<code>${letters}</code>).
      </p>
      ${found.note && html`<p class="note">${found.note}</p>`}
      <${HeatMap} seq=${found.seq} effects=${found.effects} />
      <figure>
        <figcaption>Upstream start codons</figcaption>
        <div class="scroll" tabindex="0" role="region" aria-label="Upstream start codons">
          <${UorfMap} seq=${found.seq} uorfs=${found.uorfs} />
        </div>
        <ul class="rows">${starts.map((/** @type {string} */ one) => html`<li>${one}</li>`)}</ul>
      </figure>
      ${
        found.profile &&
        html`<figure>
        <figcaption>Polysome profile</figcaption>
        <div class="scroll" tabindex="0" role="region" aria-label="Polysome profile"><${Profile} shares=${found.profile} /></div>
      </figure>`
      }
      ${this.#effects(found)}`;
  }

  /** @param {any} found */
  #effects(found) {
    const changes = changesOf(found);
    const columns = columnsOf(
      ["position", "kind", "ref", "alt", "mrl", "change", "log2_fold_change", "consequence"].filter(
        (key) => key !== "kind" || changes.some((/** @type {any} */ one) => one.kind !== "substitution"),
      ),
      this.props.catalogue.columns,
      {
        position: { kind: "whole" },
        mrl: { kind: "number" },
        change: { kind: "number" },
        log2_fold_change: { kind: "number" },
        consequence: { kind: "words" },
        ref: { title: "from" },
        alt: { title: "to" },
      },
    ).map((column) => (column.key === "ref" || column.key === "alt" ? { ...column, description: "" } : column));
    /** @type {[string, string, string][]} */
    const files = [
      ["csv", "effects.csv", "Download CSV"],
      ["svg", "explanation.svg", "SVG"],
      ["png", "explanation.png", "PNG"],
    ];
    /** @type {(shown: any[], of: number) => any} */
    const actions = (shown, of) => this.actions(shown, of, found.effects, files);
    return html`<${ResultTable}
      rows=${changes} columns=${columns} actions=${actions} size=${EFFECTS} ...${this.view}
      caption=${`${some(changes.length, "change")}, the strongest first`}
    />`;
  }
}

/** @type {WeakMap<object, any[]>} */
const sorted = new WeakMap();

/**
 * The changes of an answer, the strongest first; sorted once.
 * @param {any} found
 */
function changesOf(found) {
  const known = sorted.get(found);
  if (known) return known;
  const size = (/** @type {any} */ one) => Math.abs(one.log2_fold_change ?? 0);
  const made = found.effects.filter((/** @type {any} */ one) => one.ref !== one.alt);
  made.sort((/** @type {any} */ a, /** @type {any} */ b) => size(b) - size(a));
  sorted.set(found, made);
  return made;
}

/**
 * @param {import("./sequences.js").Named[]} found
 * @param {string} choice
 */
function chosen(found, choice) {
  if (choice === JOINED) return { id: "", seq: found.map((one) => one.seq).join("") };
  return found.length === 1 ? found[0] : found[Number(choice) - 1];
}
