// What volume managers write, byte by byte. BSD: disklabel(5) and sys/disklabel.h. Solaris and Sun: sys/vtoc.h, sys/dklabel.h.
// LVM2: the on-disk format as its own documentation has it (man lvmdump, doc/ of LVM2). md: linux/raid/md_p.h.
// LDM: "LDM Documentation", Richard Russon.
import type { Piece } from "./partition-builder.js";

export interface LabelEntry {
  /** 0 is a. */
  readonly index: number;
  /** Sectors. */
  readonly start: number;
  readonly size: number;
  readonly type?: number;
}

export interface LabelOptions {
  readonly endian?: "little" | "big";
  readonly sectorSize?: number;
  /** How many entries it has room for. */
  readonly count?: number;
  /** 1: OpenBSD's, with numbers of 48 bits. */
  readonly version?: number;
  readonly uid?: string;
}

/** A BSD disklabel, as long as its entries. */
export function disklabel(entries: readonly LabelEntry[], options: LabelOptions = {}): Buffer {
  const { endian = "little", sectorSize = 512, count = 16, version = 0, uid = "0000000000000000" } = options;
  const label = Buffer.alloc(148 + count * 16);
  const put32 = (value: number, at: number) => (endian === "little" ? label.writeUInt32LE(value, at) : label.writeUInt32BE(value, at));
  const put16 = (value: number, at: number) => (endian === "little" ? label.writeUInt16LE(value, at) : label.writeUInt16BE(value, at));
  put32(0x82564557, 0);
  label.write("fictitious", 24, "latin1");
  put32(sectorSize, 40);
  Buffer.from(uid, "hex").copy(label, 64);
  put16(version, 114);
  put32(0x82564557, 132);
  put16(count, 138);
  for (const { index, start, size, type = 7 } of entries) {
    const at = 148 + index * 16;
    put32(size % 2 ** 32, at);
    put32(start % 2 ** 32, at + 4);
    if (version === 1) {
      put16(Math.floor(start / 2 ** 32), at + 8);
      put16(Math.floor(size / 2 ** 32), at + 10);
    } else put32(1024, at + 8);
    label[at + 12] = type;
  }
  let sum = 0;
  for (let at = 0; at < label.length; at += 2) sum ^= endian === "little" ? label.readUInt16LE(at) : label.readUInt16BE(at);
  put16(sum, 136);
  return label;
}

export interface SliceEntry {
  readonly index: number;
  readonly tag: number;
  /** Sectors; of a Sun label, cylinders. */
  readonly start: number;
  /** Sectors. */
  readonly size: number;
}

/** The label in the second sector of a Solaris partition on x86. */
export function solarisLabel(slices: readonly SliceEntry[], { version = 1, count = 16 } = {}): Buffer {
  const label = Buffer.alloc(512);
  label.writeUInt32LE(0x600ddeee, 12);
  label.writeUInt32LE(version, 16);
  label.writeUInt16LE(512, 28);
  label.writeUInt16LE(count, 30);
  for (const { index, tag, start, size } of slices) {
    label.writeUInt16LE(tag, 72 + index * 12);
    label.writeUInt32LE(start, 72 + index * 12 + 4);
    label.writeUInt32LE(size, 72 + index * 12 + 8);
  }
  label.writeUInt16LE(0xdabe, 508);
  return withXor(label);
}

/** The first sector of a SPARC disk. Without `tags` as SunOS 4 had it. */
export function sunLabel(slices: readonly SliceEntry[], { heads = 4, sectors = 32, tags = true } = {}): Buffer {
  const label = Buffer.alloc(512);
  label.write("SUN0042 cyl 100", "latin1");
  if (tags) {
    label.writeUInt32BE(1, 128);
    label.writeUInt16BE(8, 140);
    label.writeUInt32BE(0x600ddeee, 188);
  }
  label.writeUInt16BE(heads, 436);
  label.writeUInt16BE(sectors, 438);
  for (const { index, tag, start, size } of slices) {
    if (tags) label.writeUInt16BE(tag, 142 + index * 4);
    label.writeUInt32BE(start, 444 + index * 8);
    label.writeUInt32BE(size, 444 + index * 8 + 4);
  }
  label.writeUInt16BE(0xdabe, 508);
  return withXor(label);
}

