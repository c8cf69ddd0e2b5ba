import { ImageError, UserError } from "./errors.js";
import { hex, printable } from "./text.js";

/** One line for people: which file, what is wrong, where. `nameOf` says how a file is to be called. */
export function explain(error: unknown, nameOf: (file: string) => string = (file) => file): string {
  if (!(error instanceof Error)) return printable(String(error));
  if (!(error instanceof ImageError)) return error.message;
  const file = error.file === undefined ? "" : `${printable(nameOf(error.file))}: `;
  const where = error.position === undefined ? "" : ` (at byte ${hex(error.position)})`;
  return `${file}${error.message}${where}`;
}

/** The same where `file` was named already. */
export function explainIn(file: string, error: ImageError): string {
  const whole = explain(error);
  return error.file === file ? whole.slice(printable(file).length + 2) : whole;
}

/** What the user can do about it, if anything. */
export function hintOf(error: unknown): string | undefined {
  return error instanceof ImageError || error instanceof UserError ? error.hint : undefined;
}
