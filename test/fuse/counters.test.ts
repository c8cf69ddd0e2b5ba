import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { countOpen, countRequest, createCounters, decodeCounter, type Stats, summarise } from "../../src/fuse/counters.js";
import { createPassingTable, settleFile } from "../../src/fuse/opens.js";
import { MAX_READ } from "../../src/fuse/protocol.js";
import { createServer } from "../../src/fuse/server.js";
import { statsOf, withStatsFile } from "../../src/fuse/stats-file.js";
import { memoryFile } from "../../src/tree/flat.js";
import { type DirectoryNode, directoryNode, type FlatFile, type Node, nodeAt, type Tree } from "../../src/tree/node.js";
import { ImageError } from "../../src/util/errors.js";
import { indexTree } from "../support/tree.js";
import { name, op, parseAttributes, parseListing, parseReply, readBody, request } from "./requests.js";

const content = Buffer.alloc(10_000, 7);
const damaged: FlatFile = {
  ...memoryFile("damaged", content),
  read: () => {
    throw new ImageError("CORRUPT", "the cluster is damaged");
  },
};
const file = (id: number, flat: FlatFile): Node => ({ kind: "file", id, mode: 0o440, modified: 1000, file: flat });
const root: DirectoryNode = directoryNode(1, 0o550, 1000, [
  { name: "disk.raw", node: file(2, memoryFile("disk.raw", content)) },
  { name: "info.json", node: file(3, memoryFile("info.json", content)) },
  { name: "damaged", node: file(4, damaged) },
]);

const none: Stats = {
  requests: { read: 0, lookup: 0, getattr: 0, open: 0, list: 0, readlink: 0, seek: 0, other: 0 },
  readBytes: 0,
  errors: { io: 0, missing: 0, refused: 0, unsupported: 0, other: 0 },
  cache: { hits: 0, misses: 0, decodedBytes: 0 },
  passedFiles: 0,
};
const alone = { opensAsked: false, passedFiles: 0 };

/** A server that counts, and what it has counted. */
function counting(tree: Tree = indexTree(root), passing?: ReturnType<typeof createPassingTable>) {
  const counters = createCounters(3);
  const server = createServer(tree, { owner: { uid: 1, gid: 2 }, counters: counters[1], passing });
  const reply = Buffer.alloc(MAX_READ + 16);
  const ask = (opcode: number, node: number, body?: Uint8Array) => {
    const bytes = request(opcode, node, body);
    const length = server(bytes, bytes.length, reply);
    return length === 0 ? undefined : parseReply(reply.subarray(0, length));
  };
  return { ask, counters, stats: () => statsOf(counters, passing) };
}

describe("counters", () => {
  test("every request by what it asks for, and the bytes that were read", () => {
    const { ask, stats } = counting();
    expect(stats()).toEqual(none);
    ask(op.read, 2, readBody(0, 4096));
    ask(op.read, 2, readBody(9000, 4096));
    ask(op.read, 2, readBody(20_000, 4096));
    ask(op.lookup, 1, name("disk.raw"));
    ask(op.getattr, 2);
    ask(op.readdir, 1, readBody(0, 4096));
    ask(op.readdirplus, 1, readBody(0, 4096));
    ask(op.statfs, 1);
    expect(stats()).toEqual({
      ...none,
      requests: { ...none.requests, read: 3, lookup: 1, getattr: 1, list: 2, other: 1 },
      readBytes: 5096,
    });
  });

  test("errors by their class, and nothing that wants no answer", () => {
    const { ask, stats } = counting();
    ask(op.read, 4, readBody(0, 512));
    ask(op.read, 1, readBody(0, 512));
    ask(op.lookup, 1, name("nothing"));
    ask(op.unlink, 1, name("disk.raw"));
    ask(op.open, 2, Buffer.alloc(8));
    // Of later kernels, and one that no kernel has.
    ask(200, 2);
    ask(4096, 2);
    for (const opcode of [op.forget, op.interrupt, op.batchForget]) expect(ask(opcode, 2)).toBeUndefined();
    expect(stats()).toEqual({
      ...none,
      requests: { ...none.requests, read: 2, lookup: 1, open: 1, other: 3 },
      errors: { io: 1, missing: 1, refused: 1, unsupported: 3, other: 1 },
    });
  });

  test("how files are opened, where the kernel asks, and how many it can read itself", () => {
    const table = createPassingTable([2, 3, 4], 0);
    const { ask, stats } = counting(indexTree(root), table);
    expect(stats()).toEqual({ ...none, opens: { image: 0, index: 0, server: 0 } });
    settleFile(table, 2, 17, { direct: true });
    settleFile(table, 3, 18, { direct: false });
    for (const node of [2, 2, 3, 4, 1]) ask(op.open, node, Buffer.alloc(8));
    expect(stats()).toMatchObject({ requests: { open: 5 }, opens: { image: 2, index: 1, server: 2 }, passedFiles: 2 });
  });

  test("the sum of what all threads have counted, exact up to 2^53 - 1", () => {
    const rows = createCounters(3);
    for (const [index, row] of rows.entries()) {
      for (let count = 0; count <= index; count += 1) countRequest(row, 15, 100);
      countOpen(row, "image");
      decodeCounter(row).decoded(65_536);
      decodeCounter(row).hit();
    }
    expect(summarise(rows, { opensAsked: true, passedFiles: 4 })).toEqual({
      ...none,
      requests: { ...none.requests, read: 6 },
      readBytes: 600,
      cache: { hits: 3, misses: 3, decodedBytes: 3 * 65_536 },
      opens: { image: 3, index: 0, server: 0 },
      passedFiles: 4,
    });
    const [row = rows[0]!] = createCounters(1);
    countRequest(row, 15, Number.MAX_SAFE_INTEGER - 1);
    countRequest(row, 15, 1);
    expect(summarise([row], alone).readBytes).toBe(Number.MAX_SAFE_INTEGER);
  });

  test("rows are no neighbours: two threads never write to the same 64 bytes", () => {
    const rows = createCounters(4);
    for (const [index, row] of rows.slice(1).entries()) {
      const before = rows[index]!;
      expect(row.byteOffset - (before.byteOffset + before.byteLength)).toBeGreaterThanOrEqual(64);
    }
  });
});

