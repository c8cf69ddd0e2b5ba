import { devfuse } from "../fuse/devfuse.js";
import { libfuse } from "../fuse/libfuse.js";

import { type Transport, transportNames } from "../fuse/transport.js";
import { type OpenedDisk, openDisk } from "../disk/open.js";
import { viewOf } from "../tree/view.js";
import { UserError } from "../util/errors.js";
import { type Leaver, leaveOnSignal } from "./leave.js";
import { type Mountpoint, prepareMountpoint } from "./mountpoint.js";
import { identify } from "./process.js";
import type { MountWish } from "./wish.js";
import { addRecord, dropRecord, type MountRecord, removeFolder } from "./state.js";

const transports: readonly Transport[] = [devfuse, libfuse];

/** A mount that stands. */
export interface Served {
  readonly record: MountRecord;
  /** Settles when the mount is gone and everything is cleaned up. */
  readonly ended: Promise<void>;
}

/** Opens the image and mounts it; returns when it can be read. Nothing is left behind if this throws. */
export async function serve(wish: MountWish): Promise<Served> {
  const transport = chooseTransport(wish.transport);
  const leaver = leaveOnSignal();
  try {
    const disk = openDisk(wish.image, wish.options);
    try {
      return await mountDisk(transport, wish, disk, leaver);
    } catch (error) {
      disk.close();
      throw error;
    }
  } catch (error) {
    leaver.stop();
    throw error;
  }
}

async function mountDisk(transport: Transport, wish: MountWish, disk: OpenedDisk, leaver: Leaver): Promise<Served> {
  const { image, options, mode, cacheLimit, allowOther, uid, gid } = wish;
  const place = prepareMountpoint(wish.mountpoint, wish);
  try {
    const view = { image, options, root: place.kind, mode, cacheLimit };
    const tree = viewOf(disk, view);
    const session = await transport.mount({ view, tree, files: disk.files, mountpoint: place.path, source: image, allowOther, uid, gid });
    const record = recordOf(wish, disk, place, transport);
    addRecord(record);
    leaver.watch(session, place.path);
    const ended = session.ended.finally(() => {
      leaver.stop();
      disk.close();
      dropRecord(record);
    });
    return { record, ended };
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
