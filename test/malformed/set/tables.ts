// Block table formats with damage: VDI, VHD, VHDX and QED. Positions: VDICore.h of VirtualBox, "Virtual Hard Disk Image Format Specification", [MS-VHDX], docs/interop/qed_spec.rst of QEMU.
import { mixed } from "../../support/content.js";
import { buildQed } from "../../support/qed-builder.js";
import { buildVdi } from "../../support/vdi-builder.js";
import { buildVhd, ID, signed } from "../../support/vhd-builder.js";
import { buildVhdx, expectedVhdx, guids, guidBytes, MIB, seal, vhdxImage, type VhdxShape } from "../../support/vhdx-builder.js";
import { withLog } from "../../support/vhdx-log-builder.js";
import { cut, damaged, type Range, samplesOf } from "../sample.js";

/** Blocks of the disk, in bytes. */
function blocksAt(size: number, blocks: readonly number[]): Range[] {
  return blocks.map((block) => [block * size, (block + 1) * size]);
}

/** The disk where block `to` reads as block `from`. */
function same(disk: Buffer, size: number, from: number, to: number): Buffer {
  const copy = Buffer.from(disk);
  disk.copy(copy, to * size, from * size, (from + 1) * size);
  return copy;
}

export function vdiSamples() {
  const SIZE = MIB;
  const blocks = [2, 0, "free", 1] as const;
  const { image, disk, tablePosition, dataPosition } = buildVdi({ blocks, blockSize: SIZE, align: 512 });
  const { samples, known, lost } = samplesOf("vdi", "disk.vdi", disk);
  const change = (position: number, value: number) => damaged(image, (copy) => copy.writeUInt32LE(value, position));
  const gone = (length: number) =>
    blocksAt(
      SIZE,
      [0, 1, 3].filter((block) => dataPosition + ((blocks[block] as number) + 1) * SIZE > length),
    );
  known("nothing damaged", image);
  for (const share of [0.5, 0.9])
    known(`cut at ${share * 100} %`, cut(image, share), partly(gone(cut(image, share).length), cut(image, share).length));
  known("a map entry behind the end", change(tablePosition + 4, 1000), blocksAt(SIZE, [1]));
  known("two map entries for one block", change(tablePosition + 4, 2), [], undefined, same(disk, SIZE, 0, 1));
  lost("block map behind the end", change(340, 0x7ffffe00));
  lost("fewer blocks than the disk has", change(384, 2));
  lost("2^32 - 1 blocks", change(384, 0xffffffff));
  lost(
    "size of 2^62",
    damaged(image, (copy) => copy.writeBigUInt64LE(2n ** 62n, 368)),
  );
  lost("block size 0", change(376, 0));
  lost("block size that is no power of two", change(376, 1000));
  lost("data before the block map", change(344, 0));
  lost("version 99.0", change(68, 99 << 16));
  lost("magic destroyed", change(64, 0));
  lost("cut in its block map", image.subarray(0, tablePosition + 6));
  known("a difference without its parent", change(76, 4), blocksAt(SIZE, [2]));
  return samples;

  /** Of a block that the end cuts, its beginning is known. */
  function partly(ranges: Range[], length: number): Range[] {
    return ranges.map(([from, to]) => {
      const start = dataPosition + (blocks[from / SIZE] as number) * SIZE;
      return [Math.min(to, from + Math.max(0, length - start)), to];
    });
  }
}

