import type { Counters, Stats } from "./counters.js";
import type { ReadingPath } from "./passthrough.js";
import type { OpenedFile } from "../source/file.js";
import type { Tree } from "../tree/node.js";
import type { ViewRequest } from "../tree/view.js";

/** What is to be mounted, and how. Everything has been checked that can be checked without mounting. */
export interface MountRequest {
  /** What the view shows; workers build it again from this. */
  readonly view: ViewRequest;
  /** The view, as the mounting thread built it. */
  readonly tree: Tree;
  /** The files behind it, open. */
  readonly files: readonly OpenedFile[];
  /** Absolute path of an existing directory, or of an existing regular file if the root of the view is one. */
  readonly mountpoint: string;
  /** What `mount` and `findmnt` show as the source. */
  readonly source: string;
  readonly allowOther: boolean;
  /** Whether the kernel may answer reads itself where it can. */
  readonly passthrough: boolean;
  readonly uid: number;
  readonly gid: number;
  /** Where it is counted what is answered: the first row is the mounting thread's, each worker has one of the others. */
  readonly counters: Counters;
  /** Shared memory whose first element becomes 1 with every request that wants an answer. */
  readonly activity?: Int32Array | undefined;
}

/** A mount that is being served. */
export interface Session {
  /** Settles when the view is gone and nothing serves any more; rejects if serving broke down. */
  readonly ended: Promise<void>;
  /** Settles when every thread that serves has started, and with it all code is loaded; absent where that is so at once. */
  readonly manned?: Promise<unknown> | undefined;
  /** Whether a setuid program unmounts. */
  readonly helped?: boolean | undefined;
  /** The number of a mount that the kernel serves alone: no process has to stay. */
  readonly unattended?: number | undefined;
  /** How the disks of the view are read, once that is settled; absent where there is but one way. */
  readonly paths?: Promise<readonly ReadingPath[]> | undefined;
  /** What was counted until now; absent where nobody counts. */
  readonly stats?: (() => Stats) | undefined;
  /** Takes the mount away; throws an error with code `EBUSY` while somebody uses it. `detach`: out of sight at once, gone when its last user is. */
  unmount(options: { readonly detach: boolean }): Promise<void>;
  /**
   * Takes the mount away if nobody came near it since this was last called, also where the kernel answered all by itself: true if it did, and an error with
   * code `EBUSY` while somebody uses it. Absent where the kernel is not to be asked.
   */
  expire?: (() => boolean) | undefined;
}

/**
 * Mount options that let other users in, as far as modes and owners say. Without them only the user who mounted gets in, and that user may read
 * everything: the owners of files in an image are people of another machine.
 */
export const accessOptions = ["allow_other", "default_permissions"] as const;

/** The transports, best first. */
export const transportNames = ["devfuse", "libfuse", "erofs"] as const;
export type TransportName = (typeof transportNames)[number];

/** A way to show a tree as a file system. */
export interface Transport {
  readonly name: TransportName;
  /** Why it cannot work on this machine, with a hint; undefined if nothing speaks against it. */
  obstacle(): { readonly message: string; readonly hint: string } | undefined;
  /** Resolves when the view is readable. Throws a `UserError` if it cannot be mounted. */
  mount(request: MountRequest): Promise<Session>;
}
