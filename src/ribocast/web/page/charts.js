// Drawings, as SVG: they say in words what they show, and differ in shape and lightness, not in colour alone.
import { Component, html, number, some } from "./view.js";

/**
 * @typedef {{position: number, kind: string, ref: string, alt: string, mrl: number, log2_fold_change: number | null,
 *   consequence: string}} Effect
 * @typedef {{codon: string, position: number, frame: number, context: string, strength: string, score: number,
 *   stop: number | null, kind: string}} Uorf
 */

const LETTERS = "ACGT";
const BARS = 534;

/** The width that a drawing may have: on a phone, of the screen. */
function room() {
  return document.documentElement.clientWidth - 40;
}

/**
 * Say where a value stands among measured ones: the share of them that is smaller.
 * @param {number} value
 * @param {number[]} quantiles
 */
export function rankOf(value, quantiles) {
  const last = quantiles.length - 1;
  const above = quantiles.findIndex((one) => one > value);
  if (above === 0) return 0;
  if (above < 0) return 1;
  const low = quantiles[above - 1] ?? 0;
  const high = quantiles[above] ?? low;
  return (above - 1 + (high > low ? (value - low) / (high - low) : 0)) / last;
}

/**
 * An MRL with its interval, on the scale of the assay's measurements: its middle half is shaded.
 * @param {{mrl: number, low: number | null, high: number | null, quantiles: number[], scale: [number, number]}} props
 */
export function Strip({ mrl, low, high, quantiles, scale: [from, to] }) {
  const [width, height] = [150, 18];
  /** @param {number} value */
  const x = (value) => Math.round((4 + ((value - from) / (to - from || 1)) * (width - 8)) * 10) / 10;
  const [quarter, middle, rest] = [0.25, 0.5, 0.75].map(
    (share) => quantiles[Math.round(share * (quantiles.length - 1))] ?? 0,
  );
  const interval = low === null || high === null ? "" : `, 90 % interval ${number(low)} to ${number(high)}`;
  const rank = Math.round(100 * rankOf(mrl, quantiles));
  return html`<svg
    class="strip" width=${width} height=${height} viewBox=${`0 0 ${width} ${height}`} role="img"
    aria-label=${`MRL ${number(mrl)}${interval}; above ${rank} % of the measured sequences`}
  >
    <line class="axis" x1="4" x2=${width - 4} y1="9" y2="9" />
    <rect class="measured" x=${x(quarter ?? 0)} width=${x(rest ?? 0) - x(quarter ?? 0)} y="2" height="14" />
    <line class="median" x1=${x(middle ?? 0)} x2=${x(middle ?? 0)} y1="2" y2="16" />
    ${low !== null && high !== null && html`<line class="interval" x1=${x(low)} x2=${x(high)} y1="9" y2="9" />`}
    <circle class="dot" cx=${x(mrl)} cy="9" r="4" />
  </svg>`;
}

/**
 * How many sequences have which MRL; the middle half of the assay's measurements is shaded.
 * @param {{values: number[], unit: string, quantiles: number[] | null}} props
 */
export function Histogram({ values, unit, quantiles }) {
  const low = Math.floor(values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY));
  const high = Math.max(Math.ceil(values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)), low + 1);
  const bins = Math.max(4, 2 * (high - low));
  const step = (high - low) / bins;
  const counts = new Array(bins).fill(0);
  for (const value of values) counts[Math.min(bins - 1, Math.floor((value - low) / step))] += 1;
  const names = counts.map((_, at) => `${short(low + at * step)} to ${short(low + (at + 1) * step)}`);
  const marks = [...counts.map((_, at) => short(low + at * step)), short(high)];
  const [quarter, rest] = [0.25, 0.75].map((share) => quantiles?.[Math.round(share * (quantiles.length - 1))]);
  const range =
    quarter === undefined || rest === undefined
      ? null
      : /** @type {[number, number]} */ ([(quarter - low) / (high - low), (rest - low) / (high - low)]);
  return html`<${Bars}
    heights=${counts} words="Sequences by MRL" names=${names} marks=${marks} between=${true} range=${range} digits=${0}
    axis=${`MRL, ${unit}`} told=${range ? "shaded: the middle half of the assay’s measurements" : ""}
  />`;
}

/**
 * A polysome profile: the share of the mRNA in each fraction.
 * @param {{shares: number[]}} props
 */
export function Profile({ shares }) {
  const marks = shares.map((_, at) => String(at));
  return html`<${Bars}
    heights=${shares} words="Share of the mRNA in each polysome fraction" names=${marks.map((mark) => `fraction ${mark}`)}
    marks=${marks} between=${false} range=${null} digits=${3} axis="fraction of the polysome profile" told=""
  />`;
}

