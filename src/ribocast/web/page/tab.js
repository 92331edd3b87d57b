// What every tab does alike: run, be run again, say what is wrong, mark a result that no longer fits the input.
import { ApiError, call, save } from "./api.js";
import { asIs, readUpload } from "./files.js";
import { ProblemNote, Tick } from "./inputs.js";
import { pickRows } from "./rows.js";
import { Component, count, html, some } from "./view.js";

/** What the name of a control's file ends with in the address. */
const FILE = ".file";
/** Formats of which rows can be picked. */
const IN_ROWS = ["csv", "tsv", "fasta", "order"];
const TOLD_MS = 6_000;
/** A result that begins lower on the screen is brought up. */
const LOW = 0.7;

/**
 * @typedef {import("./api.js").Catalogue} Catalogue
 * @typedef {import("./api.js").Call} Call
 * @typedef {import("./api.js").Problem} Problem
 * @typedef {import("./files.js").Attached} Attached
 * @typedef {import("./link.js").Values} Values
 *
 * @typedef {object} TabProps
 * @property {Values} values Of this tab's controls.
 * @property {(changes: Values) => void} set Change some of them.
 * @property {Catalogue} catalogue
 * @property {import("./api.js").Model} model The chosen model.
 * @property {string} assay The chosen assay, empty where the model chooses.
 * @property {(words: string) => void} announce Tell who cannot see the page.
 * @property {(tab: string, changes: Values) => void} go Go to another tab.
 * @property {() => Promise<string>} link The address of what this tab shows.
 * @property {any} settings The menus of model and assay.
 *
 * @typedef {object} TabState
 * @property {boolean} busy
 * @property {Problem | null} problem
 * @property {{key: string, asked: Call, found: any} | null} result
 * @property {Record<string, Attached | null>} attached By the value that each stands for.
 * @property {string} told What was just done, said for some seconds.
 */

/** @extends {Component<TabProps, TabState>} */
export class Tab extends Component {
  /** The tab's own name in the address. */
  name = "";
  /** The path of the API. */
  path = "";
  /** @type {AbortController | null} */
  #running = null;
  /** The file that is being read for each control; it is let go when the control changes meanwhile. @type {Map<string, File>} */
  #reading = new Map();

  /** @type {TabState} */
  state = { busy: false, problem: null, result: null, attached: {}, told: "" };
  #toldTimer = 0;

  componentDidMount() {
    if (this.props.values.run) this.run();
  }

  /**
   * @param {TabProps} before
   * @param {TabState} past
   */
  componentDidUpdate(before, past) {
    if (this.props.values.run === "go" && before.values.run !== "go") this.run();
    const { result } = this.state;
    if (!result || result === past.result || !navigator.userActivation?.hasBeenActive) return;
    // On a phone, what was asked for is else below the screen.
    const section = document.getElementById(`${this.name}-result`);
    if (section && section.getBoundingClientRect().top > LOW * innerHeight) section.scrollIntoView();
  }

  componentWillUnmount() {
    this.#running?.abort();
  }

  /**
   * What is asked of the API, made of the controls.
   * @returns {Call}
   */
  asked() {
    return {};
  }

  /**
   * Say a result in one line.
   * @param {any} _found
   * @returns {string}
   */
  words(_found) {
    return "";
  }

  /** @returns {any} */
  render() {
    return null;
  }

  /** What a result depends on. */
  key() {
    const marks = Object.entries(this.state.attached).map(([name, file]) => file && [name, file.mark]);
    return JSON.stringify([this.given, this.props.model.name, this.props.assay, marks.filter(Boolean)]);
  }

  /** What the controls say, where they say something. */
  get given() {
    const { run, job, asked, filter, sort, ...values } = this.props.values;
    return Object.entries(values)
      .filter(([, value]) => value !== "")
      .sort();
  }

  /** The assay of a request, if one was chosen, and the model. */
  get options() {
    return { model: this.props.model.name, assay: this.props.assay || undefined };
  }

  /** Whether sequences are cut at their start codons, as the API takes it. */
  get cut() {
    return { cut_at_start: this.props.values.cut ? true : undefined };
  }

  cutTick() {
    return html`<${Tick}
      id=${`${this.name}-cut`} label="Cut sequences at their start codon" value=${Boolean(this.props.values.cut)}
      onChange=${(/** @type {boolean} */ cut) => this.change({ cut: cut ? "1" : "" })}
    />`;
  }

