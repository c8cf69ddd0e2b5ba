// Writes FOLDER/manifest.json: node scripts/fixtures-manifest.mjs FOLDER "PACKAGE=VERSION …". Called by scripts/fixtures.
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const images = {
  "linux.qcow2": {
    description:
      "qcow2 version 3, zlib: a GPT disk with a BIOS boot partition and an ext4 that holds the files of `packages`; it does not boot",
    madeBy: ["mke2fs", "sfdisk", "qemu-img"],
  },
  "version2.qcow2": {
    description: "qcow2 version 2, not compressed, clusters of 4 KiB: an ext2 without a partition table",
    madeBy: ["mke2fs", "qemu-img"],
  },
  "zstd.qcow2": { description: "qcow2 version 3, zstd, clusters of 16 KiB: the same disk", madeBy: ["mke2fs", "qemu-img"] },
  "version1.qcow": { description: "qcow version 1, compressed: the same disk", madeBy: ["mke2fs", "qemu-img"] },
  "base.qcow2": { description: "qcow2 version 3, zlib: the same disk, the backing file of overlay.qcow2", madeBy: ["mke2fs", "qemu-img"] },
  "overlay.qcow2": {
    description: "qcow2 version 3, clusters of 4 KiB, on base.qcow2: one more file in the ext2, and a disk twice as large",
    madeBy: ["mke2fs", "qemu-img"],
  },
  "mbr-logical.raw": {
    description: "raw: an MBR disk with an ext2 in a primary partition, an ext2 and swap in two logical ones",
    madeBy: ["mke2fs", "sfdisk", "mkswap"],
  },
};

const [folder = "", packages = ""] = process.argv.slice(2);
const scratch = mkdtempSync(join(tmpdir(), "flatmount-fixtures-"));
try {
  const manifest = {
    madeBy: "scripts/fixtures",
    licences: "what is in the ext4 of linux.qcow2 comes from Debian packages; their terms are in its usr/share/doc/*/copyright",
    packages: Object.fromEntries(packages.split("\n").map((line) => line.split("="))),
    images: Object.entries(images).map(([file, { description, madeBy }]) => ({
      file,
      description,
      madeBy: madeBy.map((program) => `${program} ${versionOf(program)}`).join(", "),
      ...measure(join(folder, file)),
    })),
  };
  writeFileSync(join(folder, "manifest.json"), `${JSON.stringify(manifest, undefined, 2)}\n`);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

/** The first number with a dot that the program says of itself. @param {string} program */
function versionOf(program) {
  // mke2fs tells it on standard error.
  const { stdout, stderr } = spawnSync(program, [program === "mke2fs" ? "-V" : "--version"], { encoding: "utf8" });
  return /\d+(?:\.\d+)+/.exec(stdout + stderr)?.[0] ?? "of unknown version";
}

/** @param {string} path */
function measure(path) {
  const flat = join(scratch, "flat.raw");
  execFileSync("qemu-img", ["convert", "-O", "raw", path, flat]);
  const content = readFileSync(path);
  const disk = readFileSync(flat);
  return { size: content.length, sha256: sha256(content), diskSize: disk.length, diskSha256: sha256(disk) };
}

/** @param {Uint8Array} content */
function sha256(content) {
  return createHash("sha256").update(content).digest("hex");
}
