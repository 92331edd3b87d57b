// What the tabs whose input has rows do alike: skip bad rows, and show a row of the answer for each.
import { checkSize } from "./api.js";
import { SkippedNote, Tick } from "./inputs.js";
import { Tab } from "./tab.js";
import { ResultTable } from "./table.js";
import { html, some } from "./view.js";

/** @typedef {{rows: any[], columns: import("./table.js").TableColumn[]}} Table */

/** Tables by the answers they were made of: made once, a table keeps its page and order. @type {WeakMap<object, Table>} */
const tables = new WeakMap();

export class RowsTab extends Tab {
  /** What a row of the answer is, in words, and what was done to it. */
  what = "row";
  done = "";

  /** @param {any} found */
  words(found) {
    const skipped = found.skipped_total ? `, ${some(found.skipped_total, "row")} skipped` : "";
    return `${some(found.rows, this.what)}${this.done} by the model ${found.model}, ${found.unit} of ${found.assay}${skipped}`;
  }

  /** The options of a request that go into its address. */
  get query() {
    return { ...this.cut, on_error: this.props.values.skip ? "skip" : undefined };
  }

  skipTick() {
    return html`<${Tick}
      id=${`${this.name}-skip`} label="Skip bad rows" value=${Boolean(this.props.values.skip)}
      onChange=${(/** @type {boolean} */ skip) => this.change({ skip: skip ? "1" : "" })}
    />`;
  }

  /** What is wrong, with a button that asks again without the bad rows. */
  notesOfRows() {
    return this.notes(this.props.values.skip ? undefined : () => this.change({ skip: "1" }, "go"));
  }

  /**
   * Show the rows of an answer as a table.
   * @param {any} found
   * @param {any[]} answers Its rows.
   * @param {string} file What the saved table is called.
   * @param {(answers: any[]) => Table} make
   */
  tableOf(found, answers, file, make) {
    const table = tables.get(answers) ?? make(answers);
    tables.set(answers, table);
    /** @type {(shown: any[], of: number) => any} */
    const actions = (shown, of) => this.actions(shown, of, table.rows, [["csv", file, "Download CSV"]]);
    return html`<${SkippedNote} rows=${found.skipped} total=${found.skipped_total} />
      ${
        answers.length === 0
          ? html`<p>No row could be used.</p>`
          : html`<${ResultTable}
            rows=${table.rows} columns=${table.columns} caption=${this.words(found)} actions=${actions} ...${this.view}
          />`
      }`;
  }
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
