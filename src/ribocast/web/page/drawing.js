// Saving a drawing of the page as a file: what its style sheet says is written into it.
import { save } from "./api.js";

const WRITTEN = ["fill", "stroke", "stroke-width", "stroke-dasharray", "fill-opacity", "font-size", "font-family"];
const SCALE = 3;

/**
 * Save the drawing that stands in the same figure as a button.
 * @param {{currentTarget: HTMLElement}} event
 * @param {string} name With the ending .svg or .png.
 */
export async function saveDrawing(event, name) {
  const drawing = event.currentTarget.closest("figure")?.querySelector("svg");
  if (!drawing) return;
  const svg = new Blob([standalone(drawing)], { type: "image/svg+xml" });
  save(name.endsWith(".png") ? await pictureOf(svg, drawing) : svg, name);
}

/** @param {SVGSVGElement} drawing */
function standalone(drawing) {
  const copy = /** @type {SVGSVGElement} */ (drawing.cloneNode(true));
  const parts = copy.querySelectorAll("*");
  [...drawing.querySelectorAll("*")].forEach((part, at) => {
    const style = getComputedStyle(part);
    for (const name of WRITTEN) parts[at]?.setAttribute(name, style.getPropertyValue(name));
    parts[at]?.removeAttribute("class");
  });
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  copy.removeAttribute("class");
  return new XMLSerializer().serializeToString(copy);
}

/**
 * @param {Blob} svg
 * @param {SVGSVGElement} drawing
 * @returns {Promise<Blob>}
 */
async function pictureOf(svg, drawing) {
  const image = new Image();
  image.src = URL.createObjectURL(svg);
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = SCALE * drawing.width.baseVal.value;
  canvas.height = SCALE * drawing.height.baseVal.value;
  const ink = canvas.getContext("2d");
  if (!ink) throw new Error("the browser draws no pictures");
  ink.fillStyle = getComputedStyle(document.body).backgroundColor;
  ink.fillRect(0, 0, canvas.width, canvas.height);
  ink.drawImage(image, 0, 0, canvas.width, canvas.height);
  URL.revokeObjectURL(image.src);
  return new Promise((resolve, reject) =>
    canvas.toBlob((made) => (made ? resolve(made) : reject(new Error("no picture was made"))), "image/png"),
  );
}