export function vhdSamples() {
  const SIZE = 65_536;
  const blocks = [2, 0, "free", 1, 3, "free", 4, 5] as const;
  const { image, disk, headerPosition, tablePosition, slot, bitmapSize } = buildVhd({ blocks, blockSize: SIZE });
  const { samples, known, lost } = samplesOf("vhd", "disk.vhd", disk);
  const entry = (block: number) => tablePosition + 4 * block;
  const change = (position: number, value: number) => damaged(image, (copy) => copy.writeUInt32BE(value, position));
  /** A change of the header, with a right checksum. */
  const header = (position: number, value: number | bigint) =>
    damaged(image, (copy) => {
      const own = copy.subarray(headerPosition, headerPosition + 1024);
      if (typeof value === "bigint") own.writeBigUInt64BE(value, position);
      else own.writeUInt32BE(value, position);
      signed(own, 36);
    });
  const footers = (edit: (footer: Buffer) => void) =>
    damaged(image, (copy) => {
      for (const at of [0, copy.length - 512]) {
        edit(copy.subarray(at, at + 512));
        signed(copy.subarray(at, at + 512), 64);
      }
    });
  known("nothing damaged", image);
  for (const share of [0.5, 0.9]) {
    const rest = cut(image, share);
    const gone = blocks.flatMap((own, block): Range[] => {
      if (own === "free") return [];
      const data = slot(own) + bitmapSize;
      const left = Math.max(0, Math.min(SIZE, rest.length - data));
      return left === SIZE ? [] : [[block * SIZE + left, (block + 1) * SIZE]];
    });
    known(`cut at ${share * 100} %`, rest, gone);
  }
  known("footer lost", image.subarray(0, image.length - 512));
  known(
    "footer destroyed",
    damaged(image, (copy) => copy.fill(0, copy.length - 512)),
  );
  known(
    "copy of the footer destroyed",
    damaged(image, (copy) => copy.fill(0, 0, 512)),
  );
  known(
    "checksum of the footer wrong",
    damaged(image, (copy) => copy.writeUInt32BE(1, copy.length - 448)),
  );
  known("checksum of the header wrong", change(headerPosition + 36, 1));
  lost(
    "both footers destroyed",
    damaged(image, (copy) => {
      copy.fill(0, copy.length - 512);
      copy.fill(0, 0, 512);
    }),
  );
  lost(
    "header destroyed",
    damaged(image, (copy) => copy.fill(0, headerPosition, headerPosition + 1024)),
  );
  known("a table entry behind the end", change(entry(1), 0x7fffff00), blocksAt(SIZE, [1]));
  known("two table entries for one block", change(entry(1), image.readUInt32BE(entry(0))), [], undefined, same(disk, SIZE, 0, 1));
  lost("table behind the end", header(16, 2n ** 40n));
  lost(
    "header behind the end",
    footers((footer) => footer.writeBigUInt64BE(2n ** 40n, 16)),
  );
  lost("fewer table entries than blocks", header(28, 2));
  known("2^32 - 1 table entries", header(28, 0xffffffff));
  lost("block size 0", header(32, 0));
  lost("block size that is no power of two", header(32, 1000));
  lost(
    "size of 2^62",
    footers((footer) => {
      footer.writeBigUInt64BE(2n ** 62n, 40);
      footer.writeBigUInt64BE(2n ** 62n, 48);
    }),
  );
  lost(
    "disk type 99",
    footers((footer) => footer.writeUInt32BE(99, 60)),
  );
  const base = buildVhd({ blocks: [0, 1, 2, 3, 4, 5, 6, 7], blockSize: SIZE, seed: 3, id: "11111111-2222-3333-4444-555555555555" });
  const child = buildVhd({ blocks, blockSize: SIZE, parent: { id: ID, disk: base.disk, name: "base.vhd" } });
  known("parent missing", child.image, blocksAt(SIZE, [2, 5]), undefined, child.disk);
  known("parent with another identity", child.image, blocksAt(SIZE, [2, 5]), { "base.vhd": base.image }, child.disk);
  return samples;
}

