// A table of results: it sorts, filters and, where it is long, has pages. TanStack Table does the work once it is there.
import { Component, count, html, number, some } from "./view.js";

/**
 * @typedef {Record<string, any>} Row
 * @typedef {object} TableColumn
 * @property {string} key
 * @property {string} title
 * @property {string} [unit]
 * @property {string} [description]
 * @property {"number" | "whole" | "text" | "words" | "seq"} kind Words are sentences.
 * @property {(row: Row) => any} [cell] What stands in a cell, where it is not the value.
 * @property {boolean} [isMore] Whether it is shown at a press alone.
 *
 * @typedef {object} TableProps
 * @property {Row[]} rows
 * @property {TableColumn[]} columns
 * @property {string} caption
 * @property {(shown: Row[], of: number) => any} actions Buttons above the table, given the rows that pass the filter, in their
 *   order, and how many there are without it.
 * @property {string} filter
 * @property {string} sort The key of a column; with "-" before it, from the highest.
 * @property {(changes: {filter?: string, sort?: string}) => void} onView
 * @property {number} [size] Rows of a page; without it, a table that is not long has no pages.
 *
 * @typedef {object} TableState
 * @property {typeof TableCore | null} library
 * @property {number} page
 * @property {boolean} hasMore Whether all columns are shown.
 */

/** Longer tables have pages of fewer rows. */
const WITHOUT_PAGES = 200;
const PAGE = 50;
const FILTER_FROM = 8;
const SHOWN_LETTERS = 110;
const COMPARISON = /^\s*(.+?)\s*(<=|>=|<|>|=)\s*(-?\d+(?:\.\d+)?)\s*$/;
/** @type {Record<string, (a: number, b: number) => boolean>} */
const COMPARE = {
  "<": (a, b) => a < b,
  ">": (a, b) => a > b,
  "<=": (a, b) => a <= b,
  ">=": (a, b) => a >= b,
  "=": (a, b) => a === b,
};

/** @extends {Component<TableProps, TableState>} */
export class ResultTable extends Component {
  /** @type {TableState} */
  state = { library: null, page: 0, hasMore: false };
  /** @type {import("@tanstack/table-core").Table<Row> | null} */
  #table = null;

  componentDidMount() {
    if (this.props.rows.length < 2) return;
    // Without it, the table is there as it came.
    import("./vendor/table-core.js").then(() => this.setState({ library: globalThis.TableCore }), console.error);
  }

  /** @param {TableProps} before */
  componentDidUpdate(before) {
    const { rows, filter, sort } = this.props;
    if (before.rows !== rows && !this.state.library) this.componentDidMount();
    const isSame = before.rows === rows && before.filter === filter && before.sort === sort;
    if (!isSame && this.state.page) this.setState({ page: 0 });
  }