function withXor(label: Buffer): Buffer {
  let sum = 0;
  for (let at = 0; at < 510; at += 2) sum ^= label.readUInt16LE(at);
  label.writeUInt16LE(sum, 510);
  return label;
}

export interface Super1 {
  readonly uuid?: string;
  readonly name?: string;
  readonly level?: number;
  /** Sectors. */
  readonly superOffset: number;
  readonly dataOffset: number;
  readonly size: number;
  readonly features?: number;
  readonly disks?: number;
  readonly device?: number;
  /** Of all devices. */
  readonly roles?: readonly number[];
  readonly events?: number;
  readonly recovered?: number;
  /** Sectors from the superblock. */
  readonly badBlocks?: number;
}

/** An md superblock of version 1, without what stands around it. */
export function mdSuper1(shape: Super1): Buffer {
  const { uuid = "00112233445566778899aabbccddeeff", name = "host:0", level = 1, features = 0, disks = 2, device = 0 } = shape;
  const { roles = [0, 1], events = 5, superOffset, dataOffset, size, recovered = 0, badBlocks } = shape;
  const block = Buffer.alloc(256 + roles.length * 2);
  block.writeUInt32LE(0xa92b4efc, 0);
  block.writeUInt32LE(1, 4);
  block.writeUInt32LE(features, 8);
  Buffer.from(uuid, "hex").copy(block, 16);
  block.write(name.slice(0, 32), 32, "utf8");
  block.writeBigUInt64LE(1_700_000_000n, 64);
  block.writeInt32LE(level, 72);
  block.writeBigUInt64LE(BigInt(size), 80);
  block.writeUInt32LE(disks, 92);
  block.writeBigUInt64LE(BigInt(dataOffset), 128);
  block.writeBigUInt64LE(BigInt(size), 136);
  block.writeBigUInt64LE(BigInt(superOffset), 144);
  block.writeBigUInt64LE(BigInt(recovered), 152);
  block.writeUInt32LE(device, 160);
  Buffer.from(uuid, "hex").reverse().copy(block, 168);
  if (badBlocks !== undefined) {
    block.writeUInt16LE(8, 186);
    block.writeInt32LE(badBlocks, 188);
  }
  block.writeBigUInt64LE(1_700_000_000n, 192);
  block.writeBigUInt64LE(BigInt(events), 200);
  block.writeBigUInt64LE(0xffffffffffffffffn, 208);
  block.writeUInt32LE(roles.length, 220);
  roles.forEach((role, index) => block.writeUInt16LE(role, 256 + index * 2));
  block.writeUInt32LE(foldedSum(block), 216);
  return block;
}

export interface Super0 {
  readonly uuid?: readonly [number, number, number, number];
  readonly level?: number;
  /** KiB. */
  readonly size: number;
  readonly minor?: number;
  readonly state?: number;
  readonly slot?: number;
  readonly events?: number;
  readonly patch?: number;
}

/** An md superblock of version 0.90. */
export function mdSuper0({ uuid = [1, 2, 3, 4], level = 1, size, minor = 0, state = 6, slot = 0, events = 5, patch = 90 }: Super0): Buffer {
  const block = Buffer.alloc(4096);
  const put = (word: number, value: number) => block.writeUInt32LE(value >>> 0, word * 4);
  [0xa92b4efc, 0, patch, 0, 128, uuid[0], 1_700_000_000, level, size, 2, 2, minor, 0, uuid[1], uuid[2], uuid[3]].forEach((value, word) =>
    put(word, value),
  );
  put(33, 1);
  put(34, 2);
  put(35, 2);
  put(39, events);
  for (const [disk, word] of [128, 160].entries()) [disk, 8, 1 + disk, disk, 6].forEach((value, index) => put(word + index, value));
  [slot, 8, 1, slot, state].forEach((value, index) => put(992 + index, value));
  put(38, foldedSum(block));
  return block;
}

/** Words of 4 bytes and, at the end, one of 2, added; what goes over 32 bits is added again. */
function foldedSum(block: Buffer): number {
  let sum = 0n;
  for (let at = 0; at < block.length; at += 4) {
    sum += BigInt(at + 4 <= block.length ? block.readUInt32LE(at) : block.readUInt16LE(at));
  }
  return Number(((sum & 0xffffffffn) + (sum >> 32n)) & 0xffffffffn);
}

