import { devfuse } from "../fuse/devfuse.js";

import type { Session, Transport } from "../fuse/transport.js";
import type { OpenDiskOptions } from "../disk/open.js";
import { openView, type View } from "../tree/view.js";
import { systemCode, UserError } from "../util/errors.js";
import { type Mountpoint, prepareMountpoint } from "./mountpoint.js";
import { holdersOf, identify } from "./process.js";
import { addRecord, dropRecord, type MountRecord, removeFolder } from "./state.js";

/** What the user wants mounted. Plain data: it goes from the command to the daemon. */
export interface MountWish {
  /** Absolute path. */
  readonly image: string;
  readonly options: OpenDiskOptions;
  readonly mountpoint: string;
  /** Mount over a directory that holds files. */
  readonly nonempty: boolean;
  /** A transport by name; otherwise the first that can work. */
  readonly transport?: string;
  readonly allowOther: boolean;
  readonly uid: number;
  readonly gid: number;
  /** Permission bits of files. */
  readonly mode: number;
  /** Bytes for decoded blocks. */
  readonly cacheLimit: number;
  /** Where the daemon writes what it has to say. */
  readonly log?: string;
}

/** The transports, best first. */
const transports: readonly Transport[] = [devfuse];
export const transportNames: readonly string[] = transports.map(({ name }) => name);

/** A mount that stands. */
export interface Served {
  readonly record: MountRecord;
  /** Settles when the mount is gone and everything is cleaned up. */
  readonly ended: Promise<void>;
}

/** Opens the image and mounts it; returns when it can be read. Nothing is left behind if this throws. */
export async function serve(wish: MountWish): Promise<Served> {
  const transport = chooseTransport(wish.transport);
  const request = { image: wish.image, options: wish.options, mode: wish.mode, cacheLimit: wish.cacheLimit };
  // First without a place to show it: what is wrong with the image is said before anything is made.
  openView({ ...request, root: "file" }).close();
  const place = prepareMountpoint(wish.mountpoint, wish);
  let view: View | undefined;
  try {
    const viewRequest = { ...request, root: place.kind } as const;
    view = openView(viewRequest);
    const session = await transport.mount({
      view: viewRequest,
      tree: view.tree,
      files: view.disk.files,
      mountpoint: place.path,
      source: wish.image,
      allowOther: wish.allowOther,
      uid: wish.uid,
      gid: wish.gid,
    });
    return watch(session, view, recordOf(wish, view, place, transport));
  } catch (error) {
    view?.close();
    if (place.created) removeFolder(place.path);
    throw error;
  }
}

function chooseTransport(wanted: string | undefined): Transport {
  const candidates = transports.filter(({ name }) => wanted === undefined || name === wanted);
  const usable = candidates.find((transport) => !transport.obstacle());
  if (usable) return usable;
  const [first] = candidates.map((transport) => transport.obstacle());
  throw new UserError(first?.message ?? `there is no transport "${wanted ?? ""}"`, first?.hint ?? `Transports: ${transportNames.join(", ")}.`);
}

function recordOf(wish: MountWish, { disk }: View, place: Mountpoint, { name }: Transport): MountRecord {
  return {
    pid: process.pid,
    started: identify(process.pid)?.started ?? 0,
    image: wish.image,
    format: disk.layer.format,
    size: disk.layer.size,
    mountpoint: place.path,
    transport: name,
    since: new Date().toISOString(),
    ...(wish.log !== undefined && { log: wish.log }),
    createdMountpoint: place.created,
  };
}

function watch(session: Session, view: View, record: MountRecord): Served {
  addRecord(record);
  const stop = unmountOnSignal(session, record.mountpoint);
  const ended = session.ended.finally(() => {
    stop();
    view.close();
    dropRecord(record);
  });
  return { record, ended };
}

/** The first signal unmounts, or says who uses the mount; the second detaches it whoever uses it. */
function unmountOnSignal(session: Session, mountpoint: string): () => void {
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  let asked = false;
  const leave = () => {
    const detach = asked;
    asked = true;
    session.unmount({ detach }).catch((error: unknown) => {
      if (systemCode(error) !== "EBUSY") {
        console.error(`flatmount: ${mountpoint}: unmounting failed: ${String(error)}`);
        return;
      }
      const holders = holdersOf(mountpoint);
      console.error(`flatmount: ${mountpoint}: in use by ${holders.length > 0 ? holders.join(", ") : "a process that cannot be looked into"}`);
      console.error("hint: The next signal detaches it all the same.");
    });
  };
  for (const signal of signals) process.on(signal, leave);
  return () => {
    for (const signal of signals) process.off(signal, leave);
  };
}