  /** The column that the rows are sorted by, if there is one of that name. */
  get #sorting() {
    const { sort, columns } = this.props;
    const desc = sort.startsWith("-");
    const id = desc ? sort.slice(1) : sort;
    return columns.some((column) => column.key === id) ? [{ id, desc }] : [];
  }

  /** The rows that pass the filter, sorted; all of them, and those of this page. */
  #rows() {
    const { rows, filter, size = rows.length > WITHOUT_PAGES ? PAGE : WITHOUT_PAGES } = this.props;
    const { library, page } = this.state;
    if (!library) return { passing: rows, pages: 1, shown: rows.slice(0, size) };
    const wanted = parseFilter(filter, this.props.columns);
    const sorting = this.#sorting;
    /** @type {any} */
    const state = { sorting, globalFilter: wanted, pagination: { pageIndex: page, pageSize: size } };
    /** @type {any} */
    const options = {
      data: rows,
      columns: this.props.columns.map((column) => ({
        id: column.key,
        accessorFn: (/** @type {Row} */ row) => row[column.key] ?? undefined,
        sortUndefined: "last",
        sortingFn: column.kind === "number" || column.kind === "whole" ? "basic" : "alphanumeric",
      })),
      getCoreRowModel: library.getCoreRowModel(),
      getFilteredRowModel: library.getFilteredRowModel(),
      getSortedRowModel: library.getSortedRowModel(),
      getPaginationRowModel: library.getPaginationRowModel(),
      getColumnCanGlobalFilter: () => true,
      globalFilterFn: (/** @type {any} */ row, /** @type {string} */ key, /** @type {any} */ test) =>
        test(key, row.original[key]),
      onStateChange: () => {},
      renderFallbackValue: null,
    };
    this.#table ??= library.createTable({ ...options, state: {} });
    const table = this.#table;
    table.setOptions((/** @type {any} */ before) => ({
      ...before,
      ...options,
      state: { ...table.initialState, ...state },
    }));
    const original = (/** @type {any} */ row) => row.original;
    const passing = table.getSortedRowModel().rows.map(original);
    return {
      passing,
      pages: Math.max(1, Math.ceil(passing.length / size)),
      shown: table.getRowModel().rows.map(original),
    };
  }

  /** @param {string} key */
  #sort(key) {
    const [now] = this.#sorting;
    const first = this.props.columns.find((column) => column.key === key)?.kind === "number";
    const desc = now?.id === key ? !first : first;
    const isThird = now?.id === key && now.desc !== first;
    this.props.onView({ sort: isThird ? "" : `${desc ? "-" : ""}${key}` });
  }

  render() {
    const { rows, columns, caption, actions, filter, onView } = this.props;
    const { library, page, hasMore } = this.state;
    const seen = columns.filter((column) => hasMore || !column.isMore);
    const hidden = columns.filter((column) => column.isMore).length;
    const { passing, pages, shown } = this.#rows();
    const [sorted] = this.#sorting;
    const said = passing.length < rows.length ? `${caption}; ${count(passing.length)} pass the filter` : caption;
    return html`<div class="table">
      <div class="buttons">
        ${actions(passing, rows.length)}
        ${
          (rows.length >= FILTER_FROM || filter) &&
          html`<label class="filter">Filter
          <input
            type="search" value=${filter} placeholder="text, or MRL > 7" disabled=${!library}
            onInput=${(/** @type {any} */ event) => onView({ filter: event.target.value })}
          />
        </label>`
        }
        ${
          hidden > 0 &&
          html`<button
          type="button" aria-pressed=${hasMore ? "true" : "false"} onClick=${() => this.setState({ hasMore: !hasMore })}
        >More columns</button>`
        }
      </div>
      <p class="caption">${said}</p>
      <div class="scroll" tabindex="0" role="region" aria-label=${said}>
        <table role="table" aria-label=${caption} class=${seen.some((column) => column.kind === "seq") ? "cards" : ""}>
          <thead role="rowgroup">
            <tr role="row">${seen.map((column) => this.#head(column, sorted, library !== null))}</tr>
          </thead>
          <tbody role="rowgroup">
            ${shown.map((row) => html`<tr role="row">${seen.map((column) => cellOf(column, row))}</tr>`)}
          </tbody>
        </table>
      </div>
      ${passing.length === 0 && html`<p>No row passes the filter.${unknownColumn(filter, columns)}</p>`}
      ${pages > 1 && this.#pager(page, pages)}
      <${Legend} columns=${columns} />
    </div>`;
  }

  /**
   * @param {TableColumn} column
   * @param {{id: string, desc: boolean} | undefined} sorted
   * @param {boolean} canSort
   */
  #head(column, sorted, canSort) {
    const direction = sorted?.id === column.key ? (sorted.desc ? "descending" : "ascending") : undefined;
    const mark = direction ? (direction === "ascending" ? " ▲" : " ▼") : "";
    // The caption says the unit of most.
    const hasUnit = column.unit && !this.props.caption.includes(column.unit);
    const words = html`${column.title}${hasUnit && html` <small>${column.unit}</small>`}`;
    const kind = column.kind === "number" || column.kind === "whole" ? "number" : "";
    if (!column.title) return html`<td role="cell"></td>`;
    return html`<th scope="col" role="columnheader" class=${kind} aria-sort=${direction}>
      ${
        canSort && !column.cell
          ? html`<button type="button" class="sort" onClick=${() => this.#sort(column.key)}>
            ${words}<span aria-hidden="true">${mark}</span>
          </button>`
          : words
      }
    </th>`;
  }

  /**
   * @param {number} page
   * @param {number} pages
   */
  #pager(page, pages) {
    /** @param {number} to */
    const step = (to) => this.setState({ page: to });
    return html`<nav class="buttons" aria-label="Pages of the table">
      <button type="button" disabled=${page === 0} onClick=${() => step(page - 1)}>Previous</button>
      <span aria-live="polite">page ${count(page + 1)} of ${count(pages)}</span>
      <button type="button" disabled=${page >= pages - 1} onClick=${() => step(page + 1)}>Next</button>
    </nav>`;
  }
}