/** The reflected CRC-32 of the field, bit by bit, without a last inversion. */
function lvmCrc(content: Uint8Array): number {
  let crc = 0xf597a6cf;
  for (const byte of content) {
    crc = (crc ^ byte) >>> 0;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? ((crc >>> 1) ^ 0xedb88320) >>> 0 : crc >>> 1;
  }
  return crc;
}

export interface PvShape {
  /** Where the physical volume is on the disk, bytes. */
  readonly at: number;
  readonly size: number;
  /** 32 characters. */
  readonly uuid: string;
  /** What is in its metadata area; without, it has none. */
  readonly text?: string;
  /** Bytes from the start of the metadata area. */
  readonly textAt?: number;
  readonly labelSector?: number;
  readonly areaSize?: number;
  /** Where a second copy of the metadata is, bytes from the start of the volume. */
  readonly second?: number;
}

/** An LVM2 physical volume: label, header, metadata areas. */
export function physicalVolume(shape: PvShape): Piece[] {
  const { at, size, uuid, text, textAt = 512, labelSector = 1, areaSize = 256 * 1024, second } = shape;
  const label = Buffer.alloc(512);
  label.write("LABELONE", "latin1");
  label.writeBigUInt64LE(BigInt(labelSector), 8);
  label.writeUInt32LE(32, 20);
  label.write("LVM2 001", 24, "latin1");
  label.write(uuid, 32, "latin1");
  label.writeBigUInt64LE(BigInt(size), 64);
  label.writeBigUInt64LE(2n ** 20n, 72);
  const starts = text === undefined ? [] : [4096, ...(second === undefined ? [] : [second])];
  starts.forEach((start, index) => {
    label.writeBigUInt64LE(BigInt(start), 104 + index * 16);
    label.writeBigUInt64LE(BigInt(areaSize), 112 + index * 16);
  });
  label.writeUInt32LE(lvmCrc(label.subarray(20)), 16);
  return [
    { at: at + labelSector * 512, content: label },
    ...starts.map((start) => ({ at: at + start, content: metadataArea(start, areaSize, text ?? "", textAt) })),
  ];
}

function metadataArea(start: number, areaSize: number, text: string, textAt: number): Buffer {
  const content = Buffer.from(`${text}\0`, "utf8");
  const area = Buffer.alloc(areaSize);
  area.write(" LVM2 x[5A%r0N*>", 4, "latin1");
  area.writeUInt32LE(1, 20);
  area.writeBigUInt64LE(BigInt(start), 24);
  area.writeBigUInt64LE(BigInt(areaSize), 32);
  area.writeBigUInt64LE(BigInt(textAt), 40);
  area.writeBigUInt64LE(BigInt(content.length), 48);
  area.writeUInt32LE(lvmCrc(content), 56);
  area.writeUInt32LE(lvmCrc(area.subarray(4, 512)), 0);
  for (const [index, byte] of content.entries()) {
    const to = textAt + index;
    area[to < areaSize ? to : to - areaSize + 512] = byte;
  }
  return area;
}

/** The UUID as it stands in metadata. */
export function dashed(uuid: string): string {
  return uuid.replace(/^(.{6})(.{4})(.{4})(.{4})(.{4})(.{4})(.{6})$/, "$1-$2-$3-$4-$5-$6-$7");
}

/** 32 characters that begin with `name`. */
export function lvmUuid(name: string): string {
  return name.padEnd(32, "x").slice(0, 32);
}

export interface LvShape {
  readonly name: string;
  readonly hidden?: boolean;
  /** The lines of each segment but where it starts. */
  readonly segments: readonly (readonly string[])[];
  readonly extents: readonly number[];
  readonly status?: readonly string[];
}

export interface VgShape {
  readonly name?: string;
  readonly id?: string;
  readonly sequence?: number;
  /** Sectors. */
  readonly extentSize?: number;
  readonly volumes: readonly LvShape[];
  readonly pvs: readonly { readonly uuid: string; readonly extents: number; readonly flags?: string; readonly start?: number }[];
}

