import type { OpenedFile } from "../source/file.js";
import type { ViewRequest } from "../tree/view.js";
import type { Finding } from "../util/finding.js";
import type { ErrorRecord, ImageErrorRecord } from "./errors.js";
import type { ImageExtent } from "./extents.js";
import type { Shape } from "./shape.js";
import type { TreeEntry, TreeStat } from "./types.js";

// What an image and its workers say to each other.

/** What a worker is started with. */
export interface WorkerTask {
  readonly view: ViewRequest;
}

/** What can be asked of a worker: by name, the question and its answer. Files and directories are named by their nodes' numbers. */
export interface Calls {
  read: { readonly ask: { readonly id: number; readonly offset: number; readonly length: number }; readonly answer: Uint8Array };
  /** The first runs of the range, up to a limit: the next call begins where they end. */
  extents: {
    readonly ask: { readonly id: number; readonly start: number; readonly end: number };
    readonly answer: readonly ExtentRecord[];
  };
  list: { readonly ask: { readonly root: number; readonly path: string }; readonly answer: TreeEntry[] };
  stat: { readonly ask: { readonly root: number; readonly path: string; readonly follow: boolean }; readonly answer: TreeStat };
  open: { readonly ask: { readonly root: number; readonly path: string }; readonly answer: { readonly id: number; readonly size: number } };
  check: { readonly ask: object; readonly answer: readonly Finding[] };
}
export type CallName = keyof Calls;

/** An extent with its error as plain data. */
export type ExtentRecord = Omit<ImageExtent, "error"> & { readonly error?: ImageErrorRecord };

export type Call = { readonly [Name in CallName]: { readonly name: Name; readonly ask: Calls[Name]["ask"] } }[CallName];

/** To a worker. */
export type Request = { readonly number: number } & Call;

/** From a worker. The first is `opened` or `failed`, after any `progress`. */
export type Reply =
  | { readonly kind: "progress"; readonly file: string; readonly done: number; readonly size: number }
  | { readonly kind: "opened"; readonly files: readonly OpenedFile[]; readonly shape: Shape }
  | { readonly kind: "failed"; readonly error: ErrorRecord }
  | { readonly kind: "answer"; readonly number: number; readonly answer: unknown }
  | { readonly kind: "error"; readonly number: number; readonly error: ErrorRecord };
