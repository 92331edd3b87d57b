// The tab Design: what is wanted and which rules hold, progress while it is searched, the designs.
import { ApiError, call, callJson } from "./api.js";
import { explainColumn, filled, intervalColumn, stripColumn } from "./columns.js";
import { Field, Menu, PasteBox, Tick, UploadButton } from "./inputs.js";
import { readSequences } from "./sequences.js";
import { problemOf, Tab } from "./tab.js";
import { columnsOf, ResultTable } from "./table.js";
import { count, html, number, some } from "./view.js";

/** @typedef {import("./api.js").Job} Job */

const ASK_MS = 1_000;
const FIRST_ASK_MS = 200;
/** Answers after which asking again may help. */
const AGAIN = [0, 429, 502, 503, 504];
const ENDED = ["done", "failed", "cancelled"];
const HIGHEST = "highest";
/** What the controls say at first; a control that was emptied is kept as a space. */
const DEFAULTS = /** @type {Record<string, string>} */ ({ target: "7", n: "5", length: "50", forbid: "ATG" });
const EMPTY = " ";
/** Fields with controls of their own, in sight before the others. */
const FIRST = ["target", "n", "length", "like", "forbid", "forbid_sites"];
/** How what a control says is read, by the kind of its field. */
const READ = /** @type {Record<string, (text: string, example: string) => any>} */ ({
  text: (text) => text,
  tick: () => true,
  words: (text) => text.split(/[\s;,]+/).filter(Boolean),
  number: numberOf,
  whole(text) {
    const value = numberOf(text);
    if (!Number.isInteger(value)) throw new Error(`${text} is not a whole number`);
    return value;
  },
  numbers(text, example) {
    const parts = text
      .split(/\s*(?:to|[:;,\s])\s*/)
      .filter(Boolean)
      .map(numberOf);
    const wanted = example.split(":").length;
    if (parts.length !== wanted) throw new Error(`${wanted} numbers, such as ${example}`);
    return parts;
  },
});
const MODES = /** @type {Record<string, string>} */ ({ whole: "numeric", number: "decimal" });
const ALGORITHMS = /** @type {[string, string][]} */ ([
  ["", "genetic"],
  ["beam", "beam"],
  ["evolution", "evolution"],
]);
const NUMBERS =
  "target mrl mrl_low mrl_high independent_mrl second out_of_distribution_score gc free_energy kozak_score".split(" ");
const MORE = "mrl_low mrl_high independent_mrl uatgs gc free_energy out_of_distribution_score edits length".split(" ");

export class DesignTab extends Tab {
  name = "design";
  path = "design";
  /** @type {Job | null} */
  job = null;
  /** Rises with each job that is followed, so that an earlier one is let go. */
  #following = 0;
  #lost = false;

  componentDidMount() {
    const { job } = this.props.values;
    if (job) this.#follow(job);
  }

  /**
   * @param {import("./tab.js").TabProps} before
   * @param {import("./tab.js").TabState} past
   */
  componentDidUpdate(before, past) {
    super.componentDidUpdate(before, past);
    const { job = "" } = this.props.values;
    if (job && job !== before.values.job && job !== this.job?.id) this.#follow(job);
  }

  componentWillUnmount() {
    this.#following += 1;
    super.componentWillUnmount();
  }

  /** @param {string} name */
  value(name) {
    return (this.props.values[name] || DEFAULTS[name] || "").trim();
  }

  /** @param {string} name */
  about(name) {
    return this.props.catalogue.fields[name] ?? { label: name, kind: "text", example: "" };
  }

  /**
   * Read what the control of a field says.
   * @param {string} name
   * @param {string} text
   */
  read(name, text) {
    const { label, kind, example } = this.about(name);
    try {
      return READ[kind]?.(text, example);
    } catch (error) {
      throw fault(name, `${label}: ${/** @type {Error} */ (error).message}`);
    }
  }

  /** The request: of the controls, those that say something. */
  request() {
    const value = (/** @type {string} */ name) => this.value(name);
    /** @type {Record<string, any>} */
    const asked = { ...this.options };
    if (value("goal") !== HIGHEST) {
      const targets = value("target")
        .split(/[\s;,]+/)
        .filter(Boolean);
      if (!targets.length) throw fault("target", "say the wanted MRL, or choose the highest");
      const numbers = targets.map((one) => this.read("target", one));
      asked.target = numbers.length === 1 ? numbers[0] : numbers;
    }
    const like = this.like;
    if (like) asked.like = like;
    if (!this.lengthIsSet && value("length")) {
      const sizes = value("length")
        .split(/\s*(?:-|–|to)\s*/)
        .map((one) => this.read("length", one));
      if (sizes.length > 2) throw fault("length", "Length: one number, or the fewest and the most, such as 40-60");
      asked.length = sizes.length === 2 ? sizes : sizes[0];
    }
    for (const name of Object.keys(this.props.catalogue.fields))
      if (!(name in asked) && !["target", "length", "like"].includes(name) && value(name))
        asked[name] = this.read(name, value(name));
    if (value("algorithm")) asked.algorithm = value("algorithm");
    return asked;
  }

