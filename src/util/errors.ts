/** Why an image, or a part of it, cannot be read. Few codes: the message tells the rest. */
export type ErrorCode =
  | "WRONG_FORMAT"
  | "TRUNCATED"
  | "CORRUPT"
  | "UNSUPPORTED"
  | "UNREADABLE"
  | "PART_MISSING"
  | "PART_DENIED"
  | "KEY_NEEDED";

export interface ErrorDetails {
  /** The file the message is about, as the user would name it. */
  readonly file?: string | undefined;
  /** Byte position in that file. */
  readonly position?: number | undefined;
  /** What the user can do, one sentence. */
  readonly hint?: string | undefined;
  readonly cause?: unknown;
}

/** What every reader throws. `message` holds what is wrong, found and expected; `file`, `position` and `hint` stand beside it. */
export class ImageError extends Error {
  readonly code: ErrorCode;
  readonly file: string | undefined;
  readonly position: number | undefined;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = "ImageError";
    this.code = code;
    this.file = details.file;
    this.position = details.position;
    this.hint = details.hint;
  }
}

/** A request of the user that cannot be carried out: the mount point is busy, there is no /dev/fuse, a name is not there. */
export class UserError extends Error {
  readonly hint: string | undefined;

  constructor(message: string, hint?: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "UserError";
    this.hint = hint;
  }
}

/** The errno a reader of the mount sees for each code. */
export const errnoOfCode = {
  WRONG_FORMAT: "EIO",
  TRUNCATED: "EIO",
  CORRUPT: "EIO",
  UNSUPPORTED: "EIO",
  UNREADABLE: "EIO",
  PART_MISSING: "EIO",
  PART_DENIED: "EACCES",
  KEY_NEEDED: "EACCES",
} as const satisfies Record<ErrorCode, string>;

/** The `code` of a system error such as `ENOENT`, or undefined for anything else. */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || error instanceof ImageError) return undefined;
  const { code } = error as NodeJS.ErrnoException;
  return typeof code === "string" && /^E[A-Z0-9]+$/.test(code) ? code : undefined;
}

/** Why a file could not be opened, looked at or made, in words for people. */
export function reasonOf(error: unknown): string {
  switch (systemCode(error)) {
    case "ENOENT":
    case "ENOTDIR":
      return "there is no such file";
    case "EACCES":
    case "EPERM":
      return "permission denied";
    case "ELOOP":
      return "its links form a loop";
    case "ENXIO":
      return "it is not a regular file";
    case "EROFS":
      return "the file system is read-only";
    default:
      return error instanceof Error ? error.message : String(error);
  }
}
