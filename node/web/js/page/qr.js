// A QR code as a picture that a page's policy lets stand: the shapes of an SVG, without a style.

import { correction, generate } from "../../vendor/lean-qr/nano.js";

const SVG = "http://www.w3.org/2000/svg";
/** What readers want around it, in modules. */
const MARGIN = 4;

/** The picture, with its words for who does not see it. */
export function qr(text, label) {
  const code = generate(text, { minCorrectionLevel: correction.Q });
  let dark = "";
  for (let y = 0; y < code.size; y += 1) {
    for (let x = 0; x < code.size; x += 1) if (code.get(x, y)) dark += `M${x} ${y}h1v1h-1z`;
  }
  const picture = document.createElementNS(SVG, "svg");
  const side = code.size + 2 * MARGIN;
  picture.setAttribute("viewBox", `${-MARGIN} ${-MARGIN} ${side} ${side}`);
  picture.setAttribute("role", "img");
  picture.setAttribute("aria-label", label);
  picture.classList.add("qr");
  const shapes = document.createElementNS(SVG, "path");
  shapes.setAttribute("d", dark);
  picture.append(shapes);
  return picture;
}