describe("stats.json", () => {
  const shown = (stats: Stats) => withStatsFile(indexTree(root), () => stats);
  const textOf = (tree: Tree) => {
    const node = nodeAt(tree, "stats.json");
    if (node?.kind !== "file") throw new Error("there is no stats.json");
    const target = Buffer.alloc(node.file.size, 0xee);
    node.file.read(target, 0);
    return target.toString("latin1");
  };

  test("stands beside info.json, with its mode, and every other node is as it was", () => {
    const tree = shown(none);
    const { root: top } = tree;
    if (top.kind !== "directory") throw new Error("no directory");
    expect([...top.entries()].map((entry) => entry.name)).toEqual(["disk.raw", "info.json", "stats.json", "damaged"]);
    const node = nodeAt(tree, "stats.json");
    expect(node).toMatchObject({ kind: "file", mode: 0o440 });
    expect(tree.node(node?.id ?? 0)).toBe(node);
    expect(tree.node(1)).toBe(top);
    expect(tree.node(2)).toBe(nodeAt(indexTree(root), "disk.raw"));
    expect(tree.node(99)).toBeUndefined();
    const disk = indexTree(file(1, memoryFile("disk", content)));
    expect(withStatsFile(disk, () => none)).toBe(disk);
  });

  test("is JSON of the same length whatever the numbers are, and less than a page", () => {
    const grown = (value: unknown, number: () => number): unknown =>
      typeof value === "object" && value !== null
        ? Object.fromEntries(Object.entries(value).map(([key, each]) => [key, grown(each, number)]))
        : number();
    const most: Stats = { ...none, opens: { image: 0, index: 0, server: 0 } };
    const { length } = textOf(shown(most));
    expect(length).toBeLessThanOrEqual(4096);
    fc.assert(
      fc.property(fc.infiniteStream(fc.oneof(fc.maxSafeNat(), fc.constant(Number.MAX_SAFE_INTEGER))), (numbers) => {
        const stats = grown(most, () => numbers.next().value) as Stats;
        const text = textOf(shown(stats));
        expect(JSON.parse(text)).toEqual(stats);
        expect(text).toHaveLength(length);
      }),
    );
  });

  test("any part of it, and what it is at that time", () => {
    let reads = 0;
    const tree = withStatsFile(indexTree(root), () => ({ ...none, readBytes: reads }));
    const node = nodeAt(tree, "stats.json");
    if (node?.kind !== "file") throw new Error("there is no stats.json");
    const part = Buffer.alloc(10);
    node.file.read(part, 1);
    expect(part.toString()).toBe(" ".repeat(10));
    reads = 123_456;
    expect(JSON.parse(textOf(tree))).toMatchObject({ readBytes: 123_456 });
  });

  test("the kernel is to look for it anew each time, and sees that it was modified; of others it may remember all", () => {
    const { ask } = counting(shown(none));
    const looked = (what: string) => {
      const body = ask(op.lookup, 1, name(what))?.body ?? Buffer.alloc(0);
      return { entry: Number(body.readBigUInt64LE(16)), attributes: Number(body.readBigUInt64LE(24)), ...parseAttributes(body, 40) };
    };
    expect(looked("disk.raw")).toMatchObject({ entry: 86_400, attributes: 86_400, modified: 1 });
    const times = Array.from({ length: 50 }, () => looked("stats.json"));
    for (const each of times) expect(each).toMatchObject({ entry: 0, attributes: 1 });
    // In milliseconds: fuse-native tells no more.
    expect(new Set(times.map(({ modified }) => Math.floor(modified * 1000))).size).toBe(50);
    expect(Math.abs((times[0]?.modified ?? 0) - Date.now() / 1000)).toBeLessThan(10);
    const listed = parseListing(ask(op.readdirplus, 1, readBody(0, 8192))?.body ?? Buffer.alloc(0), true);
    expect(listed.map((entry) => entry.name)).toContain("stats.json");
  });
});
