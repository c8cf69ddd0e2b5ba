// What fuzzing found stays found, and every target runs a short while, always with the same mutants. The long runs are scripts/fuzz's; see docs/fuzzing.md.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { createEngine, findingOf } from "./engine.js";
import { inputOf, packInput, partsOf, readInput, unpackInput, writeInput } from "./input.js";
import { mutate } from "./mutate.js";
import { createRandom } from "./random.js";
import { targets } from "./targets.js";

const folder = new URL("regressions/", import.meta.url).pathname;

describe.each(targets.map((target) => [target.name, target] as const))("%s", (name, target) => {
  test("seeds, and mutants of them, end in data or in an error that says what is wrong", () => {
    const engine = createEngine(target, { seed: 7 });
    for (const input of target.seeds()) engine.add(input);
    const end = performance.now() + 300;
    while (engine.executions < 400 && performance.now() < end) engine.step();
    expect(engine.findings.map(({ message, stack }) => `${message}\n${stack}`)).toEqual([]);
    expect(engine.executions).toBeGreaterThan(target.seeds().length);
  });

  const cases = existsSync(folder + name) ? readdirSync(folder + name) : [];
  test.each(cases)("found before: %s", (file) => {
    const finding = findingOf(target, unpackInput(readFileSync(`${folder}${name}/${file}`)), true);
    expect(finding && `${finding.message}\n${finding.stack}`).toBeUndefined();
  });
});

test("every file below regressions belongs to a target", () => {
  const names = targets.map(({ name }) => name);
  expect((existsSync(folder) ? readdirSync(folder) : []).filter((name) => !names.includes(name))).toEqual([]);
});

describe("inputs", () => {
  const content = Buffer.alloc(5000);
  content.set([1, 2, 3], 1000);
  content.set([4], 4999);
  const input = inputOf({ "a.img": content, "b.img": Buffer.from("text") });

  test("are what they were made from, in whole and in ranges", () => {
    const [file, other] = input.files;
    for (const [position, length] of [
      [0, 5000],
      [999, 3],
      [1002, 3998],
      [4999, 1],
      [2000, 0],
    ] as const) {
      const target = Buffer.alloc(length, 0xee);
      readInput(input, file!, target, position);
      expect(target.equals(content.subarray(position, position + length))).toBe(true);
    }
    const text = Buffer.alloc(4);
    readInput(input, other!, text, 0);
    expect(text.toString()).toBe("text");
    expect(input.data.length).toBeLessThan(300);
  });

  test("are kept as they are", () => {
    expect(Buffer.concat(partsOf(unpackInput(packInput(input))))).toEqual(Buffer.concat(partsOf(input)));
  });

  test("written to, keep what is among zeros", () => {
    const copy = { ...input, data: Uint8Array.from(input.data) };
    writeInput(copy, copy.files[0]!, Buffer.alloc(3000, 9), 1001);
    const target = Buffer.alloc(5000);
    readInput(copy, copy.files[0]!, target, 0);
    expect([...target.subarray(999, 1004)]).toEqual([0, 1, 9, 9, 9]);
    expect(target[3000]).toBe(0);
  });

  test("mutants are the same for the same seed, and their pieces lie in their files", () => {
    const vocabulary = { words: [Buffer.from("word")], numbers: [77] };
    const parent = { input, hot: [0, 4], cost: 0 };
    const make = (seed: number) => mutate(parent, input, createRandom(seed), vocabulary);
    for (let seed = 0; seed < 3000; seed += 1) {
      const mutant = make(seed);
      for (const { size, pieces } of mutant.files) {
        let end = 0;
        for (const piece of pieces) {
          expect(piece.position).toBeGreaterThanOrEqual(end);
          expect(piece.at + piece.length).toBeLessThanOrEqual(mutant.data.length);
          end = piece.position + piece.length;
        }
        expect(end).toBeLessThanOrEqual(size);
      }
      if (seed % 100 === 0) expect(packInput(make(seed)).equals(packInput(mutant))).toBe(true);
    }
  });
});
