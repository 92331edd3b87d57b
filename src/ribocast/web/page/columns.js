// Columns that tables of several tabs share.
import { Strip } from "./charts.js";
import { html, number } from "./view.js";

/**
 * @typedef {import("./table.js").TableColumn} TableColumn
 * @typedef {(tab: string, changes: import("./link.js").Values) => void} Go
 */

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
