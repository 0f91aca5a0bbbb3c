// A terminal's screen in the page: drawn once a frame at most, and read aloud line by line.

import { MOST_COLUMNS, MOST_PAST, MOST_ROWS, Screen } from "../core/screen.js";
import { look, runs, textOf } from "../core/screen_text.js";
import { $ } from "./shown.js";

const [FEWEST_ROWS, FEWEST_COLUMNS] = [8, 20];
/** How much of what is seen of the page is the screen. */
const SHARE = 0.55;
/** What is taken at once, in characters, before the page may do something else. */
const SLICE = 4_096;
const SLICE_MS = 10;
/** How long nothing is printed before it is read, and nothing typed before a line that has no end yet is. */
const [QUIET_MS, UNTYPED_MS] = [400, 1_000];
const MOST_READ = 20;
const MOST_RUNS = 64;

const within = (least, number, most) => Math.max(least, Math.min(number, most));

function drawn(found) {
  const line = document.createElement("div");
  for (const { style, text, cursor } of found) {
    const { hue, back, bold, under } = look(style);
    const names = [hue > 0 ? `hue${hue}` : "", back ? "back" : "", bold ? "bold" : "", under ? "under" : "", cursor ? "cursor" : ""];
    const span = document.createElement("span");
    span.className = names.filter((name) => name !== "").join(" ");
    span.textContent = text;
    line.append(span.className === "" ? text : span);
  }
  return line;
}

/** A line that has left the screen; one of very many colours is kept without them. */
function gone(line) {
  const found = runs(line);
  return drawn(found.length > MOST_RUNS ? [{ style: 0, text: textOf(line), cursor: false }] : found);
}

export class View {
  #screen;
  #drawn = [];
  #asked = false;
  #rest = 0;
  #quiet = 0;
  #typedAt = 0;
  #read = "";

  constructor() {
    for (const id of ["past", "rows", "heard"]) $(id).replaceChildren();
    this.#screen = new Screen(FEWEST_ROWS, FEWEST_COLUMNS);
  }

  /** The screen, for what programs ask of keys. */
  get screen() {
    return this.#screen;
  }

  /** As many rows and columns as there is room for; whether they are others than before. */
  fit() {
    const box = $("screen");
    const probe = drawn([{ style: 0, text: "", cursor: true }]);
    probe.firstChild.textContent = "0".repeat(40);
    $("rows").append(probe);
    const width = probe.firstChild.getBoundingClientRect().width / 40;
    const { height } = probe.getBoundingClientRect();
    probe.remove();
    const { paddingLeft, paddingRight, paddingTop, paddingBottom } = getComputedStyle(box);
    const room = box.clientWidth - parseFloat(paddingLeft) - parseFloat(paddingRight);
    const columns = within(FEWEST_COLUMNS, Math.floor(room / width), MOST_COLUMNS);
    const seen = globalThis.visualViewport?.height ?? innerHeight;
    const rows = within(FEWEST_ROWS, Math.floor((seen * SHARE) / height), MOST_ROWS);
    box.style.height = `${Math.ceil(rows * height + parseFloat(paddingTop) + parseFloat(paddingBottom)) + box.offsetHeight - box.clientHeight}px`;
    if (rows === this.#screen.rows && columns === this.#screen.columns) return false;
    this.#screen.resize(rows, columns);
    this.#draw();
    return true;
  }

  /** Takes what was printed, with pauses in which the page stays alive. */
  async write(text) {
    let began = performance.now();
    for (let at = 0; at < text.length; ) {
      let end = Math.min(at + SLICE, text.length);
      // a letter of two halves stays whole
      if (end < text.length && /[\ud800-\udbff]/.test(text[end - 1])) end -= 1;
      this.#screen.write(text.slice(at, end));
      at = end;
      this.#draw();
      if (performance.now() - began > SLICE_MS && at < text.length) {
        await new Promise((on) => setTimeout(on));
        began = performance.now();
      }
    }
    this.#hear();
  }

  /** Somebody types: what comes back of it is heard from the line that they type into. */
  typed() {
    this.#typedAt = performance.now();
    $("screen").scrollTop = $("screen").scrollHeight;
  }

  #draw() {
    if (this.#asked) return;
    this.#asked = true;
    const draw = () => {
      this.#asked = false;
      const began = performance.now();
      this.#paint();
      // what is printed without end is drawn for a third of the time at most
      this.#rest = performance.now() + 2 * (performance.now() - began);
    };
    setTimeout(() => requestAnimationFrame(draw), Math.max(0, this.#rest - performance.now()));
  }

  #paint() {
    const [box, past, rows] = [$("screen"), $("past"), $("rows")];
    const atEnd = box.scrollTop + box.clientHeight >= box.scrollHeight - 8;
    const screen = this.#screen;
    past.append(...screen.takePast().map(gone));
    while (past.childElementCount > MOST_PAST) past.firstChild.remove();
    for (let y = 0; y < screen.rows; y += 1) {
      const found = runs(screen.line(y), screen.cursor && y === screen.y ? screen.x : -1);
      const key = JSON.stringify(found);
      if (this.#drawn[y] === key && rows.children[y] !== undefined) continue;
      this.#drawn[y] = key;
      if (rows.children[y] === undefined) rows.append(drawn(found));
      else rows.children[y].replaceWith(drawn(found));
    }
    while (rows.childElementCount > screen.rows) rows.lastChild.remove();
    if (atEnd) box.scrollTop = box.scrollHeight;
  }

  #hear() {
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => this.#aloud(), QUIET_MS);
  }

  #aloud() {
    const screen = this.#screen;
    const lines = screen.takeFinished();
    // a question waits for its answer in a line that has no end
    const asks = textOf(screen.line(screen.y));
    if (performance.now() - this.#typedAt > UNTYPED_MS && asks !== this.#read) {
      lines.push(asks);
      this.#read = asks;
    }
    for (const line of lines.filter((text) => text.trim() !== "")) {
      const said = document.createElement("p");
      said.textContent = line;
      $("heard").append(said);
    }
    while ($("heard").childElementCount > MOST_READ) $("heard").firstChild.remove();
  }
}
