// Rows picked from the text of a file, so that what is saved is what a table shows.

/**
 * Pick rows of a file as they stand in it, in a wanted order.
 * @param {string} text A CSV or TSV file with a header, or FASTA.
 * @param {string} format
 * @param {number[]} places Of the wanted rows, from 0.
 * @param {number} total How many rows the file has.
 */
export function pickRows(text, format, places, total) {
  const records = format === "fasta" ? text.split(/^(?=>)/m) : recordsOf(text);
  const head = format === "fasta" ? "" : (records.shift() ?? "");
  if (records.length !== total) throw new Error(`${records.length} records, not ${total}`);
  return head + places.map((at) => records[at]).join("");
}

/**
 * Split a CSV or TSV text; cells in quotes may hold line ends.
 * @param {string} text
 */
function recordsOf(text) {
  /** @type {string[]} */
  const records = [];
  let begin = 0;
  let isQuoted = false;
  for (let at = 0; at < text.length; at += 1) {
    if (text[at] === '"') isQuoted = !isQuoted;
    else if (text[at] === "\n" && !isQuoted) {
      records.push(text.slice(begin, at + 1));
      begin = at + 1;
    }
  }
  return records;
}
