import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { describe, expect, test } from "vitest";
import { createTurn, createTurnTable } from "../../src/fuse/turn.js";

const timed = (work: () => unknown) => {
  const begin = performance.now();
  return [work(), performance.now() - begin] as const;
};

describe("the turn to list directories", () => {
  test("is one worker's until it is asked for something else", () => {
    const table = createTurnTable();
    const [one, other] = [createTurn(table, 1), createTurn(table, 2)];
    expect([one(false), one(true), one(true)]).toEqual([false, true, true]);
    expect(one(false)).toBe(false);
    expect([other(true), other(true)]).toEqual([true, true]);
    expect(other(false)).toBe(false);
  });

  test("another that answered a piece holds back, for no longer than nothing comes of the one whose turn it is", () => {
    const table = createTurnTable();
    const [one, other] = [createTurn(table, 1), createTurn(table, 2)];
    one(true);
    const [mine, waited] = timed(() => other(true));
    expect(mine).toBe(false);
    expect(waited).toBeGreaterThan(15);
    expect(waited).toBeLessThan(5000);
    // What it answers besides changes nothing, and does not make it wait.
    const [still, soon] = timed(() => other(false));
    expect(still).toBe(false);
    expect(soon).toBeLessThan(15);
    expect(one(true)).toBe(true);
  });

  test("who holds back is woken when the one whose turn it was does something else", async () => {
    const table = createTurnTable();
    const one = createTurn(table, 1);
    one(true);
    // Goes on listing for some 100 ms, then does something else.
    const script = `
      const { parentPort, workerData: { table } } = require("node:worker_threads");
      parentPort.postMessage("lists");
      for (let piece = 0; piece < 50; piece += 1) {
        Atomics.add(table, 1, 1);
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2);
      }
      Atomics.store(table, 0, 0);
      Atomics.notify(table, 0);
    `;
    const worker = new Worker(script, { eval: true, workerData: { table } });
    await once(worker, "message");
    const [mine, waited] = timed(() => createTurn(table, 2)(true));
    await once(worker, "exit");
    expect(mine).toBe(false);
    expect(waited).toBeGreaterThan(60);
    expect(table[0]).toBe(0);
  });
});
