// The page's state in the address: behind #, which browsers never send to a server.

import { readAll } from "./files.js";

/** @typedef {Record<string, string>} Values */

const LONG = 1_500;
/** Letters of an address that every browser of today keeps. */
const MOST = 400_000;
const MOST_UNPACKED = 50_000_000;

/**
 * Read the values that an address holds.
 * @param {string} fragment
 * @returns {Promise<Values>}
 */
export async function readLink(fragment) {
  const given = new URLSearchParams(fragment.replace(/^#/, ""));
  const packed = given.get("z");
  if (packed === null) return Object.fromEntries(given);
  try {
    return Object.fromEntries(new URLSearchParams(await unpack(packed)));
  } catch {
    return {};
  }
}

/**
 * Spell values as the part of an address behind #; null where they are too long for one.
 * @param {Values} values
 * @returns {Promise<string | null>}
 */
export async function makeLink(values) {
  const text = new URLSearchParams(Object.entries(values).filter(([, value]) => value !== "")).toString();
  if (text.length < LONG) return text;
  const packed = `z=${await pack(text)}`;
  return packed.length > MOST ? null : packed;
}

/** @param {string} text */
async function pack(text) {
  const bytes = await through(new TextEncoder().encode(text), new CompressionStream("deflate-raw"));
  let letters = "";
  for (let at = 0; at < bytes.length; at += 0x8000) letters += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(letters).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** @param {string} packed */
async function unpack(packed) {
  const letters = atob(packed.replaceAll("-", "+").replaceAll("_", "/"));
  const bytes = Uint8Array.from(letters, (letter) => letter.charCodeAt(0));
  return new TextDecoder().decode(await through(bytes, new DecompressionStream("deflate-raw")));
}

/**
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @param {CompressionStream | DecompressionStream} stream
 */
async function through(bytes, stream) {
  return readAll(new Blob([bytes]).stream().pipeThrough(stream), MOST_UNPACKED);
}
