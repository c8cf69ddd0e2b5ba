// UDF volumes from the specifications alone (ECMA-167 3rd edition, OSTA UDF 2.60), for what no installable program writes.
import { udfAllocation, udfDescriptor, udfDstring, type UdfExtent, udfLongAd, udfName, udfRegid, udfTime } from "./udf-structures.js";

export type UdfKind = "physical" | "virtual" | "sparable" | "metadata" | "metadata on sparable";

export interface UdfNode {
  readonly name: string | Buffer;
  /** 4/14.6.6; 4 is a directory, 5 a file. */
  readonly type?: number;
  readonly content?: Uint8Array;
  readonly children?: readonly UdfNode[];
  readonly streams?: readonly UdfNode[];
  /** How the places of its bytes are stored. */
  readonly allocation?: "embedded" | "short" | "long" | "extended";
  /** Blocks of each piece, again and again; all in one without. A negative number is a hole: of an allocated or an unallocated kind in turn. */
  readonly pieces?: readonly number[];
  /** Allocation descriptors in each area but the last. */
  readonly perArea?: number;
  readonly extended?: boolean;
  readonly permissions?: number;
  readonly icbFlags?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly links?: number;
  /** 12 bytes. */
  readonly time?: Buffer;
  readonly attributes?: Buffer;
  /** 4/14.4.3 */
  readonly characteristics?: number;
  /** Bytes of implementation use in the identifier. */
  readonly implementationUse?: number;
  /** The node of that name in the same directory is meant. */
  readonly sameAs?: string;
  /** This directory itself, or one that it is in, by how far up. */
  readonly up?: number;
  /** Versions of the entry before the last one (strategy 4096). */
  readonly olderVersions?: readonly Uint8Array[];
  /** Instead of what the content has. */
  readonly size?: number;
  /** The entry is not written. */
  readonly lost?: boolean;
}

export interface UdfRecipe {
  readonly root: readonly UdfNode[];
  readonly rootStreams?: readonly UdfNode[];
  readonly kind?: UdfKind;
  readonly sectorSize?: number;
  /** 0x0201 is 2.01. */
  readonly revision?: number;
  readonly label?: string;
  readonly open?: boolean;
  readonly recognition?: boolean;
  /** Which anchors there are. */
  readonly anchors?: readonly ("first" | "last" | "before last" | "512")[];
  /** Packets, by number, that were replaced. */
  readonly spared?: readonly number[];
  /** Added to the location that every tag gives, and to nothing else. */
  readonly relocated?: number;
  /** Sectors that the disc has in front of the image. */
  readonly missing?: number;
  /** File sets before the one that counts, of the same number; and others. */
  readonly olderFileSets?: number;
  readonly otherFileSets?: number;
  readonly integrity?: boolean;
  /** Without what only few readers know: prevailing descriptors, gaps between them, metadata in several pieces, rubbish in between. */
  readonly simple?: boolean;
  readonly volumeNumber?: number;
  readonly mapVolume?: number;
}

export interface BuiltUdf {
  readonly disc: Buffer;
  /** Byte positions. */
  readonly at: {
    readonly main: number;
    readonly reserve: number;
    readonly integrity: number;
    readonly sparing: readonly number[];
    readonly vat: number;
    readonly metadata: number;
    readonly mirror: number;
    readonly partition: number;
  };
  /** Where the entry of a node is in the image, by its name; the mirror's copy is second. */
  readonly entries: ReadonlyMap<string, readonly number[]>;
}

const PARTITION_START = 320;
const PACKET = 32;
const places = { main: 100, reserve: 130, integrity: 160, sparing: [170, 172] } as const;
const GARBAGE = 0xa7;

/** A row of blocks that is written to, whatever it becomes. */
interface Row {
  /** As allocation descriptors name it. */
  readonly partition: number;
  readonly blocks: Map<number, Buffer>;
  /** One block is left out before every run. */
  take(count: number): number;
}

function createRow(partition: number): Row {
  let next = 0;
  return {
    partition,
    blocks: new Map(),
    take(count) {
      const first = next + 1;
      next = first + count;
      return first;
    },
  };
}

