import type { Identity } from "../native/confinement.js";
import type { ViewRequest } from "../tree/view.js";

/** What the user wants mounted. Plain data: it goes from the command to the daemon. */
export interface MountWish {
  /** Absolute path. */
  readonly image: string;
  readonly options: ViewRequest["options"];
  readonly mountpoint: string;
  /** Mount over a directory that holds files. */
  readonly nonempty: boolean;
  /** A transport by name; otherwise the first that can work. */
  readonly transport?: string;
  readonly allowOther: boolean;
  /** Whether the kernel may answer reads itself where it can. */
  readonly passthrough: boolean;
  /** Whether the daemon gives up the rights that it does not need. */
  readonly confine?: boolean;
  /** Whom it becomes, and as whom it opens the image. */
  readonly runAs?: Identity;
  readonly uid: number;
  readonly gid: number;
  /** Permission bits of files. */
  readonly mode: number;
  /** Milliseconds without use after which the mount goes away by itself. */
  readonly idleTimeout?: number;
  /** Whether the mount is to stay, dead, where the daemon is killed. */
  readonly staysWhenKilled?: boolean;
  /** Bytes for decoded blocks. */
  readonly cacheLimit: number;
  /** Where the daemon writes what it has to say. */
  readonly log?: string;
}
