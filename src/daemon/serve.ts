import { devfuse } from "../fuse/devfuse.js";
import { erofs } from "../erofs/transport.js";
import { libfuse } from "../fuse/libfuse.js";

import { type Counters, createCounters, decodeCounter } from "../fuse/counters.js";
import { workerCount } from "../fuse/pool.js";
import { type Session, type Transport, transportNames } from "../fuse/transport.js";
import type { DiskDescription } from "../disk/describe.js";
import type { Progress } from "../disk/unpack.js";
import { withCapabilities } from "../native/confinement.js";
import { openView, type View, type ViewRequest } from "../tree/view.js";
import { UserError } from "../util/errors.js";
import { confineOnceManned } from "./confinement.js";
import { type Guard, startGuard } from "./guard.js";
import { watchIdle } from "./idle.js";
import { type Leaver, leaveOnSignal } from "./leave.js";
import { checkMountpoint, makeMountpoint, type Mountpoint } from "./mountpoint.js";
import { identify } from "./process.js";
import { answerQuestions } from "./questions.js";
import { actAs } from "./run-as.js";
import type { MountWish } from "./wish.js";
import { addRecord, completeRecord, dropRecord, type MountRecord, removeFolder, socketPath } from "./state.js";

const transports: readonly Transport[] = [devfuse, libfuse, erofs];

/** A mount that stands. */
export interface Served {
  readonly record: MountRecord;
  /** What is unusual about it, in one line. */
  readonly note?: string | undefined;
  /** Settles when the mount is gone and everything is cleaned up. */
  readonly ended: Promise<void>;
}

/** Opens the image and mounts it; returns when it can be read. Nothing is left behind if this throws. */
export async function serve(wish: MountWish, progress?: Progress): Promise<Served> {
  const transport = chooseTransport(wish.transport);
  if (transport === erofs && wish.idleTimeout !== undefined) {
    throw new UserError(
      "no process stays with a mount of the erofs transport, so none can end it when it is idle",
      "Leave out --idle-timeout.",
    );
  }
  const { image, options, mode, cacheLimit } = wish;
  const place = checkMountpoint(wish.mountpoint, wish);
  const request = { image, options, root: place.kind, mode, cacheLimit };
  const counters = createCounters(1 + workerCount());
  const [own] = counters;
  const view = actAs(wish.runAs, () => openView(request, progress, own && decodeCounter(own)));
  // Not before: reading through a compressed file takes long, and nobody would hear the signal.
  const leaver = leaveOnSignal();
  try {
    return await mountView(transport, wish, { request, view, place, counters }, leaver);
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
  readonly counters: Counters;
}

async function mountView(transport: Transport, wish: MountWish, viewed: Viewed, leaver: Leaver): Promise<Served> {
  const { request, view, place, counters } = viewed;
  const { image, allowOther, passthrough, uid, gid, idleTimeout } = wish;
  const activity = idleTimeout === undefined ? undefined : new Int32Array(new SharedArrayBuffer(4));
  if (place.missing) makeMountpoint(place.path);
  let guard: Guard | undefined;
  try {
    const isGuarded = wish.staysWhenKilled !== true && transport !== erofs;
    if (isGuarded && transport === libfuse) guard = startGuard(place.path);
    const mounting = transport.mount({
      ...{ view: request, tree: view.tree, files: view.disk.files, mountpoint: place.path, source: image },
      ...{ allowOther, passthrough, uid, gid, activity, counters },
    });
    // While the worker gets ready there is nothing else to do here.
    if (isGuarded) guard ??= startGuard(place.path);
    const session = await mounting;
    const { unattended } = session;
    const ways = session.paths ? {} : { paths: [] };
    const nobody = unattended === undefined ? {} : { unattended, pid: 0, started: 0 };
    const record = { ...recordOf(wish, view, place, transport), ...ways, ...nobody };
    addRecord(record);
    if (unattended !== undefined) {
      leaver.stop();
      view.close();
      return { record, ended: Promise.resolve() };
    }
    const answering = session.stats && answerQuestions(socketPath(record), session.stats);
    let gone = false;
    const settled = session.paths?.then((paths) => {
      if (!gone) completeRecord(record, { paths });
    });
    leaver.watch(session, place.path);
    const idle = activity && idleTimeout !== undefined ? watchIdle(session, activity, idleTimeout) : undefined;
    const ended = session.ended.finally(() => {
      gone = true;
      guard?.dismiss();
      idle?.stop();
      leaver.stop();
      answering?.stop();
      view.close();
      withCapabilities(() => dropRecord(record));
    });
    const confined = confineOnceManned(wish, session, settled, (restrictions) => {
      if (!gone) completeRecord(record, { confined: restrictions });
    });
    if (wish.runAs) await confined.catch((error: unknown) => withdraw(session, ended, error));
    return { record, note: noteOn(transport, wish), ended };
  } catch (error) {
    guard?.dismiss();
    if (place.missing) removeFolder(place.path);
    throw error;
  }
}

/** Ends a mount that stands, but must not. */
async function withdraw(session: Session, ended: Promise<void>, reason: unknown): Promise<never> {
  await session.unmount({ detach: true });
  await ended;
  throw reason;
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

/** That it is a way nobody asked for, and not as good. */
function noteOn(transport: Transport, wish: MountWish): string | undefined {
  if (transport !== libfuse || wish.transport !== undefined) return undefined;
  return `mounted through libfuse, which is slower and shows no holes: ${devfuse.obstacle()?.message ?? "it was chosen"}`;
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
