// The programs, and how each is asked what an image holds.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Told } from "./judge.js";
import { runLimited } from "./process.js";
import type { Reading } from "./reader.js";

const root = process.env["FLATMOUNT_ROOT"] ?? process.cwd();
const flatmount = [process.execPath, join(root, "dist/cli/main.js")];

export interface Program {
  readonly name: string;
  /** Undefined if it is not installed. */
  readonly version: string | undefined;
  readonly formats: readonly string[];
  /** `folder`: where the image is, and where it runs; `work`: an empty folder of its own. */
  readonly ask: (place: {
    readonly folder: string;
    readonly image: string;
    readonly work: string;
    readonly format: string;
    readonly tree: boolean;
  }) => Told;
}

type Place = Parameters<Program["ask"]>[0];

function versionOf(program: string, ...args: string[]): string | undefined {
  const { error, stdout, stderr } = spawnSync(program, args, { encoding: "utf8", timeout: 10_000 });
  return error ? undefined : (/\d+(?:\.\d+)+[a-z]?|\d{8}/.exec(stdout + stderr)?.[0] ?? "unknown version");
}

function firstLine(text: string): string {
  return (text.split("\n").find((line) => line.trim() !== "") ?? "").slice(0, 160);
}

/** A program that writes the disk to a file, its last argument or what `command` does with it. */
function converting(command: (place: Place, out: string) => readonly string[], memory = true): Program["ask"] {
  return (place) => {
    const out = join(place.work, "out.raw");
    const ended = runLimited(command(place, out), { cwd: place.folder, memory });
    if (ended.kind !== "ended") return { kind: ended.kind, why: firstLine(ended.output) };
    if (ended.status !== 0 || !existsSync(out)) return { kind: "refused", why: firstLine(ended.output) };
    return { kind: "disk", bytes: readFileSync(out), failed: [] };
  };
}

/** A program that prints the disk. */
function printing(command: (place: Place) => readonly string[]): Program["ask"] {
  return converting((place, out) => ["sh", "-c", 'out=$1; shift; exec "$@" > "$out"', "sh", out, ...command(place)]);
}

/** A program that unpacks all files into a folder. */
function unpacking(command: (place: Place, target: string) => readonly string[]): Program["ask"] {
  return (place) => {
    const target = join(place.work, "a/b/c");
    mkdirSync(target, { recursive: true });
    const ended = runLimited(command(place, target), { cwd: target });
    if (ended.kind !== "ended") return { kind: ended.kind, why: firstLine(ended.output) };
    if (existsSync(join(place.work, "a/b/escaped")) || existsSync("/tmp/flatmount-escaped"))
      return { kind: "tree", files: new Map(), outside: true };
    if (ended.status !== 0) return { kind: "refused", why: firstLine(ended.output) };
    return readBack("tree", target, place.work);
  };
}

/** A program that mounts the image. `shown`: where below the mount point the disk or the files are. */
function mounting(
  command: (place: Place, mountpoint: string) => readonly string[],
  shown: (place: Place) => string,
  { stop = (mountpoint: string) => ["umount", mountpoint], memory = true } = {},
): Program["ask"] {
  return (place) => {
    const mountpoint = join(place.work, "mnt");
    mkdirSync(mountpoint);
    try {
      const ended = runLimited(command(place, mountpoint), { cwd: place.folder, memory });
      if (ended.kind !== "ended") return { kind: ended.kind, why: firstLine(ended.output) };
      if (ended.status !== 0) return { kind: "refused", why: firstLine(ended.output) };
      const told = readBack(place.tree ? "tree" : "disk", join(mountpoint, shown(place)), place.work);
      return told.kind === "tree" ? { ...told, said: said(mountpoint, ended.errors) } : told;
    } finally {
      for (const way of [stop(mountpoint), ["umount", "-l", mountpoint]]) {
        if (spawnSync("mountpoint", ["-q", mountpoint]).status === 1) break;
        spawnSync(way[0] ?? "", way.slice(1), { timeout: 20_000, killSignal: "SIGKILL" });
      }
    }
  };
}

