// The tab Predict: sequences in; a table, a histogram and files out.
import { ApiError } from "./api.js";
import { Histogram } from "./charts.js";
import { explainColumn, filled, identity, intervalColumn, stripColumn, withInputs } from "./columns.js";
import { saveDrawing } from "./drawing.js";
import { Field, PasteBox, UploadButton } from "./inputs.js";
import { RowsTab, textBody } from "./rows_tab.js";
import { columnsOf } from "./table.js";
import { html } from "./view.js";

export const ACCEPT = ".csv,.tsv,.txt,.fasta,.fa,.fna,.seq,.gz,.parquet";

/** What the API says where it does not know which column has the sequences. */
const COLUMN = "?column=";

export class PredictTab extends RowsTab {
  name = "predict";
  path = "predict";
  what = "prediction";

  /** @returns {import("./api.js").Call} */
  asked() {
    const { text = "", column } = this.props.values;
    const query = { ...this.options, ...this.query, column };
    const file = this.state.attached.text;
    if (!file && !text.trim()) throw new ApiError({ detail: "paste sequences, or upload a file", field: "seq" }, 0);
    if (file) return { body: file.content, type: file.type, query };
    return { ...textBody(text, this.props.catalogue), query };
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
          ${this.cutTick()} ${this.skipTick()}
        </div>
      </form>
      ${this.notesOfRows()}
      ${result && this.frame(this.#show(result.found), "Predict")}`;
  }

  /** @param {any} found */
  #show(found) {
    const { catalogue, model, go } = this.props;
    const quantiles = model.assays.find((assay) => assay.name === found.assay)?.measured?.quantiles ?? null;
    /** @param {any[]} answers */
    const make = (answers) => tableOf(answers, catalogue.columns, quantiles, go);
    return html`${this.tableOf(found, found.predictions, "predictions.csv", make)}
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

/**
 * Make a table of predictions.
 * @param {any[]} predictions
 * @param {Record<string, import("./api.js").ColumnWords>} words
 * @param {number[] | null} quantiles
 * @param {import("./columns.js").Go} go
 */
function tableOf(predictions, words, quantiles, go) {
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
  return { rows, columns };
}
