// A terminal in one's own container: a command there, at the other end of a sealed channel. What is typed goes through a line of text,
// so that every keyboard, telephone and reader of screens can write as it does elsewhere, and its keys as those of a terminal.

import { beginChannel, terminalOf } from "../core/channel.js";
import { utf8 } from "../core/codec.js";
import { ends } from "./cell_ends.js";
import { later } from "./later.js";
import { Line, UNHEARD } from "./line.js";
import { $, busy, failed, say, warn } from "./shown.js";
import { bracketed, controlOf, difference, filledIn, keyOf, MOST_PASTED, pasted, shownPaste } from "./terminal_keys.js";

const [SAID_DONE, SAID_REFUSED, SAID_LIMIT, SAID_LOCKED] = [0, 1, 2, 3];
/** What was typed is compared with what was sent, so a line that grows for ever begins anew. */
const LONGEST_LINE = 500;
const FIT_MS = 150;

const form = $("open");
const keys = $("keys");
let [line, view] = [null, null];
/** What of the line is sent. */
let sent = "";
/** Whether the next letter is one with Ctrl. */
let armed = false;
let waiting = "";

const send = async (text) => {
  if (line === null || text === "") return;
  view.typed();
  // what is typed while the connection is lost is kept, as far as there is room
  const taken = await line.write(utf8(text)).catch(() => true);
  if (!taken && line !== null) say("full");
};

function arm(on) {
  armed = on;
  $("ctrl").setAttribute("aria-pressed", String(on));
}

function anew() {
  keys.value = "";
  sent = "";
}

/** Whether what is typed is hidden. It stays a field of text: one for passwords on this page would be filled in with the vault's. */
const veiled = () => keys.classList.contains("veiled");

/** Sends what of the line is not sent yet. */
function flush() {
  const now = keys.value;
  const control = armed && now.startsWith(sent) ? controlOf(now.slice(sent.length)) : null;
  if (control !== null) {
    arm(false);
    anew();
    return send(control);
  }
  const text = difference(sent, now);
  sent = now;
  if (now.length > LONGEST_LINE) anew();
  return send(text);
}

keys.addEventListener("input", (event) => {
  // what nobody typed would go unseen
  if (veiled() && filledIn(event)) keys.value = sent;
  // what is still put together is sent when it is whole
  else if (!event.isComposing) flush();
});
keys.addEventListener("compositionend", flush);
// whoever leaves the line comes back to an empty one, through which Tab leads on
keys.addEventListener("blur", anew);

$("line").addEventListener("submit", (event) => {
  event.preventDefault();
  flush();
  anew();
  send("\r");
  keys.focus();
});

/** Whether something is marked that Ctrl and C would copy. */
const marked = () => keys.selectionStart !== keys.selectionEnd || String(getSelection()) !== "";

keys.addEventListener("keydown", (event) => {
  if (event.isComposing || event.getModifierState("AltGraph")) return;
  const plain = !event.ctrlKey && !event.altKey && !event.metaKey && !event.shiftKey;
  let text = null;
  if (event.key === "Tab") {
    // in an empty line it leads on, as on every page
    if (plain && keys.value !== "") text = "\t";
  } else if (event.key === "Backspace") {
    if (plain && keys.value === "") text = "\x7f";
  } else if (!(event.ctrlKey && event.key.toLowerCase() === "c" && marked())) {
    text = keyOf(event, view?.screen.applicationKeys === true);
  }
  if (text === null) return;
  event.preventDefault();
  flush();
  if (text !== "\t" && text !== "\x7f") anew();
  send(text);
});

// ---- pasting

function showWaiting() {
  $("pasted-text").textContent = shownPaste(waiting, veiled());
}

/** Pastes what has line ends: marked as such for a program that asks for it, else after a question, since a shell runs each line. */
function paste(text) {
  if (text.length > MOST_PASTED) return say("long");
  const typed = pasted(text);
  if (view.screen.bracketedPaste) return void send(bracketed(typed));
  waiting = typed;
  showWaiting();
  $("pasted").hidden = false;
  $("pasted-text").focus();
  return undefined;
}