  /** The sequence to stay near to, with or without a FASTA title. */
  get like() {
    const found = readSequences(this.value("like"));
    return found ? found.map((one) => one.seq).join("") : this.value("like");
  }

  get lengthIsSet() {
    return this.value("like") !== "" || this.value("template") !== "";
  }

  get isRunning() {
    return this.job !== null && !ENDED.includes(this.job.state);
  }

  run = async () => {
    if (this.isRunning || this.state.busy) return;
    const key = this.key();
    this.setState({ busy: true, problem: null, result: null });
    this.props.set({ run: "" });
    try {
      const json = this.request();
      this.job = await callJson("design", { json });
      this.props.announce("searching");
      if (this.job) this.#follow(this.job.id, key);
    } catch (error) {
      this.fail(error);
    }
  };

  /**
   * Ask for a job until it has ended, then for its result.
   * @param {string} id
   * @param {string} [key] What was asked; of a job that the address names, it may be what the controls say.
   */
  async #follow(id, key = this.props.values.asked === digest(this.key()) ? this.key() : "") {
    this.#following += 1;
    const mine = this.#following;
    if (key) this.props.set({ job: id, asked: digest(key) });
    this.setState({ busy: true, problem: null });
    for (let wait = FIRST_ASK_MS; ; wait = ASK_MS) {
      try {
        const job = /** @type {Job} */ (await callJson(`design/${encodeURIComponent(id)}`));
        if (mine !== this.#following) return;
        this.#lost = false;
        this.job = job;
        this.setState({});
        if (ENDED.includes(job.state)) {
          const found = await callJson(`design/${job.id}/result`);
          if (mine !== this.#following) return;
          this.setState({ busy: false, result: { key, asked: {}, found } });
          this.props.announce(this.words(found));
          return;
        }
      } catch (error) {
        if (mine !== this.#following) return;
        if (!(error instanceof ApiError) || !AGAIN.includes(error.status)) {
          this.#end(error);
          return;
        }
        // The search goes on without us.
        this.#lost = true;
        this.setState({});
      }
      await new Promise((resolve) => setTimeout(resolve, wait));
      if (mine !== this.#following) return;
    }
  }

  /**
   * Say why there is no result: the search failed, or the server has forgotten it.
   * @param {unknown} error
   */
  #end(error) {
    if (error instanceof ApiError && error.status === 404) {
      this.job = null;
      this.props.set({ job: "" });
      this.fail(new ApiError({ detail: "this search is no longer on the server; press Design to search again" }, 404));
    } else this.fail(error);
  }

  /** @param {unknown} error */
  fail(error) {
    super.fail(error);
    const problem = problemOf(error);
    // What the API calls a field has a label here.
    const label = this.props.catalogue.fields[problem.field?.split(".")[0] ?? ""]?.label;
    if (label)
      this.setState({ problem: { ...problem, detail: problem.detail.replace(`${problem.field}:`, `${label}:`) } });
  }

  #cancel = async () => {
    if (!this.job) return;
    try {
      this.job = await callJson(`design/${this.job.id}/cancel`, { method: "POST" });
      this.setState({});
    } catch (error) {
      this.setState({ problem: problemOf(error) });
    }
  };

  #delete = async () => {
    const id = this.job?.id;
    this.#following += 1;
    this.job = null;
    this.props.set({ job: "" });
    this.setState({ busy: false, result: null, problem: null });
    try {
      if (id) await call(`design/${id}`, { method: "DELETE" });
      this.props.announce("the result is deleted");
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 404)) this.setState({ problem: problemOf(error) });
    }
  };

  /** @param {string} format */
  fetchAs(format) {
    return call(`design/${this.job?.id}/result`, { query: { format } });
  }

  /** @param {any} found */
  words(found) {
    return `${some(found.rows, "design")} by the model ${found.model}, ${found.unit} of ${found.assay}`;
  }

  #example = () => {
    const asked = this.props.catalogue.examples.design?.request ?? {};
    /** @type {Record<string, string>} */
    const changes = Object.fromEntries(Object.keys(this.props.values).map((name) => [name, ""]));
    Object.assign(changes, DEFAULTS);
    for (const [name, value] of Object.entries(asked)) if (value !== null) changes[name] = [value].flat().join(", ");
    changes.goal = asked.target == null ? HIGHEST : "";
    this.change(changes, "go");
  };

  /**
   * Change controls: an emptied one is not the same as one that was never touched.
   * @param {import("./link.js").Values} changes
   * @param {"" | "go"} [run]
   */
  change(changes, run = "") {
    const kept = Object.entries(changes).map(([name, value]) => {
      if (!(name in DEFAULTS)) return [name, value];
      return [name, value === DEFAULTS[name] ? "" : value || EMPTY];
    });
    super.change(Object.fromEntries(kept), run);
  }

  /**
   * @param {string} name
   * @param {object} [more]
   */
  field(name, more = {}) {
    const hint = this.props.catalogue.options.design?.[name];
    const { label, kind, example } = this.about(name);
    const invalid = this.state.problem?.field?.split(".")[0] === name;
    return html`<${Field}
      id=${`design-${name}`} label=${label} value=${(this.props.values[name] || DEFAULTS[name] || "").replace(/^ $/, "")} hint=${hint}
      mono=${kind === "text" || kind === "words"} mode=${MODES[kind]} placeholder=${kind === "numbers" ? example : ""}
      invalid=${invalid} onText=${(/** @type {string} */ text) => this.change({ [name]: text })} ...${more}
    />`;
  }

  render() {
    const { values, catalogue, settings } = this.props;
    const { problem, result } = this.state;
    const example = catalogue.examples.design ?? {};
    const highest = values.goal === HIGHEST;
    const minutes = Math.round((catalogue.limits.unasked_job_seconds ?? 120) / 60);
    return html`<form class="ask" onSubmit=${this.onSubmit} onKeyDown=${this.onKey}>
        <div>
          <div class="fields">
            <${Menu}
              id="design-goal" label="Wanted" value=${highest ? HIGHEST : ""}
              options=${[["", "an MRL, or several"], [HIGHEST, "the highest MRL"]]}
              onChange=${(/** @type {string} */ goal) => this.change({ goal })}
            />
            ${!highest && this.field("target", { hint: "Ribosomes per mRNA; several with commas." })}
            ${this.field("n")}
            ${this.field("length", {
              mode: undefined,
              disabled: this.lengthIsSet,
              hint: this.lengthIsSet
                ? `Set by ${this.value("template") ? "the template" : "the sequence to stay near to"}.`
                : "One number, or a range such as 40-60.",
            })}
            ${this.field("forbid")} ${this.field("forbid_sites")}
          </div>
          <${PasteBox}
            id="design-like" label=${this.about("like").label} hint="May be empty; letters or FASTA." rows=${2}
            value=${values.like ?? ""} invalid=${problem?.field === "like"}
            onText=${(/** @type {string} */ like) => this.change({ like })}
            onFile=${(/** @type {File} */ file) => this.take("like", file, "text")}
          />
          ${this.#rules()}
        </div>
        <div class="side">
          <button type="submit" class="primary" disabled=${this.isRunning}>${this.isRunning ? "Designing…" : "Design"}</button>
          <${UploadButton}
            label="Upload a sequence" accept=".fasta,.fa,.txt,.seq,.gz"
            onFile=${(/** @type {File} */ file) => this.take("like", file, "text")}
          />
          <button type="button" disabled=${this.isRunning} onClick=${this.#example}>Example: ${example.title}</button>
          ${settings}
          <p class="hint">
            A search goes on when you close this page, for ${minutes > 1 ? `${minutes} minutes` : "a minute"}; its address
            brings you back to it.
          </p>
        </div>
      </form>
      ${this.notes()}
      ${this.job && this.#progress(this.job)} ${result && this.frame(this.#show(result.found), "Design")}`;
  }

  #rules() {
    const { values, catalogue } = this.props;
    const names = Object.keys(catalogue.fields).filter((name) => !FIRST.includes(name));
    const isTick = (/** @type {string} */ name) => this.about(name).kind === "tick";
    return html`<details class="rules">
      <summary>More rules</summary>
      <div class="fields">
        ${names.filter((name) => !isTick(name)).map((name) => this.field(name))}
        <${Menu}
          id="design-algorithm" label="Algorithm" value=${values.algorithm ?? ""} options=${ALGORITHMS}
          onChange=${(/** @type {string} */ algorithm) => this.change({ algorithm })}
        />
      </div>
      ${names.filter(isTick).map(
        (name) => html`<${Tick}
          id=${`design-${name}`} label=${catalogue.options.design?.[name]} value=${Boolean(values[name])}
          onChange=${(/** @type {boolean} */ on) => this.change({ [name]: on ? "1" : "" })}
        />`,
      )}
    </details>`;
  }

  /** @param {Job} job */
  #progress(job) {
    const running = !ENDED.includes(job.state);
    const best = job.best.length ? `, best MRL ${job.best.map((one) => number(one)).join(", ")}` : "";
    const done = `${count(job.done)} of at most ${count(job.total)} predictions, ${Math.round(job.seconds)} s${best}`;
    const words = { waiting: "", running: "searching", done: "done", failed: "failed", cancelled: "cancelled" };
    const place = job.state === "waiting" ? `waiting: place ${job.place ?? "?"} in the queue` : words[job.state];
    const where = job.total ? `${place}: ${done}` : place;
    const remark = job.remark && job.remark !== job.state ? `; ${job.remark}` : "";
    const kept =
      job.expires_seconds && job.state !== "failed"
        ? ` The result is kept for ${Math.ceil(job.expires_seconds / 60)} minutes.`
        : "";
    return html`<div class="job" id="design-progress">
      ${running && html`<progress max=${job.total || 1} value=${job.done} aria-label="Search"></progress>`}
      <p>${this.#lost ? "The connection is lost; trying again. " : ""}${where}${remark}.${kept}</p>
      <div class="buttons">
        ${
          running
            ? html`<button type="button" onClick=${this.#cancel}>Cancel</button>`
            : job.state !== "failed" && html`<button type="button" onClick=${this.#delete}>Delete the result</button>`
        }
      </div>
    </div>`;
  }

  /** @param {any} found */
  #show(found) {
    const { catalogue, model, go } = this.props;
    const remarks = found.remarks.map((/** @type {string} */ remark) => html`<p class="note">${remark}</p>`);
    if (!found.designs.length) return html`${remarks}<p>No designs were found before it ended.</p>`;
    const quantiles = model.assays.find((assay) => assay.name === found.assay)?.measured?.quantiles ?? null;
    const table = tableOf(found.designs, catalogue.columns, quantiles, go);
    /** @type {[string, string, string][]} */
    const files = [
      ["csv", "designs.csv", "Download CSV"],
      ["fasta", "designs.fasta", "Download FASTA"],
      ["order", "designs.order.csv", "Order sheet (IDT)"],
      ["svg", "designs.svg", "SVG"],
      ["png", "designs.png", "PNG"],
    ];
    /** @type {(shown: any[], of: number) => any} */
    const actions = (shown, of) => this.actions(shown, of, found.designs, files);
    return html`${remarks}
      <${ResultTable}
        rows=${found.designs} columns=${table} caption=${this.words(found)} actions=${actions} ...${this.view}
      />`;
  }
}

/** @type {WeakMap<object, import("./table.js").TableColumn[]>} */
const tables = new WeakMap();

/**
 * @param {any[]} designs
 * @param {Record<string, import("./api.js").ColumnWords>} words
 * @param {number[] | null} quantiles
 * @param {(tab: string, changes: import("./link.js").Values) => void} go
 */
function tableOf(designs, words, quantiles, go) {
  const known = tables.get(designs);
  if (known) return known;
  const kinds = /** @type {Record<string, Partial<import("./table.js").TableColumn>>} */ ({
    ...Object.fromEntries(NUMBERS.map((key) => [key, { kind: "number" }])),
    note: { kind: "words" },
    uatgs: { kind: "whole" },
    edits: { kind: "whole" },
    length: { kind: "whole" },
    seq: { kind: "seq" },
  });
  for (const key of MORE) kinds[key] = { ...kinds[key], isMore: true };
  /** @param {string[]} keys */
  const made = (...keys) => columnsOf(filled(designs, keys), words, kinds);
  const columns = [
    ...made("name", "target", "seq", "mrl"),
    ...stripColumn(designs, quantiles),
    ...intervalColumn(designs, words, "mrl_low", "mrl_high"),
    ...made("kozak"),
    explainColumn(
      go,
      (row) => row.name,
      (row) => row.seq,
    ),
    ...made("note", ...MORE),
  ];
  tables.set(designs, columns);
  return columns;
}

/**
 * A short mark of a text, to see whether it has changed.
 * @param {string} text
 */
function digest(text) {
  let sum = 5381;
  for (const letter of text) sum = (Math.imul(sum, 33) + (letter.codePointAt(0) ?? 0)) >>> 0;
  return sum.toString(36);
}

/**
 * @param {string} field
 * @param {string} detail
 */
function fault(field, detail) {
  return new ApiError({ detail, field }, 0);
}

/** @param {string} text */
function numberOf(text) {
  const value = Number(text.replace("−", "-"));
  if (text === "" || !Number.isFinite(value)) throw new Error(`${text || "nothing"} is not a number`);
  return value;
}
