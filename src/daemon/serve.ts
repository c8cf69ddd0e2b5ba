import { devfuse } from "../fuse/devfuse.js";
import { erofs } from "../erofs/transport.js";
import { libfuse } from "../fuse/libfuse.js";

import { type Transport, transportNames } from "../fuse/transport.js";
import type { DiskDescription } from "../disk/describe.js";
import type { Progress } from "../disk/unpack.js";
import { openView, type View, type ViewRequest } from "../tree/view.js";
import { UserError } from "../util/errors.js";
import { type Leaver, leaveOnSignal } from "./leave.js";
import { checkMountpoint, makeMountpoint, type Mountpoint } from "./mountpoint.js";
import { identify } from "./process.js";
import type { MountWish } from "./wish.js";
import { addRecord, dropRecord, type MountRecord, removeFolder } from "./state.js";

const transports: readonly Transport[] = [devfuse, libfuse, erofs];

/** A mount that stands. */
export interface Served {
  readonly record: MountRecord;
  /** Settles when the mount is gone and everything is cleaned up. */
  readonly ended: Promise<void>;
}

/** Opens the image and mounts it; returns when it can be read. Nothing is left behind if this throws. */
export async function serve(wish: MountWish, progress?: Progress): Promise<Served> {
  const transport = chooseTransport(wish.transport);
  const { image, options, mode, cacheLimit } = wish;
  const place = checkMountpoint(wish.mountpoint, wish);
  const request = { image, options, root: place.kind, mode, cacheLimit };
  const view = openView(request, progress);
  // Not before: reading through a compressed file takes long, and nobody would hear the signal.
  const leaver = leaveOnSignal();
  try {
    return await mountView(transport, wish, { request, view, place }, leaver);
  } catch (error) {
    view.close();
    leaver.stop();
    throw error;
  }
}

interface Viewed {
  readonly request: ViewRequest;
  readonly view: View;
  readonly place: Mountpoint;
}

async function mountView(transport: Transport, wish: MountWish, { request, view, place }: Viewed, leaver: Leaver): Promise<Served> {
  const { image, allowOther, passthrough, uid, gid } = wish;
  if (place.missing) makeMountpoint(place.path);
  try {
    const session = await transport.mount({
      ...{ view: request, tree: view.tree, files: view.disk.files, mountpoint: place.path, source: image },
      ...{ allowOther, passthrough, uid, gid },
    });
    const { unattended } = session;
    const record = { ...recordOf(wish, view, place, transport), ...(unattended !== undefined && { unattended, pid: 0, started: 0 }) };
    addRecord(record);
    if (unattended !== undefined) {
      leaver.stop();
      view.close();
      return { record, ended: Promise.resolve() };
    }
    let gone = false;
    void session.paths?.then((paths) => {
      if (!gone) addRecord({ ...record, paths });
    });
    leaver.watch(session, place.path);
    const ended = session.ended.finally(() => {
      gone = true;
      leaver.stop();
      view.close();
      dropRecord(record);
    });
    return { record, ended };
  } catch (error) {
    if (place.missing) removeFolder(place.path);
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

function recordOf(wish: MountWish, { description }: View, place: Mountpoint, { name }: Transport): MountRecord {
  return {
    pid: process.pid,
    started: identify(process.pid)?.started ?? 0,
    image: wish.image,
    format: formatOf(description),
    size: description.size,
    mountpoint: place.path,
    transport: name,
    since: new Date().toISOString(),
    ...(wish.log !== undefined && { log: wish.log }),
    createdMountpoint: place.missing,
  };
}

/** What the user would call it: a package or a disc is known by what it holds, not as raw. */
function formatOf({ format, contents }: DiskDescription): string {
  return format === "raw" && contents ? contents.format : format;
}
