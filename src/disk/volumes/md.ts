import type { Scan } from "../partitions/scan.js";
import { type Area, areaBytes } from "./area.js";
import { mdSuper0, mdSuper1 } from "./layout.js";
import { type FoundVolume, onePiece } from "./volume.js";

const magic = 0xa92b4efc;
/** A superblock 1 has at most this, with the roles of 1920 devices. */
const SUPER_SIZE = 4096;
/** An entry of the list of bad blocks that is not used. */
const NO_BLOCKS = 0xffffffffffffffffn;

/** Of version 1. */
const features = { recoveryOffset: 2, reshape: 4, badBlocks: 8, newOffset: 64, journal: 512, known: 0x1fff } as const;
/** Of the devices in 0.90. */
const states = { faulty: 1, sync: 4 } as const;

/** What one superblock says. */
interface Member {
  readonly area: Area;
  /** `1.2`. */
  readonly version: string;
  readonly uuid: string;
  /** What the array's volume is called. */
  readonly name: string;
  readonly events: bigint;
  /** Why its data cannot be shown, as the end of a sentence. */
  readonly refusal?: string;
  /** Bytes in the area. */
  readonly start: number;
  readonly size: number;
}

interface MdScan {
  readonly volumes: FoundVolume[];
  /** Areas that belong to an array: what they hold is the array's. */
  readonly members: ReadonlySet<Area>;
}

/** The arrays of Linux whose members hold all of the data, each: RAID 1. Others are named in notes. */
export function readMd(scan: Scan, areas: readonly Area[]): MdScan {
  const found = areas.flatMap((area) => readMember(scan, area) ?? []);
  const arrays = new Set(found.map(({ uuid }) => uuid));
  const volumes = [...arrays].flatMap(
    (each) =>
      toVolume(
        scan,
        found.filter(({ uuid }) => uuid === each),
      ) ?? [],
  );
  return { volumes, members: new Set(found.map(({ area }) => area)) };
}

/** One volume for all members that are there, from the one that was written last. */
function toVolume(scan: Scan, members: readonly Member[]): FoundVolume | undefined {
  for (const { area, name, refusal } of members) {
    if (refusal !== undefined) scan.note(`the member of the md array ${name} in ${area.label} is not shown: ${refusal}`);
  }
  const [first, ...others] = members.filter(({ refusal }) => refusal === undefined).toSorted((a, b) => Number(b.events - a.events));
  if (!first) return undefined;
  if (others.length > 0)
    scan.note(`the md array ${first.name} is shown from ${first.area.label}, one of ${others.length + 1} members that are there`);
  return {
    name: first.name,
    kind: "md",
    pieces: onePiece(first.area.start + first.start, first.size),
    typeName: `RAID 1, metadata ${first.version}`,
    uuid: first.uuid,
  };
}

function readMember(scan: Scan, area: Area): Member | undefined {
  // Sectors of 512 bytes. 1.0 stands 8 to 12 KiB before the end, 0.90 at the last border of 64 KiB that leaves as much behind it.
  const sectors = Math.floor(area.declared / 512);
  const places = [
    [0, "1.1"],
    [8, "1.2"],
    [Math.floor((sectors - 16) / 8) * 8, "1.0"],
  ] as const;
  for (const [sector, version] of places) {
    const member = readVersion1(scan, area, sector, version);
    if (member) return member;
  }
  return readVersion0(scan, area, (Math.floor(sectors / 128) - 1) * 65536);
}

function readVersion1(scan: Scan, area: Area, sector: number, version: string): Member | undefined {
  const raw = areaBytes(scan, area, sector * 512, Math.min(SUPER_SIZE, area.size - sector * 512));
  if (!raw || raw.length < mdSuper1.size) return undefined;
  const fields = mdSuper1.decode(raw);
  if (fields.magic !== magic || fields.major_version !== 1 || fields.super_offset !== BigInt(sector)) return undefined;
  const length = mdSuper1.size + fields.max_dev * 2;
  if (length > raw.length || sumOf(raw.subarray(0, length), 216) !== fields.sb_csum) {
    scan.note(`the md superblock at byte ${area.start + sector * 512} has a wrong checksum; it is not used`);
    return undefined;
  }
  const member = {
    area,
    version,
    uuid: uuidText(fields.set_uuid),
    name: nameOf(fields.set_name, fields.set_uuid),
    events: fields.events,
    start: Number(fields.data_offset) * 512,
    size: Number(fields.size) * 512,
  };
  const refusal = refusal1(scan, area, sector, raw, fields) ?? outside(member);
  return { ...member, ...(refusal !== undefined && { refusal }) };
}

