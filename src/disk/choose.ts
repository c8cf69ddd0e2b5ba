import type { FileEnds, FormatDriver } from "../formats/driver.js";
import { type ForeignKind, foreignKind, looksLikeDisk } from "../formats/foreign.js";
import { raw } from "../formats/raw/index.js";
import { detect, driverNamed, drivers } from "../formats/registry.js";
import { packedDrivers } from "../source/packed/registry.js";
import { readBytes, type Source } from "../source/source.js";
import { ImageError } from "../util/errors.js";

const HEAD_SIZE = 64 * 1024;
const TAIL_SIZE = 512;

/** What formats are told apart by. */
export function readEnds(source: Source): FileEnds {
  const tail = Math.min(source.size, TAIL_SIZE);
  return {
    head: readBytes(source, 0, Math.min(source.size, HEAD_SIZE)),
    tail: readBytes(source, source.size - tail, tail),
    size: source.size,
    readAt: (position, length) => readBytes(source, position, length),
  };
}

export interface Choice {
  /** Not by the bytes: the user, or another image, says what it is. */
  readonly format?: string | undefined;
  /** What the file is called, without what tells of its compression. */
  readonly name: string;
  /** May be no image at all; a device is never taken for something else. */
  readonly regular: boolean;
  /** Whether it holds files that can be shown, though it is no disk. */
  readonly holdsFiles?: ((source: Source) => boolean) | undefined;
}

/** The driver that opens `source`. Throws `WRONG_FORMAT` for what is no disk, or not the format it is said to be. */
export function chooseDriver(source: Source, ends: FileEnds, { format, name, regular, holdsFiles }: Choice): FormatDriver {
  if (format !== undefined) {
    const driver = driverNamed(format);
    if (driver.probe(ends)) return driver;
    throw new ImageError("WRONG_FORMAT", `it is not a ${format} image: the signature is missing`, { file: source.name });
  }
  if (source.size === 0) throw new ImageError("WRONG_FORMAT", "the file is empty", { file: source.name });
  const driver = detect(ends);
  const namedRaw = endsWithOne(name, raw.extensions);
  const other = driver === raw && regular ? (foreignKind(ends, namedRaw) ?? misnamed(name, ends)) : undefined;
  if (other === undefined || holdsFiles?.(source)) return driver;
  throw new ImageError("WRONG_FORMAT", other.message, {
    file: source.name,
    hint: [...(other.hint === undefined ? [] : [other.hint]), "To see its bytes as they are, add --format raw"].join(" "),
  });
}

/** The flat extents of a VMDK, which hold whatever the guest wrote. */
const flatExtent = /-(?:flat|f\d{3,}|pt|rdmp?)\.vmdk$/i;

/** A file that is called like an image of some format, and is neither that nor like a raw disk: most probably damaged. */
function misnamed(name: string, { head }: FileEnds): ForeignKind | undefined {
  if (/-ctk\.vmdk$/i.test(name))
    return { message: "it is the change tracking of a VMDK (-ctk.vmdk), and no disk", hint: "Name the .vmdk without -ctk." };
  if (/\.vhds$/i.test(name))
    return { message: "it is the index of a VHD Set (.vhds), and no disk", hint: "Open the .avhdx file beside it instead." };
  if (looksLikeDisk(head)) return undefined;
  const packed = packedDrivers.find(({ extensions }) => endsWithOne(name, extensions));
  const damaged = "It may be damaged, or not be copied completely.";
  if (packed) return { message: `it is called like a file that is compressed with ${packed.name}, and is none`, hint: damaged };
  // Raw sectors of CDs have no signature of their own.
  const format = drivers.find((driver) => driver !== raw && driver.name !== "cd-raw" && endsWithOne(name, driver.extensions));
  if (!format || endsWithOne(name, raw.extensions) || flatExtent.test(name)) return undefined;
  const message = `it is called like a ${format.name} image, and has neither the signature of one nor anything that a raw disk begins with`;
  return { message, hint: damaged };
}

function endsWithOne(name: string, extensions: readonly string[]): boolean {
  const lower = name.toLowerCase();
  return extensions.some((extension) => lower.endsWith(extension));
}
