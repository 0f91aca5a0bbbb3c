// What pages with keys share: one form at work at a time, and what is said when something does not go.

import { Refused } from "../core/codec.js";
import { able } from "./able.js";
import { Declined, EXHAUSTED, UNAUTHENTICATED, Unreachable } from "./call.js";

export const $ = (id) => document.getElementById(id);

/** Something for which a page has words, under this name. */
export class Told extends Error {
  constructor(name) {
    super(name);
    this.name = name;
  }
}

/** Says the words that the page has under this name, and what a node said, which is English. */
export function say(name, more = "") {
  const said = $("said");
  said.textContent = document.querySelector(`[data-say="${name}"]`)?.textContent ?? name;
  if (more !== "") {
    const english = document.createElement("span");
    english.lang = "en";
    english.textContent = ` ${more}`;
    said.append(english);
  }
  said.hidden = false;
}

/** Of all that can be used up, what comes back by waiting. */
const SOON = ["", "RATE_LIMITED", "TOO_MANY_UNLOCKS"];

/** Says what went wrong, as a person can use it. */
export function failed(error) {
  if (error instanceof Told) return say(error.name);
  if (error instanceof Refused) return say("not_held");
  if (error instanceof Unreachable) return say("offline");
  if (error instanceof Declined) {
    if (error.code === UNAUTHENTICATED) return say("session");
    if (error.code === EXHAUSTED && SOON.includes(error.reason)) return say("wait");
    if (error.reason === "STEP_UP_REQUIRED") return say("fresh");
    return say("refused", error.message);
  }
  return say("cannot");
}

/** What work answers that goes on to another page: the buttons stay off, so that nothing is sent twice. */
export const LEAVING = Symbol("leaving");

/**
 * Does the work of a page once, with its buttons off meanwhile; whatever goes wrong is said. What needs keys does not begin where
 * the browser lacks what they need.
 */
export async function busy(work, { keys = true } = {}) {
  const buttons = [...document.querySelectorAll("main button")].filter((button) => !button.disabled);
  for (const button of buttons) button.disabled = true;
  document.querySelector("main").setAttribute("aria-busy", "true");
  say("working");
  try {
    if (keys && !(await able())) throw new Told("cannot");
    if ((await work()) === LEAVING) return;
  } catch (error) {
    failed(error);
  }
  for (const button of buttons) button.disabled = false;
  document.querySelector("main").removeAttribute("aria-busy");
}

/** Says at once that a browser lacks what keys need: before anybody types a passphrase, or writes one down. */
export async function warn() {
  if (!(await able())) say("cannot");
}

/** The passphrase of the form, which forgets it. */
export function typed() {
  const field = $("passphrase");
  const passphrase = field.value;
  field.value = "";
  return passphrase;
}
