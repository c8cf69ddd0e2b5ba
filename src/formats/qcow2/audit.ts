// What refers to each cluster of the file, compared with the refcounts that the image keeps. The references are counted for a window of the file at a time,
// so that memory stays the same for files of any size. Reference: docs/interop/qcow2.rst, sections "Host cluster management" and "L2 table entry".
import type { Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import { hex } from "../../util/text.js";
import type { Audit, Problem } from "../audit.js";
import { createRunTeller } from "../audit.js";
import { type Counts, createCounts, WINDOW, windows } from "../counts.js";
import { loadTable64 } from "../tables.js";
import { auditTable, COPIED, type Taken } from "./audit-entries.js";
import { auditBitmaps, auditSnapshots } from "./audit-others.js";
import { paddedSource, type Refcounts, readRefcounts } from "./audit-refcounts.js";
import { markClusters, overlapTeller, SHARED_LIMIT, tellShared } from "./audit-shared.js";
import { hostOffset } from "./entries.js";
import type { Qcow2Header } from "./header.js";

/** Different L2 tables that are looked at; the L1 tables of QEMU's limit name no more. */
const TABLES_LIMIT = 2 ** 22;

const L1_RESERVED_HIGH = 0x7f000000;

/** Takes bytes of the file `times` times. */
type Use = (what: string, position: number, length: number, times?: number) => void;

/** `window`: clusters whose references are counted in one pass. */
export function auditQcow2(source: Source, header: Qcow2Header, audit: Audit, window = WINDOW): void {
  tellMarks(header, audit);
  try {
    auditCounts(source, header, audit, window);
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
    audit.found({ kind: "audit stopped", severity: "error", message: error.message, position: error.position });
  }
}

function tellMarks({ dirty, corrupt }: Qcow2Header, audit: Audit): void {
  if (dirty) {
    const message = "It was not closed properly: its refcounts may be wrong. Reading does not need them";
    audit.found({ kind: "not closed", severity: "warning", message, position: 72 });
  }
  if (corrupt) {
    audit.found({
      kind: "marked corrupt",
      severity: "warning",
      message: "It is marked as corrupt by the program that wrote it",
      position: 72,
    });
  }
}

function auditCounts(source: Source, header: Qcow2Header, audit: Audit, span: number): void {
  const clusterSize = 2 ** header.clusterBits;
  const found = (problem: Problem) => audit.found(problem);
  const refcounts = readRefcounts(source, header, found);
  const snapshots = auditSnapshots(source, header, found);
  const parts = [
    { what: "the header", position: 0, length: clusterSize },
    ...snapshots.parts,
    ...(header.encryption?.method === "luks"
      ? [{ what: "the LUKS header", position: header.encryption.offset, length: header.encryption.length }]
      : []),
    ...auditBitmaps(source, header, found),
    ...(refcounts ? [{ what: "the refcount table", ...refcounts.table }] : []),
  ];
  const active = { what: "the L1 table", offset: header.l1TableOffset, entries: header.l1Size };
  const tables = collectTables(source, header, [active, ...snapshots.l1], refcounts, found);

  /** One more than the file has whole: a region may reach a little beyond its end. */
  const clusters = Math.ceil(source.size / clusterSize) + 1;
  for (const window of windows(clusters, span)) {
    const first = window.first === 0;
    const counts = createCounts(window.first, window.end);
    const metadata = new Uint8Array(Math.ceil((window.end - window.first) / 8));
    const use = counter(source, header, counts, { refcounts, first, tell: found });
    const mark: Use = (what, position, length, times) => {
      use(what, position, length, times);
      markClusters(metadata, counts, position, length, clusterSize);
    };
    for (const { what, position, length } of parts) mark(what, position, length);
    for (const { what, offset, entries } of [active, ...snapshots.l1]) mark(what, offset, entries * 8);
    for (const [position, { times }] of tables) mark("an L2 table", position, clusterSize, times);
    for (const block of refcounts?.blocks ?? []) if (block > 0) markClusters(metadata, counts, block, clusterSize, clusterSize);
    const shared = new Set<number>();
    const overlaps = overlapTeller(metadata, counts, clusterSize, shared, found);
    const tell = first ? found : undefined;
    let done = 0;
    for (const [position, table] of tables) {
      auditEntries(source, header, position, table, {
        refcounts: first ? refcounts : undefined,
        tell,
        take({ kind, position: at, length }) {
          if (header.dataFile) return;
          use(kind === "data" ? "a cluster" : "a compressed cluster", at, length, table.times);
          overlaps(at, length);
        },
      });
      done += 1;
      audit.progress(window.first + ((window.end - window.first) * done) / tables.size, clusters);
    }
    if (!refcounts) continue;
    auditBlocks(source, refcounts, counts, clusterSize, use, found, first);
    compare(counts, refcounts, source, clusterSize, shared, found);
    if (shared.size > 0) tellShared(source, header, shared, audit);
  }
}

interface Table {
  /** How many L1 entries name it. */
  times: number;
  /** How many of them in the active L1 table. */
  active: number;
}

/** Where all L2 tables are. */
function collectTables(
  source: Source,
  { clusterBits }: Qcow2Header,
  l1: readonly { readonly what: string; readonly offset: number; readonly entries: number }[],
  refcounts: Refcounts | undefined,
  tell: (problem: Problem) => void,
): ReadonlyMap<number, Table> {
  const clusterSize = 2 ** clusterBits;
  const tables = new Map<number, Table>();
  for (const [number, { what, offset, entries }] of l1.entries()) {
    const words = loadTable64(paddedSource(source), offset, entries);
    for (let index = 0; index < entries; index += 1) {
      const [high, low] = [words[2 * index]!, words[2 * index + 1]!];
      const position = hostOffset(high, low);
      const wrong = (problem: string) =>
        tell({ kind: "table entry", severity: "error", message: `entry ${index} of ${what} ${problem}`, position: offset + 8 * index });
      if ((high & L1_RESERVED_HIGH) !== 0 || (low & 0x1ff) !== 0) wrong("has bits set that are reserved");
      if (position === 0) continue;
      if (position % clusterSize !== 0) {
        wrong(`names an L2 table at ${hex(position)}, which is not aligned to a cluster`);
        continue;
      }
      const refcount = number === 0 ? refcounts?.get(position / clusterSize) : undefined;
      if (refcount !== undefined && (refcount === 1) !== ((high & COPIED) !== 0)) {
        const message = `entry ${index} of ${what} has a flag COPIED that does not fit its refcount of ${refcount}`;
        tell({ kind: "COPIED flag", severity: "error", message, position: offset + 8 * index });
      }
      const table = tables.get(position) ?? { times: 0, active: 0 };
      table.times += 1;
      if (number === 0) table.active += 1;
      tables.set(position, table);
      if (tables.size > TABLES_LIMIT)
        throw new ImageError("UNSUPPORTED", `there are more than ${TABLES_LIMIT} L2 tables`, { position: offset });
    }
  }
  return tables;
}

function counter(
  source: Source,
  header: Qcow2Header,
  counts: Counts,
  { refcounts, first, tell }: { readonly refcounts: Refcounts | undefined; readonly first: boolean; tell(problem: Problem): void },
): Use {
  const clusterSize = 2 ** header.clusterBits;
  const most = refcounts?.most ?? Number.MAX_SAFE_INTEGER;
  return (what, position, length, times = 1) => {
    if (length <= 0) return;
    if (position + length - source.size >= clusterSize) {
      const message = `${what}, ${length} bytes at ${hex(position)}, is behind the end of the file, which has ${source.size} bytes`;
      if (first) tell({ kind: "behind the end", severity: "error", message, position, ...(times > 1 && { count: times }) });
      return;
    }
    const last = Math.min(counts.end - 1, Math.floor((position + length - 1) / clusterSize));
    for (let cluster = Math.max(counts.first, Math.floor(position / clusterSize)); cluster <= last; cluster += 1) {
      const room = Math.max(0, most - counts.get(cluster));
      counts.add(cluster, Math.min(times, room));
      if (times <= room) continue;
      const message = `cluster ${cluster} is used more often than a refcount of ${header.refcountBits} bits can tell`;
      tell({ kind: "refcount too low", severity: "error", message, position: cluster * clusterSize, count: times - room });
    }
  };
}

interface EntryListener {
  /** Where flags are to be compared with refcounts. */
  readonly refcounts: Refcounts | undefined;
  readonly tell: ((problem: Problem) => void) | undefined;
  take(taken: Taken): void;
}

function auditEntries(source: Source, header: Qcow2Header, position: number, table: Table, { refcounts, tell, take }: EntryListener): void {
  const clusterSize = 2 ** header.clusterBits;
  const wrongFlag = (what: string, count: number, at: number, refcount: number) => {
    const message = `${what} has a flag COPIED that does not fit its refcount of ${refcount}`;
    tell?.({ kind: "COPIED flag", severity: "error", message, position: at, ...(count > 1 && { count }) });
  };
  auditTable(
    paddedSource(source),
    header,
    position,
    (taken) => {
      take(taken);
      if (!refcounts || table.active === 0 || taken.kind !== "data") return;
      const refcount = header.dataFile ? 1 : refcounts.get(Math.floor(taken.position / clusterSize));
      if (refcount === undefined || (refcount === 1) === taken.copied) return;
      wrongFlag(`entry ${taken.entry} of the L2 table at ${hex(position)}`, table.active, position, refcount);
    },
    tell && ((problem) => tell(table.times > 1 ? { ...problem, count: table.times } : problem)),
  );
}

/** Counts the refcount blocks themselves, which must be used once and by nothing else. */
function auditBlocks(
  source: Source,
  { blocks, table }: Refcounts,
  counts: Counts,
  clusterSize: number,
  use: Use,
  tell: (problem: Problem) => void,
  first: boolean,
): void {
  for (const [index, block] of blocks.entries()) {
    if (block <= 0) continue;
    const wrong = (message: string) => tell({ kind: "refcount block", severity: "error", message, position: table.position + 8 * index });
    if (block >= source.size) {
      if (first) wrong(`refcount block ${index}, at ${hex(block)}, is behind the end of the file`);
      continue;
    }
    use(`refcount block ${index}`, block, clusterSize);
    const cluster = block / clusterSize;
    if (cluster < counts.first || cluster >= counts.end || counts.get(cluster) === 1) continue;
    wrong(`refcount block ${index}, at ${hex(block)}, is used ${counts.get(cluster)} times`);
  }
}

function compare(
  counts: Counts,
  refcounts: Refcounts,
  source: Source,
  clusterSize: number,
  shared: Set<number>,
  tell: (problem: Problem) => void,
): void {
  const leaked = createRunTeller((first, last, reason) => {
    tell(runProblem("leaked cluster", "warning", first, last, reason, clusterSize));
  });
  const low = createRunTeller((first, last, reason) => tell(runProblem("refcount too low", "error", first, last, reason, clusterSize)));
  const inFile = Math.ceil(source.size / clusterSize);
  for (let cluster = counts.first; cluster < counts.end; cluster += 1) {
    const used = counts.get(cluster);
    if (cluster >= inFile && used === 0) continue;
    const stored = refcounts.get(cluster);
    if (stored === undefined || stored === used) continue;
    (stored > used ? leaked : low).add(cluster, `the refcount is ${stored}, the references to it are ${used}`);
    if (stored < used && used > 1 && shared.size < SHARED_LIMIT) shared.add(cluster);
  }
  leaked.end();
  low.end();
}

function runProblem(
  kind: string,
  severity: "warning" | "error",
  first: number,
  last: number,
  reason: string,
  clusterSize: number,
): Problem {
  const what = first === last ? `cluster ${first}` : `clusters ${first} to ${last}`;
  const count = last - first + 1;
  return { kind, severity, message: `${what}: ${reason}`, position: first * clusterSize, ...(count > 1 && { count }) };
}