/**
 * @param {{heights: number[], words: string, names: string[], marks: string[], between: boolean, axis: string, told: string,
 *   range: [number, number] | null, digits: number}} props
 */
function Bars({ heights, words, names, marks, between, axis, told, range, digits }) {
  const full = Math.min(BARS, room());
  const [left, width, height] = [44, full - 14, 150];
  const step = (width - left) / heights.length;
  const top = Math.max(...heights) || 1;
  const said = names.map((name, at) => [name, heights[at] ?? 0]).filter(([, value]) => value);
  const every = Math.ceil(marks.length / ((width - left) / 34));
  /** @param {number} share */
  const x = (share) => left + Math.min(1, Math.max(0, share)) * (width - left);
  return html`<svg
    class="bars" viewBox=${`0 0 ${full} 206`} width=${full} height="206" role="img" xmlns="http://www.w3.org/2000/svg"
    aria-label=${`${words}. ${said.map(([name, value]) => `${name}: ${Number(value).toFixed(digits)}`).join("; ")}`}
  >
    ${range && html`<rect class="measured" x=${x(range[0])} width=${x(range[1]) - x(range[0])} y="12" height=${height - 12} />`}
    <text x=${left - 6} y="16" text-anchor="end">${top.toFixed(digits)}</text>
    <text x=${left - 6} y=${height + 4} text-anchor="end">0</text>
    ${heights.map((value, at) => {
      const tall = ((height - 12) * value) / top;
      return html`<rect class="bar" x=${left + at * step + 1} y=${height - tall} width=${step - 2} height=${tall}>
        <title>${names[at]}: ${value.toFixed(digits)}</title>
      </rect>`;
    })}
    <line class="axis" x1=${left} x2=${width} y1=${height} y2=${height} />
    ${marks.map(
      (mark, at) =>
        at % every === 0 &&
        html`<text x=${left + (at + (between ? 0 : 0.5)) * step} y=${height + 16} text-anchor="middle">${mark}</text>`,
    )}
    <text x=${(width + left) / 2} y=${height + 34} text-anchor="middle">${axis}</text>
    <text x=${(width + left) / 2} y=${height + 50} text-anchor="middle">${told}</text>
  </svg>`;
}

/**
 * @typedef {{seq: string, effects: Effect[]}} HeatProps
 * @typedef {{x: number, y: number} | null} Place
 */

/**
 * The effect of every substitution: what the pointer, a finger or the arrow keys are at is said below.
 * @extends {Component<HeatProps, {at: Place}>}
 */
export class HeatMap extends Component {
  /** @type {{at: Place}} */
  state = { at: null };
  /** @type {Map<string, Effect>} */
  #effects = new Map();
  #most = 0.1;
  /** @type {any} */
  #squares = null;
  /** @type {HeatProps | null} */
  #drawn = null;
  /** @type {HTMLElement | null} */
  #region = null;

  componentDidMount() {
    this.#show();
  }

  /** @param {HeatProps} before */
  componentDidUpdate(before) {
    if (before.effects === this.props.effects) return;
    if (this.state.at) this.setState({ at: null });
    this.#show();
  }

