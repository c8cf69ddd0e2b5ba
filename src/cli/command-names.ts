/** Every command, in the order in which the help lists them. */
export const commandNames = [
  "mount",
  "umount",
  "list",
  "attach",
  "detach",
  "info",
  "map",
  "diff",
  "ls",
  "cat",
  "convert",
  "index",
  "check",
  "salvage",
  "formats",
  "doctor",
] as const;
export type CommandName = (typeof commandNames)[number];

export function isCommandName(word: string): word is CommandName {
  return commandNames.some((name) => name === word);
}

/** What `flatmount IMAGE MOUNTPOINT` is short for. */
export const DEFAULT_COMMAND = "mount";

/** Words that ask for all commands, not for one. */
export function asksForOverview(word: string): boolean {
  return /^(?:help|-h|--help|-V|--version)$/.test(word);
}

/** Whether a daemon will be wanted, as far as the words tell at a glance. */
export function wantsDaemon([first, ...others]: readonly string[]): boolean {
  if (first === undefined || asksForOverview(first) || (isCommandName(first) && first !== DEFAULT_COMMAND)) return false;
  return ![first, ...others].some((word) => word === "--foreground" || word === "-h" || word === "--help");
}
