// What a daemon gives up once its mount stands: the threads that serve keep the files of the image, the one that unmounts keeps the right to do so.
import { closeSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { binding } from "../native/binding.js";
import {
  allowBeneath,
  capabilities,
  createRuleset,
  fileRights,
  landlockVersion,
  NETWORK_VERSION,
  restrictOthers,
  restrictThread,
} from "../native/confinement.js";
import type { Session } from "../fuse/transport.js";
import type { MountWish } from "./wish.js";
import { debug } from "../util/debug.js";
import { UserError } from "../util/errors.js";

const log = debug("confinement");

/** As `list --json` tells of it. */
export type Restriction = "no-new-privileges" | "capabilities" | "files" | "network" | "user";

/**
 * What the thread that mounted can take up again: to unmount, to remove a mount point that was made in another user's folder, and to tell who is in the way.
 * None of them where root has them not.
 */
const KEPT = capabilities.sysAdmin | capabilities.dacOverride | capabilities.dacReadSearch | capabilities.sysPtrace;

/**
 * Restricts the threads that serve once all have started, and tells of it; and this one once it has done what takes the rights of root, but for the end: when
 * `settled` does. Settles when those that serve are restricted. Rejects if the daemon cannot become the user that it was to be: then it must not go on.
 */
export async function confineOnceManned(
  wish: MountWish,
  session: Session,
  settled: Promise<void> | undefined,
  tell: (restrictions: readonly Restriction[]) => void,
): Promise<void> {
  try {
    await session.manned;
  } catch {
    // The mount is gone, and others tell why.
    return;
  }
  const restrictions = confine(wish);
  if (restrictions.length === 0) return;
  tell(restrictions);
  void Promise.resolve(settled).then(() => finish(wish, session));
}

/**
 * Restricts all threads but this one. Those that serve got every file from this one, open (`OpenDiskOptions.opened`), and need no other: not even the folder
 * of the image. That something cannot be given up is no failure, but for the user. Throws a `UserError` then.
 */
function confine({ confine: isWanted = true, runAs: identity }: MountWish): readonly Restriction[] {
  if (!binding || !(isWanted || identity)) return [];
  const version = isWanted ? landlockVersion() : 0;
  const ruleset = version > 0 ? tryRuleset(version) : undefined;
  const restrictions: Restriction[] = [];
  try {
    const waiting = restrictOthers({ ruleset, permitted: 0, effective: 0, identity });
    if (waiting > 0) log("threads that are still in the kernel: %d", waiting);
    else if (ruleset !== undefined) closeSync(ruleset);
    restrictions.push("no-new-privileges", "capabilities");
    if (ruleset !== undefined) restrictions.push("files");
    if (ruleset !== undefined && version >= NETWORK_VERSION) restrictions.push("network");
    if (identity) restrictions.push("user");
  } catch (error) {
    if (identity) throw new UserError(`the daemon cannot become user ${identity.uid}`, "Leave out --run-as.", error);
    log("not restricted: %o", error);
  }
  return restrictions;
}

/** This thread is not kept from files: whom Landlock confines, the kernel lets unmount nothing. */
function finish({ runAs: identity }: MountWish, { helped = false }: Session): void {
  // A program gets the privileges of its setuid bit only from those who may get new ones.
  if (helped && !identity) return;
  try {
    restrictThread({ permitted: KEPT, effective: 0, identity });
  } catch (error) {
    log("the main thread is not restricted: %o", error);
  }
}

function tryRuleset(version: number): number | undefined {
  try {
    const ruleset = createRuleset(version);
    for (const path of readable()) allow(ruleset, path);
    return ruleset;
  } catch (error) {
    log("files: %o", error);
    return undefined;
  }
}

function allow(ruleset: number, path: string): void {
  try {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat) allowBeneath(ruleset, path, stat.isDirectory() ? fileRights.readFile | fileRights.readFolder : fileRights.readFile);
  } catch (error) {
    log("%s: %o", path, error);
  }
}

/** Where a thread finds code as it starts, or when a decoder is needed for the first time; and what Node looks at by itself. */
function readable(): readonly string[] {
  const own = ["../", "../../native-bindings/build", "../../node_modules"].map((path) => fileURLToPath(new URL(path, import.meta.url)));
  const named = (process.env["LD_LIBRARY_PATH"] ?? "").split(":").filter((path) => path.startsWith("/"));
  const libraries = ["/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/local/lib", "/lib", "/lib64", "/etc/ld.so.cache"];
  const machine = ["/sys/fs/cgroup", "/sys/devices/system/cpu", "/etc/localtime", "/usr/share/zoneinfo", "/dev/null", "/dev/urandom"];
  return [...own, ...named, ...libraries, ...machine];
}
