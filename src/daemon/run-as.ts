import { spawnSync } from "node:child_process";
import type { Identity } from "../native/confinement.js";
import { UserError } from "../util/errors.js";

/** The user that `USER[:GROUP]` names: names or numbers. A number without an account takes a group. Throws a `UserError`. */
export function identityOf(text: string): Identity {
  if (process.geteuid?.() !== 0) throw new UserError("only root may become another user", "Leave out --run-as.");
  const [user = "", group] = text.split(":", 2);
  const uid = accountOf(user, "-u")?.[0];
  const gid = group === undefined ? accountOf(user, "-g")?.[0] : groupOf(group);
  if (gid === undefined && uid !== undefined) throw new UserError(`there is no group "${group ?? ""}"`);
  if (uid !== undefined && gid !== undefined) return { uid, gid, groups: accountOf(user, "-G") ?? [] };
  if (gid !== undefined && isNumber(user)) return { uid: Number(user), gid, groups: [] };
  throw new UserError(`there is no user "${user}"`, isNumber(user) ? `Name a group with it, such as ${user}:${user}.` : undefined);
}

/** id(1) knows of every account, wherever the system has them from. */
function accountOf(user: string, what: "-u" | "-g" | "-G"): readonly number[] | undefined {
  if (user === "" || user.startsWith("-")) return undefined;
  const { status, stdout } = spawnSync("id", [what, user], { encoding: "utf8" });
  return status === 0 ? stdout.trim().split(" ").map(Number) : undefined;
}

function groupOf(group: string): number | undefined {
  if (isNumber(group)) return Number(group);
  if (group === "" || group.startsWith("-")) return undefined;
  const { status, stdout } = spawnSync("getent", ["group", group], { encoding: "utf8" });
  return status === 0 ? Number(stdout.split(":")[2]) : undefined;
}

function isNumber(text: string): boolean {
  return /^\d+$/.test(text) && Number(text) < 2 ** 32 - 1;
}

/** For root: does `action` as that user, as far as files are concerned, in all threads; afterwards they are root again. It must not wait. */
export function actAs<T>(identity: Identity | undefined, action: () => T): T {
  if (!identity) return action();
  const { setgroups, setegid, seteuid, getgroups, getegid } = process;
  if (!setgroups || !setegid || !seteuid || !getgroups || !getegid) throw new Error("users are not known here");
  const [group, groups] = [getegid(), getgroups()];
  setgroups([...identity.groups]);
  setegid(identity.gid);
  seteuid(identity.uid);
  try {
    return action();
  } finally {
    seteuid(0);
    setegid(group);
    setgroups(groups);
  }
}
