import { join } from "node:path";
import { readBytes, type Source } from "../source/source.js";
import type { OpenedFile } from "../source/file.js";
import { namesIn } from "./parents.js";
import { peek } from "./peek.js";
import { type Configuration, CONFIGURATION_LIMIT, CONFIGURATIONS_LIMIT, isConfiguration } from "./vbox.js";

/** The configurations of VirtualBox machines in folders, each folder looked through once. One that cannot be read tells nothing. */
export function createConfigurations(look: (path: string) => OpenedFile): (folders: readonly string[]) => readonly Configuration[] {
  const byFolder = new Map<string, readonly Configuration[]>();
  const inFolder = (folder: string): readonly Configuration[] => {
    const known = byFolder.get(folder);
    if (known) return known;
    const names = namesIn(folder).filter(isConfiguration).slice(0, CONFIGURATIONS_LIMIT);
    const found = names.flatMap((name) => {
      const text = peek(() => look(join(folder, name)), textOf);
      return text === undefined ? [] : [{ name, text }];
    });
    byFolder.set(folder, found);
    return found;
  };
  return (folders) => folders.flatMap(inFolder);
}

/** A configuration's text; undefined if it is longer than any. */
export function textOf(source: Source): string | undefined {
  return source.size > CONFIGURATION_LIMIT ? undefined : readBytes(source, 0, source.size).toString("utf8");
}