  /** Where not all of it fits, the strongest effect is seen first. */
  #show() {
    const size = (/** @type {Effect} */ one) => Math.abs(one.log2_fold_change ?? 0);
    const strongest = [...this.#effects].reduce((most, one) => (size(one[1]) > size(most[1]) ? one : most));
    const at = Number(strongest[0].split(",")[0]);
    if (this.#region) this.#region.scrollLeft = LEFT + at * CELL - this.#region.clientWidth / 2;
  }

  /** Thousands of squares are made once, not at each step of the pointer. */
  #draw() {
    if (this.#drawn?.effects === this.props.effects) return;
    const { seq, effects } = this.props;
    const rows = effects.filter((effect) => effect.kind === "substitution");
    this.#drawn = this.props;
    this.#effects = new Map(rows.map((one) => [`${one.position + seq.length},${LETTERS.indexOf(one.alt)}`, one]));
    this.#most = rows.reduce((most, one) => Math.max(most, Math.abs(one.log2_fold_change ?? 0)), 0.1);
    this.#squares = [...this.#effects].map(([place, effect]) => {
      const [x, y] = place.split(",").map(Number);
      return html`<${Square} x=${x} y=${y} effect=${effect} most=${this.#most} />`;
    });
  }

  /** @param {{target: any}} event */
  #point = ({ target }) => {
    const place = target.dataset?.at;
    if (!place) return;
    const [x, y] = place.split(",").map(Number);
    this.setState({ at: { x, y } });
  };

  /** @param {KeyboardEvent} event */
  #step = (event) => {
    /** @type {Record<string, [number, number]>} */
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    const now = this.state.at;
    const next = now ? { x: now.x + step[0], y: now.y + step[1] } : { x: 0, y: 0 };
    if (!this.#effects.has(`${next.x},${next.y}`)) return;
    this.setState({ at: next });
    const region = /** @type {HTMLElement} */ (event.currentTarget);
    const left = LEFT + next.x * CELL;
    if (left < region.scrollLeft || left + CELL > region.scrollLeft + region.clientWidth) {
      region.scrollLeft = left - region.clientWidth / 2;
    }
  };

  render() {
    this.#draw();
    const { seq } = this.props;
    const { at } = this.state;
    const effect = at && this.#effects.get(`${at.x},${at.y}`);
    const width = LEFT + seq.length * CELL + 8;
    const most = number(this.#most);
    return html`<figure class="heat">
      <figcaption>Effect of every substitution</figcaption>
      <p class="tip" role="status">
        ${effect ? inWords(effect, seq.length) : "Point at a square, tap it, or use the arrow keys, to read its effect."}
      </p>
      <div class="beside">
      <svg width="20" height=${4 * CELL} aria-hidden="true">
        ${[...LETTERS].map((letter, row) => html`<text x="14" y=${row * CELL + 15} text-anchor="end">${letter}</text>`)}
      </svg>
      <div
        class="scroll" tabindex="0" role="application" ref=${(/** @type {HTMLElement | null} */ region) => {
          this.#region = region;
        }}
        aria-label="Effects of substitutions: arrow keys go from one to the next"
        onKeyDown=${this.#step} onPointerOver=${this.#point} onPointerDown=${this.#point}
      >
        <svg
          viewBox=${`0 0 ${width} ${4 * CELL + 44}`} width=${width} height=${4 * CELL + 44} role="img"
          aria-label=${`Effects of ${some(seq.length * 3, "substitution")}; the table below has them all`}
        >
          ${this.#squares}
          ${[...seq].map((letter, x) => html`<text x=${LEFT + (x + 0.5) * CELL} y=${4 * CELL + 16} text-anchor="middle">${letter}</text>`)}
          ${ticks(seq.length).map(
            (back) =>
              html`<text x=${LEFT + (seq.length - back + 0.5) * CELL} y=${4 * CELL + 36} text-anchor="middle">−${back}</text>`,
          )}
          ${at && html`<rect class="at" x=${LEFT + at.x * CELL} y=${at.y * CELL} width=${CELL - 1} height=${CELL - 1} />`}
        </svg>
      </div>
      </div>
      ${width + 20 > room() && html`<p class="hint">Scroll sideways to see all of it.</p>`}
      <p class="key">
        <${Sample} share=${-1} words=${`lower MRL (log2 −${most})`} /><${Sample} share=${0} words="unchanged" />
        <${Sample} share=${1} words=${`higher MRL (log2 +${most})`} /><span>dot: the sequence’s own letter</span>
      </p>
    </figure>`;
  }
}

const CELL = 20;
const LEFT = 8;
/** Okabe and Ito's vermilion and blue, one darker than the other: they differ in grey too, and triangles say which. */
const DOWN = [168, 62, 0];
const UP = [86, 180, 233];
const SAME = 245;

/** @param {{x: number, y: number, effect: Effect, most: number}} props */
function Square({ x, y, effect, most }) {
  const [left, top] = [LEFT + x * CELL, y * CELL];
  const share = (effect.log2_fold_change ?? 0) / most;
  const own = effect.ref === effect.alt;
  return html`<rect
      x=${left} y=${top} width=${CELL - 1} height=${CELL - 1} fill=${own ? "#ffffff" : shade(share)}
      data-at=${`${x},${y}`} data-effect=${effect.log2_fold_change}
    />${
      own
        ? html`<circle class="own" cx=${left + 9.5} cy=${top + 9.5} r="3" />`
        : html`<${Triangle} left=${left} top=${top} share=${share} />`
    }`;
}

/** @param {{share: number, words: string}} props */
function Sample({ share, words }) {
  return html`<span><svg class="sample" width="20" height="20" aria-hidden="true">
    <rect width="19" height="19" fill=${shade(share)} /><${Triangle} left=${0} top=${0} share=${share} />
  </svg>${words}</span>`;
}

/**
 * Points up for more and down for less; the larger, the stronger.
 * @param {{left: number, top: number, share: number}} props
 */
