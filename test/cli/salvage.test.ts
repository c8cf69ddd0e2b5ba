import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { salvageCommand } from "../../src/cli/commands/salvage.js";
import { builtDisks } from "../support/built.js";
import { noise } from "../support/content.js";
import { buildQcow2 } from "../support/qcow2-builder.js";
import { type Cluster } from "../support/qcow2-entries.js";
import { schemaProblems } from "../support/schema.js";
import { fakeIo, run } from "./fake-io.js";

const CLUSTER = 4096;
const { write } = builtDisks();

afterEach(() => {
  process.exitCode = 0;
});

async function salvaged(image: string, ...options: readonly string[]): Promise<{ readonly text: string; readonly status: number }> {
  const io = fakeIo();
  process.exitCode = 0;
  await run(salvageCommand(io), [image, ...options], io);
  return { text: io.text(), status: process.exitCode };
}

/** One cluster that leads nowhere, and two that share a place. */
function damaged(): string {
  const clusters = new Map([1, 2, 5].map((number): [number, Cluster] => [number, { kind: "data", content: noise(number, CLUSTER) }]));
  const built = buildQcow2({ size: 10 * CLUSTER, clusters });
  const table = built.l2.get(0) ?? 0;
  built.bytes.writeBigUInt64BE(1n << 40n, table + 8);
  built.bytes.writeBigUInt64BE(BigInt(built.data.get(5) ?? 0) | (1n << 63n), table + 16);
  return write({ "disk.qcow2": built.bytes });
}

test("a whole image", async () => {
  const image = write({ "disk.qcow2": { size: 10 * CLUSTER, clusters: new Map() } });
  expect(await salvaged(image)).toEqual({ text: "disk.qcow2: nothing is affected\n", status: 0 });
  const { text, status } = await salvaged(image, "--json");
  expect(JSON.parse(text)).toEqual({
    image,
    result: "clean",
    findings: [],
    disks: [{ file: "disk.qcow2", size: 10 * CLUSTER, unreadable: 0, doubtful: 0, partitions: [], files: [] }],
  });
  expect(status).toBe(0);
});

test("ranges for people", async () => {
  const { text, status } = await salvaged(damaged());
  const lines = text.trimEnd().split("\n");
  expect(lines.slice(0, 3)).toEqual([
    "disk.qcow2: of 40 KiB, 4 KiB cannot be read, 8 KiB are doubtful",
    "Ranges:",
    "  OFFSET  LENGTH  STATE       REASON",
  ]);
  expect(lines[3]).toMatch(/^ {4}4096 {4}4096 {2}unreadable {2}.*behind the end of the file/);
  expect(lines[4]).toMatch(/^ {4}8192 {4}4096 {2}doubtful {4}its cluster at 0x[0-9a-f]+ is used by something else, too$/);
  expect(lines[5]).toMatch(/^ {3}20480 {4}4096 {2}doubtful /);
  expect(lines).toHaveLength(6);
  expect(status).toBe(1);
});

test("JSON has the shape of check's, and fits the schema", async () => {
  const { text, status } = await salvaged(damaged(), "--json");
  const result = JSON.parse(text) as {
    readonly result: string;
    readonly findings: readonly { readonly kind: string; readonly range: unknown }[];
  };
  expect(schemaProblems(result, "salvage.schema.json")).toEqual([]);
  expect(result.result).toBe("damaged");
  expect(result.findings.map(({ kind, range }) => [kind, range])).toEqual([
    ["damaged range", { start: 4096, length: 4096 }],
    ["doubtful range", { start: 8192, length: 4096 }],
    ["doubtful range", { start: 20480, length: 4096 }],
  ]);
  expect(status).toBe(1);
});

test("a mapfile of GNU ddrescue; what is there already stays as it is", async () => {
  const image = damaged();
  const map = join(image, "..", "lost.map");
  await salvaged(image, "--map", map);
  const blocks = readFileSync(map, "utf8")
    .split("\n")
    .filter((line) => /^0x\S+ +0x/.test(line));
  expect(blocks.map((line) => line.split(/ +/))).toEqual([
    ["0x00000000", "0x00001000", "+"],
    ["0x00001000", "0x00001000", "-"],
    ["0x00002000", "0x00001000", "?"],
    ["0x00003000", "0x00002000", "+"],
    ["0x00005000", "0x00001000", "?"],
    ["0x00006000", "0x00004000", "+"],
  ]);
  writeFileSync(map, "mine");
  await expect(salvaged(image, "--map", map)).rejects.toThrow(/lost\.map" cannot be written: it exists already/);
  await expect(salvaged(image, "--map", image)).rejects.toThrow(/exists already/);
  expect(readFileSync(map, "utf8")).toBe("mine");
  await expect(salvaged(image, "--map", join(image, "x"))).rejects.toThrow(/cannot be written/);
  expect(existsSync(image)).toBe(true);
});
