// From a password to the cipher of a LUKS image. Reference: LUKS1 On-Disk Format Specification, section 4.3 (master key recovery).
import { pbkdf2Sync } from "node:crypto";
import { readBytes, readStruct, type Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import { quote } from "../../util/text.js";
import type { KeyMemory } from "../driver.js";
import { AES_BLOCK } from "./aes.js";
import { mergeStripes } from "./antiforensic.js";
import { type HashName, hashNamed, hashNames, sizeOfHash } from "./hashes.js";
import { type CipherChoice, chooseCipher } from "./luks-cipher.js";
import { header, KEY_SLOTS, KEY_SLOTS_AT, keySlot, limits, MAGIC, slotStates, VERSION } from "./luks-layout.js";
import { passwordHint } from "./passwords.js";
import { SECTOR, type SectorCipher } from "./sector-ciphers.js";

/** Where the LUKS header and its key material are in the file. Bytes. */
export interface LuksArea {
  readonly offset: number;
  readonly length: number;
}

export interface UnlockedLuks {
  readonly cipher: SectorCipher;
  /** For people: cipher, mode and hash. */
  readonly name: string;
}

interface LuksHeader {
  readonly keyBytes: number;
  readonly hash: HashName;
  readonly choice: CipherChoice;
  readonly keyDigest: Uint8Array;
  readonly keyDigestSalt: Uint8Array;
  readonly keyDigestIterations: number;
}

type KeySlot = ReturnType<typeof keySlot.decode>;

/**
 * Tries each password on each key slot. Throws `KEY_NEEDED` if none fits, `UNSUPPORTED` for ciphers and hashes that are not read here, and what is
 * wrong with the slots if that is why none fits. `keys`: where the key is remembered. `roundsLimit` as `limits.rounds`.
 */
export function unlockLuks(
  source: Source,
  area: LuksArea,
  passwords: readonly string[],
  keys?: KeyMemory,
  roundsLimit: number = limits.rounds,
): UnlockedLuks {
  const luks = readHeader(source, area);
  const name = `LUKS, ${luks.choice.name}, ${luks.hash}`;
  const keyName = `luks ${Buffer.concat([luks.keyDigest, luks.keyDigestSalt]).toString("hex")}`;
  const known = keys?.get(keyName);
  if (known) return { cipher: luks.choice.create(known), name };
  const slots = Array.from({ length: KEY_SLOTS }, (_, index) => {
    const position = area.offset + KEY_SLOTS_AT + index * keySlot.size;
    return { index, position, slot: readStruct(source, position, keySlot) };
  }).filter(({ slot }) => slot.active !== slotStates.disabled);
  const locked = (message: string, hint?: string) =>
    new ImageError("KEY_NEEDED", message, { file: source.name, position: area.offset, hint });
  if (slots.length === 0) throw locked("the image is encrypted with LUKS, and all its key slots are erased: no password opens it");
  if (passwords.length === 0) throw locked("the image is encrypted with LUKS, and no password was given", passwordHint);

  const work = createWork(roundsLimit);
  const problems: ImageError[] = [];
  for (const { index, position, slot } of slots) {
    try {
      checkSlot(slot, luks, area);
      const stored = readMaterial(source, area, slot, luks.keyBytes);
      for (const password of passwords) {
        const key = tryPassword(password, slot, luks, stored, work);
        if (!key) continue;
        keys?.put(keyName, key);
        return { cipher: luks.choice.create(key), name };
      }
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
      problems.push(
        new ImageError(error.code, `key slot ${index} of the LUKS header: ${error.message}`, { file: source.name, position, cause: error }),
      );
    }
  }
  const [problem] = problems;
  if (problem && problems.length === slots.length) throw problem;
  const rest = problem ? `; ${problem.message}` : "";
  throw locked(`the image is encrypted with LUKS, and no password that was given fits${rest}`, passwordHint);
}

function readHeader(source: Source, area: LuksArea): LuksHeader {
  const { offset, length } = area;
  const fail = (code: "CORRUPT" | "UNSUPPORTED", at: number, message: string) =>
    new ImageError(code, message, { file: source.name, position: offset + at });
  if (length < header.size) throw fail("CORRUPT", 0, `the LUKS header has ${length} bytes; it takes ${header.size} at least`);
  const raw = readStruct(source, offset, header);
  if (!MAGIC.equals(raw.magic)) throw fail("CORRUPT", 0, "there is no LUKS header where the image says it is");
  if (raw.version !== VERSION) throw fail("UNSUPPORTED", 6, `the LUKS version is ${raw.version}; version ${VERSION} is read here`);
  const hash = hashNamed(raw.hashSpec);
  if (!hash) throw fail("UNSUPPORTED", 72, `the LUKS hash is ${quote(raw.hashSpec)}; ${hashNames.join(", ")} are read here`);
  const choice = chooseCipher(raw.cipherName, raw.cipherMode, raw.keyBytes);
  if (typeof choice === "string") throw fail("UNSUPPORTED", 8, `the image is encrypted with LUKS, and ${choice}`);
  if (raw.keyDigestIterations === 0) throw fail("CORRUPT", 164, "the master key of the LUKS header has no digest: it takes 0 iterations");
  return { ...raw, hash, choice };
}

function checkSlot({ active, iterations, stripes, materialOffset }: KeySlot, { keyBytes }: LuksHeader, { length }: LuksArea): void {
  const corrupt = (message: string) => new ImageError("CORRUPT", message);
  if (active !== slotStates.enabled) throw corrupt("it is neither enabled nor disabled");
  if (iterations === 0) throw corrupt("it takes 0 iterations");
  if (stripes < 1 || stripes > limits.stripes) throw corrupt(`its key is split into ${stripes} stripes; ${limits.stripes} are the limit`);
  if (materialOffset * SECTOR + stripes * keyBytes > length)
    throw corrupt(`its key material, ${stripes * keyBytes} bytes at ${materialOffset * SECTOR}, leaves the header of ${length} bytes`);
}

/** The split key of a slot, still encrypted, in whole blocks of AES. */
function readMaterial(source: Source, { offset }: LuksArea, { materialOffset, stripes }: KeySlot, keyBytes: number): Buffer {
  return readBytes(source, offset + materialOffset * SECTOR, Math.ceil((stripes * keyBytes) / AES_BLOCK) * AES_BLOCK);
}

/** Counts rounds of PBKDF2, and throws before they become too many. */
function createWork(limit: number): (rounds: number) => void {
  let done = 0;
  return (rounds) => {
    if (done + rounds > limit) {
      throw new ImageError("UNSUPPORTED", `trying it takes ${rounds} rounds of PBKDF2; all tries together may take ${limit}`);
    }
    done += rounds;
  };
}

/** The master key, if the password opens the slot. */
function tryPassword(
  password: string,
  { salt, iterations, stripes }: KeySlot,
  { hash, keyBytes, choice, keyDigest, keyDigestSalt, keyDigestIterations }: LuksHeader,
  stored: Buffer,
  work: ReturnType<typeof createWork>,
): Buffer | undefined {
  const rounds = (each: number, bytes: number) => each * Math.ceil(bytes / sizeOfHash(hash));
  work(rounds(iterations, keyBytes) + rounds(keyDigestIterations, keyDigest.length));
  const slotKey = pbkdf2Sync(Buffer.from(password, "utf8"), salt, iterations, keyBytes, hash);
  const material = Buffer.alloc(stored.length);
  choice.create(slotKey)(Buffer.from(stored), material, 0);
  const key = mergeStripes(material, keyBytes, stripes, hash);
  const digest = pbkdf2Sync(key, keyDigestSalt, keyDigestIterations, keyDigest.length, hash);
  return digest.equals(keyDigest) ? key : undefined;
}
