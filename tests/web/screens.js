// The screen of the terminal page, and its keys: what programs print is played to it, and it shows what a terminal would, as text.

import { equal, need, utf8 } from "../../node/web/js/core/codec.js";
import { MOST_PAST, Screen } from "../../node/web/js/core/screen.js";
import { look, runs, styled, textOf } from "../../node/web/js/core/screen_text.js";
import { bracketed, controlOf, difference, filledIn, keyOf, pasted, shownPaste } from "../../node/web/js/page/terminal_keys.js";

const ROWS = 4;
const COLUMNS = 12;

/** What stands on a screen after this was printed: at once, letter by letter, and as often as asked. */
function shows(printed, expected, cursor = null) {
  for (const parts of [[printed], [...printed]]) {
    const screen = new Screen(ROWS, COLUMNS);
    for (const part of parts) screen.write(part);
    const lines = Array.from({ length: ROWS }, (_, y) => textOf(screen.line(y)));
    if (lines.join("\n").trimEnd() !== expected.join("\n")) throw new Error(`${JSON.stringify(printed.slice(0, 80))} shows ${JSON.stringify(lines)}`);
    if (cursor !== null) need(screen.y === cursor[0] && screen.x === cursor[1]);
    for (let y = 0; y < ROWS; y += 1) need(screen.line(y).text.length === COLUMNS && screen.line(y).style.length === COLUMNS);
  }
}

function lines() {
  shows("one\r\ntwo", ["one", "two"], [1, 3]);
  shows("10%\r100%", ["100%"]);
  shows("abc\b\bX", ["aXc"]);
  shows("a\tb", ["a       b"]);
  shows("abcdefghijklmn", ["abcdefghijkl", "mn"], [1, 2]);
  // a full line is a line: it breaks with the next letter and not before
  shows("abcdefghijkl\r\nm", ["abcdefghijkl", "m"]);
  shows("\x1b[?7labcdefghijklmn", ["abcdefghijkn"]);
  shows("1\r\n2\r\n3\r\n4\r\n5", ["2", "3", "4", "5"]);
  shows("a世界b", ["a世界b"], [0, 6]);
  shows("abcdefghijk世", ["abcdefghijk", "世"]);
  shows("世\bx", [" x"]);
  shows("e\u0301x", ["e\u0301x"], [0, 2]);
  shows("\x1b(0lqk\x1b(Blqk", ["┌─┐lqk"]);
}

function moves() {
  shows("abc\x1b[2;3Hx\x1b[Ay\x1b[10D-", ["-bcy", "  x"]);
  shows("abcdef\x1b[3G\x1b[Kx", ["abx"]);
  shows("abcdef\x1b[3G\x1b[1K", ["   def"]);
  shows("ab\r\ncd\r\nef\x1b[2;1H\x1b[J", ["ab"]);
  shows("abc\x1b[2J\x1b[Hx", ["x"]);
  shows("abcdef\x1b[3G\x1b[2P", ["abef"]);
  shows("abcdef\x1b[3G\x1b[2@", ["ab  cdef"]);
  shows("abcdef\x1b[3G\x1b[2X", ["ab  ef"]);
  shows("abc\x1b[1G\x1b[4hx\x1b[4ly", ["xybc"]);
  shows("a\r\nb\r\nc\x1b[2;1H\x1b[Lx", ["a", "x", "b", "c"]);
  shows("a\r\nb\r\nc\x1b[2;1H\x1b[M", ["a", "c"]);
  shows("a\r\nb\r\nc\r\nd\x1b[2;3r\x1b[3;1H\nx", ["a", "c", "x", "d"]);
  shows("a\r\nb\x1b[H\x1bMx", ["x", "a", "b"]);
  shows("ab\x1b7\x1b[3;3Hc\x1b8d", ["abd", "", "  c"]);
  shows("x\x1b[3b", ["xxxx"]);
  // a program's own screen, and the one before
  shows("shell\x1b[?1049h\x1b[Heditor\x1b[?1049l$", ["shell$"]);
}

/** What is printed by somebody who means ill is shown as text, or not at all; and no screen answers anything. */
function hostile() {
  shows("a\x1b]0;title\x07b\x1b]52;c;aGVsbG8=\x1b\\c\x1b]8;;https://example.com\x1b\\d", ["abcd"]);
  shows("a\x1bPq#0;2;0;0;0\x1b\\b\x1b_x\x1b\\c\x1b^x\x1b\\d", ["abcd"]);
  shows("a\x1b[6n\x1b[c\x1b[>c\x1b[5n\x1b[21t\x1b[>4;2mb\x1b[?1$p", ["ab"]);
  shows("<b>&amp;\u202etxet\u200b\u2066\ufeff!", ["<b>&amp;txet", "!"]);
  shows("a\u009b31mb\x07\0\x0e\x0f", ["a\ufffd31mb"]);
  // what does not end is no sequence for ever
  shows(`\x1b]0;${"x".repeat(4_095)}abc`, ["abc"]);
  shows(`\x1b[${"1;".repeat(60)}Ha`, ["a"]);
  shows("a\x1b[99999999999999999999Cb\x1b[18446744073709551615;1Hc", ["a          b", "", "", "c"]);
  // colours hide nothing: a ground is shown as one, and letter and ground are never alike
  for (const colours of ["30;40", "31;41", "37;47", "8", "38;5;1;48;5;1", "38;2;9;9;9;48;2;9;9;9", "7;31;41"]) {
    const { hue, back } = look(styled(0, colours));
    need(hue >= 0 && hue <= 6 && typeof back === "boolean");
  }
}

