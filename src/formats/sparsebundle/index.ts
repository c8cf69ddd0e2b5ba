import { readBytes, type Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import type { Extent, FormatDriver, Opener } from "../driver.js";
import { runLength } from "../runs.js";
import { isInfo, readInfo } from "./info.js";
import { sparsebundleVariants } from "./variants.js";

/** What a band's file is called: its number, in lower-case hexadecimal digits. */
const bandName = /^(?:0|[1-9a-f][0-9a-f]{0,6})$/;
const BANDS = "bands";
/** Files that are open at once. Time Machine makes one for every 8 MiB, newer systems larger ones. */
const FILES_LIMIT = 65_536;

/** Apple's sparse bundle: a directory with a file for every band of the disk. It is opened by its property list, or the directory. */
export const sparsebundle: FormatDriver = {
  name: "sparsebundle",
  variants: sparsebundleVariants,
  extensions: [".sparsebundle"],
  probe: ({ head }) => isInfo(head),
  open(source, opener, { snapshot, disk }) {
    const asked = snapshot !== undefined ? "snapshots" : disk !== undefined ? "several disks" : undefined;
    if (asked !== undefined) throw new ImageError("UNSUPPORTED", `a sparse bundle has no ${asked}`, { file: source.name });
    const { size, bandSize, version } = readInfo(source);
    const token = openToken(opener);
    let bands: Bands;
    try {
      refuseEncrypted(source, token);
      bands = openBands(source, opener, Math.ceil(size / bandSize));
    } catch (error) {
      token?.close();
      throw error;
    }
    const stored = [...bands.values()].filter((band) => !(band instanceof ImageError)).length;
    return {
      format: "sparsebundle",
      name: source.name,
      size,
      map: createMap(bands, size, bandSize),
      facts: () => ({ variant: `version ${version}`, details: { "band size": bandSize, "stored bands": stored }, notes: notesOf(bands) }),
      close() {
        closeAll(bands);
        token?.close();
        source.close();
      },
    };
  },
};

type Bands = ReadonlyMap<number, Source | ImageError>;

function closeAll(bands: Bands): void {
  for (const band of bands.values()) if (!(band instanceof ImageError)) band.close();
}

function notesOf(bands: Bands): readonly string[] {
  const lost = [...bands.values()].filter((band) => band instanceof ImageError).length;
  return lost > 0 ? [`Degraded: ${lost} bands cannot be read.`] : [];
}

/** The file "token", which is empty, or begins like every encrypted image of Apple; undefined if there is none. */
function openToken(opener: Opener): Source | undefined {
  try {
    return opener.part("token");
  } catch (error) {
    if (error instanceof ImageError && error.code === "PART_MISSING") return undefined;
    throw error;
  }
}

function refuseEncrypted(source: Source, token: Source | undefined): void {
  const head = token && readBytes(token, 0, Math.min(token.size, 8)).toString("latin1");
  if (head === "encrcdsa")
    throw new ImageError("KEY_NEEDED", "the sparse bundle is encrypted, which cannot be read yet", { file: source.name });
}

/** A band without a file holds nothing but zeros: that is how a bundle is sparse. */
function openBands(source: Source, opener: Opener, count: number): Bands {
  const names = (opener.names?.(BANDS) ?? []).filter((name) => bandName.test(name) && Number.parseInt(name, 16) < count);
  if (!opener.names) throw new ImageError("UNSUPPORTED", "its bands cannot be looked for here", { file: source.name });
  if (names.length > FILES_LIMIT) {
    throw new ImageError("UNSUPPORTED", `the bundle has ${names.length} bands; ${FILES_LIMIT} files are the limit`, { file: source.name });
  }
  const bands = new Map<number, Source | ImageError>();
  try {
    for (const name of names) bands.set(Number.parseInt(name, 16), openBand(opener, name));
    return bands;
  } catch (error) {
    closeAll(bands);
    throw error;
  }
}

function openBand(opener: Opener, name: string): Source | ImageError {
  try {
    return opener.part(`${BANDS}/${name}`);
  } catch (error) {
    if (opener.degraded && error instanceof ImageError) return error;
    throw error;
  }
}

function createMap(bands: Bands, size: number, bandSize: number): (offset: number, length: number) => Extent {
  return (offset, length) => {
    const most = Math.min(length, size - offset);
    const number = Math.floor(offset / bandSize);
    const skip = offset - number * bandSize;
    const band = bands.get(number);
    if (!band) return { kind: "zero", length: runLength(offset, most, bandSize, (other) => !bands.has(other)) };
    const own = Math.min(most, bandSize - skip);
    if (band instanceof ImageError) return { kind: "damaged", length: own, error: band };
    // A band's file ends with what was last written to it.
    if (skip >= band.size) return { kind: "zero", length: own };
    return { kind: "data", length: Math.min(own, band.size - skip), source: band, position: skip };
  };
}
