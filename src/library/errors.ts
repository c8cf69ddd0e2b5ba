import { type ErrorCode, ImageError, systemCode, UserError } from "../util/errors.js";

/** What was asked of an image that was closed, or whose opening or reading was still under way then. */
export class ClosedError extends Error {
  constructor() {
    super("the image is closed");
    this.name = "ClosedError";
  }
}

/** The codes of `PathError`: those that node:fs would give. */
export type PathErrorCode = "ENOENT" | "ENOTDIR" | "EISDIR" | "ELOOP" | "EINVAL";

/** A path that leads to nothing in an image's tree, or to something else than what was asked for. */
export class PathError extends Error {
  readonly code: PathErrorCode;
  /** As it was given. */
  readonly path: string;

  constructor(code: PathErrorCode, message: string, path: string) {
    super(message);
    this.name = "PathError";
    this.code = code;
    this.path = path;
  }
}

/** A worker of an image has ended unasked, such as for want of memory: the image cannot be used any more. `cause` tells why. */
export class WorkerError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "WorkerError";
  }
}

/** An `ImageError` as plain data. */
export interface ImageErrorRecord {
  readonly kind: "image";
  readonly code: ErrorCode;
  readonly message: string;
  readonly file: string | undefined;
  readonly position: number | undefined;
  readonly hint: string | undefined;
}

/** An error on its way from a worker: plain data, since errors of our own lose their class on the way. */
export type ErrorRecord =
  | ImageErrorRecord
  | { readonly kind: "user"; readonly message: string; readonly hint: string | undefined }
  | { readonly kind: "path"; readonly code: PathErrorCode; readonly message: string; readonly path: string }
  | {
      readonly kind: "other";
      readonly name: string;
      readonly message: string;
      readonly code: string | undefined;
      readonly stack: string | undefined;
    };

export function imageErrorRecord({ code, message, file, position, hint }: ImageError): ImageErrorRecord {
  return { kind: "image", code, message, file, position, hint };
}

export function imageErrorOf(record: ImageErrorRecord): ImageError {
  return new ImageError(record.code, record.message, record);
}

export function recordOf(error: unknown): ErrorRecord {
  if (error instanceof ImageError) return imageErrorRecord(error);
  if (error instanceof UserError) return { kind: "user", message: error.message, hint: error.hint };
  if (error instanceof PathError) return { kind: "path", code: error.code, message: error.message, path: error.path };
  const { name, message, stack } = error instanceof Error ? error : new Error(String(error));
  return { kind: "other", name, message, code: systemCode(error), stack };
}

export function errorOf(record: ErrorRecord): Error {
  switch (record.kind) {
    case "image":
      return imageErrorOf(record);
    case "user":
      return new UserError(record.message, record.hint);
    case "path":
      return new PathError(record.code, record.message, record.path);
    case "other": {
      const { name, message, code, stack } = record;
      return Object.assign(new Error(message), { name, ...(code !== undefined && { code }), ...(stack !== undefined && { stack }) });
    }
  }
}
