// Images from the builder as files, and what every test of them asks.
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect } from "vitest";
import { buildQcow2, type Recipe } from "./qcow2-builder.js";
import { expectedDisk } from "./qcow2-expected.js";
import { checkImage, flat, requireProgram } from "./qemu.js";
import { difference, flatOf, type ReadOptions } from "./reading.js";
import { subdirectory, tempDirectory } from "./temp.js";

/** Whose word counts besides the builder's: `check` wants `qemu-img check` to find nothing and QEMU to read the same, `read` only the latter. */
export type Judge = "check" | "read" | "none";

export interface BuiltDisks {
  /** Writes files into a fresh folder, the first of them the image; gives its path. Names may have folders. */
  write(files: Readonly<Record<string, Uint8Array | Recipe>>): string;
  /** The disk at `path` is what `recipe` says. */
  expectDisk(
    path: string,
    recipe: Recipe,
    more?: { readonly parent?: Uint8Array; readonly judge?: Judge; readonly options?: ReadOptions },
  ): void;
}

/** To be called where a file or a `describe` begins. */
export function builtDisks(): BuiltDisks {
  const directory = tempDirectory();
  const qemu = requireProgram("qemu-img");
  return {
    write(files) {
      const home = subdirectory(directory);
      const paths = Object.entries(files).map(([name, content]) => {
        const path = join(home, name);
        mkdirSync(dirname(path), { recursive: true });
        writeFileSync(path, content instanceof Uint8Array ? content : buildQcow2(content).bytes);
        return path;
      });
      return paths[0] ?? home;
    },
    expectDisk(path, recipe, { parent, judge = "check", options = {} } = {}) {
      const expected = expectedDisk(recipe, parent);
      expect(difference(flatOf(path, options), expected)).toBeUndefined();
      if (!qemu || judge === "none") return;
      // QEMU's disks are made of whole sectors: it leaves the rest away.
      const theirs = flat(path, { format: "qcow2" });
      expect(difference(theirs, expected.subarray(0, expected.length - (expected.length % 512)))).toBeUndefined();
      if (judge === "check") checkImage(path);
    },
  };
}