/** The metadata of a volume group, with comments where LVM writes them. */
export function vgText(shape: VgShape): string {
  const { name = "vg0", id = lvmUuid("group"), sequence = 3, extentSize = 128, pvs, volumes } = shape;
  const physical = pvs.map(
    ({ uuid, extents, flags = "", start = 2048 }, index) => `pv${index} {
id = "${dashed(uuid)}"
device = "/dev/sd\\"a${index}"	# Hint only

status = ["ALLOCATABLE"]
flags = [${flags}]
dev_size = 131072	# 64 Megabytes
pe_start = ${start}
pe_count = ${extents}
}`,
  );
  const logical = volumes.map((volume) => {
    const { hidden = false, status = ["READ", "WRITE", ...(hidden ? [] : ["VISIBLE"])] } = volume;
    let start = 0;
    const segments = volume.segments.map((lines, index) => {
      const text = `segment${index + 1} {\nstart_extent = ${start}\nextent_count = ${volume.extents[index]}\n\n${lines.join("\n")}\n}`;
      start += volume.extents[index] ?? 0;
      return text;
    });
    return `${volume.name} {
id = "${dashed(lvmUuid(volume.name.replace(/[^a-z0-9]/gi, "")))}"
status = [${status.map((each) => `"${each}"`).join(", ")}]
flags = []
creation_host = "here"
creation_time = 1700000000	# 2023-11-14 22:13:20 +0000
segment_count = ${segments.length}

${segments.join("\n")}
}`;
  });
  return `${name} {
id = "${dashed(id)}"
seqno = ${sequence}
format = "lvm2"			# informational
status = ["RESIZEABLE", "READ", "WRITE"]
flags = []
extent_size = ${extentSize}		# 64 Kilobytes
max_lv = 0
max_pv = 0
metadata_copies = 0

physical_volumes {

${physical.join("\n")}
}
${logical.length > 0 ? `\nlogical_volumes {\n\n${logical.join("\n\n")}\n}\n` : ""}
}
# Generated by a test

contents = "Text Format Volume Group"
version = 1

description = "a \\"test\\" # not a comment"

creation_time = 1700000000
`;
}

/** The lines of a segment over `places`; with more than one, striped in `stripe` sectors. */
export function stripes(places: readonly (readonly [name: string, extent: number])[], stripe = 16): string[] {
  return [
    `type = "striped"`,
    `stripe_count = ${places.length}${places.length === 1 ? "	# linear" : ""}`,
    ...(places.length > 1 ? [`stripe_size = ${stripe}`] : []),
    `stripes = [\n${places.map(([name, extent]) => `"${name}", ${extent}`).join(",\n")}\n]`,
  ];
}

/** What dm-raid writes into a leg's metadata. */
export function dmRaidSuper({ position = 0, events = 1, failed = 0, recovered = 2n ** 64n - 1n } = {}): Buffer {
  const block = Buffer.alloc(512);
  block.write("DmRd", "latin1");
  block.writeUInt32LE(2, 8);
  block.writeUInt32LE(position, 12);
  block.writeBigUInt64LE(BigInt(events), 16);
  block.writeBigUInt64LE(BigInt(failed), 24);
  block.writeBigUInt64LE(recovered, 32);
  return block;
}

export interface DynamicDisk {
  /** Sectors. */
  readonly publicStart: number;
  readonly publicSize: number;
  readonly privateStart: number;
  /** Where private headers are, sectors. */
  readonly headers: readonly number[];
  readonly disks: readonly { readonly id: number; readonly name: string; readonly guid: string; readonly old?: boolean }[];
  /** Which of the disks this one is. */
  readonly own?: number;
  readonly volumes: readonly DynamicVolume[];
  readonly updateStatus?: number;
  readonly sectorSize?: number;
}

export interface DynamicVolume {
  readonly name: string;
  /** Sectors. */
  readonly size: number;
  readonly raid5?: boolean;
  readonly components: readonly {
    /** 1: striped, 2: one behind the other, 3: RAID 5. */
    readonly layout: number;
    readonly state?: string;
    readonly partitions: readonly { readonly start: number; readonly offset: number; readonly size: number; readonly disk: number }[];
  }[];
}