/** On its standard error, or, ours, among the notes of `info.json`. */
function said(mountpoint: string, errors: string): boolean {
  const info = join(mountpoint, "info.json");
  return errors !== "" || (existsSync(info) && /"notes": \[\s*"/.test(readFileSync(info, "utf8")));
}

function readBack(kind: "disk" | "tree", path: string, work: string): Told {
  const out = join(work, "told");
  const ended = runLimited([process.execPath, process.argv[1] ?? "", "--read", kind, path, out], { cwd: work, memory: false });
  if (ended.kind === "hang") return { kind: "hang", why: "reading does not end" };
  if (ended.output.includes("ENOTCONN")) return { kind: "crash", why: "the mount is dead" };
  if (ended.output.includes("no end")) return { kind: "hang", why: "the folders have no end" };
  if (ended.status !== 0) return { kind: "refused", why: firstLine(ended.output) };
  if (kind === "tree") {
    const { files, code } = JSON.parse(readFileSync(out, "utf8")) as { files: Record<string, string | null>; code?: string };
    if (code === "ENOTCONN") return { kind: "crash", why: "the mount is dead" };
    const told = Object.entries(files).map(
      ([name, content]) => [name.toLowerCase(), content === null ? undefined : Buffer.from(content, "base64")] as const,
    );
    return { kind: "tree", files: new Map(told), outside: false };
  }
  const { failed, code } = JSON.parse(readFileSync(`${out}.json`, "utf8")) as Reading;
  if (code === "ENOTCONN") return { kind: "crash", why: "the mount is dead" };
  return { kind: "disk", bytes: readFileSync(out), failed };
}

const qemuNames: Readonly<Record<string, string>> = { vhd: "vpc", "vmdk stream": "vmdk", "vmdk descriptor": "vmdk" };
const vmdks = ["vmdk", "vmdk stream", "vmdk descriptor"];
const trees = ["iso", "tar", "tar.gz", "zip"];
const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };

/** Ours comes first. */
export const programs: readonly Program[] = [
  {
    name: "flatmount",
    version,
    formats: ["qcow2", "qed", "vhd", "vhdx", "vdi", ...vmdks, "ewf", "dmg", "gz", "xz", ...trees, "ova"],
    ask: mounting(
      ({ image }, mountpoint) => [...flatmount, "mount", image, mountpoint],
      ({ tree }) => (tree ? "files" : "disk.raw"),
      { stop: (mountpoint) => [...flatmount, "umount", mountpoint] as string[], memory: false },
    ),
  },
  {
    name: "qemu-img",
    version: versionOf("qemu-img", "--version"),
    formats: ["qcow2", "qed", "vhd", "vhdx", "vdi", ...vmdks, "dmg"],
    ask: converting(({ image, format }, out) => ["qemu-img", "convert", "-f", qemuNames[format] ?? format, "-O", "raw", image, out]),
  },
  {
    name: "qcowmount",
    version: versionOf("qcowmount", "-V"),
    formats: ["qcow2"],
    ask: mounting(
      ({ image }, mountpoint) => ["qcowmount", image, mountpoint],
      () => "qcow1",
    ),
  },
  {
    name: "vmdkmount",
    version: versionOf("vmdkmount", "-V"),
    formats: vmdks,
    ask: mounting(
      ({ image }, mountpoint) => ["vmdkmount", image, mountpoint],
      () => "vmdk1",
    ),
  },
  {
    name: "vhdimount",
    version: versionOf("vhdimount", "-V"),
    formats: ["vhd", "vhdx"],
    ask: mounting(
      ({ image }, mountpoint) => ["vhdimount", image, mountpoint],
      () => "vhdi1",
    ),
  },
  {
    name: "ewfmount",
    version: versionOf("ewfmount", "-V"),
    formats: ["ewf"],
    ask: mounting(
      ({ image }, mountpoint) => ["ewfmount", image, mountpoint],
      () => "ewf1",
    ),
  },
  {
    name: "xmount",
    version: versionOf("xmount", "--version"),
    formats: ["ewf"],
    ask: mounting(
      ({ image }, mountpoint) => ["xmount", "--in", "ewf", image, "--out", "raw", mountpoint],
      () => "disk.dd",
    ),
  },
  {
    name: "7z",
    version: versionOf("7z"),
    formats: ["qcow2", "vhd", "vhdx", "vdi", ...vmdks, "dmg", "gz", "xz", "iso", "tar", "zip", "ova"],
    ask: (place) =>
      place.tree
        ? unpacking(({ folder, image }, target) => [
            "7z",
            "x",
            "-y",
            "-bd",
            `-t${place.format === "ova" ? "tar" : place.format}`,
            `-o${target}`,
            join(folder, image),
          ])(place)
        : printing(({ image, format }) => ["7z", "x", "-so", `-t${sevenZip[format] ?? format}`, image])(place),
  },
  {
    name: "dmg2img",
    version: versionOf("dmg2img"),
    formats: ["dmg"],
    ask: converting(({ image }, out) => ["dmg2img", "-s", image, out]),
  },
  {
    name: "nbdkit",
    version: versionOf("nbdkit", "--version"),
    formats: ["gz", "xz"],
    ask: converting(({ image, format }, out) => [
      "nbdkit",
      "-r",
      "-U",
      "-",
      `--filter=${format === "gz" ? "gzip" : "xz"}`,
      "file",
      image,
      "--run",
      `nbdcopy "$uri" '${out}'`,
    ]),
  },
  { name: "gzip", version: versionOf("gzip", "--version"), formats: ["gz"], ask: printing(({ image }) => ["gzip", "-dc", image]) },
  { name: "xz", version: versionOf("xz", "--version"), formats: ["xz"], ask: printing(({ image }) => ["xz", "-dc", image]) },
  {
    name: "fuseiso",
    version: versionOf("fuseiso", "-h"),
    formats: ["iso"],
    ask: mounting(
      ({ image }, mountpoint) => ["fuseiso", "-n", image, mountpoint],
      () => "",
    ),
  },
  {
    name: "xorriso",
    version: versionOf("xorriso", "--version"),
    formats: ["iso"],
    ask: unpacking(({ folder, image }, target) => ["xorriso", "-osirrox", "on", "-indev", join(folder, image), "-extract", "/", target]),
  },
  {
    name: "bsdtar",
    version: versionOf("bsdtar", "--version"),
    formats: [...trees, "ova"],
    ask: unpacking(({ folder, image }, target) => ["bsdtar", "-xf", join(folder, image), "-C", target]),
  },
  {
    name: "archivemount",
    version: versionOf("archivemount", "-V"),
    formats: trees,
    ask: mounting(
      ({ image }, mountpoint) => ["archivemount", "-o", "readonly", image, mountpoint],
      () => "",
    ),
  },
  {
    name: "GNU tar",
    version: versionOf("tar", "--version"),
    formats: ["tar", "tar.gz", "ova"],
    ask: unpacking(({ folder, image }, target) => ["tar", "-xf", join(folder, image), "-C", target]),
  },
  {
    name: "unzip",
    version: versionOf("unzip", "-v"),
    formats: ["zip"],
    ask: unpacking(({ folder, image }, target) => ["unzip", "-q", "-o", join(folder, image), "-d", target]),
  },
];

const sevenZip: Readonly<Record<string, string>> = { qcow2: "qcow", gz: "gzip", "vmdk stream": "vmdk", "vmdk descriptor": "vmdk" };

/** Writes the sample's files and asks one program. */
export function place(folder: string, files: Readonly<Record<string, Buffer>>): void {
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
}
