import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { describe, expect, test } from "vitest";
import { createTurn, createTurnTable } from "../../src/fuse/turn.js";

/** Milliseconds. */
const timed = (work: () => void) => {
  const begin = performance.now();
  work();
  return performance.now() - begin;
};

describe("the turn to list directories", () => {
  test("is one worker's until it is asked for something else", () => {
    const table = createTurnTable();
    const [one, other] = [createTurn(table, 1), createTurn(table, 2)];
    const afterwards = (turn: (listing: boolean) => void, listing: boolean) => {
      turn(listing);
      return table[0];
    };
    expect([afterwards(one, false), afterwards(one, true), afterwards(one, true)]).toEqual([0, 1, 1]);
    expect(afterwards(one, false)).toBe(0);
    expect([afterwards(other, true), afterwards(other, true)]).toEqual([2, 2]);
    expect(afterwards(other, false)).toBe(0);
  });

  test("another that answered a piece holds back, for no longer than nothing comes of the one whose turn it is", () => {
    const table = createTurnTable();
    const [one, other] = [createTurn(table, 1), createTurn(table, 2)];
    one(true);
    const waited = timed(() => other(true));
    expect(table[0]).toBe(1);
    expect(waited).toBeGreaterThan(15);
    expect(waited).toBeLessThan(5000);
    // What it answers besides changes nothing, and does not make it wait.
    expect(timed(() => other(false))).toBeLessThan(15);
    expect(table[0]).toBe(1);
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
    const waited = timed(() => createTurn(table, 2)(true));
    await once(worker, "exit");
    expect(waited).toBeGreaterThan(60);
    expect(table[0]).toBe(0);
  });
});
