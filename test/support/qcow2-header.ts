// The header of a qcow2 image and what follows it in the first cluster, written field by field.
// Reference: docs/interop/qcow2.rst in the QEMU sources, "Header" and "Header extensions".

export interface ExtensionRecipe {
  readonly type: number;
  readonly data: Uint8Array;
}

/** Every knob of the header; what is not given is what QEMU would write. */
export interface HeaderRecipe {
  readonly version?: 2 | 3;
  /** 12 if not given: clusters of 4 KiB. */
  readonly clusterBits?: number;
  readonly extended?: boolean;
  /** 0 deflate, 1 zstd. */
  readonly compressionType?: number;
  readonly refcountOrder?: number;
  readonly cryptMethod?: number;
  /** Bits set besides those that the rest of the recipe needs. */
  readonly incompatible?: bigint;
  readonly compatible?: bigint;
  readonly autoclear?: bigint;
  readonly headerLength?: number;
  /** Written from byte 105 of a version 3 header on, as far as the header reaches. */
  readonly headerTail?: Uint8Array;
  readonly extensions?: readonly ExtensionRecipe[];
  /** Whether a marker ends the extensions; true if not given. */
  readonly endMarker?: boolean;
  readonly backing?: { readonly name: string | Uint8Array; readonly format?: string };
  /** Name of the external data file. The disk's clusters are not written into the image then. */
  readonly dataFile?: string;
}

/** What the header says about the rest of the image. */
interface Places {
  readonly size: number;
  readonly l1Position: number;
  readonly l1Entries: number;
  readonly snapshotCount: number;
  readonly snapshotTable: number;
  readonly refcountTable: number;
  readonly refcountTableClusters: number;
}

const extensionTypes = {
  backingFormat: 0xe2792aca,
  featureNames: 0x6803f857,
  bitmaps: 0x23852875,
  encryption: 0x0537be77,
  dataFile: 0x44415441,
} as const;

/** Header, extensions and backing name; fails if they do not fit into the first cluster. */
export function encodeHeader(recipe: HeaderRecipe, places: Places): Buffer {
  const fixed = fixedPart(recipe, places);
  const name = Buffer.from(recipe.backing?.name ?? "");
  const result = Buffer.concat([fixed, ...extensionArea(recipe), name]);
  if (recipe.backing) {
    result.writeBigUInt64BE(BigInt(result.length - name.length), 8);
    result.writeUInt32BE(name.length, 16);
  }
  if (result.length > 2 ** (recipe.clusterBits ?? 12))
    throw new Error(`a header of ${result.length} bytes does not fit into the first cluster`);
  return result;
}

function fixedPart(recipe: HeaderRecipe, places: Places): Buffer {
  const { version = 3, compressionType = 0 } = recipe;
  const header = Buffer.alloc(Math.max(version === 2 ? 72 : 104, recipe.headerLength ?? (version === 2 ? 72 : 112)));
  header.write("QFI\xfb", 0, "latin1");
  header.writeUInt32BE(version, 4);
  header.writeUInt32BE(recipe.clusterBits ?? 12, 20);
  header.writeBigUInt64BE(BigInt(places.size), 24);
  header.writeUInt32BE(recipe.cryptMethod ?? 0, 32);
  header.writeUInt32BE(places.l1Entries, 36);
  header.writeBigUInt64BE(BigInt(places.l1Position), 40);
  header.writeBigUInt64BE(BigInt(places.refcountTable), 48);
  header.writeUInt32BE(places.refcountTableClusters, 56);
  header.writeUInt32BE(places.snapshotCount, 60);
  header.writeBigUInt64BE(BigInt(places.snapshotTable), 64);
  if (version === 2) return header;

  const needed = (recipe.dataFile === undefined ? 0n : 4n) | (compressionType === 0 ? 0n : 8n) | (recipe.extended ? 16n : 0n);
  header.writeBigUInt64BE(needed | (recipe.incompatible ?? 0n), 72);
  header.writeBigUInt64BE(recipe.compatible ?? 0n, 80);
  header.writeBigUInt64BE(recipe.autoclear ?? 0n, 88);
  header.writeUInt32BE(recipe.refcountOrder ?? 4, 96);
  header.writeUInt32BE(recipe.headerLength ?? 112, 100);
  if (header.length > 104) header[104] = compressionType;
  if (recipe.headerTail) header.set(recipe.headerTail.subarray(0, header.length - 105), 105);
  return header;
}

function extensionArea({ backing, dataFile, extensions = [], endMarker = true }: HeaderRecipe): Buffer[] {
  const list: ExtensionRecipe[] = [
    ...(backing?.format === undefined ? [] : [{ type: extensionTypes.backingFormat, data: Buffer.from(backing.format) }]),
    ...(dataFile === undefined ? [] : [{ type: extensionTypes.dataFile, data: Buffer.from(dataFile) }]),
    ...extensions,
  ];
  const encoded = list.map(({ type, data }) => {
    // Padding of 0xff: readers must not take the strings as ending with NUL.
    const extension = Buffer.alloc(8 + Math.ceil(data.length / 8) * 8, 0xff);
    extension.writeUInt32BE(type, 0);
    extension.writeUInt32BE(data.length, 4);
    extension.set(data, 8);
    return extension;
  });
  return endMarker ? [...encoded, Buffer.alloc(8)] : encoded;
}

/** A feature name table for one incompatible bit after another. */
export function featureNames(names: Readonly<Record<number, string>>): ExtensionRecipe {
  const entries = Object.entries(names).map(([bit, name]) => {
    const entry = Buffer.alloc(48);
    entry[1] = Number(bit);
    entry.write(name, 2);
    return entry;
  });
  return { type: extensionTypes.featureNames, data: Buffer.concat(entries) };
}