/** Blocks up to the last one that holds something. */
function countOf({ blocks }: Row): number {
  return [...blocks.keys()].reduce((most, block) => Math.max(most, block + 1), 0);
}

interface Icb {
  readonly block: number;
  readonly partition: number;
}

export function buildUdf(recipe: UdfRecipe): BuiltUdf {
  const { kind = "physical", sectorSize = 2048, revision = 0x0201, relocated = 0, rootStreams } = recipe;
  const below = createRow(0);
  const above = kind === "physical" || kind === "sparable" ? below : createRow(1);
  const entryBlocks = new Map<string, number>();
  const newer = revision >= 0x0200;

  function put(row: Row, block: number, content: Buffer): void {
    for (let at = 0; at < Math.max(1, content.length); at += sectorSize) {
      const part = Buffer.alloc(sectorSize);
      content.copy(part, 0, at, at + sectorSize);
      row.blocks.set(block + at / sectorSize, part);
    }
  }

  const tagged = (row: Row, block: number, id: number, body: Buffer): void => put(row, block, udfDescriptor(id, block + relocated, body));

  /** Writes the bytes in pieces, and gives what says where they are. */
  function store(row: Row, content: Uint8Array, pieces: readonly number[] = [2 ** 20]): readonly UdfExtent[] {
    const extents: UdfExtent[] = [];
    for (let at = 0, turn = 0; at < content.length; turn += 1) {
      const wanted = pieces[turn % pieces.length] ?? 1;
      const part = Buffer.from(content.subarray(at, at + Math.abs(wanted) * sectorSize));
      if (wanted < 0) extents.push({ state: 1 + (turn & 1), length: part.length, block: 0, partition: row.partition });
      else {
        const block = row.take(Math.ceil(part.length / sectorSize));
        put(row, block, part);
        extents.push({ state: 0, length: part.length, block, partition: row.partition });
      }
      at += part.length;
    }
    return extents;
  }

  /** The area of descriptors, continued elsewhere after each `perArea`. */
  function area(row: Row, extents: readonly UdfExtent[], allocation: "short" | "long" | "extended", perArea = 2 ** 30): Buffer {
    if (extents.length <= perArea) return Buffer.concat(extents.map((extent) => udfAllocation(extent, allocation)));
    const rest = area(row, extents.slice(perArea), allocation, perArea);
    const block = row.take(1);
    const head = Buffer.alloc(8);
    head.writeUInt32LE(rest.length, 4);
    tagged(row, block, 258, Buffer.concat([head, rest]));
    const next: UdfExtent = { state: 3, length: sectorSize, block, partition: row.partition };
    return Buffer.concat([...extents.slice(0, perArea), next].map((extent) => udfAllocation(extent, allocation)));
  }

  function entryOf(node: UdfNode, content: Uint8Array, streams: Icb | undefined, strategy: number): Buffer {
    const { type = node.children ? 4 : 5, extended = newer, attributes = Buffer.alloc(0), size = content.length } = node;
    const small = content.length < sectorSize / 4 && node.pieces === undefined;
    const { allocation = small ? "embedded" : above === below || type === 4 ? "short" : "long" } = node;
    const row = type === 4 || type === 13 || allocation === "short" ? above : below;
    const descriptors =
      allocation === "embedded" ? Buffer.from(content) : area(above, store(row, content, node.pieces), allocation, node.perArea);
    const head = Buffer.alloc(extended || streams ? 200 : 160);
    head.writeUInt16LE(strategy, 4);
    head.writeUInt16LE(1, 8);
    head[11] = type;
    head.writeUInt16LE((node.icbFlags ?? 0) | { short: 0, long: 1, extended: 2, embedded: 3 }[allocation], 18);
    head.writeUInt32LE(node.uid ?? 0xffffffff, 20);
    head.writeUInt32LE(node.gid ?? 0xffffffff, 24);
    head.writeUInt32LE(node.permissions ?? 0x14a5, 28);
    head.writeUInt16LE(node.links ?? 1, 32);
    head.writeBigUInt64LE(BigInt(size), 40);
    const time = node.time ?? udfTime(Date.UTC(2004, 1, 29, 12, 34, 56, 780));
    if (head.length === 160) {
      for (const at of [56, 68, 80]) time.copy(head, at);
      head.writeUInt32LE(attributes.length, 152);
      head.writeUInt32LE(descriptors.length, 156);
    } else {
      head.writeBigUInt64LE(BigInt(size), 48);
      for (const at of [64, 76, 88, 100]) time.copy(head, at);
      if (streams) udfLongAd(sectorSize, streams).copy(head, 136);
      head.writeUInt32LE(attributes.length, 192);
      head.writeUInt32LE(descriptors.length, 196);
    }
    return Buffer.concat([head, attributes, descriptors]);
  }

  function writeEntry(icb: Icb, node: UdfNode, content: Uint8Array, streams: Icb | undefined): void {
    const { olderVersions = [] } = node;
    const strategy = node.olderVersions ? 4096 : 4;
    let { block } = icb;
    for (const version of [...olderVersions, content]) {
      const body = entryOf(node, version, version === content ? streams : undefined, strategy);
      if (!node.lost)
        tagged(
          above,
          block,
          body.length - node.name.length >= 0 && isExtended(node, version === content ? streams : undefined) ? 266 : 261,
          body,
        );
      if (strategy === 4) continue;
      const next = above.take(2);
      const last = version === content;
      const indirect = Buffer.alloc(36);
      indirect.writeUInt16LE(4096, 4);
      indirect[11] = 3;
      udfLongAd(sectorSize * 2, { block: next, partition: above.partition }).copy(indirect, 20);
      if (last) put(above, block + 1, Buffer.alloc(sectorSize));
      else tagged(above, block + 1, 259, indirect);
      block = next;
    }
  }

  const isExtended = ({ extended = newer }: UdfNode, streams: Icb | undefined): boolean => extended || streams !== undefined;

  function identifier(at: number, name: Buffer, characteristics: number, icb: Icb, implementationUse: number): Buffer {
    // With the tag of 16 bytes a multiple of 4.
    const whole = Buffer.alloc(((38 + implementationUse + name.length + 3) & ~3) - 16);
    whole.writeUInt16LE(1, 0);
    whole[2] = characteristics;
    whole[3] = name.length;
    udfLongAd(sectorSize, icb).copy(whole, 4);
    whole.writeUInt16LE(implementationUse, 20);
    whole.fill(0x5a, 22, 22 + implementationUse);
    name.copy(whole, 22 + implementationUse);
    return udfDescriptor(257, at + relocated, whole);
  }

  function writeDirectory(own: Icb, parents: readonly Icb[], nodes: readonly UdfNode[]): Buffer {
    const known = new Map<string, Icb>();
    const identifiers = [identifier(own.block, Buffer.alloc(0), 2 | 8, parents[0] ?? own, 0)];
    for (const node of nodes) {
      const target = node.sameAs === undefined ? (node.up === undefined ? undefined : [own, ...parents][node.up]) : known.get(node.sameAs);
      const icb = target ?? writeNode(node, [own, ...parents]);
      known.set(String(node.name), icb);
      const isDirectory = node.children !== undefined || node.up !== undefined;
      const name = typeof node.name === "string" ? udfName(node.name) : node.name;
      identifiers.push(identifier(own.block, name, node.characteristics ?? (isDirectory ? 2 : 0), icb, node.implementationUse ?? 0));
    }
    return Buffer.concat(identifiers);
  }

  function writeNode(node: UdfNode, parents: readonly Icb[]): Icb {
    const icb = { block: above.take(node.olderVersions ? 2 : 1), partition: above.partition };
    if (!node.lost) entryBlocks.set(String(node.name), icb.block);
    const streams = node.streams && writeNode({ name: `${String(node.name)}:`, type: 13, children: node.streams }, [icb]);
    const content = node.children ? writeDirectory(icb, parents, node.children) : (node.content ?? new Uint8Array());
    writeEntry(icb, node, content, streams);
    return icb;
  }

  const fileSetBlock = above.take(8);
  const root = { block: above.take(1), partition: above.partition };
  entryBlocks.set("/", root.block);
  const rootStreamIcb = rootStreams && writeNode({ name: ":", type: 13, children: rootStreams }, [root]);
  writeEntry(root, { name: "/", children: recipe.root }, writeDirectory(root, [root], recipe.root), rootStreamIcb);
  writeFileSets();

  function writeFileSets(): void {
    const { olderFileSets = 0, otherFileSets = 0 } = recipe;
    let block = fileSetBlock;
    const write = (number: number, descriptorNumber: number, icb: Icb): void => {
      const body = Buffer.alloc(496);
      udfTime(0).copy(body, 0);
      body.writeUInt32LE(number, 24);
      body.writeUInt32LE(descriptorNumber, 28);
      udfLongAd(sectorSize, icb).copy(body, 384);
      udfRegid("*OSTA UDF Compliant", revision).copy(body, 400);
      tagged(above, block, 256, body);
      block += 1;
    };
    const nowhere = { block: 0xffffff, partition: above.partition };
    for (let index = 0; index < olderFileSets; index += 1) write(0, index, nowhere);
    write(0, olderFileSets, root);
    for (let index = 0; index < otherFileSets; index += 1) write(index + 1, 0, nowhere);
    tagged(above, block, 8, Buffer.alloc(496));
  }

  return layOut(recipe, { below, above, fileSetBlock, entryBlocks, put, tagged });
}

