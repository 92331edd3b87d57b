// The tab Predict: sequences in; a table, a histogram and files out.
import { ApiError, checkSize } from "./api.js";
import { Histogram, Strip } from "./charts.js";
import { saveDrawing } from "./drawing.js";
import { Field, PasteBox, SkippedNote, Tick, UploadButton } from "./inputs.js";
import { Tab } from "./tab.js";
import { columnsOf, ResultTable } from "./table.js";
import { html, number, some } from "./view.js";

/**
 * @typedef {import("./table.js").TableColumn} TableColumn
 * @typedef {(tab: string, changes: import("./link.js").Values) => void} Go
 */

export const ACCEPT = ".csv,.tsv,.txt,.fasta,.fa,.fna,.seq,.gz,.parquet";

/** What the API says where it does not know which column has the sequences. */
const COLUMN = "?column=";

export class PredictTab extends Tab {
  name = "predict";
  path = "predict";

  /** @returns {import("./api.js").Call} */
  asked() {
    const { text = "", skip, column } = this.props.values;
    const query = { ...this.options, column, on_error: skip ? "skip" : undefined };
    const file = this.state.attached.text;
    if (!file && !text.trim()) throw new ApiError({ detail: "paste sequences, or upload a file", field: "seq" }, 0);
    if (file) return { body: file.content, type: file.type, query };
    return { ...textBody(text, this.props.catalogue), query };
  }

  /** @param {any} found */
  words(found) {
    const skipped = found.skipped_total ? `, ${some(found.skipped_total, "row")} skipped` : "";
    return `${some(found.rows, "prediction")} by the model ${found.model}, ${found.unit} of ${found.assay}${skipped}`;
  }

  render() {
    const { values, catalogue, settings } = this.props;
    const { busy, problem, result, attached } = this.state;
    const example = catalogue.examples.predict ?? {};
    const take = (/** @type {File} */ file) => this.take("text", file);
    return html`<form class="ask" onSubmit=${this.onSubmit} onKeyDown=${this.onKey} aria-busy=${busy}>
        <${PasteBox}
          id="predict-text" label="Sequences" rows=${7} value=${values.text ?? ""} attached=${attached.text}
          hint="5′ UTRs, each ending right before the start codon: FASTA, one a line, or a table."
          onText=${(/** @type {string} */ text) => this.change({ text })} onFile=${take}
          onRemove=${() => this.change({ text: "" })} invalid=${problem?.field === "seq"}
        />
        <div class="side">
          <button type="submit" class="primary">${busy ? "Predicting…" : "Predict"}</button>
          <${UploadButton} label="Upload a file" accept=${ACCEPT} onFile=${take} />
          <button type="button" onClick=${() => this.change({ text: example.text }, "go")}>Example: ${example.title}</button>
          ${settings}
          ${
            (values.column || problem?.detail.includes(COLUMN)) &&
            html`<${Field}
            id="predict-column" label="Column of the sequences" value=${values.column ?? ""}
            onText=${(/** @type {string} */ column) => this.change({ column })}
          />`
          }
          <${Tick}
            id="predict-skip" label="Skip bad rows" value=${Boolean(values.skip)}
            onChange=${(/** @type {boolean} */ skip) => this.change({ skip: skip ? "1" : "" })}
          />
        </div>
      </form>
      ${this.notes(values.skip ? undefined : () => this.change({ skip: "1" }, "go"))}
      ${result && this.frame(this.#show(result.found), "Predict")}`;
  }

  /** @param {any} found */
  #show(found) {
    const { catalogue, model, go } = this.props;
    const quantiles = model.assays.find((assay) => assay.name === found.assay)?.measured?.quantiles ?? null;
    const table = tableOf(found.predictions, catalogue.columns, quantiles, go);
    /** @type {(shown: any[], of: number) => any} */
    const actions = (shown, of) => this.actions(shown, of, table.rows, [["csv", "predictions.csv", "Download CSV"]]);
    return html`<${SkippedNote} rows=${found.skipped} total=${found.skipped_total} />
      ${
        found.predictions.length === 0
          ? html`<p>No row could be used.</p>`
          : html`<${ResultTable}
            rows=${table.rows} columns=${table.columns} caption=${this.words(found)} actions=${actions} ...${this.view}
          />`
      }
      ${
        found.predictions.length > 1 &&
        html`<figure>
        <figcaption>How many sequences have which MRL</figcaption>
        <div class="scroll" tabindex="0" role="region" aria-label="Histogram">
          <${Histogram}
            values=${found.predictions.map((/** @type {any} */ row) => row.mrl)} unit=${found.unit} quantiles=${quantiles}
          />
        </div>
        <div class="buttons">
          <button type="button" onClick=${(/** @type {any} */ event) => saveDrawing(event, "histogram.svg")}>SVG</button>
          <button type="button" onClick=${(/** @type {any} */ event) => saveDrawing(event, "histogram.png")}>PNG</button>
        </div>
      </figure>`
      }`;
  }
}

/** @type {WeakMap<object, {rows: any[], columns: TableColumn[]}>} */
const tables = new WeakMap();

/**
 * Make a table of predictions; made once for each answer, so that it keeps its page and order.
 * @param {any[]} predictions
 * @param {Record<string, import("./api.js").ColumnWords>} words
 * @param {number[] | null} quantiles
 * @param {Go} go
 */