const privateSectors = 2048;
const groupGuid = "0a0b0c0d-0102-0304-0506-0708090a0b0c";

/** The private headers, the table of contents and the database of a Windows dynamic disk. */
export function dynamicDisk(shape: DynamicDisk): Piece[] {
  const { privateStart, headers, sectorSize = 512, own = 0, disks } = shape;
  const toc = tocBlock();
  const at = (sector: number) => (privateStart + sector) * sectorSize;
  const header = privateHeader(shape, disks[own]?.guid ?? "");
  return [
    ...headers.map((sector) => ({ at: sector * sectorSize, content: header })),
    { at: at(2), content: toc },
    { at: at(privateSectors - 3), content: toc },
    { at: at(17), content: database(shape) },
  ];
}

function privateHeader({ publicStart, publicSize, privateStart }: DynamicDisk, guid: string): Buffer {
  const header = Buffer.alloc(512);
  header.write("PRIVHEAD", "latin1");
  header.writeUInt16BE(2, 12);
  header.writeUInt16BE(12, 14);
  header.write(guid, 0x30, "latin1");
  header.write("10000000-2000-3000-4000-500000000000", 0x70, "latin1");
  header.write(groupGuid, 0xb0, "latin1");
  header.write("TEST-Dg0", 0xf0, "latin1");
  const numbers = [publicStart, publicSize, privateStart, privateSectors, 2, privateSectors - 3];
  numbers.forEach((value, index) => header.writeBigUInt64BE(BigInt(value), 0x11b + index * 8));
  header.writeUInt32BE(1, 0x14b);
  header.writeUInt32BE(1, 0x14f);
  header.writeBigUInt64BE(1481n, 0x153);
  header.writeBigUInt64BE(224n, 0x15b);
  return withByteSum(header);
}

function tocBlock(): Buffer {
  const toc = Buffer.alloc(512);
  toc.write("TOCBLOCK", "latin1");
  toc.writeBigUInt64BE(7n, 12);
  for (const [index, [name, start, size]] of (
    [
      ["config", 17, 1481],
      ["log", 1498, 224],
    ] as const
  ).entries()) {
    const at = 0x24 + index * 34;
    toc.write(name, at, "latin1");
    toc.writeBigUInt64BE(BigInt(start), at + 10);
    toc.writeBigUInt64BE(BigInt(size), at + 18);
    toc.writeUInt16BE(6, at + 26);
    toc.writeUInt16BE(1, at + 28);
  }
  return withByteSum(toc);
}

/** The sum of all bytes, taken while its own are zeros. */
export function withByteSum(sector: Buffer): Buffer {
  sector.writeUInt32BE(0, 8);
  sector.writeUInt32BE(
    sector.reduce((sum, byte) => sum + byte, 0),
    8,
  );
  return sector;
}

function database({ disks, volumes, updateStatus = 1 }: DynamicDisk): Buffer {
  const records: { type: number; flags: number; content: Buffer }[] = [];
  const count = { volumes: volumes.length, components: 0, partitions: 0, disks: disks.length };
  records.push({ type: 0x35, flags: 0, content: Buffer.concat([number(1), text("TEST-Dg0"), text(groupGuid), Buffer.alloc(12)]) });
  for (const { id, name, guid, old } of disks) {
    const raw = Buffer.from(guid.replaceAll("-", ""), "hex");
    const content = old
      ? [number(id), text(name), text(guid), text(""), Buffer.alloc(12)]
      : [number(id), text(name), raw, Buffer.alloc(16), Buffer.alloc(13)];
    records.push({ type: old ? 0x34 : 0x44, flags: 0, content: Buffer.concat(content) });
  }
  let next = 0x400;
  for (const [index, volume] of volumes.entries()) {
    const volumeId = (next += 1);
    records.push({ type: 0x51, flags: 0x02, content: volumeRecord(volumeId, index + 1, volume) });
    for (const { layout, state = "ACTIVE", partitions } of volume.components) {
      const componentId = (next += 1);
      count.components += 1;
      count.partitions += partitions.length;
      const flags = layout === 2 ? 0 : 0x10;
      const columns = flags ? [number(128), number(partitions.length)] : [];
      const content = Buffer.concat([
        number(componentId),
        text(`${volume.name}-01`),
        text(state),
        Buffer.from([layout, 0, 0, 0, 0]),
        number(partitions.length),
        Buffer.alloc(16),
        number(volumeId),
        Buffer.alloc(1),
        ...columns,
      ]);
      records.push({ type: 0x32, flags, content });
      for (const [position, { start, offset, size, disk }] of partitions.entries()) {
        const partitionId = (next += 1);
        const content = Buffer.concat([
          number(partitionId),
          text(`Disk${disk}-${partitionId}`),
          Buffer.alloc(12),
          u64(start),
          u64(offset),
          number(size),
          number(componentId),
          number(disk),
          number(position),
        ]);
        records.push({ type: 0x33, flags: 0x08, content });
      }
    }
  }
  const blocks = records.flatMap(({ type, flags, content }, index) => toBlocks(index + 10, type, flags, content));
  // A hole, as deleted records leave them.
  blocks.splice(1, 0, Buffer.alloc(112));
  const spread = blocks.map((content, index) => {
    const block = Buffer.alloc(128);
    block.write("VBLK", "latin1");
    block.writeUInt32BE(index + 4, 4);
    content.copy(block, content.length === 112 ? 16 : 8);
    return block;
  });
  return Buffer.concat([databaseHeader(spread.length, count, updateStatus), ...spread]);
}

