// Preact and htm put together: `html` makes elements of a template.
import htm from "./vendor/htm.mjs";
import { Component, h, render } from "./vendor/preact.mjs";

/** @typedef {import("./vendor/preact.mjs").ComponentChildren} Children */

/** @type {(strings: TemplateStringsArray, ...values: any[]) => any} */
export const html = htm.bind(h);
export { Component, render };

/**
 * Spell a number; what is unknown is empty.
 * @param {number | null | undefined} value
 * @param {number} [digits]
 */
export function number(value, digits = 2) {
  return typeof value === "number" && Number.isFinite(value) ? value.toFixed(digits).replace(/^-/, "−") : "";
}

/**
 * Spell a whole number with thousands apart.
 * @param {number} value
 */
export function count(value) {
  return value.toLocaleString("en");
}

/**
 * Spell how many of something there are.
 * @param {number} value
 * @param {string} one
 * @param {string} [many]
 */
export function some(value, one, many = `${one}s`) {
  return `${count(value)} ${value === 1 ? one : many}`;
}
