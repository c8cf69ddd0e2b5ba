import type { Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import type { FormatDriver, KeyMemory, Layer, LayerFacts, Opener } from "../driver.js";
import type { Encryption } from "../encryption/blocks.js";
import { unlockLuks } from "../encryption/luks.js";
import { qcowAes } from "../encryption/qcow-aes.js";
import { backingWish, parseNameIn } from "../qemu-names.js";
import { auditQcow2 } from "./audit.js";
import { type Qcow2Header, readHeader } from "./header.js";
import { CRYPT_METHOD_POSITION, limits, MAGIC } from "./layout.js";
import { createMapper, type L1 } from "./map.js";
import { findSnapshot, readSnapshots, snapshotAt, type Snapshot, type SnapshotList } from "./snapshots.js";
import { qcow2Variants } from "./variants.js";

export const qcow2: FormatDriver = {
  name: "qcow2",
  variants: qcow2Variants,
  extensions: [".qcow2", ".qcow", ".img"],
  probe({ head }) {
    if (head.length < 8) return false;
    const view = new DataView(head.buffer, head.byteOffset, head.length);
    return view.getUint32(0) === MAGIC && view.getUint32(4) !== 1;
  },
  open(source, opener, { snapshot, passwords = [], keys }) {
    const header = readHeader(source);
    let list: SnapshotList | undefined;
    const snapshots = () => (list ??= readSnapshots(source, header));
    const state = snapshot === undefined ? activeState(header) : stateOf(findSnapshot(source, snapshots(), snapshot));
    checkL1(source, header, state);
    const encryption = unlock(source, header, passwords, keys);
    const data = header.dataFile ? openDataFile(source, header.dataFile, opener) : source;
    const closeData = () => {
      if (data !== source) data.close();
    };
    try {
      const mapper = createMapper({ source, header, data, encryption });
      const map = mapper(state.l1);
      encryption?.choose?.(map, state.size);
      const parent =
        header.backingFile === undefined ? undefined : opener.parent(backingWish(source.name, header.backingFile, header.backingFormat));
      const layerOf = ({ size }: State, stateMap: Layer["map"]) => ({
        format: "qcow2",
        name: source.name,
        size,
        ...(parent && { parent }),
        map: stateMap,
        facts() {
          const facts = factsOf(header, encryption, snapshots());
          return { ...facts, notes: [...facts.notes, ...(encryption?.notes?.(stateMap, size) ?? [])] };
        },
      });
      return {
        ...layerOf(state, map),
        snapshot(index) {
          const then = stateOf(snapshotAt(source, snapshots(), index));
          checkL1(source, header, then);
          return { ...layerOf(then, mapper(then.l1)), close: () => undefined };
        },
        audit: (audit) => auditQcow2(source, header, audit),
        close() {
          parent?.close();
          closeData();
          source.close();
        },
      };
    } catch (error) {
      closeData();
      throw error;
    }
  },
};

/** What the disk was at one time. */
interface State {
  /** Bytes. */
  readonly size: number;
  readonly l1: L1;
  readonly active: boolean;
}

function activeState({ size, l1TableOffset, l1Size }: Qcow2Header): State {
  return { size, l1: { offset: l1TableOffset, entries: l1Size }, active: true };
}

function stateOf({ size, l1TableOffset, l1Size }: Snapshot): State {
  return { size, l1: { offset: l1TableOffset, entries: l1Size }, active: false };
}

/** Throws `KEY_NEEDED` for an encrypted image that no password opens. */
function unlock(
  source: Source,
  { encryption }: Qcow2Header,
  passwords: readonly string[],
  keys: KeyMemory | undefined,
): Encryption | undefined {
  if (!encryption) return undefined;
  if (encryption.method === "aes") return qcowAes(passwords, source.name, CRYPT_METHOD_POSITION);
  // Sectors are counted by their place in the file that holds the clusters; the payload offset of the LUKS header is not used.
  return { ...unlockLuks(source, encryption, passwords, keys), sectors: "file" };
}

function openDataFile(source: Source, { name }: { readonly name: string | undefined }, opener: Opener): Source {
  if (name !== undefined) return opener.part(parseNameIn(source.name, name).path);
  throw new ImageError("PART_MISSING", "the image keeps its data in an external file and does not name it", { file: source.name });
}

/** A snapshot's table may be smaller than its disk: what it does not reach is unallocated. The active table may not. */
function checkL1(source: Source, { clusterBits, extendedL2, size }: Qcow2Header, { l1, active }: State): void {
  const fail = (message: string) => new ImageError("CORRUPT", message, { file: source.name, position: l1.offset });
  const span = 2 ** clusterBits * (2 ** clusterBits / (extendedL2 ? 16 : 8));
  const needed = Math.ceil(size / span);
  if (l1.entries * 8 > limits.l1Bytes) throw fail(`the L1 table has ${l1.entries} entries; ${limits.l1Bytes / 8} are the limit`);
  if (active && l1.entries < needed) throw fail(`the L1 table has ${l1.entries} entries, the disk of ${size} bytes needs ${needed}`);
  if (l1.offset + l1.entries * 8 > source.size) throw fail(`the L1 table of ${l1.entries} entries leaves the file of ${source.size} bytes`);
}

function factsOf(header: Qcow2Header, encryption: Encryption | undefined, { snapshots, failure }: SnapshotList): LayerFacts {
  const notes: string[] = [];
  if (header.dirty) notes.push("It was not closed properly: its refcounts may be wrong. Reading does not need them.");
  if (header.corrupt) notes.push("It is marked as corrupt by the program that wrote it.");
  if (header.backingFile !== undefined && header.backingFormat === undefined) {
    notes.push("It does not tell the format of its backing file, which was found by its content.");
  }
  if (header.unknownAutoclear !== 0n) notes.push("It has autoclear features that are not known here; they do not matter for reading.");
  if (failure) {
    const which = snapshots.length === 0 ? "Its snapshots" : `Its snapshots behind the first ${snapshots.length}`;
    notes.push(`${which} cannot be listed: ${failure.message}.`);
  }
  return {
    variant: `version ${header.version}`,
    details: {
      "cluster size": 2 ** header.clusterBits,
      "compression type": header.compression,
      "refcount bits": header.refcountBits,
      ...(header.extendedL2 && { "extended L2": true }),
      ...(header.lazyRefcounts && { "lazy refcounts": true }),
      ...(encryption && { encryption: encryption.name }),
      ...(header.bitmaps && { bitmaps: true }),
      ...(header.backingFile !== undefined && { "backing file": header.backingFile }),
      ...(header.backingFormat !== undefined && { "backing format": header.backingFormat }),
      ...(header.dataFile && { "data file": header.dataFile.name ?? "", "data file is raw": header.dataFile.raw }),
    },
    ...(snapshots.length > 0 && {
      snapshots: snapshots.map(({ id, name, size, created, stateSize }) => ({ id, name, size, created, stateSize })),
    }),
    notes,
  };
}
