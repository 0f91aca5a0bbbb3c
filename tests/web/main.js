// The pages' cryptography, run by Node: `main.js vectors FOLDER` opens the vectors, `main.js open`, `main.js seal` and
// `main.js rotate` read JSON from standard input and answer in JSON, `main.js calls` plays a node to the pages' modules,
// `main.js lines` a cell and `main.js screens` programs to the terminal's. Byte strings are hexadecimal, integers of eight bytes
// text. proto/crypto/tests/browser_implementation.rs runs all of them, and chromium.js, which has the vectors in Chromium.

import { readFile } from "node:fs/promises";
import { text as textOf } from "node:stream/consumers";

import { argon2id } from "../../node/web/js/core/argon2.js";
import { ENGLISH } from "../../node/web/js/core/english.js";
import { stretchWith } from "../../node/web/js/core/stretch.js";
import { calls } from "./calls.js";
import { openAll, sealAll } from "./exchange.js";
import { golden } from "./golden.js";
import { lines } from "./lines.js";
import { published } from "./published.js";
import { rotated } from "./rotate.js";
import { rotating } from "./rotating.js";
import { screens } from "./screens.js";

stretchWith(argon2id);

async function vectors(folder) {
  const read = async (name) => JSON.parse(await readFile(`${folder}/${name}`, "utf8"));
  return { golden: await golden(read), published: await published(read, argon2id), words: ENGLISH };
}

const [, , what, folder] = process.argv;
const given = async () => JSON.parse(await textOf(process.stdin));
const work = {
  vectors: () => vectors(folder),
  open: async () => openAll(await given()),
  seal: async () => sealAll(await given()),
  rotate: async () => rotated(await given()),
  calls,
  rotating,
  lines,
  screens,
};
process.stdout.write(JSON.stringify(await work[what]()));
