// The published vectors (proto/crypto/tests/vectors/SOURCES.md), through the pages' own functions.

import { concat, equal, need, Refused, unhex, utf8 } from "../../node/web/js/core/codec.js";
import { deriveSecret, receiving, sending, unseal } from "../../node/web/js/core/hpke.js";
import { decrypt, encrypt, hkdf, verifyRaw, x25519, x25519Public } from "../../node/web/js/core/keys.js";

/** The value, or null where it is refused; any other error is the test's. */
export async function taken(work) {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Refused) return null;
    throw error;
  }
}

export const refuses = async (work) => need((await taken(async () => ((await work()), true))) === null);

async function each(file, run) {
  let ran = 0;
  for (const group of file.testGroups) {
    for (const test of group.tests) {
      try {
        ran += (await run(test, group)) === false ? 0 : 1;
      } catch (error) {
        throw new Error(`${file.algorithm} test ${test.tcId}`, { cause: error });
      }
    }
  }
  return ran;
}

const aesGcm = (test, { ivSize, keySize, tagSize }) => {
  if (ivSize !== 96 || keySize !== 256 || tagSize !== 128) return false;
  return (async () => {
    const [key, iv, aad, message] = [test.key, test.iv, test.aad, test.msg].map(unhex);
    const sealed = unhex(test.ct + test.tag);
    const opened = await taken(() => decrypt(key, iv, sealed, aad));
    need((opened !== null) === (test.result === "valid"));
    if (opened === null) return;
    need(equal(opened, message) && equal(await encrypt(key, iv, message, aad), sealed));
  })();
};

async function curve25519(test) {
  const shared = await taken(() => x25519(unhex(test.private), unhex(test.public)));
  if (test.flags.includes("ZeroSharedSecret")) return need(shared === null);
  need(shared !== null && equal(shared, unhex(test.shared)));
}

async function ed25519(test, group) {
  const valid = await taken(async () => {
    await verifyRaw(unhex(group.publicKey.pk), unhex(test.msg), unhex(test.sig));
    return true;
  });
  need((valid === true) === (test.result === "valid"));
}

async function derivation(test) {
  if (test.result !== "valid") return false;
  const derived = await hkdf(unhex(test.salt), unhex(test.ikm), unhex(test.info), test.size);
  need(equal(derived, unhex(test.okm)));
}

async function hpke(modes) {
  let ran = 0;
  for (const mode of modes.filter(({ mode: number, aead_id }) => aead_id === 2 && (number === 0 || number === 2))) {
    const [secret, enc, info] = [mode.skRm, mode.enc, mode.info].map(unhex);
    need(equal(await deriveSecret(unhex(mode.ikmR)), secret));
    need(equal(await x25519Public(secret), unhex(mode.pkRm)));
    const auth = mode.mode === 2;
    const from = await receiving(secret, enc, info, { sender: auth ? unhex(mode.pkSm) : null });
    const how = { sender: auth ? unhex(mode.skSm) : null, ephemeral: unhex(mode.skEm) };
    const to = await sending(unhex(mode.pkRm), info, how);
    need(equal(to.enc, enc));
    const [first] = mode.encryptions;
    const [plaintext, ciphertext, aad] = [first.pt, first.ct, first.aad].map(unhex);
    need(equal(await from.open(ciphertext, aad), plaintext) && equal(await to.seal(plaintext, aad), ciphertext));
    for (const { exporter_context: context, exported_value: value } of mode.exports) {
      need(equal(await from.export(unhex(context), 32), unhex(value)));
      need(equal(await to.export(unhex(context), 32), unhex(value)));
    }
    if (!auth) {
      const box = (alg) => concat(Uint8Array.of(alg), enc, ciphertext);
      need(equal(await unseal(secret, info, aad, box(1)), plaintext));
      for (const alg of [0, 2, 255]) await refuses(() => unseal(secret, info, aad, box(alg)));
    }
    ran += 1;
  }
  return ran;
}

async function argon2(tests, argon2id) {
  let ran = 0;
  for (const test of tests) {
    // the library takes neither associated data nor salts under eight bytes
    if (test.type !== "argon2id" || test.version !== 19 || test.tag_len !== 32 || "ad_hex" in test) continue;
    const bytes = (name) => (`${name}_hex` in test ? unhex(test[`${name}_hex`]) : utf8(test[`${name}_utf8`]));
    const cost = { memoryKib: test.m_kib, passes: test.t, lanes: test.p, salt: bytes("salt") };
    need(equal(await argon2id(bytes("password"), cost), unhex(test.tag)));
    ran += 1;
  }
  return ran;
}

/** Runs them all; `read` gives the JSON of a file of the vectors' folder. Returns how many ran of each. */
export async function published(read, argon2id) {
  return {
    aes_gcm: await each(await read("wycheproof/aes_gcm_test.json"), aesGcm),
    x25519: await each(await read("wycheproof/x25519_test.json"), curve25519),
    ed25519: await each(await read("wycheproof/ed25519_test.json"), ed25519),
    hkdf: await each(await read("wycheproof/hkdf_sha256_test.json"), derivation),
    hpke: await hpke(await read("hpke/hpke_x25519_hkdfsha256_aes256gcm.json")),
    argon2: await argon2((await read("argon2/argon2_vectors.json")).tests, argon2id),
  };
}