function refusal1(scan: Scan, area: Area, sector: number, raw: Buffer, fields: ReturnType<typeof mdSuper1.decode>): string | undefined {
  const { feature_map, level, raid_disks, dev_number, max_dev, recovery_offset } = fields;
  const role = dev_number < max_dev ? raw.readUInt16LE(mdSuper1.size + dev_number * 2) : 0xffff;
  const unknown = feature_map & ~features.known;
  if (unknown !== 0) return `it has the unknown features 0x${(unknown >>> 0).toString(16)}`;
  if (feature_map & features.reshape) return "it is being reshaped";
  // An array that waits for a change of its level keeps the old one until then.
  if ((level | 0) !== 1) return levelRefusal(level | 0);
  if (role === 0xfffd) return "it is a journal";
  if (role === 0xfffe) return "it has been marked faulty";
  if (role >= raid_disks) return "it is a spare";
  if (feature_map & features.recoveryOffset && recovery_offset < fields.size)
    return `only its first ${recovery_offset * 512n} bytes have been rebuilt`;
  if (feature_map & features.newOffset) return "its data are being moved";
  if (feature_map & features.badBlocks && hasBadBlocks(scan, area, sector, fields)) return "some of its blocks are recorded as bad";
  return undefined;
}

function hasBadBlocks(scan: Scan, area: Area, sector: number, fields: ReturnType<typeof mdSuper1.decode>): boolean {
  // Signed: it may lie before the superblock. The first entry tells; without any it is all ones.
  const log = areaBytes(scan, area, (sector + (fields.bblog_offset | 0)) * 512, 512);
  const first = log?.readBigUInt64LE(0);
  return fields.bblog_size > 0 && first !== NO_BLOCKS;
}

function readVersion0(scan: Scan, area: Area, position: number): Member | undefined {
  const raw = areaBytes(scan, area, position, mdSuper0.size);
  if (!raw) return undefined;
  const fields = mdSuper0.decode(raw);
  if (fields.md_magic !== magic || fields.major_version !== 0) return undefined;
  if (sumOf(raw, 152) !== fields.sb_csum) {
    scan.note(`the md superblock at byte ${area.start + position} has a wrong checksum; it is not used`);
    return undefined;
  }
  const { set_uuid0, set_uuid1, set_uuid2, set_uuid3, md_minor, events, size } = fields;
  const uuid = [set_uuid0, set_uuid1, set_uuid2, set_uuid3].map((word) => word.toString(16).padStart(8, "0")).join(":");
  const member = { area, version: "0.90", uuid, name: `md${md_minor}`, events, start: 0, size: size * 1024 };
  const refusal = refusal0(fields) ?? outside(member);
  return { ...member, ...(refusal !== undefined && { refusal }) };
}

function refusal0(fields: ReturnType<typeof mdSuper0.decode>): string | undefined {
  const { minor_version, level, this_disk_state, this_disk_raid_disk, raid_disks } = fields;
  if (minor_version > 90) return "it is being reshaped";
  if ((level | 0) !== 1) return levelRefusal(level | 0);
  if (this_disk_state & states.faulty) return "it has been marked faulty";
  if (!(this_disk_state & states.sync) || this_disk_raid_disk >= raid_disks) return "it is a spare";
  return undefined;
}

const levels: Readonly<Record<number, string>> = { [-4]: "multipath", [-1]: "linear" };

function levelRefusal(level: number): string {
  return `in an array of the kind ${levels[level] ?? `RAID ${level}`} a member alone has no use`;
}

function outside({ area, start, size }: Pick<Member, "area" | "start" | "size">): string | undefined {
  if (size > 0 && start >= 0 && start + size <= area.size) return undefined;
  return `its data, ${size} bytes at byte ${start}, are not inside ${area.label}, which has ${area.size} bytes`;
}

/** The sum of all words of 4 bytes but the one at `skip`, with what goes over 32 bits added to it. */
function sumOf(raw: Buffer, skip: number): number {
  let sum = 0;
  const whole = raw.length - (raw.length % 4);
  for (let at = 0; at < whole; at += 4) if (at !== skip) sum += raw.readUInt32LE(at);
  if (raw.length > whole) sum += raw.readUInt16LE(whole);
  return ((sum % 2 ** 32) + Math.floor(sum / 2 ** 32)) >>> 0;
}

function uuidText(raw: Uint8Array): string {
  return (Buffer.from(raw).toString("hex").match(/.{8}/g) ?? []).join(":");
}

/** `md0` for `host:0`, `md-root` for `host:root`, as below /dev and /dev/md. */
function nameOf(raw: Uint8Array, uuid: Uint8Array): string {
  const text = Buffer.from(raw).toString("utf8");
  const end = text.indexOf("\0");
  const name = text.slice(0, end < 0 ? undefined : end).replace(/^[^:]*:/, "");
  if (/^\d+$/.test(name)) return `md${name}`;
  return `md-${name === "" ? Buffer.from(uuid).toString("hex", 0, 4) : name}`;
}