function tableOf(predictions, words, quantiles, go) {
  const known = tables.get(predictions);
  if (known) return known;
  const { rows, inputs } = withInputs(predictions);
  const [first, ...others] = inputs;
  const columns = [
    ...columnsOf(identity(rows, "id"), words, { row: { kind: "whole" } }),
    ...(first ? [first] : []),
    ...columnsOf(["seq", "mrl"], words, { seq: { kind: "seq" }, mrl: { kind: "number" } }),
    ...stripColumn(rows, quantiles),
    ...intervalColumn(rows, words, "mrl_low", "mrl_high"),
    explainColumn(
      go,
      (row) => row.id,
      (row) => row.seq,
    ),
    ...columnsOf(filled(rows, ["note"]), words, { note: { kind: "words" } }),
    ...others,
    ...columnsOf(filled(rows, ["mrl_low", "mrl_high"]), words, {
      mrl_low: { kind: "number", isMore: true },
      mrl_high: { kind: "number", isMore: true },
    }),
  ];
  const table = { rows, columns };
  tables.set(predictions, table);
  return table;
}

/**
 * Lay the other columns of a table that was sent beside the answer's own; one that is only the name is left out.
 * @param {any[]} answers
 * @returns {{rows: any[], inputs: TableColumn[]}}
 */
export function withInputs(answers) {
  const names = Object.keys(answers[0]?.input ?? {});
  const others = names.filter((name) => answers.some((row) => row.input?.[name] !== row.id));
  const rows = answers.map(({ input, ...row }) => {
    for (const name of others) row[`input ${name}`] = input?.[name];
    return row;
  });
  const kinds = others.map((name) => rows.some((row) => typeof row[`input ${name}`] === "number"));
  return {
    rows,
    inputs: others.map((name, at) => ({ key: `input ${name}`, title: name, kind: kinds[at] ? "whole" : "text" })),
  };
}

/**
 * The columns that say which row it is: its number too, where not every row has a name.
 * @param {any[]} rows
 * @param {string[]} names
 */
export function identity(rows, ...names) {
  const all = rows.every((row) => row[names[0] ?? ""]);
  return filled(rows, all ? names : ["row", ...names]);
}

/**
 * Keep the columns that say something.
 * @param {any[]} rows
 * @param {string[]} keys
 */
export function filled(rows, keys) {
  return keys.filter((key) => rows.some((row) => row[key] !== null && row[key] !== undefined && row[key] !== ""));
}

/**
 * A column of drawings: each MRL with its interval, on one scale.
 * @param {any[]} rows
 * @param {number[] | null} quantiles
 * @returns {TableColumn[]} None for an assay whose measurements are not known.
 */
export function stripColumn(rows, quantiles) {
  if (!quantiles) return [];
  const values = rows.flatMap((row) => [row.mrl, row.mrl_low ?? row.mrl, row.mrl_high ?? row.mrl]);
  const least = values.reduce((a, b) => Math.min(a, b), quantiles[1] ?? 0);
  const most = values.reduce((a, b) => Math.max(a, b), quantiles.at(-2) ?? 1);
  return [
    {
      key: "strip",
      title: "against measured",
      kind: "text",
      description: `The MRL (dot) and its interval (line), on a scale from ${number(least)} to ${number(most)}; shaded is the middle half of the assay's measurements, with their median.`,
      cell: (row) => html`<${Strip}
      mrl=${row.mrl} low=${row.mrl_low} high=${row.mrl_high} quantiles=${quantiles} scale=${[least, most]}
    />`,
    },
  ];
}

/**
 * A column of intervals, from their two ends.
 * @param {any[]} rows
 * @param {Record<string, import("./api.js").ColumnWords>} words
 * @param {string} low
 * @param {string} high
 * @returns {TableColumn[]} None where no row has an interval.
 */
export function intervalColumn(rows, words, low, high) {
  if (!filled(rows, [low]).length) return [];
  const cell = (/** @type {any} */ row) =>
    typeof row[low] === "number" ? `${number(row[low])} to ${number(row[high])}` : "";
  const description = words[low]?.description ?? "";
  return [{ key: "interval", title: "90 % interval", kind: "number", description, cell }];
}

/**
 * A column of buttons that explain a row's sequence.
 * @param {Go} go
 * @param {(row: any) => string | null} name
 * @param {(row: any) => string} seq
 * @returns {TableColumn}
 */
export function explainColumn(go, name, seq) {
  /** @param {any} row */
  const cell = (row) => {
    const [id, utr] = [name(row), seq(row)];
    const text = id ? `>${id}\n${utr}\n` : utr;
    return html`<button
      type="button" class="small" aria-label=${`Explain ${id || shortened(utr)}`}
      onClick=${() => go("explain", { text, choice: "", run: "go" })}
    >Explain</button>`;
  };
  return { key: "explain", title: "", kind: "text", cell };
}

/** @param {string} seq */
function shortened(seq) {
  return seq.length > 20 ? `${seq.slice(0, 20)}…` : seq;
}

/**
 * Make a body of pasted text.
 * @param {string} text
 * @param {import("./api.js").Catalogue} catalogue
 */
export function textBody(text, catalogue) {
  const body = new Blob([text]);
  checkSize(body.size, catalogue);
  return { body, type: "text/plain" };
}
