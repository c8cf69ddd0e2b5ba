import { ImageError } from "../../src/util/errors.js";

/** What an execution must not do. */
export type ProblemKind =
  /** Something else than an error that says what is wrong with the image. */
  | "throws"
  /** An error that a user could not read: no text, several lines, characters that steer a terminal. */
  | "message"
  /** What a seam promises is not kept. */
  | "promise"
  /** The same bytes twice, and not the same. */
  | "differs"
  /** Left open. */
  | "leak"
  /** More reads, or more bytes of them, than any image needs. */
  | "work"
  | "memory"
  | "slow"
  /** Found by the watchdog. */
  | "hang"
  | "crash";

export class Problem extends Error {
  readonly kind: ProblemKind;

  constructor(kind: ProblemKind, message: string) {
    super(message);
    this.name = "Problem";
    this.kind = kind;
  }
}

/** The result of `action`, or the error with which it says no; anything else that it throws goes on. */
export function attempt<T>(action: () => T): T | ImageError {
  try {
    return action();
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
    checkError(error);
    return error;
  }
}

/** Characters that can steer a terminal; line ends among them. */
const steering = /[\p{Cc}\p{Zl}\p{Zp}]/u;

export function checkError(error: ImageError): void {
  const { message, position } = error;
  if (message === "" || steering.test(message) || !message.isWellFormed()) {
    throw new Problem("message", `an error whose text is ${JSON.stringify(message)}`);
  }
  if (position !== undefined && (!Number.isInteger(position) || position < 0)) {
    throw new Problem("message", `an error at byte ${position}: ${message}`);
  }
}

/** An error as a text, to compare. */
export function textOf({ code, message, position }: ImageError): string {
  return `${code} ${message} ${position ?? ""}`;
}

/** A byte position, or a count. */
export function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

export function promise(kept: boolean, what: () => string): asserts kept {
  if (!kept) throw new Problem("promise", what());
}
