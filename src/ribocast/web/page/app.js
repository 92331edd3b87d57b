// The page: the tabs, the choice of model and assay, and the address that holds all of it.
import { ApiError, callJson } from "./api.js";
import { DesignTab } from "./design.js";
import { ExplainTab } from "./explain.js";
import { Menu, ProblemNote } from "./inputs.js";
import { makeLink, readLink } from "./link.js";
import { PredictTab } from "./predict.js";
import { problemOf } from "./tab.js";
import { PairsTab, VcfTab } from "./variants.js";
import { Component, count, html, number, render } from "./view.js";

/**
 * @typedef {import("./api.js").Catalogue} Catalogue
 * @typedef {import("./api.js").Model} Model
 * @typedef {import("./link.js").Values} Values
 *
 * @typedef {object} AppState
 * @property {Catalogue | null} catalogue
 * @property {import("./api.js").Problem | null} problem
 * @property {Values} values What every control says, by tab and control; the address holds those of the open tab.
 * @property {string[]} visited The tabs that were opened: they stay as they are.
 * @property {string} said
 * @property {boolean} tooLong Whether the input is too long for an address.
 * @property {string} theme
 */

const TABS = /** @type {[string, string][]} */ ([
  ["predict", "Predict"],
  ["explain", "Explain"],
  ["variants", "Variants"],
  ["design", "Design"],
]);
const PARTS = /** @type {[string, string][]} */ ([
  ["pairs", "Pairs of sequences"],
  ["vcf", "VCF"],
]);
const WRITE_MS = 250;
const THEME = "ribocast-theme";

/** @extends {Component<{}, AppState>} */
class App extends Component {
  /** @type {AppState} */
  state = { catalogue: null, problem: null, values: {}, visited: [], said: "", tooLong: false, theme: readTheme() };
  #timer = 0;
  #written = "";

  async componentDidMount() {
    addEventListener("hashchange", () => this.#readAddress());
    addEventListener("pagehide", () => this.#write(false));
    // Drawings fit the screen: a phone may be turned.
    addEventListener("resize", () => this.setState({}));
    this.#showTheme();
    await this.#load();
  }

  #load = async () => {
    this.setState({ problem: null });
    try {
      const [catalogue, values] = await Promise.all([callJson("models"), readLink(location.hash)]);
      this.#written = location.hash.replace(/^#/, "");
      this.setState({ catalogue });
      this.#open(asOpened(values));
    } catch (error) {
      this.setState({ problem: problemOf(error) });
    }
  };

  /** An address that was pasted, or the browser's Back: what it holds is asked again. */
  async #readAddress() {
    const fragment = location.hash.replace(/^#/, "");
    if (fragment === this.#written) return;
    this.#written = fragment;
    const opened = asOpened(await readLink(fragment));
    // What other tabs hold is in no address but their own.
    const kept = Object.entries(this.state.values).filter(([name]) => !isOpen(name, opened));
    this.#open({ ...Object.fromEntries(kept), ...opened });
  }

  /** @param {Values} values */
  #open(values) {
    const tab = tabOf(values);
    this.setState((/** @type {AppState} */ { visited }) => ({
      values,
      visited: visited.includes(tab) ? visited : [...visited, tab],
    }));
  }

  /**
   * Write the state into the address; where a tab was chosen, the browser's Back leads to the one before.
   * @param {boolean} push
   */
  async #write(push) {
    clearTimeout(this.#timer);
    const { values } = this.state;
    const link = await makeLink(Object.fromEntries(Object.entries(values).filter(([name]) => isOpen(name, values))));
    if (this.state.tooLong !== (link === null)) this.setState({ tooLong: link === null });
    const fragment = link ?? "";
    if (fragment === this.#written) return link;
    this.#written = fragment;
    const place = `${location.pathname}${location.search}${fragment ? `#${fragment}` : ""}`;
    history[push ? "pushState" : "replaceState"](null, "", place);
    return link;
  }

  #link = async () => {
    if ((await this.#write(false)) === null) throw new ApiError({ detail: "this input is too long for a link" }, 0);
    return location.href;
  };

  /** @param {Values} changes */
  #set = (changes) => {
    this.setState((/** @type {AppState} */ { values }) => ({ values: { ...values, ...changes } }));
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#write(false), WRITE_MS);
  };

  /**
   * @param {string} tab
   * @param {Values} [changes] Of that tab's controls.
   */
  #go = async (tab, changes = {}) => {
    await this.#write(false);
    const own = Object.fromEntries(Object.entries(changes).map(([name, value]) => [`${tab}.${name}`, value]));
    this.#open({ ...this.state.values, ...own, tab: tab === "predict" ? "" : tab });
    // After the state is there. A button that was pressed in another tab is no longer to be seen: the focus goes along.
    setTimeout(() => {
      this.#write(true);
      if (Object.keys(changes).length) document.getElementById(`tab-${tab}`)?.focus();
    }, 0);
  };

  /** @param {string} words */
  #announce = (words) => {
    // Said again where it is the same.
    this.setState({ said: "" }, () => this.setState({ said: words }));
  };

