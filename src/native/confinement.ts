import { binding } from "./binding.js";

/** What the addon exports for giving up rights. Throws what the system calls say. */
interface ConfinementBinding {
  restrictThread(ruleset: number, permitted: number, effective: number, owner: Uint32Array): void;
  restrictOthers(ruleset: number, permitted: number, effective: number, owner: Uint32Array): number;
  useCapabilities(effective: number): void;
  landlockVersion(): number;
  createRuleset(size: number, files: number, network: number, scopes: number): number;
  allowBeneath(ruleset: number, path: string, allowed: number): void;
}

const native = binding as (typeof binding & ConfinementBinding) | undefined;

/** capabilities(7), linux/capability.h: those that are ever kept, as bits. */
export const capabilities = { dacOverride: 1 << 1, dacReadSearch: 1 << 2, sysPtrace: 1 << 19, sysAdmin: 1 << 21 } as const;

/** A user, with all groups. */
export interface Identity {
  readonly uid: number;
  readonly gid: number;
  /** The groups beside `gid`. */
  readonly groups: readonly number[];
}

/** What a thread is left with. It gets no new privileges by programs that it starts, either (PR_SET_NO_NEW_PRIVS). */
export interface Rights {
  /** A descriptor of Landlock's; without, files are as they were. */
  readonly ruleset?: number | undefined;
  /** Capabilities that it may use; of those that it has. */
  readonly permitted: number;
  /** Capabilities that it uses at all times; the others after `withCapabilities`. */
  readonly effective: number;
  /** Becomes this user. */
  readonly identity?: Identity | undefined;
}

/** For all threads but this one. How many are in the kernel now, and do so when they come back: the ruleset has to stay open for them. */
export function restrictOthers(rights: Rights): number {
  return loaded().restrictOthers(...wordsOf(rights));
}

/** For this thread. */
export function restrictThread(rights: Rights): void {
  loaded().restrictThread(...wordsOf(rights));
  reserve = rights.permitted & ~rights.effective;
  basis = rights.effective;
}

function wordsOf({ ruleset, permitted, effective, identity }: Rights): [number, number, number, Uint32Array] {
  const owner = identity ? [identity.uid, identity.gid, ...identity.groups] : [];
  return [ruleset ?? -1, permitted, effective, Uint32Array.from(owner)];
}

/** What `withCapabilities` adds for as long as it lasts, and to what. */
let reserve = 0;
let basis = 0;

/** Whether this thread, whoever it runs as, can act as root in what it has kept capabilities for. */
export function hasReserve(): boolean {
  return reserve !== 0;
}

/** Does what this thread has kept capabilities for. `action` must not wait: others would run with them. */
export function withCapabilities<T>(action: () => T): T {
  if (reserve === 0) return action();
  const added = reserve;
  // Nested calls are as good as one.
  reserve = 0;
  loaded().useCapabilities(basis | added);
  try {
    return action();
  } finally {
    loaded().useCapabilities(basis);
    reserve = added;
  }
}

/** Which Landlock the kernel has (its ABI); 0 for none. */
export function landlockVersion(): number {
  return native?.landlockVersion() ?? 0;
}

/** landlock(7): the rights to files and folders, as bits of `landlock_ruleset_attr.handled_access_fs`. */
export const fileRights = { readFile: 1 << 2, readFolder: 1 << 3 } as const;

/** How many rights to files each version knows, from the first on. */
const FILE_RIGHTS = [13, 14, 15, 15] as const;
const NEWEST_FILE_RIGHTS = 16;
/** The first that forbids connections. */
export const NETWORK_VERSION = 4;
/** LANDLOCK_ACCESS_NET_BIND_TCP and …_CONNECT_TCP. */
const NETWORK = 3;
/** LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET and …_SIGNAL. */
const SCOPES = 3;

/**
 * A ruleset that forbids all that the kernel's Landlock of this `version` (≥ 1) can forbid: files, connections, sockets without a file, signals to other
 * processes. Reference: landlock(7), "Landlock ABI versions".
 */
export function createRuleset(version: number): number {
  const files = 2 ** (FILE_RIGHTS[version - 1] ?? NEWEST_FILE_RIGHTS) - 1;
  if (version < NETWORK_VERSION) return loaded().createRuleset(8, files, 0, 0);
  if (version < 6) return loaded().createRuleset(16, files, NETWORK, 0);
  return loaded().createRuleset(24, files, NETWORK, SCOPES);
}

/** Lets `rights` be used on the file at `path`, or on all below the folder. */
export function allowBeneath(ruleset: number, path: string, rights: number): void {
  loaded().allowBeneath(ruleset, path, rights);
}

function loaded(): ConfinementBinding {
  if (!native) throw new Error("the native addon is not built");
  return native;
}
