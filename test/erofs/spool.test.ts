import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createSpool } from "../../src/erofs/spool.js";
import { between, noise, randomNumbers } from "../support/content.js";
import { tempDirectory } from "../support/temp.js";

const MIB = 2 ** 20;

describe("a spool", () => {
  const file = join(tempDirectory(), "spooled");
  let fd: number;
  beforeEach(() => {
    fd = openSync(file, "w+");
  });
  afterEach(() => closeSync(fd));
  const written = () => readFileSync(file);

  it.each([1, 2, 3, 4, 5, 6])("writes what was put, wherever and in whatever order (seed %i)", (seed) => {
    const random = randomNumbers(seed);
    const model = Buffer.alloc(6 * MIB);
    const spool = createSpool(fd);
    let end = 0;
    let forward = 0;
    for (let step = 0; step < 400; step += 1) {
      const length = between(random, 1, between(random, 0, 9) === 0 ? MIB + 100 : 3000);
      // Mostly forward, with gaps; now and then back to what was written before.
      const back = between(random, 0, 3) === 0;
      const position = Math.min(back ? between(random, 0, forward) : forward + between(random, 0, 5000), model.length - length);
      const bytes = noise(1000 * seed + step, length);
      spool.put(bytes, position);
      model.set(bytes, position);
      end = Math.max(end, position + length);
      if (!back) forward = Math.min(position + length, 5 * MIB);
    }
    spool.flush();
    expect(written().equals(model.subarray(0, end))).toBe(true);
  });

  it("collects small things, and writes nothing before it has to", () => {
    const spool = createSpool(fd);
    for (let index = 0; index < 1000; index += 1) spool.put(Buffer.from("abcd"), 100 + index * 8);
    expect(written()).toHaveLength(0);
    spool.flush();
    expect(written()).toHaveLength(100 + 999 * 8 + 4);
  });
});
