// What keys are to a program at a terminal. What a browser or a person's own aids need of them is left to those: combinations with Alt,
// with Shift and a letter, with the system's key, and pasting.

const LETTERS = { ArrowUp: "A", ArrowDown: "B", ArrowRight: "C", ArrowLeft: "D", Home: "H", End: "F" };
const NUMBERS = { Insert: 2, Delete: 3, PageUp: 5, PageDown: 6 };
const DELETE = "\x7f";
/** Longest that is pasted, in characters. */
export const MOST_PASTED = 65_536;

/** A letter with Ctrl; null if there is no such character. */
export function controlOf(letter) {
  if (letter === " ") return "\0";
  const code = letter.toUpperCase().codePointAt(0);
  return letter.length === 1 && code >= 0x40 && code <= 0x5f ? String.fromCharCode(code & 31) : null;
}

/** What a key sends that writes nothing into a line of text; null if it is not the program's. */
export function keyOf({ key, ctrlKey, altKey, metaKey, shiftKey }, application) {
  if (metaKey || altKey) return null;
  if (key in LETTERS) {
    if (shiftKey) return null;
    if (ctrlKey) return `\x1b[1;5${LETTERS[key]}`;
    return `\x1b${application ? "O" : "["}${LETTERS[key]}`;
  }
  if (key in NUMBERS) return ctrlKey || shiftKey ? null : `\x1b[${NUMBERS[key]}~`;
  if (key === "Escape") return ctrlKey || shiftKey ? null : "\x1b";
  if (!ctrlKey || key.length !== 1 || key.toLowerCase() === "v") return null;
  return shiftKey && /\p{L}/u.test(key) ? null : controlOf(key);
}

/** What makes of a line that was sent the one that stands there now: so keyboards may put in, mend and complete as they like. */
export function difference(before, after) {
  const [sent, now] = [[...before], [...after]];
  let same = 0;
  while (same < sent.length && sent[same] === now[same]) same += 1;
  return DELETE.repeat(sent.length - same) + now.slice(same).join("").replace(/\p{Cc}/gu, "");
}

/** What was copied somewhere, as if it were typed: line ends and tabs, and nothing else that is no text. */
export const pasted = (text) => text.replace(/\r\n?|\n/g, "\r").replace(/[^\P{Cc}\r\t]/gu, "");

/** A paste as it is asked about; hidden, only how long its lines are. */
export const shownPaste = (text, veiled) => (veiled ? text.replace(/[^\r]/gu, "\u2022") : text).replaceAll("\r", "\n");

/** Whether a browser or what is added to it has put it in: no key, no paste, nothing dictated. */
export const filledIn = ({ inputType }) => !inputType || inputType === "insertReplacementText";

/** The same, marked as pasted, which nothing in it can end. */
export const bracketed = (text) => `\x1b[200~${text}\x1b[201~`;
