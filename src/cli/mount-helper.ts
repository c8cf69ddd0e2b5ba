// What mount(8) starts for file systems of our type: /sbin/mount.flatmount, which calls us with a first word of its own. Reference: mount(8), "External helpers".

/** What the words of mount(8) mean here. */
export interface HelperCall {
  /** The same for our command line. */
  readonly words: readonly string[];
  /** Told with `-f`: do everything but mount. */
  readonly fake: boolean;
}

/** The status of a mount that failed, as mount(8) has it. */
export const MOUNT_FAILED = 32;

/** The first word of such a call; scripts/package/mount.flatmount says it. */
export const MOUNT_HELPER = "--mount-helper";

/**
 * Reads `IMAGE MOUNTPOINT [-sfnv] [-N namespace] [-o options] [-t type]`. mount(8) knows the namespace and the type itself; it keeps no table that we would
 * have to write, and unknown options are refused even if `-s` would tolerate them: they may say how to read the image.
 */
export function readHelperWords(given: readonly string[]): HelperCall {
  const words: string[] = [];
  let fake = false;
  for (let at = 0; at < given.length; at += 1) {
    const word = given[at]!;
    if (/^-[sfnv]+$/.test(word)) fake ||= word.includes("f");
    else if (word === "-N" || word === "-t") at += 1;
    else if (word === "-o") words.push("-o", given[(at += 1)] ?? "");
    else words.push(word);
  }
  return { words: ["mount", ...words], fake };
}