  /** Ask the API; an earlier question that is still open is dropped. */
  run = async () => {
    this.#running?.abort();
    const running = new AbortController();
    this.#running = running;
    const key = this.key();
    this.setState({ busy: true, problem: null });
    this.props.set({ run: "" });
    try {
      const asked = this.asked();
      const found = await (await call(this.path, { ...asked, signal: running.signal })).json();
      if (running.signal.aborted) return;
      this.setState({ busy: false, result: { key, asked, found } });
      const hasFile = Object.values(this.state.attached).some(Boolean);
      if (key === this.key() && !hasFile) this.props.set({ run: "1" });
      this.props.announce(this.words(found));
    } catch (error) {
      if (!running.signal.aborted) this.fail(error);
    }
  };

  /**
   * Say what went wrong; the result that was there has gone.
   * @param {unknown} error
   */
  fail(error) {
    this.setState({ busy: false, problem: problemOf(error), result: null });
  }

  /**
   * Change controls: what was attached in their place, and what was said of them, has gone.
   * @param {Values} changes
   * @param {"" | "go"} [run] Whether to ask the API then.
   */
  change(changes, run = "") {
    const names = Object.keys(changes);
    for (const name of names) this.#reading.delete(name);
    this.setState((/** @type {TabState} */ { attached }) => ({
      attached: { ...attached, ...Object.fromEntries(names.map((name) => [name, null])) },
      problem: null,
    }));
    this.props.set({ ...Object.fromEntries(names.map((name) => [name + FILE, ""])), ...changes, run });
  }

  /**
   * Read a file into a control.
   * @param {string} name
   * @param {File} file
   * @param {"box" | "text" | "file"} [how] As text in the box where it fits; only so; or never.
   */
  async take(name, file, how = "box") {
    this.#reading.set(name, file);
    try {
      const found = await readUpload(file, this.props.catalogue);
      if (this.#reading.get(name) !== file) return;
      if (typeof found === "string" && how !== "file") this.change({ [name]: found });
      else if (how === "text") throw new ApiError({ detail: `${file.name}: too large for the box, or not text` }, 0);
      else this.#attach(name, typeof found === "string" ? asIs(file) : found);
    } catch (error) {
      if (this.#reading.get(name) === file) this.setState({ problem: problemOf(error) });
    }
  }

  /**
   * @param {string} name
   * @param {Attached} file
   */
  #attach(name, file) {
    this.change({ [name]: "", [name + FILE]: file.name });
    this.setState((/** @type {TabState} */ { attached }) => ({ attached: { ...attached, [name]: file } }));
    this.props.announce(`${file.name} is attached`);
  }

  /**
   * Save the result as a file of another format.
   * @param {string} format
   * @param {string} name
   * @param {number[] | null} places Of the rows to save; null where it is a picture.
   * @param {number} total
   */
  async download(format, name, places, total) {
    try {
      const answer = await this.fetchAs(format);
      const content = places ? new Blob([pickRows(await answer.text(), format, places, total)]) : await answer.blob();
      save(content, name);
    } catch (error) {
      this.setState({ problem: problemOf(error) });
    }
  }

  /**
   * Fetch the result in another format.
   * @param {string} format
   */
  fetchAs(format) {
    return call(this.path, withFormat(this.state.result?.asked ?? {}, format));
  }

  /**
   * Put a text that is on its way on the clipboard.
   * @param {Promise<string>} text
   * @param {string} words What to say then.
   * @param {string} instead
   */
  async #copy(text, words, instead) {
    try {
      await copyText(text);
      this.#tell(words);
    } catch (error) {
      const said = `the browser does not let pages use the clipboard here; ${instead}`;
      this.setState({ problem: error instanceof ApiError ? error.problem : { detail: said } });
    }
  }

  /** @param {string} told */
  #tell(told) {
    this.setState({ told });
    this.props.announce(told);
    clearTimeout(this.#toldTimer);
    this.#toldTimer = setTimeout(() => this.setState({ told: "" }), TOLD_MS);
  }