interface Parts {
  readonly below: Row;
  readonly above: Row;
  readonly fileSetBlock: number;
  readonly entryBlocks: ReadonlyMap<string, number>;
  put(row: Row, block: number, content: Buffer): void;
  tagged(row: Row, block: number, id: number, body: Buffer): void;
}

/** Puts the rows of blocks on the disc, with all that leads to them. */
function layOut(recipe: UdfRecipe, { below, above, fileSetBlock, entryBlocks, put, tagged }: Parts): BuiltUdf {
  const { kind = "physical", sectorSize = 2048, revision = 0x0201, relocated = 0, missing = 0, label = "Ünïted 名", spared = [] } = recipe;
  const onSparable = kind === "sparable" || kind === "metadata on sparable";
  /** Where each block of the upper row is in the lower one; the mirror's second. */
  const homes = new Map<number, readonly number[]>();
  let metadataBlock = 0;
  let mirrorBlock = 0;
  let vatBlock = 0;

  if (kind.startsWith("metadata")) {
    const count = countOf(above);
    // Both in two pieces, the second in front of the first.
    const place = (): readonly [number, readonly number[], Buffer] => {
      const half = recipe.simple ? count : Math.ceil(count / 2);
      const second = below.take(count - half);
      const first = below.take(half);
      const extents = Buffer.concat(
        [
          { state: 0, length: half * sectorSize, block: first, partition: 0 },
          { state: 0, length: (count - half) * sectorSize, block: second, partition: 0 },
        ].map((extent) => udfAllocation(extent, "short")),
      );
      return [below.take(1), Array.from({ length: count }, (_, index) => (index < half ? first + index : second + index - half)), extents];
    };
    const files = [place(), place()] as const;
    for (const [index, [block, , extents]] of files.entries()) {
      const body = Buffer.concat([Buffer.alloc(200), extents]);
      body.writeUInt16LE(4, 4);
      body[11] = 250 + index;
      body.writeBigUInt64LE(BigInt(count * sectorSize), 40);
      body.writeUInt32LE(extents.length, 196);
      tagged(below, block, 266, body);
    }
    [metadataBlock, mirrorBlock] = [files[0][0], files[1][0]];
    for (const [block, content] of above.blocks) {
      const both = files.map(([, list]) => list[block] ?? 0);
      homes.set(block, both);
      for (const home of both) put(below, home, content);
    }
  } else if (kind === "virtual") {
    const table = Buffer.alloc(countOf(above) * 4, 0xff);
    for (const [block, content] of [...above.blocks].reverse()) {
      const home = below.take(1);
      table.writeUInt32LE(home, block * 4);
      homes.set(block, [home]);
      put(below, home, content);
    }
    vatBlock = writeVat(table);
  } else for (const block of above.blocks.keys()) homes.set(block, [block]);

  /** Its entry is the last block of all. */
  function writeVat(table: Buffer): number {
    const old = revision < 0x0200;
    const header = Buffer.alloc(156);
    header.writeUInt16LE(156, 0);
    header.writeUInt16LE(4, 2);
    udfDstring(`${label} by VAT`, 128).copy(header, 4);
    header.writeUInt32LE(7, 136);
    header.writeUInt32LE(3, 140);
    const content = old
      ? Buffer.concat([table, udfRegid("*UDF Virtual Alloc Tbl", revision), Buffer.alloc(4, 0xff)])
      : Buffer.concat([header, table]);
    const data = below.take(Math.ceil(content.length / sectorSize));
    put(below, data, content);
    const body = Buffer.concat([
      Buffer.alloc(old ? 160 : 200),
      udfAllocation({ state: 0, length: content.length, block: data, partition: 0 }, "short"),
    ]);
    body.writeUInt16LE(4, 4);
    body[11] = old ? 0 : 248;
    body.writeBigUInt64LE(BigInt(content.length), 40);
    body.writeUInt32LE(8, old ? 156 : 196);
    const block = below.take(1);
    tagged(below, block, old ? 261 : 266, body);
    return block;
  }

  const used = countOf(below);
  const partitionBlocks = kind === "virtual" ? used : Math.ceil(used / PACKET + 1) * PACKET;
  const spareStart = PARTITION_START + partitionBlocks;
  const end = spareStart + (onSparable ? spared.length * PACKET : 0);
  const sectors = kind === "virtual" ? end : Math.max(end + 300, 900);
  const disc = Buffer.alloc(sectors * sectorSize, recipe.simple ? 0 : GARBAGE);
  disc.fill(0, 0, PARTITION_START * sectorSize);
  const position = (block: number): number => (PARTITION_START + block) * sectorSize;
  for (const [block, content] of below.blocks) content.copy(disc, position(block));

  const moved = new Map<number, number>();
  if (onSparable) {
    for (const [index, packet] of spared.entries()) {
      const to = spareStart + index * PACKET;
      moved.set(packet * PACKET, to + missing);
      disc.copy(disc, to * sectorSize, position(packet * PACKET), position((packet + 1) * PACKET));
      disc.fill(0xdd, position(packet * PACKET), position((packet + 1) * PACKET));
    }
    for (const [index, sector] of places.sparing.entries()) sparingTable(sector, index + 1);
  }

  function sparingTable(sector: number, sequence: number): void {
    // The first one was not brought up to date.
    const entries = [...(sequence === 1 ? [] : moved), [0xffffffff, 5000], [0xfffffff0, 6000]] as const;
    const body = Buffer.alloc(40 + entries.length * 8);
    udfRegid("*UDF Sparing Table", revision).copy(body, 0);
    body.writeUInt16LE(entries.length, 32);
    body.writeUInt32LE(sequence, 36);
    for (const [index, [from, to]] of entries.entries()) {
      body.writeUInt32LE(from, 40 + index * 8);
      body.writeUInt32LE(to, 44 + index * 8);
    }
    udfDescriptor(0, sector + missing + relocated, body).copy(disc, sector * sectorSize);
  }

  const write = (sector: number, id: number, body: Buffer): void => {
    udfDescriptor(id, sector + missing + relocated, body).copy(disc, sector * sectorSize);
  };
  if (recipe.recognition !== false) {
    const step = Math.max(2048, sectorSize);
    for (const [index, id] of ["BEA01", revision < 0x0200 ? "NSR02" : "NSR03", "TEA01"].entries())
      disc.write(`\0${id}\x01`, 32_768 + index * step, "latin1");
  }
  writeVolumeDescriptors();
  if (recipe.integrity !== false) {
    const body = Buffer.alloc(64 + 8 * 2 + 46);
    udfTime(0).copy(body, 0);
    body.writeUInt32LE(recipe.open ? 0 : 1, 12);
    body.writeUInt32LE(2, 56);
    body.writeUInt32LE(46, 60);
    body.writeUInt32LE(41, 80 + 32);
    body.writeUInt32LE(12, 80 + 36);
    write(places.integrity, 9, body);
  }
  const anchors = recipe.anchors ?? (kind === "virtual" ? ["first"] : ["first", "last", "before last"]);
  const anchorSectors = { first: 256, last: sectors - 1, "before last": sectors - 257, "512": 512 };
  for (const anchor of anchors) {
    const body = Buffer.alloc(496);
    for (const [at, sector] of [places.main, places.reserve].entries()) {
      body.writeUInt32LE(16 * sectorSize, at * 8);
      body.writeUInt32LE(sector + missing, at * 8 + 4);
    }
    write(anchorSectors[anchor], 2, body);
  }

  function writeVolumeDescriptors(): void {
    const primary = Buffer.alloc(496);
    udfDstring(label, 32).copy(primary, 8);
    primary.writeUInt16LE(recipe.volumeNumber ?? 1, 40);
    const partition = (sequence: number, start: number): Buffer => {
      const body = Buffer.alloc(496);
      body.writeUInt32LE(sequence, 0);
      body.writeUInt16LE(4711, 6);
      body.writeUInt32LE(kind === "virtual" ? 2 : 4, 168);
      body.writeUInt32LE(start + missing, 172);
      body.writeUInt32LE(partitionBlocks, 176);
      return body;
    };
    const maps = mapsOf();
    const logical = Buffer.alloc(424);
    logical.writeUInt32LE(3, 0);
    udfDstring(label, 128).copy(logical, 68);
    logical.writeUInt32LE(sectorSize, 196);
    udfRegid("*OSTA UDF Compliant", revision).copy(logical, 200);
    udfLongAd(sectorSize * 8, { block: fileSetBlock, partition: above.partition }).copy(logical, 232);
    logical.writeUInt32LE(Buffer.concat(maps).length, 248);
    logical.writeUInt32LE(maps.length, 252);
    logical.writeUInt32LE(sectorSize * 2, 416);
    logical.writeUInt32LE(places.integrity + missing, 420);
    for (const start of [places.main, places.reserve]) {
      write(start, 1, primary);
      // One that another with a higher number replaces.
      write(start + 1, 5, partition(7, PARTITION_START));
      write(start + 2, recipe.simple ? 4 : 5, partition(6, 1));
      // Longer than a sector of 512 bytes, if there are two long maps.
      write(start + 3, 6, Buffer.concat([logical, ...maps]));
      if (recipe.simple) write(start + 4, 7, Buffer.alloc(496));
      write(start + 5, 8, Buffer.alloc(496));
    }
  }

  function mapsOf(): readonly Buffer[] {
    const simple = Buffer.from([1, 6, 1, 0, 0, 0]);
    simple.writeUInt16LE(recipe.mapVolume ?? 1, 2);
    simple.writeUInt16LE(4711, 4);
    const identified = (id: string): Buffer => {
      const map = Buffer.alloc(64);
      map.set([2, 64]);
      udfRegid(id, revision).copy(map, 4);
      map.writeUInt16LE(recipe.mapVolume ?? 1, 36);
      map.writeUInt16LE(4711, 38);
      return map;
    };
    const sparable = identified("*UDF Sparable Partition");
    sparable.writeUInt16LE(PACKET, 40);
    sparable[42] = places.sparing.length;
    sparable.writeUInt32LE(sectorSize, 44);
    for (const [index, sector] of places.sparing.entries()) sparable.writeUInt32LE(sector + missing, 48 + index * 4);
    const metadata = identified("*UDF Metadata Partition");
    for (const [index, block] of [metadataBlock, mirrorBlock, 0xffffffff, PACKET].entries()) metadata.writeUInt32LE(block, 40 + index * 4);
    return {
      physical: [simple],
      sparable: [sparable],
      virtual: [simple, identified("*UDF Virtual Partition")],
      metadata: [simple, metadata],
      "metadata on sparable": [sparable, metadata],
    }[kind];
  }

  return {
    disc,
    at: {
      main: places.main * sectorSize,
      reserve: places.reserve * sectorSize,
      integrity: places.integrity * sectorSize,
      sparing: places.sparing.map((sector) => sector * sectorSize),
      vat: position(vatBlock),
      metadata: position(metadataBlock),
      mirror: position(mirrorBlock),
      partition: PARTITION_START * sectorSize,
    },
    entries: new Map([...entryBlocks].map(([name, block]) => [name, (homes.get(block) ?? []).map(position)])),
  };
}
