// What becomes of calls when workers do not do what they should: with workers that are made for it.
import { Worker } from "node:worker_threads";
import { describe, expect, test } from "vitest";
import { WorkerError } from "../../src/library/errors.js";
import { createPool, type PoolOptions } from "../../src/library/pool.js";

const view = { image: "nothing", options: {}, root: "directory", mode: 0o444, cacheLimit: 0 } as const;

/** A worker that opens at once, and answers a read as `behaviour` says. */
function acting(behaviour: string): PoolOptions["start"] {
  const text = `
    const { parentPort } = require("node:worker_threads");
    parentPort.postMessage({ kind: "opened", files: [], shape: { root: 1 } });
    const answer = (number, answer) => parentPort.postMessage({ kind: "answer", number, answer });
    parentPort.on("message", ({ number, ask }) => { ${behaviour} });`;
  return () => new Worker(text, { eval: true, stderr: true });
}

const ask = { id: 1, offset: 0, length: 1 };

describe("a pool whose worker", () => {
  test.each([
    { does: "throws", behaviour: `throw new Error("a mistake")`, message: /a mistake/ },
    { does: "ends", behaviour: "process.exit(7)", message: /status 7/ },
    { does: "runs out of memory", behaviour: "const all = []; for (;;) all.push(new Array(1e5).fill(0.5));", message: /memory/ },
  ])("$does rejects every call, then and later", async ({ behaviour, message }) => {
    const base = acting(behaviour);
    const limited: PoolOptions["start"] = (task) =>
      behaviour.includes("push")
        ? new Worker(
            `require("node:worker_threads").parentPort.postMessage({ kind: "opened", files: [], shape: {} });
           require("node:worker_threads").parentPort.on("message", () => { ${behaviour} });`,
            { eval: true, resourceLimits: { maxOldGenerationSizeMb: 16 } },
          )
        : base(task);
    const pool = await createPool({ view }, { workers: 2, start: limited });
    const outcomes = await Promise.allSettled([pool.call("read", ask), pool.call("read", ask), pool.call("read", ask)]);
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({
        status: "rejected",
        reason: { name: "WorkerError", message: expect.stringMatching(message) as string },
      });
    }
    await expect(pool.call("read", ask)).rejects.toBeInstanceOf(WorkerError);
    await pool.close();
    await pool.close();
  });

  test("fails before it has opened anything rejects opening", async () => {
    const start = () => new Worker("process.exit(3)", { eval: true });
    await expect(createPool({ view }, { workers: 1, start })).rejects.toMatchObject({
      name: "WorkerError",
      message: expect.stringContaining("status 3") as string,
    });
    const broken = () => new Worker(new URL("./no-such-file.mjs", import.meta.url));
    await expect(createPool({ view }, { workers: 1, start: broken })).rejects.toBeInstanceOf(WorkerError);
  });

  test("answers an aborted call late is not taken at its word by the next", async () => {
    const pool = await createPool(
      { view },
      { workers: 1, start: acting("setTimeout(() => answer(number, new Uint8Array([ask.id])), 30)") },
    );
    const controller = new AbortController();
    const first = pool.call("read", { ...ask, id: 1 }, controller.signal);
    const second = pool.call("read", { ...ask, id: 2 });
    controller.abort();
    await expect(first).rejects.toMatchObject({ name: "AbortError" });
    expect(await second).toEqual(new Uint8Array([2]));
    expect(await pool.call("read", { ...ask, id: 3 })).toEqual(new Uint8Array([3]));
    await pool.close();
  });

  test("is busy never hears of calls that were aborted before it could begin", async () => {
    const pool = await createPool(
      { view },
      { workers: 1, start: acting("globalThis.count = (globalThis.count ?? 0) + 1; answer(number, new Uint8Array([count]))") },
    );
    const controller = new AbortController();
    const calls = Array.from({ length: 10 }, () => pool.call("read", ask, controller.signal));
    controller.abort();
    for (const outcome of await Promise.allSettled(calls)) expect(outcome.status).toBe("rejected");
    // Two were handed out at once, and this one is the third.
    expect(await pool.call("read", ask)).toEqual(new Uint8Array([3]));
    await pool.close();
  });

  test("takes its time does not get more than it can have ahead, and the rest waits in order", async () => {
    const seen: number[] = [];
    const pool = await createPool({ view }, { workers: 1, start: acting("setTimeout(() => answer(number, new Uint8Array([ask.id])), 5)") });
    await Promise.all(
      Array.from({ length: 10 }, async (_, id) => {
        const answer = await pool.call("read", { ...ask, id });
        seen.push(answer[0] ?? -1);
      }),
    );
    expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    await pool.close();
  });
});
