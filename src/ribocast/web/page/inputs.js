// Controls that several tabs have: boxes to paste into, buttons to choose files, menus, messages.
import { count, html, some } from "./view.js";

/**
 * @typedef {import("./api.js").Problem} Problem
 * @typedef {import("./files.js").Attached} Attached
 */

/**
 * A box to paste into; a file dropped on it is read. Where a file is attached, the box says which.
 * @param {{id: string, label: string, hint: string, value: string, rows: number, attached?: Attached | null,
 *   invalid?: boolean, onText: (text: string) => void, onFile?: (file: File) => void, onRemove?: () => void}} props
 */
export function PasteBox({ id, label, hint, value, rows, attached, invalid, onText, onFile, onRemove }) {
  /** @param {DragEvent} event */
  const drop = (event) => {
    const file = event.dataTransfer?.files[0];
    if (!file || !onFile) return;
    event.preventDefault();
    onFile(file);
  };
  return html`<div class="field">
    <label for=${id}>${label}</label>
    <p class="hint" id=${`${id}-hint`}>${hint}</p>
    ${
      attached
        ? html`<p class="attached">
          <span><strong>${attached.name}</strong>, ${count(attached.content.size)} bytes: sent as it is</span>
          <button type="button" onClick=${onRemove}>Remove the file</button>
        </p>`
        : html`<textarea
          id=${id} rows=${rows} value=${value} class="mono" spellcheck=${false} autocomplete="off"
          autocapitalize="off" aria-describedby=${`${id}-hint`} aria-invalid=${invalid ? "true" : undefined}
          onInput=${(/** @type {any} */ event) => onText(event.target.value)} onDrop=${drop}
        ></textarea>`
    }
  </div>`;
}

/**
 * A button that lets a file be chosen.
 * @param {{label: string, accept?: string, onFile: (file: File) => void}} props
 */
export function UploadButton({ label, accept, onFile }) {
  /** @param {any} event */
  const choose = (event) => {
    const [file] = event.target.files;
    // So that the same file can be chosen again.
    event.target.value = "";
    if (file) onFile(file);
  };
  return html`<button type="button" onClick=${(/** @type {any} */ event) => event.currentTarget.nextSibling.click()}>
      ${label}
    </button><input type="file" hidden tabindex="-1" aria-label=${label} accept=${accept} onChange=${choose} />`;
}

/**
 * A labelled control of one line.
 * @param {{id: string, label: string, value: string, hint?: string, type?: string, mono?: boolean, disabled?: boolean,
 *   invalid?: boolean, min?: number, max?: number, step?: string, mode?: string, placeholder?: string,
 *   onText: (text: string) => void}} props
 */
export function Field({ id, label, value, hint, mono, disabled, invalid, mode, placeholder, onText }) {
  return html`<div class="field">
    <label for=${id}>${label}</label>
    <input
      id=${id} type="text" value=${value} class=${mono ? "mono" : ""} disabled=${disabled} inputmode=${mode}
      placeholder=${placeholder} spellcheck=${false} autocomplete="off" autocapitalize="off"
      aria-invalid=${invalid ? "true" : undefined} aria-describedby=${hint ? `${id}-hint` : undefined}
      onInput=${(/** @type {any} */ event) => onText(event.target.value)}
    />
    ${hint && html`<p class="hint" id=${`${id}-hint`}>${hint}</p>`}
  </div>`;
}

/**
 * A labelled box to tick.
 * @param {{id: string, label: string, value: boolean, onChange: (value: boolean) => void}} props
 */
export function Tick({ id, label, value, onChange }) {
  return html`<label class="tick" for=${id}>
    <input
      id=${id} type="checkbox" checked=${value}
      onChange=${(/** @type {any} */ event) => onChange(event.target.checked)}
    />
    ${label}
  </label>`;
}

/**
 * A labelled menu.
 * @param {{id: string, label: string, value: string, options: [string, string][], onChange: (value: string) => void}}
 *   props
 */
export function Menu({ id, label, value, options, onChange }) {
  return html`<div class="field">
    <label for=${id}>${label}</label>
    <select id=${id} value=${value} onChange=${(/** @type {any} */ event) => onChange(event.target.value)}>
      ${options.map(([name, words]) => html`<option key=${name} value=${name} selected=${name === value}>${words}</option>`)}
    </select>
  </div>`;
}

/** How the API's own callers name a column. */
const COLUMN_OPTION = /; name it with \?\w*column=$/;

/**
 * What is wrong, and with which rows.
 * @param {{problem: Problem | null, onSkip?: () => void}} props
 */
export function ProblemNote({ problem, onSkip }) {
  if (!problem) return null;
  const rows = problem.errors ?? [];
  return html`<div class="problem" role="alert">
    <p><strong>error:</strong> ${problem.detail.replace(COLUMN_OPTION, "; rename it")}</p>
    ${rows.length > 1 && html`<${RowList} rows=${rows} total=${problem.errors_total ?? rows.length} />`}
    ${rows.length > 0 && onSkip && html`<button type="button" onClick=${onSkip}>Skip bad rows</button>`}
  </div>`;
}

/**
 * Rows that cannot be used, and why; a few of many.
 * @param {{rows: import("./api.js").RowProblem[], total: number}} props
 */
export function RowList({ rows, total }) {
  const shown = rows.slice(0, 20);
  return html`<ul class="rows">
    ${shown.map((row) => html`<li>row ${count(row.row)}${row.id ? ` (${row.id})` : ""}: ${row.reason}</li>`)}
    ${total > shown.length && html`<li>and ${some(total - shown.length, "more row", "more rows")}</li>`}
  </ul>`;
}

/**
 * The rows that were skipped.
 * @param {{rows: import("./api.js").RowProblem[], total: number}} props
 */
export function SkippedNote({ rows, total }) {
  if (!total) return null;
  return html`<details class="skipped">
    <summary>${some(total, "row was", "rows were")} skipped</summary>
    <${RowList} rows=${rows} total=${total} />
  </details>`;
}
