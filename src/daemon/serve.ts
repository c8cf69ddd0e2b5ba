import { devfuse } from "../fuse/devfuse.js";

import { type Session, type Transport, transportNames } from "../fuse/transport.js";
import { type OpenedDisk, openDisk } from "../disk/open.js";
import { viewOf } from "../tree/view.js";
import { systemCode, UserError } from "../util/errors.js";
import { type Mountpoint, prepareMountpoint } from "./mountpoint.js";
import { holdersOf, identify } from "./process.js";
import type { MountWish } from "./wish.js";
import { addRecord, dropRecord, type MountRecord, removeFolder } from "./state.js";

const transports: readonly Transport[] = [devfuse];

/** A mount that stands. */
export interface Served {
  readonly record: MountRecord;
  /** Settles when the mount is gone and everything is cleaned up. */
  readonly ended: Promise<void>;
}

/** Opens the image and mounts it; returns when it can be read. Nothing is left behind if this throws. */
export async function serve(wish: MountWish): Promise<Served> {
  const transport = chooseTransport(wish.transport);
  const disk = openDisk(wish.image, wish.options);
  try {
    return await mountDisk(transport, wish, disk);
  } catch (error) {
    disk.close();
    throw error;
  }
}

async function mountDisk(transport: Transport, wish: MountWish, disk: OpenedDisk): Promise<Served> {
  const { image, options, mode, cacheLimit, allowOther, uid, gid } = wish;
  const place = prepareMountpoint(wish.mountpoint, wish);
  try {
    const view = { image, options, root: place.kind, mode, cacheLimit };
    const tree = viewOf(disk, view);
    const session = await transport.mount({ view, tree, files: disk.files, mountpoint: place.path, source: image, allowOther, uid, gid });
    return watch(session, disk, recordOf(wish, disk, place, transport));
  } catch (error) {
    if (place.created) removeFolder(place.path);
    throw error;
  }
}

function chooseTransport(wanted: string | undefined): Transport {
  const candidates = transports.filter(({ name }) => wanted === undefined || name === wanted);
  const usable = candidates.find((transport) => !transport.obstacle());
  if (usable) return usable;
  const [first] = candidates.map((transport) => transport.obstacle());
  throw new UserError(
    first?.message ?? `there is no transport "${wanted ?? ""}"`,
    first?.hint ?? `Transports: ${transportNames.join(", ")}.`,
  );
}

function recordOf(wish: MountWish, { layer }: OpenedDisk, place: Mountpoint, { name }: Transport): MountRecord {
  return {
    pid: process.pid,
    started: identify(process.pid)?.started ?? 0,
    image: wish.image,
    format: layer.format,
    size: layer.size,
    mountpoint: place.path,
    transport: name,
    since: new Date().toISOString(),
    ...(wish.log !== undefined && { log: wish.log }),
    createdMountpoint: place.created,
  };
}

function watch(session: Session, disk: OpenedDisk, record: MountRecord): Served {
  addRecord(record);
  const stop = unmountOnSignal(session, record.mountpoint);
  const ended = session.ended.finally(() => {
    stop();
    disk.close();
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
      console.error(
        `flatmount: ${mountpoint}: in use by ${holders.length > 0 ? holders.join(", ") : "a process that cannot be looked into"}`,
      );
      console.error("hint: The next signal detaches it all the same.");
    });
  };
  for (const signal of signals) process.on(signal, leave);
  return () => {
    for (const signal of signals) process.off(signal, leave);
  };
}
