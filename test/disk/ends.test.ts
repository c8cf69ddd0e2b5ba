import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { buildDmg } from "../support/dmg-builder.js";
import { difference, flatOf } from "../support/reading.js";
import { subdirectory, tempDirectory } from "../support/temp.js";

const directory = tempDirectory();

test.each(["bzip2", "lzma"] as const)("a DMG that begins with a chunk of %s is no compressed file", (kind) => {
  const { image, disk } = buildDmg({
    tables: [
      {
        chunks: [
          { kind, sectors: 8 },
          { kind: "raw", sectors: 2 },
        ],
      },
    ],
  });
  const path = join(subdirectory(directory), "a.dmg");
  writeFileSync(path, image);
  expect(image.toString("latin1", 0, 3)).toBe(kind === "bzip2" ? "BZh" : "\xfd7z");
  expect(difference(flatOf(path), disk)).toBeUndefined();
});
