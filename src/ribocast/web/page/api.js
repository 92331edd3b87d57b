// Calls to the API: one function, its errors, and the types of what it answers.

/**
 * @typedef {{row: number, id: string | null, column: string, value: string | null, reason: string}} RowProblem
 * @typedef {{detail: string, field?: string | null, errors?: RowProblem[] | null, errors_total?: number | null}} Problem
 * @typedef {{subset: string, rows: number, pearson_r2: number, spearman_r: number | null, mae: number | null}} Evaluation
 * @typedef {{name: string, description: string, unit: string, min_length: number, max_length: number,
 *   has_interval: boolean, measured: {quantiles: number[]} | null, accuracy: string, limits: string,
 *   evaluations: Evaluation[]}} Assay
 * @typedef {{name: string, architecture: string, default_assay: string, variant_assay: string, citation: string,
 *   gives_profiles: boolean, assays: Assay[]}} Model
 * @typedef {{title: string, unit: string, description: string}} ColumnWords
 * @typedef {{version: string, models: Model[], examples: Record<string, Record<string, any>>,
 *   columns: Record<string, ColumnWords>, options: Record<string, Record<string, string>>,
 *   fields: Record<string, {label: string, kind: string, example: string}>,
 *   limits: Record<string, number>}} Catalogue
 * @typedef {{id: string, state: "waiting" | "running" | "done" | "failed" | "cancelled", done: number, total: number,
 *   best: number[], seconds: number, error: string, remark: string, place: number | null,
 *   expires_seconds: number | null}} Job
 */

const PLACE = "/api/v1/";

/** What went wrong, in the words of the API. */
export class ApiError extends Error {
  /**
   * @param {Problem} problem
   * @param {number} status 0 where there was no answer.
   */
  constructor(problem, status) {
    super(problem.detail);
    this.problem = problem;
    this.status = status;
  }
}

/**
 * @typedef {object} Call
 * @property {string} [method]
 * @property {unknown} [json] Sent as JSON.
 * @property {BodyInit} [body] Sent as it is.
 * @property {string} [type] The media type of `body`; a form has its own.
 * @property {Record<string, string | number | boolean | null | undefined>} [query] Empty values are left out.
 * @property {AbortSignal} [signal]
 */

/**
 * Call the API.
 * @param {string} path
 * @param {Call} [asked]
 * @returns {Promise<Response>}
 */
export async function call(path, { method, json, body, type, query = {}, signal } = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const parameters = new URLSearchParams(given.map(([name, value]) => [name, String(value)]));
  const sent = json === undefined ? body : JSON.stringify(json);
  const kind = json === undefined ? type : "application/json";
  let answer;
  try {
    answer = await fetch(`${PLACE}${path}${parameters.size ? `?${parameters}` : ""}`, {
      method: method ?? (sent === undefined ? "GET" : "POST"),
      headers: kind ? { "content-type": kind } : {},
      body: sent,
      signal,
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError({ detail: "the server cannot be reached; check the connection and try again" }, 0);
  }
  if (!answer.ok) throw new ApiError(await problemOf(answer), answer.status);
  return answer;
}

/**
 * Call the API for JSON.
 * @param {string} path
 * @param {Call} [asked]
 * @returns {Promise<any>}
 */
export async function callJson(path, asked) {
  return (await call(path, asked)).json();
}

/**
 * Check that a body is not larger than the server takes, before it is sent.
 * @param {number} bytes
 * @param {Catalogue} catalogue
 */
export function checkSize(bytes, catalogue) {
  const most = catalogue.limits.max_body_bytes;
  if (most && bytes > most) {
    const said = `this is ${bytes.toLocaleString("en")} bytes; the server takes ${most.toLocaleString("en")} in one call`;
    throw new ApiError({ detail: `${said}: send fewer rows, or a packed file (.gz)` }, 413);
  }
}

/**
 * Save an answer as a file.
 * @param {Blob} content
 * @param {string} name
 */
export function save(content, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/**
 * @param {Response} answer
 * @returns {Promise<Problem>}
 */
async function problemOf(answer) {
  const seconds = answer.headers.get("retry-after");
  try {
    const problem = await answer.json();
    if (typeof problem.detail === "string") {
      const again = answer.status === 429 && seconds && !problem.detail.includes("try again");
      return again ? { ...problem, detail: `${problem.detail}; try again in ${seconds} s` } : problem;
    }
  } catch {
    // A proxy answers in a form of its own.
  }
  return { detail: `the server answered with the status ${answer.status}` };
}
