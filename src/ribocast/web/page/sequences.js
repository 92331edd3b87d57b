// Sequences as people paste them into a box for one or a few: FASTA, or one a line.

/** @typedef {{id: string, seq: string}} Named */

/**
 * Read sequences; null where the text looks like a table, which the server reads.
 * @param {string} text
 * @returns {Named[] | null}
 */
export function readSequences(text) {
  const lines = text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line && !line.startsWith(";"));
  if (lines[0]?.startsWith(">")) return readFasta(lines);
  if (lines.some((line) => /[,\t]/.test(line))) return null;
  return lines.map((seq) => ({ id: "", seq }));
}

/** @param {string[]} lines */
function readFasta(lines) {
  /** @type {Named[]} */
  const found = [];
  for (const line of lines) {
    const last = found.at(-1);
    if (line.startsWith(">")) found.push({ id: line.slice(1).trim(), seq: "" });
    else if (last) last.seq += line;
  }
  return found;
}
