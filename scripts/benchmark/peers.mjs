// The programs that are compared: how each is asked to show an image as a flat file, read-only.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { versionOf } from "./processes.mjs";

/**
 * @typedef {object} Peer
 * @property {string} name
 * @property {string | undefined} version Undefined if it is not installed.
 * @property {"directory" | "file"} mountpoint What it mounts over.
 * @property {string} disk Name of the flat disk below the mount point; empty where that is the disk.
 * @property {string} [tree] Where below the mount point the files of a container are; absent if it shows none.
 * @property {readonly string[]} [formats] What it reads, as QEMU calls it; everything without.
 * @property {(image: string, mountpoint: string, format: string) => readonly string[]} [command] Absent for the plain file.
 * @property {((mountpoint: string) => readonly string[]) | "terminate"} [stop]
 * @property {(image: string, out: string, format: string) => readonly string[]} [convert] Writes the flat disk to a file, and that to the disk.
 * @property {(image: string) => readonly string[]} [info] Tells about an image without mounting it.
 */

const flatmount = [process.execPath, fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url))];
const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
const umount = (/** @type {string} */ mountpoint) => ["umount", mountpoint];

/** Ours comes first. @type {readonly Peer[]} */
export const peers = [
  {
    name: "flatmount",
    version,
    mountpoint: "directory",
    disk: "disk.raw",
    tree: "files",
    command: (image, mountpoint) => [...flatmount, "mount", image, mountpoint],
    stop: (mountpoint) => [...flatmount, "umount", mountpoint],
    info: (image) => [...flatmount, "info", image],
    convert: (image, out) => [...flatmount, "convert", image, out],
  },
  {
    // As it is for ordinary users, and on kernels that cannot do more.
    name: "flatmount-served",
    version,
    mountpoint: "directory",
    disk: "disk.raw",
    tree: "files",
    command: (image, mountpoint) => [...flatmount, "mount", "--no-passthrough", image, mountpoint],
    stop: (mountpoint) => [...flatmount, "umount", mountpoint],
  },
  {
    // An index for the kernel and no process: see docs/performance.md.
    name: "flatmount-erofs",
    version,
    mountpoint: "directory",
    disk: "disk.raw",
    tree: "files",
    command: (image, mountpoint) => [...flatmount, "mount", "--transport", "erofs", image, mountpoint],
    stop: (mountpoint) => [...flatmount, "umount", mountpoint],
  },
  {
    name: "flatmount-libfuse",
    version,
    mountpoint: "directory",
    disk: "disk.raw",
    tree: "files",
    command: (image, mountpoint) => [...flatmount, "mount", "--transport", "libfuse", image, mountpoint],
    stop: (mountpoint) => [...flatmount, "umount", mountpoint],
  },
  {
    name: "qemu-storage-daemon",
    version: versionOf(["qemu-storage-daemon", "--version"]),
    mountpoint: "file",
    disk: "",
    command: (image, mountpoint, format) => [
      "qemu-storage-daemon",
      ...["--blockdev", `driver=file,node-name=file,filename=${image},read-only=on`],
      ...["--blockdev", `driver=${format},node-name=disk,file=file,read-only=on`],
      ...["--export", `type=fuse,id=export,node-name=disk,mountpoint=${mountpoint},writable=off`],
    ],
    stop: "terminate",
    info: (image) => ["qemu-img", "info", image],
    // Its default leaves the writing to the kernel; we do not.
    convert: (image, out, format) => ["qemu-img", "convert", "-t", "writeback", "-f", format, "-O", "raw", image, out],
  },
  {
    name: "qcowmount",
    version: versionOf(["qcowmount", "-V"]),
    mountpoint: "directory",
    disk: "qcow1",
    formats: ["qcow2"],
    command: (image, mountpoint) => ["qcowmount", image, mountpoint],
    stop: umount,
    info: (image) => ["qcowinfo", image],
  },
  {
    name: "vmdkmount",
    version: versionOf(["vmdkmount", "-V"]),
    mountpoint: "directory",
    disk: "vmdk1",
    formats: ["vmdk"],
    command: (image, mountpoint) => ["vmdkmount", image, mountpoint],
    stop: umount,
    info: (image) => ["vmdkinfo", image],
  },
  {
    name: "vhdimount",
    version: versionOf(["vhdimount", "-V"]),
    mountpoint: "directory",
    disk: "vhdi1",
    formats: ["vpc", "vhdx"],
    command: (image, mountpoint) => ["vhdimount", image, mountpoint],
    stop: umount,
    info: (image) => ["vhdiinfo", image],
  },
  {
    // nbdfuse starts qemu-nbd itself and talks to it over a unix socket. 4 connections are what its manual advises.
    name: "nbdfuse+qemu-nbd",
    version: versionOf(["qemu-nbd", "--version"]) && versionOf(["nbdfuse", "--version"]),
    mountpoint: "directory",
    disk: "disk",
    command: (image, mountpoint, format) => [
      "nbdfuse",
      "-r",
      "-C",
      "4",
      join(mountpoint, "disk"),
      "[",
      "qemu-nbd",
      "-r",
      "-e",
      "8",
      "-f",
      format,
      image,
      "]",
    ],
    stop: umount,
  },
  {
    name: "fuseiso",
    version: versionOf(["fuseiso", "-h"]),
    mountpoint: "directory",
    disk: "",
    tree: "",
    formats: ["iso"],
    command: (image, mountpoint) => ["fuseiso", image, mountpoint],
    stop: umount,
  },
  {
    name: "archivemount",
    version: versionOf(["archivemount", "-V"]),
    mountpoint: "directory",
    disk: "",
    tree: "",
    formats: ["iso", "tar"],
    command: (image, mountpoint) => ["archivemount", "-o", "readonly", image, mountpoint],
    stop: umount,
  },
  {
    // No image at all: the same bytes from the file system. What a mount cannot be faster than.
    name: "plain-file",
    version: "",
    mountpoint: "directory",
    disk: "",
  },
];
