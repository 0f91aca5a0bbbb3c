// The screen of a terminal: rows of text, out of what a program prints. As much of what xterm-256color promises as shells, `ls`, `top`,
// `less` and `vi` use. What is printed is text and nothing else: a screen answers no question, so that nothing printed comes back as
// input; it has no title, no clipboard, no links and no pictures; colours are eight at most and hide no text; what turns the direction
// of writing is left out. All of it is bounded.

import { BEHIND, blank, MARK, shown, styled, textOf, widthOf } from "./screen_text.js";

/** Lines above the screen that are kept until they are taken. */
export const MOST_PAST = 1_000;
export const [MOST_ROWS, MOST_COLUMNS] = [200, 400];
/** Finished lines that wait to be read aloud. */
const MOST_FINISHED = 40;
/** Longest sequence of parameters, and of a string that is left out. */
const [MOST_PARAMETERS, MOST_STRING] = [64, 4_096];
/** Of one cell: a letter and its marks. */
const MOST_MARKS = 8;
const TAB = 8;

export class Screen {
  rows;
  columns;
  x = 0;
  y = 0;
  /** What programs ask for that concerns who draws it, and who types. */
  cursor = true;
  applicationKeys = false;
  bracketedPaste = false;
  /** Whether a program has the whole of it, and brings the other back. */
  alone = false;
  #lines;
  #other = null;
  #past = [];
  #finished = [];
  #style = 0;
  #top = 0;
  #bottom;
  #wrap = true;
  #atEnd = false;
  #insert = false;
  #boxes = false;
  #saved = null;
  #last = "";
  #state = "ground";
  #collected = "";
  #skipped = 0;

