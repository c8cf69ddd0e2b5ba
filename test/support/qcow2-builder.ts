// Writes qcow2 images byte by byte, for shapes that QEMU itself never writes.
// Reference: docs/interop/qcow2.rst in the QEMU sources. Positions are bytes from the start of the file.
import { randomNumbers, shuffled } from "./content.js";
import { bitmapOf, type Cluster, COPIED, contentOf, entryOf, extraSectors } from "./qcow2-entries.js";
import { encodeHeader, type HeaderRecipe } from "./qcow2-header.js";
import { writeRefcounts } from "./qcow2-refcounts.js";

/** By number of the guest cluster. What is not named is unallocated. */
export type Clusters = ReadonlyMap<number, Cluster>;

/** One state of the disk: the active one, or a snapshot's. */
interface State {
  /** Bytes. */
  readonly size: number;
  readonly clusters: Clusters;
  /** Entries of the L1 table, if not as many as the size needs. */
  readonly l1Entries?: number;
}

export interface SnapshotRecipe extends State {
  readonly id: string;
  readonly name: string;
  /** Bytes of extra data; 16 if not given. Known fields are filled in, the rest is junk. */
  readonly extraSize?: number;
  readonly stateSize?: number;
  readonly seconds?: number;
}

export interface Recipe extends HeaderRecipe, State {
  /** Host clusters are taken in the order this gives; 0 (default): tables first, data in guest order. */
  readonly seed?: number;
  readonly snapshots?: readonly SnapshotRecipe[];
  /** Ends the file with the last byte of the last compressed stream, instead of a whole cluster. */
  readonly cutAtEnd?: boolean;
}

export interface Built {
  readonly bytes: Buffer;
  readonly clusterSize: number;
  /** The active state's tables; of L2 tables and clusters by number. */
  readonly l1: number;
  readonly l2: ReadonlyMap<number, number>;
  readonly data: ReadonlyMap<number, number>;
  readonly packed: ReadonlyMap<number, { readonly position: number; readonly length: number }>;
  readonly snapshotTable: number;
}

/** Host clusters that must be next to each other. `position` is set once all are known. */
interface Unit {
  readonly clusters: number;
  position: number;
}

/** A state's places in the file. */
interface Placed {
  readonly state: State;
  readonly entries: number;
  readonly l1: Unit;
  readonly l2: Map<number, Unit>;
  readonly data: Map<number, Unit>;
  readonly packed: Map<number, { position: number; length: number }>;
}

export function buildQcow2(recipe: Recipe): Built {
  const clusterSize = 2 ** (recipe.clusterBits ?? 12);
  const external = recipe.dataFile !== undefined;
  const snapshots = recipe.snapshots ?? [];
  const states = [recipe, ...snapshots].map((state) => plan(state, clusterSize, recipe.extended ?? false, external));
  const active = states[0] as Placed;
  const snapshotTable: Unit = {
    clusters: Math.ceil(snapshots.reduce((sum, snapshot) => sum + snapshotEntrySize(snapshot), 0) / clusterSize),
    position: 0,
  };

  let end = placeUnits(
    [snapshotTable, ...states.flatMap((placed) => [placed.l1, ...placed.l2.values(), ...placed.data.values()])],
    clusterSize,
    recipe.seed ?? 0,
  );
  for (const placed of states) end = placePacked(placed, end);

  const bytes = Buffer.alloc(Math.ceil(end / clusterSize) * clusterSize);
  for (const placed of states) writeState(bytes, placed, clusterSize, recipe.extended ?? false, placed === active, external);
  let entryAt = snapshotTable.position;
  for (const [index, snapshot] of snapshots.entries()) entryAt += writeSnapshotEntry(bytes, entryAt, snapshot, states[index + 1] as Placed);

  const counted = recipe.cutAtEnd
    ? undefined
    : writeRefcounts(bytes, clusterSize, recipe.refcountOrder ?? 4, references(states, snapshotTable, clusterSize));
  const header = encodeHeader(recipe, {
    size: recipe.size,
    l1Position: active.l1.position,
    l1Entries: active.entries,
    snapshotCount: snapshots.length,
    snapshotTable: snapshots.length > 0 ? snapshotTable.position : 0,
    refcountTable: counted?.position ?? clusterSize,
    refcountTableClusters: counted?.clusters ?? 1,
  });
  const whole = counted?.bytes ?? bytes;
  header.copy(whole);
  return {
    bytes: recipe.cutAtEnd ? whole.subarray(0, end) : whole,
    clusterSize,
    l1: active.l1.position,
    l2: positions(active.l2),
    data: positions(active.data),
    packed: active.packed,
    snapshotTable: snapshotTable.position,
  };
}

function positions(units: ReadonlyMap<number, Unit>): Map<number, number> {
  return new Map([...units].map(([number, { position }]) => [number, position]));
}