/**
 * Make columns of the API's own words for them.
 * @param {string[]} keys
 * @param {Record<string, import("./api.js").ColumnWords>} words
 * @param {Partial<Record<string, Partial<TableColumn>>>} [more]
 * @returns {TableColumn[]}
 */
export function columnsOf(keys, words, more = {}) {
  return keys.map((key) => {
    const { title = key, unit = "", description = "" } = words[key] ?? {};
    return { key, title, unit, description, kind: "text", ...more[key] };
  });
}

/** @param {{columns: TableColumn[]}} props */
function Legend({ columns }) {
  const told = columns.filter((column) => column.description);
  if (!told.length) return null;
  return html`<details class="legend">
    <summary>What the columns say</summary>
    <dl>${told.map((column) => html`<dt>${column.title}</dt><dd>${column.description}</dd>`)}</dl>
  </details>`;
}

/**
 * @param {TableColumn} column
 * @param {Row} row
 */
function cellOf(column, row) {
  const text = textOf(column, row[column.key]);
  let kind = "";
  if (column.kind === "number" || column.kind === "whole") kind = "number";
  else if (column.kind === "seq") kind = "seq";
  else if (text.length > 24) kind = column.kind === "words" ? "wide" : "long";
  const content = column.cell ? column.cell(row) : column.kind === "seq" ? html`<code>${shortened(text)}</code>` : text;
  return html`<td role="cell" class=${kind} data-label=${column.title || undefined}>${content}</td>`;
}

/**
 * @param {TableColumn} column
 * @param {any} value
 */
function textOf(column, value) {
  if (column.kind === "number") return number(value);
  const text = value === null || value === undefined ? "" : String(value);
  return column.kind === "whole" ? text.replace(/^-/, "−") : text;
}

/** @param {string} seq */
function shortened(seq) {
  return seq.length > SHOWN_LETTERS ? `${seq.slice(0, SHOWN_LETTERS)}… (${some(seq.length, "nt", "nt")})` : seq;
}

/**
 * Read a comparison such as "MRL > 7".
 * @param {string} filter
 * @param {TableColumn[]} columns
 */
function comparisonOf(filter, columns) {
  const [, name = "", sign = "", amount] = COMPARISON.exec(filter.trim().toLowerCase()) ?? [];
  const column = columns.find((one) => [one.key, one.title].some((word) => word.toLowerCase() === name));
  return { name, column, compare: COMPARE[sign], amount: Number(amount) };
}

/**
 * Make a test of cells: of a number ("MRL > 7"), or of any text.
 * @param {string} filter
 * @param {TableColumn[]} columns
 * @returns {((key: string, value: any) => boolean) | undefined}
 */
function parseFilter(filter, columns) {
  const text = filter.trim().toLowerCase();
  if (!text) return undefined;
  const { column, compare, amount } = comparisonOf(filter, columns);
  if (column && compare) return (key, value) => key === column.key && value != null && compare(Number(value), amount);
  return (_, value) => value !== null && value !== undefined && String(value).toLowerCase().includes(text);
}

/**
 * Say that a filter compares a column that the table does not have, and which it has.
 * @param {string} filter
 * @param {TableColumn[]} columns
 */
function unknownColumn(filter, columns) {
  const { name, column } = comparisonOf(filter, columns);
  if (!name || column) return "";
  const names = columns.filter((one) => one.title && !one.cell).map((one) => one.title);
  return ` No column ${name}; the columns are ${names.join(", ")}.`;
}