keys.addEventListener("paste", (event) => {
  const text = event.clipboardData?.getData("text/plain") ?? "";
  // a line goes into the line, where it can be seen and mended
  if (line === null || (text.length <= LONGEST_LINE && !/\p{Cc}/u.test(text))) return;
  event.preventDefault();
  flush();
  anew();
  paste(text);
});

function asked(wanted) {
  const text = waiting;
  waiting = "";
  $("pasted").hidden = true;
  showWaiting();
  keys.focus();
  if (wanted) send(text);
}
$("pasted-yes").addEventListener("click", () => asked(true));
$("pasted-no").addEventListener("click", () => asked(false));

// ---- keys that a telephone has not

$("ctrl").addEventListener("click", () => {
  arm(!armed);
  keys.focus();
});
for (const button of document.querySelectorAll("[data-key]")) {
  button.addEventListener("click", () => {
    const { key } = button.dataset;
    const control = { Tab: "\t", Backspace: "\x7f", c: "\x03", d: "\x04" }[key];
    keys.focus();
    flush();
    if (key !== "Tab") anew();
    send(control ?? keyOf({ key, ctrlKey: false }, view?.screen.applicationKeys === true));
  });
}
$("hide").addEventListener("click", () => {
  $("hide").setAttribute("aria-pressed", String(keys.classList.toggle("veiled")));
  showWaiting();
  keys.focus();
});
$("screen").addEventListener("click", () => {
  if (line !== null && String(getSelection()) === "") keys.focus();
});
$("end").addEventListener("click", () => line?.close());

// ---- the channel

function fit() {
  if (line === null || !view.fit()) return;
  const { rows, columns } = view.screen;
  line.size(rows, columns).catch(() => undefined);
}
let fitting = 0;
const resized = () => {
  clearTimeout(fitting);
  fitting = setTimeout(fit, FIT_MS);
};
addEventListener("resize", resized);
globalThis.visualViewport?.addEventListener("resize", resized);

/** What the cell says, as it comes; its exit code is told when it is over. */
function hearing(done) {
  const decoders = [new TextDecoder(), new TextDecoder()];
  const told = { exit: null };
  const said = async ({ lane, data, exit }) => {
    if (exit !== undefined) told.exit = exit;
    if (data !== undefined) await view.write(decoders[lane].decode(data, { stream: true }));
  };
  const opened = () => {
    $("said").hidden = true;
    $("terminal").hidden = false;
    $("typing").hidden = false;
    form.hidden = true;
    view.fit();
    line.size(view.screen.rows, view.screen.columns).catch(() => undefined);
    done();
  };
  const mended = () => {
    $("said").hidden = true;
  };
  return { told, opened, said, cut: () => say("cut"), mended };
}

/** It is over: why is said, what was printed stays, and another one can be opened. */
function over(reason, exit) {
  if (reason === null) say("closed");
  else if (reason === UNHEARD) say("unheard");
  else if (reason === SAID_DONE && exit !== null) say("exited", String(exit));
  else if (reason === SAID_REFUSED) say("not_started");
  else if (reason === SAID_LIMIT) say("limit");
  else if (reason === SAID_LOCKED) say("locked");
  else say("cannot");
}

function leave() {
  line = null;
  asked(false);
  arm(false);
  anew();
  $("typing").hidden = true;
  form.hidden = false;
  $("command").focus();
}

let drawing = null;

/** What draws the screen, loaded once somebody wants one. */
function loaded() {
  drawing ??= later().then(() => import("./terminal_view.js"));
  drawing.catch(() => (drawing = null));
  return drawing;
}

async function open() {
  const argv = $("command").value.split(" ").filter((word) => word !== "");
  const stream = terminalOf(argv);
  const { View } = await loaded();
  const { cell, own } = await ends(form.dataset);
  let begun;
  try {
    begun = await beginChannel(cell, cell.key, own, stream);
  } finally {
    own.fill(0);
  }
  view = new View();
  await new Promise((done, broken) => {
    const hears = hearing(done);
    line = new Line(form.dataset.container, begun, hears);
    line.run().then(
      (reason) => {
        leave();
        over(reason, hears.told.exit);
      },
      (error) => {
        if ($("typing").hidden) {
          line = null;
          return broken(error);
        }
        leave();
        return failed(error);
      },
    );
  });
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  await busy(open);
  // after the buttons are on again, so that the line takes the focus
  if (line !== null) keys.focus();
});
warn();