function plan(state: State, clusterSize: number, extended: boolean, external: boolean): Placed {
  const perTable = clusterSize / (extended ? 16 : 8);
  const entries = state.l1Entries ?? Math.ceil(state.size / (clusterSize * perTable));
  const stored = [...state.clusters].filter(([, cluster]) => contentOf(cluster) !== undefined && !external);
  const tables = [...state.clusters.keys()].map((number) => Math.floor(number / perTable));
  return {
    state,
    entries,
    l1: { clusters: Math.max(1, Math.ceil((entries * 8) / clusterSize)), position: 0 },
    l2: new Map([...new Set(tables)].map((table) => [table, { clusters: 1, position: 0 }])),
    data: new Map(stored.map(([number]) => [number, { clusters: 1, position: 0 }])),
    packed: new Map(),
  };
}

/** The header has the first cluster. Gives the first free position. */
function placeUnits(units: readonly Unit[], clusterSize: number, seed: number): number {
  let position = clusterSize;
  for (const unit of seed === 0 ? units : shuffled(units, randomNumbers(seed))) {
    unit.position = position;
    position += unit.clusters * clusterSize;
  }
  return position;
}

function placePacked(placed: Placed, from: number): number {
  let at = from;
  for (const [number, cluster] of placed.state.clusters) {
    if (cluster.kind !== "packed") continue;
    const position = at + (cluster.gap ?? 1);
    placed.packed.set(number, { position, length: cluster.stored.length });
    at = position + cluster.stored.length;
  }
  return at;
}

function writeState(bytes: Buffer, placed: Placed, clusterSize: number, extended: boolean, active: boolean, external: boolean): void {
  const perTable = clusterSize / (extended ? 16 : 8);
  const copied = active ? COPIED : 0n;
  for (const [table, { position }] of placed.l2) {
    if (table < placed.entries) bytes.writeBigUInt64BE(BigInt(position) | copied, placed.l1.position + table * 8);
  }
  for (const [number, cluster] of placed.state.clusters) {
    const table = placed.l2.get(Math.floor(number / perTable)) as Unit;
    const at = table.position + (number % perTable) * (extended ? 16 : 8);
    const host = external ? number * clusterSize : (placed.data.get(number)?.position ?? 0);
    const stream = placed.packed.get(number)?.position ?? 0;
    bytes.writeBigUInt64BE(entryOf(cluster, { host, copied, stream, clusterSize, extended }), at);
    if (extended) bytes.writeBigUInt64BE(bitmapOf(cluster), at + 8);
    if (!external && host !== 0) bytes.set(contentOf(cluster) ?? [], host);
    if (cluster.kind === "packed") bytes.set(cluster.stored, placed.packed.get(number)?.position ?? 0);
  }
}

function snapshotEntrySize({ id, name, extraSize = 16 }: SnapshotRecipe): number {
  return Math.ceil((40 + extraSize + Buffer.byteLength(id) + Buffer.byteLength(name)) / 8) * 8;
}

/** Gives the size of the entry. */
function writeSnapshotEntry(bytes: Buffer, at: number, snapshot: SnapshotRecipe, { l1, entries }: Placed): number {
  const { id, name, size, extraSize = 16, stateSize = 0, seconds = 0 } = snapshot;
  const known = Buffer.alloc(24);
  known.writeBigUInt64BE(BigInt(stateSize), 0);
  known.writeBigUInt64BE(BigInt(size), 8);
  known.fill(0xff, 16);
  const extra = Buffer.alloc(extraSize, 0xab);
  known.copy(extra);
  bytes.writeBigUInt64BE(BigInt(l1.position), at);
  bytes.writeUInt32BE(entries, at + 8);
  bytes.writeUInt16BE(Buffer.byteLength(id), at + 12);
  bytes.writeUInt16BE(Buffer.byteLength(name), at + 14);
  bytes.writeUInt32BE(seconds, at + 16);
  bytes.writeUInt32BE(stateSize, at + 32);
  bytes.writeUInt32BE(extraSize, at + 36);
  Buffer.concat([extra, Buffer.from(id), Buffer.from(name)]).copy(bytes, at + 40);
  return snapshotEntrySize(snapshot);
}

/** The host clusters in use, as often as they are. */
function references(states: readonly Placed[], snapshotTable: Unit, clusterSize: number): number[] {
  const units = [snapshotTable, ...states.flatMap((placed) => [placed.l1, ...placed.l2.values(), ...placed.data.values()])];
  const streams = states
    .flatMap((placed) => [...placed.packed.values()])
    .map(({ position, length }) => {
      const first = Math.floor(position / 512) * 512;
      return { first, size: (extraSectors(position, length) + 1) * 512 };
    });
  const ranges = [...units.map(({ position, clusters }) => ({ first: position, size: clusters * clusterSize })), ...streams].filter(
    ({ size }) => size > 0,
  );
  return [
    0,
    ...ranges.flatMap(({ first, size }) => {
      const number = Math.floor(first / clusterSize);
      return Array.from({ length: Math.ceil((first + size) / clusterSize) - number }, (_, index) => number + index);
    }),
  ];
}
