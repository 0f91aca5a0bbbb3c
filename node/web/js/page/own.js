// One's own public keys, as the vault had them that was open in this browser, by user: one's words are made of them.

import { hex, unhex } from "../core/codec.js";

const ownAt = (user) => `ocmt.own.${user}`;
const joined = ({ identity, sealing }) => hex(identity) + hex(sealing);

/** Keeps one's own public keys, out of one's open vault, to make one's words of: no node's word stands for them. */
export const keepOwn = (user, keys) => localStorage.setItem(ownAt(user), joined(keys));

/** Whether they are kept: signing out in this browser forgets them. */
export const keepsOwn = (user) => localStorage.getItem(ownAt(user)) !== null;

/** Those keys; null where this browser has not had the vault open. `shown` are what the node has for them. */
export function ownKeys(user, shown) {
  const own = localStorage.getItem(ownAt(user));
  if (own === null) return null;
  const keys = { identity: unhex(own.slice(0, 64)), sealing: unhex(own.slice(64)) };
  return { keys, alike: shown.every((one) => one === joined(keys)) };
}
