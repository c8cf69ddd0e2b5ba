// Packed disks with damage: EWF, Apple's disk images, gzip and xz.
import { execFileSync } from "node:child_process";
import { gzipSync } from "node:zlib";
import { mixed, text } from "../../support/content.js";
import { buildDmg } from "../../support/dmg-builder.js";
import { buildEwf } from "../../support/ewf-builder.js";
import { cut, damaged, samplesOf } from "../sample.js";

const CHUNK = 32_768;

export function ewfSamples() {
  const disk = Buffer.concat(Array.from({ length: 32 }, (_, chunk) => (chunk % 2 ? mixed(chunk, CHUNK) : text(chunk, CHUNK))));
  const { segments, tables } = buildEwf({ disk, packed: (chunk) => chunk % 2 === 0 });
  const image = segments[0] ?? Buffer.alloc(0);
  const { samples, known, lost } = samplesOf("ewf", "disk.E01", disk);
  const first = tables[0]?.header ?? 0;
  const second = tables[1]?.header ?? 0;
  const entryAt = (chunk: number, table = first) => table + 24 + 4 * chunk;
  const start = (chunk: number) => image.readUInt32LE(entryAt(chunk)) & 0x7fffffff;
  const chunkRange = (chunk: number) => [[chunk * CHUNK, (chunk + 1) * CHUNK]] as const;
  const change = (position: number, value: number) => damaged(image, (copy) => copy.writeUInt32LE(value, position));
  known("nothing damaged", image);
  known(
    "a packed chunk with a flipped bit",
    damaged(image, (copy) => copy.writeUInt8(copy.readUInt8(start(4) + 900) ^ 4, start(4) + 900)),
    chunkRange(4),
  );
  known(
    "a plain chunk with a flipped bit (its Adler-32 does not fit)",
    damaged(image, (copy) => copy.writeUInt8(copy.readUInt8(start(5) + 900) ^ 4, start(5) + 900)),
    chunkRange(5),
  );
  known("checksum of the first table wrong", change(first + 20, 1));
  known("checksum of the first table's entries wrong", change(entryAt(32), 1));
  known("an entry of the first table wrong, its copy whole", change(entryAt(3), 0x7fffff00));
  lost(
    "both tables destroyed",
    damaged(image, (copy) => {
      for (const at of [first, second]) copy.fill(0xaa, at, at + 24 + 132);
    }),
  );
  lost("cut at 50 %", cut(image, 0.5));
  lost(
    "a section that is its own next one",
    damaged(image, (copy) => copy.writeBigUInt64LE(13n, 13 + 16)),
  );
  lost(
    "magic destroyed",
    damaged(image, (copy) => copy.fill(0, 0, 8)),
  );
  lost("cut in its first section", image.subarray(0, 60));
  const parts = buildEwf({ disk, tableEntries: 8, tablesPerSegment: 2 }).segments;
  known("nothing damaged, two segments", parts[0] ?? image, [], { "disk.E02": parts[1] ?? image });
  known("the second of two segments missing", parts[0] ?? image, [[16 * CHUNK, disk.length]]);
  return samples;
}

export function dmgSamples() {
  const chunks = Array.from({ length: 8 }, () => ({ kind: "zlib" as const, sectors: 64 }));
  const { image, disk, chunkPositions } = buildDmg({ tables: [{ chunks: [...chunks, { kind: "raw", sectors: 64 }] }] });
  const { samples, known, lost } = samplesOf("dmg", "disk.dmg", disk);
  const foot = image.length - 512;
  const at = chunkPositions[3] ?? 0;
  const bad = [[3 * CHUNK, 4 * CHUNK]] as const;
  const wide = (position: number, value: bigint) => damaged(image, (copy) => copy.writeBigUInt64BE(value, foot + position));
  known("nothing damaged", image);
  known(
    "a chunk that is no zlib stream",
    damaged(image, (copy) => copy.fill(0xff, at, at + 16)),
    bad,
  );
  known(
    "a chunk whose Adler-32 does not fit",
    damaged(image, (copy) => copy.writeUInt8(copy.readUInt8((chunkPositions[4] ?? 0) - 1) ^ 1, (chunkPositions[4] ?? 0) - 1)),
    bad,
  );
  lost("footer lost", image.subarray(0, foot));
  lost("cut at 50 %", cut(image, 0.5));
  lost("property list behind the end", wide(216, 2n ** 40n));
  lost("property list of 2^62 bytes", wide(224, 2n ** 62n));
  lost(
    "property list destroyed",
    damaged(image, (copy) => copy.fill(0x20, Number(copy.readBigUInt64BE(foot + 216)), foot)),
  );
  return samples;
}

export function gzSamples() {
  const disk = Buffer.concat([mixed(1, 2 ** 19), text(2, 2 ** 19)]);
  const image = gzipSync(disk);
  const { samples, known, lost } = samplesOf("gz", "disk.img.gz", disk);
  known("nothing damaged", image);
  lost(
    "CRC-32 wrong",
    damaged(image, (copy) => copy.writeUInt32LE(1, copy.length - 8)),
  );
  lost(
    "length wrong",
    damaged(image, (copy) => copy.writeUInt32LE(77, copy.length - 4)),
  );
  lost(
    "a flipped bit",
    damaged(image, (copy) => copy.writeUInt8(copy.readUInt8(300_000) ^ 4, 300_000)),
  );
  lost("cut at 50 %", cut(image, 0.5));
  lost("trailer lost", image.subarray(0, image.length - 8));
  lost(
    "magic destroyed",
    damaged(image, (copy) => copy.fill(0, 0, 2)),
  );
  return samples;
}

export function xzSamples() {
  const disk = Buffer.concat([mixed(3, 2 ** 19), text(4, 2 ** 19)]);
  let image: Buffer;
  try {
    image = execFileSync("xz", ["-c", "--block-size=262144"], { input: disk, maxBuffer: 2 ** 24 });
  } catch {
    return [];
  }
  const { samples, known, lost } = samplesOf("xz", "disk.img.xz", disk);
  known("nothing damaged", image);
  known(
    "a flipped bit in the first block",
    damaged(image, (copy) => copy.writeUInt8(copy.readUInt8(60_000) ^ 4, 60_000)),
    [[0, 262_144]],
  );
  lost(
    "index destroyed",
    damaged(image, (copy) => copy.fill(0xaa, copy.length - 28, copy.length - 12)),
  );
  lost("cut at 50 %", cut(image, 0.5));
  lost(
    "footer destroyed",
    damaged(image, (copy) => copy.fill(0, copy.length - 4)),
  );
  return samples;
}
