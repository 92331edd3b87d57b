// Files that people choose: read here, in the browser, and never further than the server would take them.
import { ApiError, checkSize } from "./api.js";
import { count } from "./view.js";

/**
 * @typedef {import("./api.js").Catalogue} Catalogue
 * @typedef {{name: string, content: Blob, type: string, mark: number}} Attached A file that is sent as it is; no two
 *   have the same mark.
 */

/** Letters that a text box holds without becoming slow; a longer file is attached. */
const BOX_LETTERS = 200_000;
const GZIP = "application/gzip";
const PARQUET = "application/vnd.apache.parquet";
const TEXT = "text/plain";

/**
 * Read a file that was chosen: its text, or the file itself where it is long or no text.
 * @param {File} file
 * @param {Catalogue} catalogue
 * @returns {Promise<string | Attached>}
 */
export async function readUpload(file, catalogue) {
  const name = file.name;
  try {
    checkSize(file.size, catalogue);
  } catch (error) {
    throw refused(name, error instanceof Error ? error.message : String(error));
  }
  const first = new Uint8Array(await file.slice(0, 4).arrayBuffer());
  const begins = String.fromCharCode(...first);
  if (begins === "PAR1") return asIs(file, PARQUET);
  if (begins === "PK\x03\x04") {
    throw refused(name, "a workbook or a zip archive; save the sheet as CSV, or pack the file with gzip");
  }
  const packed = first[0] === 0x1f && first[1] === 0x8b;
  const most = catalogue.limits.max_unpacked_bytes ?? Number.POSITIVE_INFINITY;
  const stream = packed ? file.stream().pipeThrough(new DecompressionStream("gzip")) : file.stream();
  let bytes;
  try {
    bytes = await readAll(stream, most);
  } catch (error) {
    if (error instanceof ApiError) throw refused(name, `${error.message}${packed ? " when unpacked" : ""}`);
    throw refused(name, packed ? "the gzip data is damaged or cut short" : "the file cannot be read");
  }
  if (String.fromCharCode(...bytes.subarray(0, 4)) === "PAR1") return asIs(file);
  const text = textOf(name, bytes);
  return text.length > BOX_LETTERS ? asIs(file, packed ? GZIP : TEXT) : text;
}

let mark = 0;

/**
 * Attach a file: it is sent as it is.
 * @param {File} file
 * @param {string} [type]
 * @returns {Attached}
 */
export function asIs(file, type = file.name.toLowerCase().endsWith(".gz") ? GZIP : TEXT) {
  mark += 1;
  return { name: file.name, content: file, type, mark };
}

/**
 * Read a stream up to a number of bytes.
 * @param {ReadableStream<Uint8Array<ArrayBuffer>>} stream
 * @param {number} most
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 */
export async function readAll(stream, most) {
  const pieces = [];
  let size = 0;
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.length;
    if (size > most) {
      await reader.cancel();
      throw new ApiError({ detail: `more than ${count(most)} bytes` }, 413);
    }
    pieces.push(value);
  }
  return new Uint8Array(await new Blob(pieces).arrayBuffer());
}

/**
 * @param {string} name
 * @param {Uint8Array} bytes
 */
function textOf(name, bytes) {
  if (bytes.includes(0)) throw refused(name, "not a text file (it holds binary data)");
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw refused(name, "not UTF-8 text; save it as UTF-8");
  }
}

/**
 * @param {string} name
 * @param {string} reason
 */
function refused(name, reason) {
  return new ApiError({ detail: `${name}: ${reason}` }, 0);
}
