import type { FileEnds, FormatDriver } from "../formats/driver.js";
import { foreignKind } from "../formats/foreign.js";
import { raw } from "../formats/raw/index.js";
import { detect, driverNamed } from "../formats/registry.js";
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
  const namedRaw = raw.extensions.some((extension) => name.toLowerCase().endsWith(extension));
  const other = driver === raw && regular ? foreignKind(ends, namedRaw) : undefined;
  if (other === undefined || holdsFiles?.(source)) return driver;
  throw new ImageError("WRONG_FORMAT", other, {
    file: source.name,
    hint: "To see its bytes as they are, add --format raw",
  });
}
