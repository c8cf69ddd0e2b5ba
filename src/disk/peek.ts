import type { Identity } from "../formats/driver.js";
import { detect, driverNamed } from "../formats/registry.js";
import { fileSource, type OpenedFile } from "../source/file.js";
import type { Source } from "../source/source.js";
import { ImageError, systemCode } from "../util/errors.js";
import { readEnds } from "./choose.js";

/** What is written in a file; nothing if it cannot be told. */
export function identitiesOf(open: () => OpenedFile, format: string | undefined): readonly Identity[] {
  const found = peek(open, (source) => {
    const driver = format === undefined ? detect(readEnds(source)) : driverNamed(format);
    return driver.identities?.(source);
  });
  return found ?? [];
}

/** A look at a file that may be anything; nothing if it cannot be read or understood. */
export function peek<T>(open: () => OpenedFile, look: (source: Source) => T): T | undefined {
  let source: Source | undefined;
  try {
    source = fileSource(open());
    return look(source);
  } catch (error) {
    if (error instanceof ImageError || systemCode(error) !== undefined) return undefined;
    throw error;
  } finally {
    source?.close();
  }
}