  constructor(rows, columns) {
    [this.rows, this.columns, this.#bottom] = [rows, columns, rows - 1];
    this.#lines = Array.from({ length: rows }, () => blank(columns));
  }

  line(at) {
    return this.#lines[at];
  }

  /** Lines that have left the screen since last asked, the oldest first. */
  takePast() {
    return this.#past.splice(0).slice(-MOST_PAST);
  }

  /** The text of lines that were ended since last asked, as they were when they were. */
  takeFinished() {
    return this.#finished.splice(0).slice(-MOST_FINISHED).map(textOf);
  }

  /** What lines have is kept, as far as there is room; nothing is broken anew. */
  resize(rows, columns) {
    const fit = (lines, keep) => {
      while (lines.length > rows) {
        // from above, as far as the cursor is not there
        if (keep && this.y < lines.length - 1) {
          lines.pop();
        } else {
          const gone = lines.shift();
          if (keep) this.y = Math.max(0, this.y - 1);
          if (keep && !this.alone) this.#keep(gone);
        }
      }
      while (lines.length < rows) lines.push(blank(this.columns));
      for (const line of lines) {
        line.text.length = Math.min(line.text.length, columns);
        line.style.length = line.text.length;
        const more = columns - line.text.length;
        line.text.push(...Array(more).fill(" "));
        line.style.push(...Array(more).fill(0));
      }
    };
    fit(this.#lines, true);
    if (this.#other !== null) fit(this.#other.lines, false);
    [this.rows, this.columns, this.#top, this.#bottom] = [rows, columns, 0, rows - 1];
    this.#to(this.y, this.x);
  }

  /** Takes what was printed, decoded. */
  write(text) {
    for (const mark of text) this.#take(mark);
  }

  #take(mark) {
    const code = mark.codePointAt(0);
    if (this.#state === "string") return this.#skip(code);
    // CAN and SUB break off, ESC begins anew, the others do what they do amid a sequence too
    if (code === 0x18 || code === 0x1a) return this.#begin("ground");
    if (code === 0x1b) return this.#begin("escape");
    if (code < 0x20) return this.#control(code);
    if (this.#state === "ground") return this.#print(mark, code);
    if (this.#state === "escape") return this.#escape(mark, code);
    if (code >= 0x20 && code < 0x40) {
      if (this.#collected.length <= MOST_PARAMETERS) this.#collected += mark;
      return undefined;
    }
    const collected = this.#collected;
    this.#begin("ground");
    if (code < 0x7f && collected.length <= MOST_PARAMETERS) this.#sequence(collected, mark);
    return undefined;
  }

  #begin(state) {
    this.#state = state;
    this.#collected = "";
    this.#skipped = 0;
  }

  /** Titles, clipboards, links, pictures: left out, until they end, or have gone on for too long to be one. */
  #skip(code) {
    this.#skipped += 1;
    if (code === 0x1b) this.#begin("escape");
    else if (code === 0x07 || code === 0x18 || code === 0x1a || this.#skipped > MOST_STRING) this.#begin("ground");
  }

  #control(code) {
    if (code === 8) this.#to(this.y, this.x - 1);
    else if (code === 9 && !this.#atEnd) this.#to(this.y, this.x + TAB - (this.x % TAB));
    else if (code >= 10 && code <= 12) this.#feed();
    else if (code === 13) this.#to(this.y, 0);
  }

  #escape(mark, code) {
    if (code >= 0x20 && code < 0x30) {
      if (this.#collected.length < MOST_PARAMETERS) this.#collected += mark;
      return;
    }
    const collected = this.#collected;
    if (collected === "" && mark === "[") return void this.#begin("sequence");
    if (collected === "" && "]P_^X".includes(mark)) return void this.#begin("string");
    this.#begin("ground");
    if (collected === "(") this.#boxes = mark === "0";
    if (collected !== "") return;
    if (mark === "7") this.#save();
    else if (mark === "8") this.#restore();
    else if (mark === "D") this.#feed();
    else if (mark === "E") this.write("\r\n");
    else if (mark === "M") this.#back();
    else if (mark === "c") this.#reset();
  }

  #print(mark, code) {
    if (code > 0x7f && MARK.test(mark)) return this.#mark(mark);
    const letter = shown(mark, code, this.#boxes);
    if (letter === "") return undefined;
    const width = widthOf(letter, code);
    if (this.#atEnd || this.x + width > this.columns) {
      if (this.#wrap) {
        this.#to(this.y, 0);
        this.#feed(false);
      } else if (width === 2) return undefined;
      else this.#to(this.y, this.columns - 1);
    }
    const line = this.#lines[this.y];
    if (this.#insert) this.#shift(line, this.x, width);
    this.#set(line, this.x, letter);
    if (width === 2) this.#set(line, this.x + 1, "");
    this.#last = letter;
    this.#atEnd = this.x + width >= this.columns;
    this.x = Math.min(this.x + width, this.columns - 1);
    return undefined;
  }

  /** One cell; the half of a wide letter that is left over is none. */
  #set({ text, style }, at, mark) {
    if (text[at] === "" && mark !== "") text[at - 1] = " ";
    if (text[at + 1] === "") text[at + 1] = " ";
    [text[at], style[at]] = [mark, this.#style];
  }

  /** A mark goes to the letter before it. */
  #mark(mark) {
    const { text } = this.#lines[this.y];
    let at = this.#atEnd ? this.x : this.x - 1;
    if (at > 0 && text[at] === "") at -= 1;
    if (at >= 0 && [...text[at]].length < MOST_MARKS) text[at] += mark;
  }

  #to(y, x) {
    this.y = Math.max(0, Math.min(y, this.rows - 1));
    this.x = Math.max(0, Math.min(x, this.columns - 1));
    this.#atEnd = false;
  }

  #keep(line) {
    this.#past.push(line);
    // seldom, and many at once
    if (this.#past.length >= 2 * MOST_PAST) this.#past.splice(0, MOST_PAST);
  }

  /** A line further; `ended` says that a program ended this one, and not the edge. */
  #feed(ended = true) {
    if (ended && !this.alone) {
      this.#finished.push({ text: this.#lines[this.y].text.slice() });
      if (this.#finished.length >= 2 * MOST_FINISHED) this.#finished.splice(0, MOST_FINISHED);
    }
    if (this.y === this.#bottom) this.#up(this.#top, 1, true);
    else this.#to(this.y + 1, this.x);
    this.#atEnd = false;
  }

  #back() {
    if (this.y === this.#top) this.#down(this.#top, 1);
    else this.#to(this.y - 1, this.x);
  }

  #empty() {
    return blank(this.columns, this.#style & BEHIND);
  }

  /** Lines from `from` to the bottom of the margins go up, those that leave from the very top are past. */
  #up(from, count, kept = false) {
    for (let n = 0; n < Math.min(count, this.#bottom - from + 1); n += 1) {
      const [gone] = this.#lines.splice(from, 1);
      if (kept && from === 0 && !this.alone) this.#keep(gone);
      this.#lines.splice(this.#bottom, 0, this.#empty());
    }
  }

  #down(from, count) {
    for (let n = 0; n < Math.min(count, this.#bottom - from + 1); n += 1) {
      this.#lines.splice(this.#bottom, 1);
      this.#lines.splice(from, 0, this.#empty());
    }
  }

  /** Where what is erased begins: behind a row that is full. */
  get #from() {
    return this.#atEnd ? this.columns : this.x;
  }

  #erase(y, from, to) {
    const line = this.#lines[y];
    const style = this.#style & BEHIND;
    if (line.text[from] === "") line.text[from - 1] = " ";
    if (line.text[to] === "") line.text[to] = " ";
    line.text.fill(" ", from, to);
    line.style.fill(style, from, to);
  }

  /** Room for so many at a place, or, below zero, so many less. */
  #shift({ text, style }, at, by) {
    const count = Math.min(Math.abs(by), this.columns - at);
    const ground = this.#style & BEHIND;
    if (text[at] === "") text[at - 1] = text[at] = " ";
    if (by > 0) {
      text.splice(at, 0, ...Array(count).fill(" "));
      style.splice(at, 0, ...Array(count).fill(ground));
      text.length = style.length = this.columns;
    } else {
      text.splice(at, count);
      style.splice(at, count);
      text.push(...Array(count).fill(" "));
      style.push(...Array(count).fill(ground));
      if (text[at] === "") text[at] = " ";
    }
  }

  #save() {
    this.#saved = { x: this.x, y: this.y, style: this.#style, boxes: this.#boxes };
  }

  #restore() {
    const { x, y, style, boxes } = this.#saved ?? { x: 0, y: 0, style: 0, boxes: false };
    this.#to(y, x);
    [this.#style, this.#boxes] = [style, boxes];
  }

  /** To a program's own screen and back. */
  #swap(alone) {
    if (alone === this.alone) return;
    if (alone) {
      this.#other = { lines: this.#lines, saved: this.#saved };
      this.#lines = Array.from({ length: this.rows }, () => blank(this.columns));
      this.#saved = null;
    } else {
      [this.#lines, this.#saved] = [this.#other.lines, this.#other.saved];
      this.#other = null;
    }
    this.alone = alone;
    [this.#top, this.#bottom] = [0, this.rows - 1];
    this.#to(this.y, this.x);
  }

  #reset() {
    this.#swap(false);
    [this.#style, this.#top, this.#bottom, this.#saved] = [0, 0, this.rows - 1, null];
    [this.#wrap, this.#insert, this.#boxes] = [true, false, false];
    [this.cursor, this.applicationKeys, this.bracketedPaste] = [true, false, false];
    for (let y = 0; y < this.rows; y += 1) this.#erase(y, 0, this.columns);
    this.#to(0, 0);
  }

  #sequence(collected, final) {
    // what is private to others than `?`, or asks anything, is not heard
    if (collected === "!" && final === "p") return void this.#soft();
    if (collected[0] === "?") {
      if (final === "h" || final === "l") for (const mode of collected.slice(1).split(";")) this.#mode(mode, final === "h");
      return;
    }
    if (!/^[0-9;:]*$/.test(collected)) return;
    if (final === "m") return void (this.#style = styled(this.#style, collected));
    const numbers = collected.split(";").map((one) => Math.min(Number.parseInt(one, 10) || 0, 9_999));
    const first = numbers[0];
    const count = Math.max(1, first);
    if (final === "h" || final === "l") return void (numbers.includes(4) && (this.#insert = final === "h"));
    if (this.#moved(final, count, numbers)) return;
    const line = this.#lines[this.y];
    const inside = this.y >= this.#top && this.y <= this.#bottom;
    if (final === "J") this.#eraseScreen(first);
    else if (final === "K") this.#erase(this.y, first === 0 ? this.#from : 0, first === 1 ? this.x + 1 : this.columns);
    else if (final === "X") this.#erase(this.y, this.x, Math.min(this.x + count, this.columns));
    else if (final === "@") this.#shift(line, this.x, count);
    else if (final === "P") this.#shift(line, this.x, -count);
    else if ((final === "L" || final === "M") && inside) {
      if (final === "L") this.#down(this.y, count);
      else this.#up(this.y, count);
      this.#to(this.y, 0);
    }
    else if (final === "S") this.#up(this.#top, count, true);
    else if (final === "T") this.#down(this.#top, count);
    else if (final === "r") this.#margins(first, numbers[1] ?? 0);
    else if (final === "s") this.#save();
    else if (final === "u") this.#restore();
    else if (final === "b" && this.#last !== "") this.write(this.#last.repeat(Math.min(count, this.columns)));
  }

  /** Whether it is a move of the cursor, which is then where it leads. */
  #moved(final, count, numbers) {
    const { x, y } = this;
    const [top, bottom] = [y >= this.#top ? this.#top : 0, y <= this.#bottom ? this.#bottom : this.rows - 1];
    const moves = {
      A: () => [Math.max(y - count, top), x],
      B: () => [Math.min(y + count, bottom), x],
      C: () => [y, x + count],
      D: () => [y, x - count],
      E: () => [Math.min(y + count, bottom), 0],
      F: () => [Math.max(y - count, top), 0],
      G: () => [y, count - 1],
      H: () => [count - 1, Math.max(1, numbers[1] ?? 1) - 1],
      I: () => [y, (Math.floor(x / TAB) + count) * TAB],
      Z: () => [y, (Math.ceil(x / TAB) - count) * TAB],
      d: () => [count - 1, x],
      e: () => [y + count, x],
    };
    const same = { a: "C", f: "H", "\u0060": "G" };
    const move = moves[same[final] ?? final];
    if (move !== undefined) this.#to(...move());
    return move !== undefined;
  }

  #eraseScreen(what) {
    if (what === 3) return;
    for (let y = 0; y < this.rows; y += 1) {
      if (y === this.y && what < 2) this.#erase(y, what === 0 ? this.#from : 0, what === 1 ? this.x + 1 : this.columns);
      else if (what === 2 || (what === 0 && y > this.y) || (what === 1 && y < this.y)) this.#erase(y, 0, this.columns);
    }
  }

  #margins(first, second) {
    const [top, bottom] = [Math.max(1, first) - 1, Math.min(second || this.rows, this.rows) - 1];
    if (top >= bottom) return;
    [this.#top, this.#bottom] = [top, bottom];
    this.#to(0, 0);
  }

  #soft() {
    [this.#style, this.#top, this.#bottom, this.#saved] = [0, 0, this.rows - 1, null];
    [this.#wrap, this.#insert, this.#boxes, this.cursor, this.applicationKeys] = [true, false, false, true, false];
  }

  #mode(mode, on) {
    if (mode === "1") this.applicationKeys = on;
    else if (mode === "7") this.#wrap = on;
    else if (mode === "25") this.cursor = on;
    else if (mode === "2004") this.bracketedPaste = on;
    else if (mode === "47" || mode === "1047") this.#swap(on);
    else if (mode === "1049") {
      if (on) this.#save();
      this.#swap(on);
      if (!on) this.#restore();
    }
  }
}
