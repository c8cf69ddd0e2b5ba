// Compressed loop images from cloop.h of the cloop module 4, byte by byte. Knows nothing of the driver.
import { spawnSync } from "node:child_process";
import { deflateSync } from "node:zlib";
import { noise, text } from "./content.js";

export type CloopBlock = "zlib" | "plain" | "xz" | "empty";

export interface CloopShape {
  readonly blocks: readonly CloopBlock[];
  readonly blockSize?: number;
  readonly version?: string;
  readonly header?: "start" | "end";
  readonly script?: string;
}

export interface BuiltCloop {
  readonly image: Buffer;
  readonly disk: Buffer;
  readonly tablePosition: number;
}

const methods = { zlib: 0n, plain: 1n, xz: 2n, empty: 0n } as const;
export const UZIP = "(kldstat -qm g_uzip||kldload geom_uzip)>&-&&mount_cd9660 /dev/`mdconfig -af $0`.uzip $1\nexit $?\n";

export function buildCloop({ blocks, blockSize = 4096, version = "V2.0", header = "start", script }: CloopShape): BuiltCloop {
  const disk = blocks.map((kind, index) =>
    kind === "empty" ? Buffer.alloc(blockSize) : kind === "plain" ? noise(index, blockSize) : text(index, blockSize),
  );
  const stored = blocks.map((kind, index) => packed(kind, disk[index]!));
  const head = Buffer.alloc(136);
  head.write(`#!/bin/sh\n#${version} Format\n${script ?? "modprobe cloop file=$0 && mount -r -t iso9660 /dev/cloop $1\n"}`, 0, 128);
  head.writeUInt32BE(blockSize, 128);
  head.writeUInt32BE(blocks.length, 132);
  const table = Buffer.alloc((blocks.length + 1) * 8);
  let position = header === "start" ? head.length + table.length : 0;
  for (let index = 0; index <= blocks.length; index += 1) {
    const method = version === "V4.0" ? methods[blocks[index] ?? "zlib"] : 0n;
    table.writeBigUInt64BE((method << 60n) | BigInt(position), index * 8);
    position += stored[index]?.length ?? 0;
  }
  const parts = header === "start" ? [head, table, ...stored] : [...stored, table, head];
  const data = stored.reduce((sum, { length }) => sum + length, 0);
  return { image: Buffer.concat(parts), disk: Buffer.concat(disk), tablePosition: header === "start" ? head.length : data };
}

function packed(kind: CloopBlock, content: Buffer): Buffer {
  if (kind === "zlib") return deflateSync(content);
  if (kind === "xz") return spawnSync("xz", ["-c", "--check=crc32"], { input: content }).stdout;
  return kind === "plain" ? content : Buffer.alloc(0);
}