function Triangle({ left, top, share }) {
  const size = Math.abs(share) < 0.12 ? 0 : 2 + 3.5 * Math.abs(share);
  if (!size) return null;
  const [x, y, tip] = [left + 9.5, top + 9.5, share > 0 ? -size : size];
  const dark = share < -0.45;
  return html`<path
    d=${`M${x} ${y + tip} L${x - size} ${y - tip * 0.7} L${x + size} ${y - tip * 0.7} Z`}
    fill=${dark ? "#ffffff" : "#16232b"} class="mark"
  />`;
}

/** @param {number} share */
function shade(share) {
  const end = share > 0 ? UP : DOWN;
  const part = Math.min(1, Math.abs(share));
  const colour = end.map((one) =>
    Math.round(SAME + (one - SAME) * part)
      .toString(16)
      .padStart(2, "0"),
  );
  return `#${colour.join("")}`;
}

/**
 * @param {Effect} effect
 * @param {number} length Of the sequence.
 */
function inWords({ position, ref, alt, mrl, log2_fold_change, consequence }, length) {
  const place = `−${-position}, letter ${length + position + 1}: ${ref}`;
  if (ref === alt) return `${place}, the sequence’s own letter, MRL ${number(mrl)}`;
  const change =
    log2_fold_change === null
      ? ""
      : `, log2 fold change ${log2_fold_change >= 0 ? "+" : ""}${number(log2_fold_change)}`;
  return `${place} to ${alt}, MRL ${number(mrl)}${change}${consequence ? `; ${consequence}` : ""}`;
}

/** @param {number} length */
function ticks(length) {
  return Array.from({ length: Math.floor(length / 10) }, (_, at) => 10 * (at + 1));
}

/** Letters of the coding sequence that are drawn, and the most and the least pixels of each letter. */
const CODING = 12;
const NT = [3, 9];
/** Pixels before the first letter, and from the start codon on. */
const BEFORE = 60;
const AFTER = 120;

/**
 * Upstream start codons, the frames they open, and the start codon.
 * @param {{seq: string, uorfs: Uorf[]}} props
 */
export function UorfMap({ seq, uorfs }) {
  const length = seq.length;
  const before = Math.max(0, ...uorfs.map((uorf) => -uorf.position - length));
  const [least = 0, most = 0] = NT;
  const nt = Math.max(least, Math.min(most, (room() - BEFORE - AFTER) / (length + before)));
  /** @param {number} position */
  const x = (position) => BEFORE + Math.min(0, position) * nt + (length + before) * nt + (position > 0 ? AFTER - 8 : 0);
  const said = uorfs.map(uorfInWords).join("; ") || "no upstream start codon";
  const width = x(0) + AFTER;
  return html`<svg
    class="uorfs" viewBox=${`0 0 ${width} 122`} width=${width} height="122" role="img"
    aria-label=${`Upstream start codons: ${said}`}
  >
    ${[0, 1, 2].map((frame) => html`<text x="4" y=${23 + 38 * frame}>frame ${frame}</text>`)}
    ${[0, 1, 2].map((frame) => html`<line class="axis" x1=${x(-length)} x2=${x(CODING)} y1=${18 + 38 * frame} y2=${18 + 38 * frame} />`)}
    <rect class="coding" x=${x(0)} y="10" width=${x(CODING) - x(0)} height="16" />
    <text class="on-coding" x=${x(0) + 5} y="22.5">start codon</text>
    ${uorfs.map((uorf) => {
      const inside = uorf.kind === "uORF" && uorf.stop !== null;
      const end = inside ? (uorf.stop ?? 0) + 3 : CODING;
      const y = 10 + 38 * uorf.frame;
      return html`<g>
        <rect class=${`orf ${uorf.strength}`} x=${x(uorf.position)} y=${y} width=${x(end) - x(uorf.position)} height="16">
          <title>${uorfInWords(uorf)}</title>
        </rect>
        <text x=${x(uorf.position)} y=${y + 29}>${uorf.codon} −${-uorf.position}, ${uorf.strength}</text>
      </g>`;
    })}
  </svg>`;
}

/** @param {Uorf} uorf */
export function uorfInWords(uorf) {
  const frame = uorf.frame === 0 ? "in frame with the start codon" : `frame ${uorf.frame}`;
  const stop = uorf.kind === "uORF" && uorf.stop !== null ? `, stop at −${-uorf.stop}` : "";
  const score = `${uorf.score >= 0 ? "+" : ""}${number(uorf.score)}`;
  return `${uorf.codon} at −${-uorf.position}: ${uorf.kind}, ${frame}${stop}, ${uorf.strength} Kozak, score ${score}`;
}

/** @param {number} value */
function short(value) {
  return String(Math.round(value * 100) / 100);
}