function bounds() {
  const screen = new Screen(ROWS, COLUMNS);
  screen.write("y\r\n".repeat(MOST_PAST + 500));
  need(screen.takePast().length === MOST_PAST && screen.takePast().length === 0 && screen.takeFinished().length === 40);
  screen.write(`a${"\u0301".repeat(1_000)}`);
  need(textOf(screen.line(screen.y)).length < 10);
  for (const [rows, columns] of [[200, 400], [1, 20], [8, 20]]) {
    screen.resize(rows, columns);
    need(screen.y < rows && screen.x < columns);
    for (let y = 0; y < rows; y += 1) need(screen.line(y).text.length === columns && screen.line(y).style.length === columns);
    screen.write("\x1b[?1049hx\x1b[?1049l");
  }
  const shell = new Screen(3, COLUMNS);
  shell.write("1\r\n2\r\n3");
  shell.resize(2, COLUMNS);
  need(shell.takePast().map(textOf).join() === "1" && textOf(shell.line(1)) === "3" && shell.y === 1);
}

function looks() {
  const of = (parameters) => look(styled(0, parameters));
  const plain = { hue: 0, back: false, bold: false, under: false };
  const same = (one, other) => need(JSON.stringify(one) === JSON.stringify({ ...plain, ...other }));
  same(of("1;31"), { hue: 1, bold: true });
  same(of("4;92"), { hue: 2, under: true });
  same(of("7"), { back: true });
  same(of("44"), { hue: 4, back: true });
  same(of("37;40"), {});
  same(of("38;5;196"), { hue: 1 });
  same(of("38;2;0;0;255"), { hue: 4 });
  same(of("38:2::0:255:0"), { hue: 2 });
  same(of("38;5;196;1"), { hue: 1, bold: true });
  same(of("31;1;0"), {});
  same(of("31;39;1;22;4;24;7;27;41;49"), {});
  const screen = new Screen(ROWS, COLUMNS);
  screen.write("a\x1b[31mbc\x1b[md");
  const found = runs(screen.line(0), 2);
  need(found.map(({ text, cursor }) => (cursor ? `[${text}]` : text)).join("|") === "a|b|[c]|d");
  need(runs(screen.line(1)).length === 0 && runs(screen.line(1), 3).at(-1).cursor);
  // what is read aloud are lines that a program ended, and none of a program's own screen
  screen.write("\r\n\x1b[?1049hx\r\n\x1b[?1049l");
  need(screen.takeFinished().join() === "abcd");
}

function keys() {
  const key = (name, held = {}, application = false) => keyOf({ key: name, ...held }, application);
  const [ctrlKey, shiftKey, altKey, metaKey] = [true, true, true, true];
  need(key("ArrowUp") === "\x1b[A" && key("ArrowUp", {}, true) === "\x1bOA" && key("ArrowLeft", { ctrlKey }) === "\x1b[1;5D");
  need(key("Delete") === "\x1b[3~" && key("PageUp") === "\x1b[5~" && key("Home") === "\x1b[H" && key("Escape") === "\x1b");
  need(key("c", { ctrlKey }) === "\x03" && key("C", { ctrlKey }) === "\x03" && key("i", { ctrlKey }) === "\t" && key("[", { ctrlKey }) === "\x1b");
  need(key(" ", { ctrlKey }) === "\0" && key("_", { ctrlKey, shiftKey }) === "\x1f");
  // what is the browser's, or a person's own
  for (const [name, held] of [["a", {}], ["v", { ctrlKey }], ["C", { ctrlKey, shiftKey }], ["ArrowLeft", { shiftKey }], ["ArrowLeft", { altKey }]]) {
    need(key(name, held) === null);
  }
  for (const name of ["F5", "Shift", "Dead", "Process", "Unidentified", "Enter", "Tab"]) need(key(name) === null);
  need(key("c", { ctrlKey, metaKey }) === null && controlOf("1") === null && controlOf("ab") === null && controlOf("") === null);

  need(difference("", "ls") === "ls" && difference("ls", "l") === "\x7f" && difference("teh", "the") === "\x7f\x7fhe");
  need(difference("a😀", "a") === "\x7f" && difference("", "a\x1b\nb") === "ab" && difference("same", "same") === "");
  // hidden, nothing of a paste is shown, and nothing is sent that a browser fills in
  need(shownPaste("a\r\tbc\r", true) === "\u2022\n\u2022\u2022\u2022\n" && shownPaste("a\rb", false) === "a\nb" && shownPaste("", true) === "");
  need([{}, { inputType: "" }, { inputType: "insertReplacementText" }].every(filledIn));
  need(!["insertText", "insertFromPaste", "insertCompositionText", "deleteContentBackward"].some((inputType) => filledIn({ inputType })));
  // nothing that is pasted ends what says that it is pasted
  need(pasted("a\r\nb\nc\t\x1b[201~\x07\x9b") === "a\rb\rc\t[201~" && equal(utf8(bracketed("x")), utf8("\x1b[200~x\x1b[201~")));
}

export function screens() {
  const all = { lines, moves, hostile, bounds, looks, keys };
  for (const [name, play] of Object.entries(all)) {
    try {
      play();
    } catch (error) {
      throw new Error(name, { cause: error });
    }
  }
  return Object.keys(all);
}
