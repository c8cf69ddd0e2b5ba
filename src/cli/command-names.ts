/** Every command and what it does, in the order in which the help lists them. */
export const summaries = {
  mount: "show a disk image as one flat raw file",
  umount: "take mounts away",
  list: "show the mounts",
  status: "tell what mounts have done",
  attach: "make a block device of an image, or mount what is on it",
  detach: "undo attach",
  info: "tell what an image is and holds",
  map: "show where the bytes of the disk are stored",
  diff: "show which ranges of the disk changed",
  ls: "list what a mount of an image would show",
  cat: "write the disk, or another file of the view, to standard output",
  convert: "write the flat disk to a file",
  index: "write an index with which the kernel reads an image alone",
  check: "tell whether an image is whole",
  salvage: "tell which parts of a disk are lost to damage",
  formats: "list the formats that can be read",
  doctor: "tell whether this machine can mount, and what is missing",
  completion: "print what makes a shell complete these commands",
} as const;
export type CommandName = keyof typeof summaries;
export const commandNames = Object.keys(summaries) as readonly CommandName[];

export function isCommandName(word: string): word is CommandName {
  return Object.hasOwn(summaries, word);
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

/** Other names of commands, as mount(8) and its kin made people expect them. */
export const aliases: Readonly<Record<string, CommandName>> = { unmount: "umount" };