function databaseHeader(
  blocks: number,
  count: { volumes: number; components: number; partitions: number; disks: number },
  updateStatus: number,
): Buffer {
  const header = Buffer.alloc(512);
  header.write("VMDB", "latin1");
  header.writeUInt32BE(blocks + 3, 4);
  header.writeUInt32BE(128, 8);
  header.writeUInt32BE(512, 12);
  header.writeUInt16BE(updateStatus, 16);
  header.writeUInt16BE(4, 18);
  header.writeUInt16BE(10, 20);
  header.write("TEST-Dg0", 0x16, "latin1");
  header.write(groupGuid, 0x35, "latin1");
  header.writeBigUInt64BE(9n, 0x75);
  header.writeBigUInt64BE(9n, 0x7d);
  [count.volumes, count.components, count.partitions, count.disks].forEach((value, index) => header.writeUInt32BE(value, 0x85 + index * 4));
  return header;
}

/** A record over as many blocks as it takes, each from its group number on. */
function toBlocks(group: number, type: number, flags: number, content: Buffer): Buffer[] {
  const head = Buffer.alloc(8);
  head[2] = flags;
  head[3] = type;
  head.writeUInt32BE(content.length, 4);
  const whole = Buffer.concat([head, content]);
  const count = Math.ceil(whole.length / 112);
  return Array.from({ length: count }, (_, index) => {
    const block = Buffer.alloc(120);
    block.writeUInt32BE(group, 0);
    block.writeUInt16BE(index, 4);
    block.writeUInt16BE(count, 6);
    whole.copy(block, 8, index * 112, (index + 1) * 112);
    return block;
  });
}

function volumeRecord(id: number, index: number, { name, size, raid5 = false, components }: DynamicVolume): Buffer {
  const guid = Buffer.alloc(16, index);
  return Buffer.concat([
    number(id),
    text(name),
    text(raid5 ? "raid5" : "gen"),
    text(""),
    Buffer.from("ACTIVE\0\0\0\0\0\0\0\0", "latin1"),
    Buffer.from([raid5 ? 4 : 3, 0, index, 0, 0, 0, 0]),
    number(components.length),
    Buffer.alloc(16),
    number(size),
    Buffer.from([0, 0, 0, 0, 7]),
    guid,
    text("E:"),
  ]);
}

/** A number with its length before it. */
function number(value: number): Buffer {
  const digits = value.toString(16);
  const raw = Buffer.from(digits.padStart(digits.length + (digits.length % 2), "0"), "hex");
  return Buffer.concat([Buffer.from([raw.length]), raw]);
}

function text(value: string): Buffer {
  return Buffer.concat([Buffer.from([value.length]), Buffer.from(value, "latin1")]);
}

function u64(value: number): Buffer {
  const raw = Buffer.alloc(8);
  raw.writeBigUInt64BE(BigInt(value));
  return raw;
}
