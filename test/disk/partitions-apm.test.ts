import { describe, expect, test } from "vitest";
import { readPartitions } from "../../src/disk/partitions/read.js";
import { apm, type ApmEntry, sparseDisk } from "../support/partition-builder.js";

const MiB = 2 ** 20;
const entries: readonly ApmEntry[] = [
  { start: 1, count: 63, name: "Apple", type: "Apple_partition_map" },
  { start: 64, count: 1000, name: "Caf\xe9 disk", type: "Apple_HFS" },
  { start: 1064, count: 0, name: "", type: "Apple_Void" },
  { start: 1064, count: 10, name: "", type: "My_Own_Type" },
];

function tableOf(...args: Parameters<typeof apm>) {
  return readPartitions(sparseDisk(4 * MiB, apm(...args)));
}

describe("an Apple partition map", () => {
  test("tells its partitions in full, with the numbers of the map", () => {
    expect(tableOf(entries)).toEqual({
      scheme: "apm",
      sectorSize: 512,
      partitions: [
        { number: 1, start: 512, size: 63 * 512, type: "Apple_partition_map", typeName: "Partition map", name: "Apple" },
        { number: 2, start: 64 * 512, size: 1000 * 512, type: "Apple_HFS", typeName: "Apple HFS/HFS+", name: "Caf\xe9 disk" },
        { number: 4, start: 1064 * 512, size: 5120, type: "My_Own_Type", typeName: "Unknown type" },
      ],
      notes: [],
    });
  });

  test("with blocks of 2048 bytes", () => {
    expect(tableOf(entries, { blockSize: 2048 })).toMatchObject({
      sectorSize: 2048,
      partitions: [{ start: 2048 }, { start: 64 * 2048, size: 1000 * 2048 }, { number: 4 }],
    });
  });

  test("laid out in other blocks than the descriptor says", () => {
    expect(tableOf(entries, { blockSize: 2048, mapBlockSize: 512 })).toMatchObject({
      sectorSize: 512,
      partitions: [{}, { start: 64 * 512 }, {}],
    });
    expect(tableOf(entries, { blockSize: 0, mapBlockSize: 2048 })).toMatchObject({
      sectorSize: 2048,
      partitions: [{}, { start: 64 * 2048 }, {}],
    });
  });

  test("ends where an entry is not one", () => {
    const table = tableOf(entries, { declared: 9 });
    expect(table?.partitions).toHaveLength(3);
    expect(table?.notes).toEqual(["the partition map declares 9 entries, and entry 5 at byte 2560 is not one"]);
  });

  test("is bounded", () => {
    const many = Array.from({ length: 300 }, (_, index) => ({ start: 400 + index, count: 1, name: "", type: "Apple_HFS" }));
    const table = tableOf(many, { declared: 0xffffffff });
    expect(table?.partitions).toHaveLength(256);
    expect(table?.notes).toEqual(["the partition map declares 4294967295 entries; only the first 256 are listed"]);
  });

  test("with partitions that leave the disk", () => {
    const table = tableOf([
      { start: 8190, count: 4, name: "", type: "Apple_HFS" },
      { start: 8192, count: 4, name: "", type: "Apple_HFS" },
    ]);
    expect(table?.partitions.map(({ number }) => number)).toEqual([1]);
    expect(table?.notes).toHaveLength(2);
  });

  test("needs a map behind its descriptor", () => {
    expect(readPartitions(sparseDisk(MiB, apm(entries).slice(0, 1)))).toBeUndefined();
    expect(readPartitions(sparseDisk(600, apm(entries)))).toBeUndefined();
  });
});
