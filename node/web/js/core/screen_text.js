// What stands on a terminal's screen: letters, how wide they are, and how they look. Eight colours at most, and none hides what is written.

// how a cell looks: the hue of its letter, 0 for none; what is behind it, 0 for nothing, 1 for plain, then the hues; and these
const [BOLD, UNDER, BACK] = [64, 128, 256];
const HUE = 7;
export const BEHIND = 56;

const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{1f300}-\u{1f64f}\u{1f900}-\u{1f9ff}\u{20000}-\u{3fffd}]/u;
/** What is written over the letter before it. */
export const MARK = /\p{M}/u;
const FORMAT = /\p{Cf}/u;
const NO_TEXT = /\p{C}|[\u2028\u2029]/u;
/** Lines of boxes, as programs ask for them that know no others. */
const BOXES = Object.fromEntries([..."\u0060afgjklmnopqrstuvwxyz{|}~"].map((letter, at) => [letter, [..."◆▒°±┘┐┌└┼⎺⎻─⎼⎽├┤┴┬│≤≥π≠£·"][at]]));

/** What is shown of what was printed, at most as much as one letter: nothing of what only says how to show others. */
export function shown(letter, code, boxes) {
  if (code < 0x7f) return boxes ? (BOXES[letter] ?? letter) : letter;
  if (FORMAT.test(letter)) return "";
  return NO_TEXT.test(letter) ? "\ufffd" : letter;
}

export const widthOf = (letter, code) => (code >= 0x1100 && WIDE.test(letter) ? 2 : 1);

/** The hue of one of eight colours: none for black and white, which are the page's own. */
const hueOf = (colour) => (colour % 8 === 7 ? 0 : colour % 8);

/** The nearest hue of red, green and blue. */
function nearest(red, green, blue) {
  const [most, least] = [Math.max(red, green, blue), Math.min(red, green, blue)];
  if (most - least < 48) return 0;
  const middle = (most + least) / 2;
  return (red > middle ? 1 : 0) + (green > middle ? 2 : 0) + (blue > middle ? 4 : 0);
}

/** Of 256 colours: 16, a cube of six by six by six, and greys. */
function ofPalette(number) {
  if (number < 16) return hueOf(number);
  if (number > 231) return 0;
  const level = (part) => [0, 95, 135, 175, 215, 255][part % 6];
  return nearest(level(Math.floor((number - 16) / 36)), level(Math.floor((number - 16) / 6)), level(number - 16));
}

/** A colour of more than eight, and how many parameters it took. */
function extended([kind, ...rest]) {
  if (kind === 5) return [ofPalette(rest[0] ?? 0), 2];
  if (kind === 2) return [nearest(rest[0] ?? 0, rest[1] ?? 0, rest[2] ?? 0), 4];
  return [0, 1];
}

/** The style after the parameters of one sequence. */
export function styled(style, parameters) {
  const all = parameters.split(";");
  const numbers = all.map((one) => Number.parseInt(one, 10) || 0);
  for (let at = 0; at < all.length; at += 1) {
    const number = numbers[at];
    const base = number - (number % 10);
    if (number === 0) style = 0;
    else if (number === 1) style |= BOLD;
    else if (number === 22) style &= ~BOLD;
    else if (number === 4) style = all[at] === "4:0" ? style & ~UNDER : style | UNDER;
    else if (number === 24) style &= ~UNDER;
    else if (number === 7) style |= BACK;
    else if (number === 27) style &= ~BACK;
    else if (number === 38 || number === 48) {
      const inner = all[at].split(":").slice(1).map(Number);
      // with colons a third of four or more says in which space
      if (inner[0] === 2 && inner.length > 4) inner.splice(1, 1);
      const [hue, taken] = extended(inner.length > 0 ? inner : numbers.slice(at + 1));
      if (inner.length === 0) at += taken;
      style = number === 38 ? (style & ~HUE) | hue : (style & ~BEHIND) | ((hue + 1) << 3);
    } else if (number === 39) style &= ~HUE;
    else if (number === 49) style &= ~BEHIND;
    else if ((base === 30 || base === 90) && number % 10 < 8) style = (style & ~HUE) | hueOf(number % 10);
    else if ((base === 40 || base === 100) && number % 10 < 8) {
      // black is what the page has behind all
      style = (style & ~BEHIND) | (number === 40 ? 0 : (hueOf(number % 10) + 1) << 3);
    }
  }
  return style;
}

/** Hue, and whether letter and ground change places. A colour behind is shown as that, so that every text can be read. */
export function look(style) {
  const behind = (style & BEHIND) >> 3;
  const back = (style & BACK) !== 0 !== behind > 0;
  return { hue: behind > 1 ? behind - 1 : style & HUE, back, bold: (style & BOLD) !== 0, under: (style & UNDER) !== 0 };
}

/** A row with nothing on it. */
export const blank = (columns, style = 0) => ({ text: Array(columns).fill(" "), style: Array(columns).fill(style) });

/** A row as runs of one style each, without the blanks at its end; `cursor` is a column that is a run of its own. */
export function runs({ text, style }, cursor = -1) {
  let end = text.length;
  while (end > 0 && end - 1 > cursor && text[end - 1] === " " && style[end - 1] === 0) end -= 1;
  const found = [];
  for (let at = 0; at < end; at += 1) {
    const last = found.at(-1);
    const alone = at === cursor;
    if (last !== undefined && last.style === style[at] && !last.cursor && !alone) last.text += text[at];
    else found.push({ style: style[at], text: text[at] || " ", cursor: alone });
  }
  return found;
}

export const textOf = ({ text }) => text.join("").trimEnd();