  /** The button that copies the address of what is shown. */
  linkButton() {
    const hasFile = Object.values(this.state.attached).some(Boolean);
    const words = hasFile ? "Copied the link; the attached file is not in it" : "Copied the link";
    const copy = () => this.#copy(this.props.link(), words, "copy the address instead");
    return html`<button type="button" onClick=${copy}>Copy link</button>`;
  }

  /**
   * The buttons above a table: they copy and save the rows that it shows, as it orders them.
   * @param {import("./table.js").Row[]} shown
   * @param {number} of How many rows it has without a filter.
   * @param {import("./table.js").Row[]} all The rows of the answer, in its order.
   * @param {[string, string, string][]} files Their formats, names and the words on the buttons.
   */
  actions(shown, of, all, files) {
    const places = () => {
      const known = new Map(all.map((row, at) => [row, at]));
      return shown.map((row) => known.get(row) ?? 0);
    };
    const isFiltered = shown.length < of;
    const part = isFiltered ? ` (${count(shown.length)} of ${count(of)})` : "";
    const copy = () => {
      const wanted = places();
      const text = this.fetchAs("tsv").then(async (answer) => pickRows(await answer.text(), "tsv", wanted, all.length));
      this.#copy(text, `Copied ${some(wanted.length, "row")}`, "save the CSV instead");
    };
    return html`<button type="button" onClick=${copy}>Copy${part}</button>
      ${files.map(([format, name, words]) => {
        const hasRows = IN_ROWS.includes(format);
        const onClick = () => this.download(format, name, hasRows ? places() : null, all.length);
        const said = hasRows ? part : isFiltered ? ` (all ${count(of)})` : "";
        return html`<button type="button" key=${format} onClick=${onClick}>${words}${said}</button>`;
      })}
      ${this.linkButton()}`;
  }

  /** What a table is told of its filter and order, which the address holds. */
  get view() {
    const { filter = "", sort = "" } = this.props.values;
    return { filter, sort, onView: this.props.set };
  }

  /**
   * What is wrong, and which files a reload has lost.
   * @param {() => void} [onSkip] Ask again without the bad rows.
   */
  notes(onSkip) {
    const { values } = this.props;
    const lost = Object.keys(values).filter(
      (name) => name.endsWith(FILE) && values[name] && !this.state.attached[name.slice(0, -FILE.length)],
    );
    return html`${lost.map((name) => html`<p class="note">${values[name]} has to be given again: files are not kept.</p>`)}
      <${ProblemNote} problem=${this.state.problem} onSkip=${onSkip} />`;
  }

  /**
   * Frame a result, and say so where it no longer fits.
   * @param {any} content
   * @param {string} again The button that makes a new one.
   */
  frame(content, again) {
    const stale = this.state.result?.key !== this.key();
    return html`<section class=${stale ? "result stale" : "result"} id=${`${this.name}-result`} aria-label="Result">
      ${
        stale &&
        html`<p class="stale-note">
        The input, the model or the assay has changed since this result: press ${again} for a new one.
      </p>`
      }
      ${content}
      ${this.state.told && html`<p class="told">${this.state.told}</p>`}
    </section>`;
  }

  /** @param {KeyboardEvent} event */
  onKey = (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    this.run();
  };

  /** @param {Event} event */
  onSubmit = (event) => {
    event.preventDefault();
    this.run();
  };
}

/**
 * @param {unknown} error
 * @returns {Problem}
 */
export function problemOf(error) {
  if (error instanceof ApiError) return error.problem;
  console.error(error);
  return { detail: "the page failed; reload it and try again" };
}

/**
 * @param {Call} asked
 * @param {string} format
 * @returns {Call}
 */
function withFormat(asked, format) {
  return { ...asked, query: { ...asked.query, format } };
}

/**
 * Copy a text that is still on its way.
 * @param {Promise<string>} text
 */
async function copyText(text) {
  if (navigator.clipboard && "ClipboardItem" in window) {
    // The promise itself is handed over: Safari wants to be asked while the button is pressed.
    const plain = text.then((words) => new Blob([words], { type: "text/plain" }));
    await navigator.clipboard.write([new ClipboardItem({ "text/plain": plain })]);
    return;
  }
  // Over plain HTTP beyond this machine, browsers have no other clipboard.
  const box = document.createElement("textarea");
  box.value = await text;
  document.body.append(box);
  box.select();
  const copied = document.execCommand("copy");
  box.remove();
  if (!copied) throw new Error("copying is not allowed");
}
