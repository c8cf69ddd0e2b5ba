import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readBootImages } from "../../src/containers/iso9660/el-torito.js";
import { openIso } from "../../src/containers/iso9660/index.js";
import { fileSource, openFile } from "../../src/source/file.js";
import { memorySource } from "../../src/source/memory.js";
import { readBytes } from "../../src/source/source.js";
import { noise } from "../support/content.js";
import { requireProgram, run } from "../support/qemu.js";
import { subdirectory, tempDirectory } from "../support/temp.js";

/** A FAT file system's first sector, and noise behind it. */
function fatImage(sectors: number): Buffer {
  const image = noise(1, sectors * 512);
  image.writeUInt16LE(512, 11);
  image[13] = 1;
  image.writeUInt16LE(sectors, 19);
  image.writeUInt16LE(0xaa55, 510);
  return image;
}

describe.skipIf(!requireProgram("xorriso"))("boot images", () => {
  const directory = tempDirectory();

  test("for BIOS and UEFI, as long as they are and not as long as the firmware loads", () => {
    const tree = subdirectory(directory);
    const bios = noise(2, 30_000);
    const uefi = fatImage(700);
    mkdirSync(join(tree, "boot"));
    writeFileSync(join(tree, "boot/bios.img"), bios);
    writeFileSync(join(tree, "boot/uefi.img"), uefi);
    const image = join(subdirectory(directory), "disc.iso");
    const boot = ["-b", "boot/bios.img", "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table"];
    const alternative = ["-eltorito-alt-boot", "-e", "boot/uefi.img", "-no-emul-boot"];
    run("xorriso", ["-as", "mkisofs", "-quiet", "-R", ...boot, ...alternative, "-o", image, tree]);
    const source = fileSource(openFile(image, { devices: false }));

    const images = openIso(source).bootImages ?? [];

    expect(images.map(({ name, size }) => ({ name, size }))).toEqual([
      { name: "1-bios.img", size: 30_000 },
      { name: "2-uefi.img", size: uefi.length },
    ]);
    const [first, second] = images.map(({ position, size }) => readBytes(source, position, size));
    // xorriso writes the boot information table over bytes 8 to 63.
    expect(first?.subarray(64).equals(bios.subarray(64))).toBe(true);
    expect(second?.equals(uefi)).toBe(true);
    source.close();
  });

  test.each([
    { floppy: 1_474_560, emulation: "1.44 MB floppy" },
    { floppy: 2_949_120, emulation: "2.88 MB floppy" },
  ])("that stand for a floppy of $floppy bytes", ({ floppy, emulation }) => {
    const tree = subdirectory(directory);
    writeFileSync(join(tree, "floppy.img"), noise(3, floppy));
    const image = join(subdirectory(directory), "disc.iso");
    run("xorriso", ["-as", "mkisofs", "-quiet", "-R", "-b", "floppy.img", "-o", image, tree]);
    const source = fileSource(openFile(image, { devices: false }));
    expect(readBootImages(source)).toMatchObject([{ name: "1-bios.img", size: floppy, emulation, bootable: true }]);
    source.close();
  });

  test("a catalogue that is not intact gives none", () => {
    const disc = Buffer.alloc(40 * 2048);
    disc.write("\0CD001\x01EL TORITO SPECIFICATION", 17 * 2048, "latin1");
    disc.writeUInt32LE(20, 17 * 2048 + 0x47);
    expect(readBootImages(memorySource("disc", disc))).toEqual([]);
    disc.writeUInt32LE(0xfffffff0, 17 * 2048 + 0x47);
    expect(readBootImages(memorySource("disc", disc))).toEqual([]);
  });
});