export function vhdxSamples() {
  const shape: VhdxShape = { blocks: [mixed(1, MIB), mixed(2, MIB), { state: 0 }, mixed(3, MIB)], seed: 3 };
  const built = buildVhdx(shape);
  const { positions } = built;
  const image = vhdxImage(built);
  const disk = expectedVhdx(shape);
  const { samples, known, lost } = samplesOf("vhdx", "disk.vhdx", disk);
  const at = (block: number) => positions.blocks.get(block) ?? 0;
  const bat = (block: number, value: bigint) => damaged(image, (copy) => copy.writeBigUInt64LE(value, positions.entry(block)));
  const wreck = (...places: readonly number[]) =>
    damaged(image, (copy) => places.forEach((place) => copy.fill(0xaa, place + 4, place + 8)));
  const item = (guid: string, edit: (copy: Buffer, position: number) => void) =>
    damaged(image, (copy) => {
      const entry = copy.indexOf(guidBytes(guid), positions.metadata);
      edit(copy, positions.metadata + copy.readUInt32LE(entry + 16));
    });
  const tables = (edit: (table: Buffer) => void) =>
    damaged(image, (copy) => {
      for (const place of [192 * 1024, 256 * 1024]) {
        const table = copy.subarray(place, place + 65_536);
        edit(table);
        seal(table);
      }
    });
  known("nothing damaged", image);
  for (const share of [0.5, 0.9]) {
    const rest = cut(image, share);
    known(
      `cut at ${share * 100} %`,
      rest,
      [0, 1, 3].flatMap((block): Range[] => {
        const left = Math.max(0, Math.min(MIB, rest.length - at(block)));
        return left === MIB ? [] : [[block * MIB + left, (block + 1) * MIB]];
      }),
    );
  }
  known("checksum of one header wrong", wreck(64 * 1024));
  lost("checksums of both headers wrong", wreck(64 * 1024, 128 * 1024));
  known("checksum of one region table wrong", wreck(192 * 1024));
  lost("checksums of both region tables wrong", wreck(192 * 1024, 256 * 1024));
  known("a BAT entry behind the end", bat(1, (2n ** 42n) | 6n), blocksAt(MIB, [1]));
  known("a BAT entry of a state nobody knows", bat(1, BigInt(at(1)) | 4n), blocksAt(MIB, [1]));
  known("two BAT entries for one block", bat(1, BigInt(at(0)) | 6n), [], undefined, same(disk, MIB, 0, 1));
  lost(
    "a required region nobody knows",
    tables((table) => {
      table.writeUInt32LE(3, 8);
      table.fill(7, 80, 96);
      table.writeBigUInt64LE(BigInt(MIB), 96);
      table.writeUInt32LE(MIB, 104);
      table.writeUInt32LE(1, 108);
    }),
  );
  lost(
    "BAT behind the end",
    tables((table) => {
      for (const place of [16, 48]) if (table.indexOf(guidBytes(guids.bat)) === place) table.writeBigUInt64LE(2n ** 42n, place + 16);
    }),
  );
  lost(
    "metadata destroyed",
    damaged(image, (copy) => copy.fill(0, positions.metadata, positions.metadata + 65_536)),
  );
  lost(
    "size of 2^62",
    item(guids.diskSize, (copy, position) => copy.writeBigUInt64LE(2n ** 62n, position)),
  );
  lost(
    "block size 0",
    item(guids.fileParameters, (copy, position) => copy.writeUInt32LE(0, position)),
  );
  lost(
    "sector size 3",
    item(guids.logicalSector, (copy, position) => copy.writeUInt32LE(3, position)),
  );
  lost(
    "signature destroyed",
    damaged(image, (copy) => copy.fill(0, 0, 8)),
  );
  const end = Math.ceil(image.length / MIB) * MIB;
  const logged = Buffer.concat([image, Buffer.alloc(end - image.length)]);
  const sector = mixed(77, 4096);
  const replayed = Buffer.from(disk);
  sector.copy(replayed, 0);
  const dirty = (spoil?: (entry: Buffer) => void) => {
    return withLog(logged, built, [
      { start: 0, sequence: 1n, tail: 0, writes: [{ at: at(0), content: sector }], flushed: end, last: end, ...(spoil && { spoil }) },
    ]);
  };
  known("a log that is to be replayed", dirty(), [], undefined, replayed);
  lost(
    "a log without one whole entry",
    dirty((entry) => entry.fill(0xaa, 4, 8)),
  );
  return samples;
}

export function qedSamples() {
  const SIZE = 4096;
  const { image, disk, l1Position, l2Positions, dataPositions } = buildQed({
    clusters: Array.from({ length: 64 }, (_, index) => (index === 9 ? "absent" : index)),
    tableSize: 1,
    seed: 0,
  });
  const { samples, known, lost } = samplesOf("qed", "disk.qed", disk);
  const l2 = l2Positions.get(0) ?? 0;
  const change = (position: number, value: bigint) => damaged(image, (copy) => copy.writeBigUInt64LE(value, position));
  known("nothing damaged", image);
  const rest = cut(image, 0.5);
  known(
    "cut at 50 %",
    rest,
    Array.from({ length: 64 }, (_, index) => index)
      .filter((index) => (dataPositions.get(index) ?? 0) + SIZE > rest.length)
      .flatMap((index) => blocksAt(SIZE, [index])),
  );
  known("an L2 entry behind the end", change(l2 + 24, 2n ** 40n), blocksAt(SIZE, [3]));
  known("an L2 entry that is misaligned", change(l2 + 24, BigInt((dataPositions.get(3) ?? 0) + 512)), blocksAt(SIZE, [3]));
  known("two L2 entries for one cluster", change(l2 + 24, image.readBigUInt64LE(l2 + 32)), [], undefined, same(disk, SIZE, 4, 3));
  lost("L1 entry behind the end", change(l1Position, 2n ** 40n));
  lost("L1 table behind the end", change(40, 2n ** 40n));
  lost("a feature nobody knows", change(16, 1n << 40n));
  known("marked as to be checked", change(16, 2n));
  lost("size of 2^62", change(48, 2n ** 62n));
  lost(
    "cluster size 3",
    damaged(image, (copy) => copy.writeUInt32LE(3, 4)),
  );
  return samples;
}
