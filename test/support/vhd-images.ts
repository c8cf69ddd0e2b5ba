// What the tests of VHD share: images in memory, opened without any other file, and changed by hand.
import { expect } from "vitest";
import type { Layer, Opener, ParentWish } from "../../src/formats/driver.js";
import { raw } from "../../src/formats/raw/index.js";
import { vhd } from "../../src/formats/vhd/index.js";
import { memorySource } from "../../src/source/memory.js";
import { randomNumbers, shuffled } from "./content.js";
import { readRange } from "./reading.js";
import { signed, type VhdBlock } from "./vhd-builder.js";

export const nothingElse: Opener = {
  part: () => expect.fail("no part was expected to be opened"),
  parent: () => expect.fail("no parent was expected to be opened"),
  degraded: false,
};

export function openBytes(image: Uint8Array, opener = nothingElse): Layer {
  return vhd.open(memorySource("test.vhd", image), opener, {});
}

/** What the image wishes for; it gets an empty parent. */
export function wishOf(image: Uint8Array): { readonly wish: ParentWish; readonly layer: Layer } {
  const wishes: ParentWish[] = [];
  const layer = openBytes(image, {
    ...nothingElse,
    parent(wish) {
      wishes.push(wish);
      return raw.open(memorySource("base", Buffer.alloc(0)), nothingElse, {});
    },
  });
  const [wish] = wishes;
  return { wish: wish ?? expect.fail("no parent was wished for"), layer };
}

export function probe(image: Buffer): boolean {
  return vhd.probe({ head: image.subarray(0, 65536), tail: image.subarray(-512), size: image.length });
}

export const whole = (layer: Layer) => readRange(layer, 0, layer.size);
export const notesOf = (layer: Layer) => layer.facts().notes.join("\n");

/** Bytes of a big-endian number. */
export const u32 = (value: number) => [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
export const u64 = (value: number | bigint) => [...u32(Number(BigInt(value) >> 32n)), ...u32(Number(BigInt(value) & 0xffffffffn))];

/** A copy with other bytes at `at`, and no checksum put right. */
export function changed(image: Buffer, at: number, bytes: readonly number[]): Buffer {
  const copy = Buffer.from(image);
  copy.set(bytes, at);
  return copy;
}

/** A copy whose footer, and its copy at the beginning if there is one, have other bytes at `at`, with the checksums that belong to them. */
export function withFooter(image: Buffer, at: number, bytes: readonly number[]): Buffer {
  const copy = Buffer.from(image);
  for (const start of [0, copy.length - 512]) {
    const footer = copy.subarray(start, start + 512);
    if (footer.toString("latin1", 0, 8) !== "conectix") continue;
    footer.set(bytes, at);
    signed(footer, 64);
  }
  return copy;
}

/** The same for the dynamic disk header at `start`. */
export function withHeader(image: Buffer, at: number, bytes: readonly number[], start = 512): Buffer {
  const copy = changed(image, start + at, bytes);
  signed(copy.subarray(start, start + 1024), 36);
  return copy;
}

/** Blocks in any order, some of them absent; the same ones on every run. */
export function disorder(count: number, seed: number): VhdBlock[] {
  const slots = shuffled(
    Array.from({ length: count }, (_, index) => index),
    randomNumbers(seed),
  );
  return slots.map((slot, index) => (index % 5 === 3 ? "free" : slot));
}

/** Sectors marked as if by chance, and the same ones on every run. */
export const speckled = (block: number, sector: number) => (block * 31 + sector * 7 + ((sector * sector) >> 3)) % 5 < 2;
/** In runs of eight. */
export const striped = (block: number, sector: number) => ((sector >> 3) + block) % 3 === 1;
