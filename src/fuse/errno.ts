import { constants } from "node:os";
import { errnoOfCode, ImageError, systemCode } from "../util/errors.js";

/** The errno, as a positive number, that a reader of the mount gets for `error`: its own if it has one, EIO otherwise. */
export function errnoOf(error: unknown): number {
  const name = error instanceof ImageError ? errnoOfCode[error.code] : systemCode(error);
  const numbers: Readonly<Record<string, number>> = constants.errno;
  return (name !== undefined ? numbers[name] : undefined) ?? constants.errno.EIO;
}
