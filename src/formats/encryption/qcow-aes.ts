// The encryption of qcow and early qcow2. Reference: crypto/block-qcow.c in the QEMU sources; docs/interop/qcow2.rst, field crypt_method.
import { ImageError } from "../../util/errors.js";
import { BLOCK_LIMIT, type DiskMap, type Encryption } from "./blocks.js";
import { passwordHint } from "./passwords.js";
import { cbc, SECTOR, type SectorCipher } from "./sector-ciphers.js";
import { plainVectors } from "./sector-numbers.js";

const KEY_SIZE = 16;
/** How much of an image is looked at to tell passwords apart. */
const sampling = { blocks: 16, sectorsPerBlock: 16, steps: 1000 } as const;
/** Different bytes in a sector: of random ones 221 ± 5, of anything that has some order far fewer. */
const NOISE = 190;

interface SampleSector {
  readonly stored: Uint8Array;
  readonly sector: number;
}

/**
 * Nothing in such an image tells whether a password is the right one: each gives a disk, and all but one of them noise. So of several passwords the
 * one is taken that makes the most sense of the disk, the first if none does. Throws `KEY_NEEDED` without a password. `file` is for messages; the header's field is at
 * `position`.
 */
export function qcowAes(passwords: readonly string[], file: string, position: number): Encryption {
  if (passwords.length === 0) {
    throw new ImageError("KEY_NEEDED", "the image is encrypted with AES (the legacy qcow encryption), and no password was given", {
      file,
      position,
      hint: passwordHint,
    });
  }
  const candidates = [...new Set(passwords.map(keyOf))].map((key) => cbc(Buffer.from(key, "hex"), plainVectors(64)));
  let chosen = candidates[0]!;
  let collected: SampleSector[] | undefined;

  function samplesOf(map: DiskMap, size: number): readonly SampleSector[] {
    const samples: SampleSector[] = [];
    collected = samples;
    try {
      visitBlocks(map, size, () => samples.length);
    } finally {
      collected = undefined;
    }
    return samples;
  }

  return {
    name: "AES (legacy), aes-128-cbc-plain64",
    sectors: "disk",
    cipher(stored, target, sector) {
      if (collected) collectSectors(stored, sector, collected);
      else chosen(stored, target, sector);
    },
    choose(map, size) {
      if (candidates.length === 1) return;
      const samples = samplesOf(map, size);
      chosen = candidates.toSorted((one, other) => senseOf(other, samples) - senseOf(one, samples))[0]!;
    },
    notes(map, size) {
      const notes = ["Nothing in it tells whether the password is the right one: with a wrong one it reads as noise."];
      const samples = samplesOf(map, size);
      if (samples.length > 0 && senseOf(chosen, samples) === 0) {
        notes.push("What was looked at does read as noise: the password may be wrong, or it is content that looks like noise.");
      }
      return notes;
    },
  };
}

/** The first 16 bytes count, shorter ones are filled up with zeros. In hexadecimal. */
function keyOf(password: string): string {
  const key = Buffer.alloc(KEY_SIZE);
  Buffer.from(password, "utf8").copy(key);
  return key.toString("hex");
}

/** Reads the first encrypted blocks of the disk; what cannot be read is passed over. */
function visitBlocks(map: DiskMap, size: number, collected: () => number): void {
  const most = sampling.blocks * sampling.sectorsPerBlock;
  for (let offset = 0, step = 0; offset < size && step < sampling.steps && collected() < most; step += 1) {
    const extent = map(offset, size - offset);
    // Larger ones are compressed clusters, which are not encrypted.
    if (extent.kind === "packed" && extent.block.size <= BLOCK_LIMIT) {
      try {
        extent.block.unpack(new Uint8Array(extent.block.size));
      } catch (error) {
        if (!(error instanceof ImageError)) throw error;
      }
    }
    offset += extent.length;
  }
}

/** Adds sectors spread over the block. Ciphertext is noise: what is not, was never written, and says nothing. */
function collectSectors(stored: Uint8Array, sector: number, samples: SampleSector[]): void {
  const sectors = Math.floor(stored.length / SECTOR);
  const step = Math.max(1, Math.floor(sectors / sampling.sectorsPerBlock));
  for (let index = 0; index < sectors; index += step) {
    const content = Uint8Array.from(stored.subarray(index * SECTOR, (index + 1) * SECTOR));
    if (isNoise(content)) samples.push({ stored: content, sector: sector + index });
  }
}

/** How many sectors are more than noise once decrypted. */
function senseOf(cipher: SectorCipher, samples: readonly SampleSector[]): number {
  const plain = new Uint8Array(SECTOR);
  return samples.filter(({ stored, sector }) => {
    cipher(stored.slice(), plain, sector);
    return !isNoise(plain);
  }).length;
}

function isNoise(content: Uint8Array): boolean {
  return new Set(content).size >= NOISE;
}