  #switchTheme = () => {
    const theme = this.state.theme === "dark" ? "light" : "dark";
    this.setState({ theme }, () => this.#showTheme());
    try {
      localStorage.setItem(THEME, theme);
    } catch {
      // Where storage is turned off, the choice lasts as long as the page.
    }
  };

  #showTheme() {
    document.documentElement.dataset.theme = this.state.theme;
  }

  render() {
    const { catalogue, problem, said, tooLong, theme } = this.state;
    const tab = tabOf(this.state.values);
    document.title = `${TABS.find(([name]) => name === tab)?.[1]} – ribocast`;
    return html`<a class="skip" href="#main" onClick=${skip}>Skip to the input</a>
      <header>
        <img src="/page/logo.svg" alt="" width="36" height="36" />
        <h1>ribocast</h1>
        <p class="about">From a 5′ UTR to how well its mRNA is translated, and how sure that is.</p>
        <nav aria-label="More">
          <a href="/api/docs">API</a>
          <button type="button" class="small" onClick=${this.#switchTheme}>${theme === "dark" ? "Light" : "Dark"}</button>
        </nav>
      </header>
      <main id="main" tabindex="-1">
        ${
          problem &&
          html`<${ProblemNote} problem=${problem} /><button type="button" onClick=${this.#load}>Try again</button>`
        }
        ${catalogue && this.#tabs(catalogue, tab)}
        ${tooLong && html`<p class="note">This input is too long for the address: reloading the page would lose it.</p>`}
        <p class="unseen" role="status">${said}</p>
      </main>
      <footer>
        <p>
          Nothing is kept: what you paste stays in this page and, of the open tab, in its address (behind #, which is not sent), and is worked on
          in the server’s memory; designs stay there until you delete them, an hour at most.
          ${catalogue && ` ribocast ${catalogue.version}.`}
        </p>
      </footer>`;
  }

  /**
   * @param {Catalogue} catalogue
   * @param {string} tab
   */
  #tabs(catalogue, tab) {
    return html`<${TabList} label="What to do" tabs=${TABS} chosen=${tab} onChoose=${(/** @type {string} */ name) => this.#go(name)} />
      ${TABS.filter(([name]) => this.state.visited.includes(name)).map(
        ([name, words]) => html`<div
          key=${name} id=${`panel-${name}`} role="tabpanel" aria-labelledby=${`tab-${name}`} hidden=${name !== tab}
        >
          <h2 class="unseen">${words}</h2>
          ${name === "variants" ? this.#variants(catalogue) : this.#tab(catalogue, name)}
        </div>`,
      )}`;
  }

  /** @param {Catalogue} catalogue */
  #variants(catalogue) {
    const part = this.state.values["variants.part"] || "pairs";
    /** @param {string} name */
    const choose = (name) => this.#set({ "variants.part": name === "pairs" ? "" : name });
    return html`<${TabList} label="Variants as" tabs=${PARTS} chosen=${part} onChoose=${choose} />
      ${PARTS.map(
        ([name]) => html`<div
          key=${name} id=${`panel-${name}`} role="tabpanel" aria-labelledby=${`tab-${name}`} hidden=${name !== part}
        >${this.#tab(catalogue, name)}</div>`,
      )}`;
  }

  /**
   * @param {Catalogue} catalogue
   * @param {string} name
   */
  #tab(catalogue, name) {
    const kinds = { predict: PredictTab, explain: ExplainTab, pairs: PairsTab, vcf: VcfTab, design: DesignTab };
    const kind = kinds[/** @type {keyof typeof kinds} */ (name)];
    const { values } = this.state;
    const [model] = [...catalogue.models.filter((one) => one.name === values.model), ...catalogue.models];
    if (!kind || !model) return null;
    const assay = model.assays.some((one) => one.name === values.assay) ? values.assay : "";
    const own = Object.entries(values).filter(([key]) => key.startsWith(`${name}.`));
    return html`<${kind}
      values=${Object.fromEntries(own.map(([key, value]) => [key.slice(name.length + 1), value]))}
      set=${(/** @type {Values} */ changes) =>
        this.#set(Object.fromEntries(Object.entries(changes).map(([key, value]) => [`${name}.${key}`, value])))}
      catalogue=${catalogue} model=${model} assay=${assay} announce=${this.#announce} go=${this.#go} link=${this.#link}
      settings=${this.#settings(catalogue, model, assay ?? "", name)}
    />`;
  }

  /**
   * @param {Catalogue} catalogue
   * @param {Model} model
   * @param {string} assay
   * @param {string} tab
   */
  #settings(catalogue, model, assay, tab) {
    const automatic = tab === "pairs" || tab === "vcf" ? model.variant_assay : model.default_assay;
    const options = model.assays.map((one) => [one.name, `${one.description || one.name} (${one.name})`]);
    return html`<div class="settings">
      <${Menu}
        id=${`${tab}-model`} label="Model" value=${model.name} options=${catalogue.models.map((one) => [one.name, one.name])}
        onChange=${(/** @type {string} */ name) => this.#set({ model: name === catalogue.models[0]?.name ? "" : name })}
      />
      <${Menu}
        id=${`${tab}-assay`} label="Assay (sets the units)" value=${assay} options=${[["", `automatic: ${automatic}`], ...options]}
        onChange=${(/** @type {string} */ name) => this.#set({ assay: name })}
      />
      <p class="hint">MRL: mean ribosome load, the ribosomes on one mRNA on average.</p>
      <${Accuracy} model=${model} assay=${assay || automatic} />
    </div>`;
  }
}

/**
 * How accurate a model is on an assay, and what it does not know.
 * @param {{model: Model, assay: string}} props
 */
function Accuracy({ model, assay }) {
  const chosen = model.assays.find((one) => one.name === assay);
  const evaluations = model.assays.flatMap((one) => one.evaluations.map((entry) => ({ ...entry, assay: one })));
  /** @param {any} event */
  const close = (event) => {
    if (event.key === "Escape") event.currentTarget.open = false;
  };
  return html`<details class="accuracy" onKeyDown=${close}>
    <summary>Accuracy and limits</summary>
    <div class="over">
    <p>${chosen?.accuracy}</p>
    <p>${chosen?.limits}</p>
    ${
      evaluations.length > 0 &&
      html`<div class="scroll" tabindex="0" role="region" aria-label="Accuracy on every assay">
      <table>
        <caption>${model.name} on rows it was not trained on</caption>
        <thead><tr><th scope="col">assay</th><th scope="col">rows</th><th scope="col">r²</th><th scope="col">mean error</th></tr></thead>
        <tbody>
          ${evaluations.map(
            (one) => html`<tr>
              <td class="long">${one.assay.description || one.assay.name}: ${one.subset}</td><td class="number">${count(one.rows)}</td>
              <td class="number">${number(one.pearson_r2, 3)}</td><td class="number">${number(one.mae)}</td>
            </tr>`,
          )}
        </tbody>
      </table>
    </div>`
    }
    ${model.citation && html`<p>${model.citation}</p>`}
    </div>
  </details>`;
}

/**
 * Tabs: one stop of the Tab key, and arrow keys from one to the next.
 * @param {{label: string, tabs: [string, string][], chosen: string, onChoose: (name: string) => void}} props
 */
function TabList({ label, tabs, chosen, onChoose }) {
  /** @param {KeyboardEvent} event */
  const step = (event) => {
    const at = tabs.findIndex(([name]) => name === chosen);
    /** @type {Record<string, number>} */
    const places = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: tabs.length - 1 };
    const to = places[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const name = tabs[(to + tabs.length) % tabs.length]?.[0];
    if (!name) return;
    onChoose(name);
    document.getElementById(`tab-${name}`)?.focus();
  };
  return html`<div class="tabs" role="tablist" aria-label=${label} onKeyDown=${step}>
    ${tabs.map(
      ([name, words]) => html`<button
        key=${name} type="button" role="tab" id=${`tab-${name}`} aria-selected=${name === chosen ? "true" : "false"}
        aria-controls=${name === chosen ? `panel-${name}` : undefined} tabindex=${name === chosen ? 0 : -1} onClick=${() => onChoose(name)}
      >${words}</button>`,
    )}
  </div>`;
}

/**
 * What was asked is asked again, where an address is opened; but no address begins a search for designs.
 * @param {Values} values
 */
function asOpened(values) {
  const runs = Object.keys(values).filter((name) => name.endsWith(".run"));
  return { ...values, ...Object.fromEntries(runs.map((name) => [name, name === "design.run" ? "" : "go"])) };
}

/**
 * Whether a value is of the open tab, or of all.
 * @param {string} name
 * @param {Values} values
 */
function isOpen(name, values) {
  const tab = tabOf(values);
  const [of = "", control] = name.split(".", 2);
  return control === undefined || of === tab || (tab === "variants" && of === (values["variants.part"] || "pairs"));
}

/** @param {Values} values */
function tabOf(values) {
  return TABS.some(([name]) => name === values.tab) ? (values.tab ?? "predict") : "predict";
}

function readTheme() {
  try {
    const kept = localStorage.getItem(THEME);
    if (kept === "dark" || kept === "light") return kept;
  } catch {
    // Storage may be turned off.
  }
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

/**
 * Go to the input without a change of the address, which holds the page's state.
 * @param {Event} event
 */
function skip(event) {
  event.preventDefault();
  const panel = document.querySelector("[role=tabpanel]:not([hidden]) [role=tabpanel]:not([hidden])");
  const input = (panel ?? document.querySelector("[role=tabpanel]:not([hidden])"))?.querySelector(
    "textarea, input, select",
  );
  /** @type {HTMLElement} */ (input ?? document.getElementById("main"))?.focus();
}

const place = document.getElementById("app");
if (place) {
  place.textContent = "";
  render(html`<${App} />`, place);
}
