import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openDisk } from "../../src/disk/open.js";
import { createBlockCache } from "../../src/disk/cache.js";
import { readDisk } from "../../src/disk/read.js";
import { mixed } from "../support/content.js";
import { qemuImg, requireProgram } from "../support/qemu.js";
import { subdirectory, tempDirectory } from "../support/temp.js";

const directory = tempDirectory();

test.skipIf(!requireProgram("qemu-img")).each(["raw", "qcow2", "vmdk"])("an image whose bytes are swapped in pairs: %s", (format) => {
  const home = subdirectory(directory);
  const content = mixed(3, 2 ** 20 + 512);
  writeFileSync(join(home, "flat"), content);
  qemuImg("convert", "-f", "raw", "-O", format, join(home, "flat"), join(home, "image"));
  const image = readFileSync(join(home, "image"));
  writeFileSync(join(home, "swapped"), image.swap16());
  const disk = openDisk(join(home, "swapped"), { swab: true });
  expect(disk.layer.format).toBe(format);
  const found = Buffer.alloc(content.length);
  readDisk(disk.layer, found, 0, createBlockCache(2 ** 20));
  expect(found.equals(content)).toBe(true);
  disk.close();
});
