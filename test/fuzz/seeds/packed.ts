import { deflateRawSync, gzipSync } from "node:zlib";
import { mixed, text } from "../../support/content.js";
import { gzipMember } from "../../support/gzip-builder.js";
import { zstdStored } from "../../support/packing.js";
import { type Input, inputOf } from "../input.js";
import { filtered } from "./programs.js";

const content = mixed(3, 2000);
const words = text(4, 1500);
const inputs = (images: readonly Buffer[]) => images.map((image) => inputOf({ "a.packed": image }));
const each = (program: string, ...lists: readonly (readonly string[])[]) =>
  lists.flatMap((args) => filtered(program, ["-c", ...args], content));
const twice = (images: readonly Buffer[]) => images.slice(0, 1).map((image) => Buffer.concat([image, image, Buffer.alloc(8)]));

export function gzip(): readonly Input[] {
  const member = gzipMember({ content, extra: Buffer.from("ab\x02\0cd"), name: "name", comment: "comment", headerCrc: true });
  return inputs([
    gzipSync(content),
    gzipSync(words, { level: 0 }),
    member,
    Buffer.concat([member, gzipSync(words), Buffer.alloc(20)]),
    gzipMember({ content: words, body: deflateRawSync(words, { strategy: 4 }) }),
    // Long enough for restart points inside.
    gzipSync(Buffer.concat([text(5, 90_000), Buffer.alloc(3 * 2 ** 20), text(6, 30_000)]), { level: 1 }),
  ]);
}

export function xz(): readonly Input[] {
  const lists = [
    ["--check=crc32"],
    ["--check=sha256", "--block-size=600"],
    ["--x86", "--lzma2"],
    ["--delta=dist=4", "--lzma2=dict=4KiB"],
    ["--check=none", "-T2", "--block-size=700"],
  ];
  const all = each("xz", ...lists);
  return inputs([...all, ...twice(all)]);
}

export function zstd(): readonly Input[] {
  const all = each("zstd", [], ["--no-check"], [`--stream-size=${content.length}`], ["-19", "--no-content-size"]);
  const skipped = Buffer.concat([Buffer.from([0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]), ...all.slice(0, 1)]);
  const [frame = Buffer.alloc(0)] = all.slice(2);
  const table = Buffer.alloc(8 + 8 + 9);
  table.writeUInt32LE(0x184d2a5e, 0);
  table.writeUInt32LE(17, 4);
  table.writeUInt32LE(frame.length, 8);
  table.writeUInt32LE(content.length, 12);
  table.writeUInt32LE(1, 16);
  table.writeUInt32LE(0x8f92eab1, 21);
  // Larger than what is decoded at once.
  const large = filtered("zstd", ["-c"], Buffer.alloc(35 * 2 ** 20));
  return inputs([
    ...all,
    ...twice(all),
    ...large,
    skipped,
    Buffer.concat([frame, table]),
    zstdStored(content),
    zstdStored(words, { declareSize: false }),
  ]);
}

export function bzip2(): readonly Input[] {
  const all = each("bzip2", ["-1"], ["-9"]);
  return inputs([...all, ...twice(all), ...filtered("bzip2", ["-c"], Buffer.alloc(0))]);
}

export function lz4(): readonly Input[] {
  const all = each("lz4", [], ["-B4", "-BX", "-BD"], ["-l"], ["--no-frame-crc", "--content-size"]);
  const legacy = filtered("lz4", ["-c", "-l"], words);
  // Linked blocks, with restart points inside.
  const linked = filtered("lz4", ["-c", "-B4", "-BD"], Buffer.alloc(9 * 2 ** 20, words));
  return inputs([...all, ...twice(all), ...legacy, ...linked]);
}

export function lzip(): readonly Input[] {
  const all = each("lzip", [], ["-0"]);
  return inputs([...all, ...twice(all), ...filtered("lzip", ["-c"], Buffer.alloc(0))]);
}

export function lzop(): readonly Input[] {
  const all = each("lzop", [], ["--crc32"], ["-F"], ["-9"], ["--checksum=crc32"]);
  return inputs([...all, ...twice(all)]);
}

export function lzma(): readonly Input[] {
  const all = each("xz", ["--format=lzma"], ["--format=lzma", "--lzma1=dict=4KiB,lc=0,lp=2,pb=0"]);
  const sized = all.map((image) => {
    const copy = Buffer.from(image);
    copy.writeBigUInt64LE(BigInt(content.length), 5);
    return copy;
  });
  return inputs([...all, ...sized]);
}
