// QEMU's own tools, as the makers of test images and as the judge of what they hold.
import { execFileSync, spawnSync } from "node:child_process";
import { copyFileSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { inTempDirectory } from "./temp.js";

/** Whether the program is there. Where `CI` is set a missing one is a failure, not a reason to skip. */
export function requireProgram(name: string): boolean {
  const { error } = spawnSync(name, ["--version"], { stdio: "ignore" });
  if (!error) return true;
  if (process.env["CI"]) throw new Error(`these tests need the program ${name}, which cannot be started: ${error.message}`);
  return false;
}

/** Runs a program in `cwd` to its end; throws with all it said if it failed. */
export function run(program: string, args: readonly string[], cwd?: string): string {
  const result = spawnSync(program, args, { encoding: "utf8", cwd, maxBuffer: 2 ** 28 });
  if (result.error) throw result.error;
  if (result.status !== 0) throw new Error(`${program} ${args.join(" ")}: exit status ${result.status}\n${result.stdout}${result.stderr}`);
  return result.stdout;
}

export function qemuImg(...args: readonly string[]): string {
  return run("qemu-img", args);
}

/** What QEMU can write, as it calls it. */
export type QemuFormat = "qcow2" | "qcow" | "raw" | "vmdk" | "vpc" | "vhdx" | "vdi" | "qed" | "parallels";

export interface CreateOptions {
  readonly format?: QemuFormat;
  /** `-o`, such as `{ cluster_size: 4096 }`. */
  readonly options?: Readonly<Record<string, string | number>>;
  readonly backing?: string;
  readonly backingFormat?: string;
}

/** `qemu-img create`. Without `size` the disk is as large as its backing file. */
export function createImage(
  path: string,
  size: number | undefined,
  { format = "qcow2", options = {}, backing, backingFormat }: CreateOptions = {},
): void {
  const list = Object.entries(options).map(([key, value]) => `${key}=${String(value).replaceAll(",", ",,")}`);
  const args = ["create", "-q", "-f", format];
  if (list.length > 0) args.push("-o", list.join(","));
  if (backing !== undefined) args.push("-b", backing, "-F", backingFormat ?? "raw");
  qemuImg(...args, path, ...(size === undefined ? [] : [String(size)]));
}

/** What one `qemu-io` command does to the disk. Offsets and lengths in bytes. */
export type Step =
  | { readonly kind: "write" | "packed" | "state"; readonly at: number; readonly content: Uint8Array }
  | { readonly kind: "zero" | "zero-unmap" | "discard"; readonly at: number; readonly length: number }
  /** The writer dies: an image with lazy refcounts stays marked dirty. */
  | { readonly kind: "abort" };

const flagsOf = { write: "", packed: "-c ", state: "-b ", zero: "-z ", "zero-unmap": "-z -u " } as const;

/** Does the steps in one run of `qemu-io`. */
export function change(path: string, steps: readonly Step[], format = "qcow2"): void {
  inTempDirectory((directory) => {
    const commands = steps.flatMap((step, index) => ["-c", commandOf(step, join(directory, `${index}`))]);
    const result = spawnSync("qemu-io", ["-t", "unsafe", "-d", "unmap", "-f", format, ...commands, path], {
      encoding: "utf8",
      maxBuffer: 2 ** 26,
    });
    const aborts = steps.some(({ kind }) => kind === "abort");
    const failed =
      (aborts ? result.signal === null : result.status !== 0) || /fail|error|invalid|not /i.test(result.stdout + result.stderr);
    if (failed) throw new Error(`qemu-io ${path}: ${result.status}\n${result.stdout}${result.stderr}`);
  });
}

function commandOf(step: Step, contentFile: string): string {
  switch (step.kind) {
    case "abort":
      return "abort";
    case "discard":
      return `discard -q ${step.at} ${step.length}`;
    case "zero":
    case "zero-unmap":
      return `write -q ${flagsOf[step.kind]}${step.at} ${step.length}`;
    default:
      writeFileSync(contentFile, step.content);
      return `write -q ${flagsOf[step.kind]}-s ${contentFile} ${step.at} ${step.content.length}`;
  }
}

/** The whole disk, as `qemu-img convert -O raw` writes it; `snapshot` by id or name. */
export function flat(
  path: string,
  { snapshot, format }: { readonly snapshot?: string | undefined; readonly format?: string | undefined } = {},
): Buffer {
  if (snapshot !== undefined) return flatSnapshot(path, snapshot);
  return inTempDirectory((directory) => {
    const output = join(directory, "flat");
    qemuImg("convert", ...(format === undefined ? [] : ["-f", format]), "-O", "raw", path, output);
    return readFileSync(output);
  });
}

/** Applied to a copy, and not with `convert -l`: that one gives every snapshot the size the disk has now. */
function flatSnapshot(path: string, snapshot: string): Buffer {
  // Beside the image, since a backing file may be named relative to it.
  const copy = `${path}.copy`;
  copyFileSync(path, copy);
  try {
    qemuImg("snapshot", "-q", "-a", snapshot, copy);
    return flat(copy);
  } finally {
    rmSync(copy);
  }
}

/** One line of `qemu-img map --output=json`. `offset` only where the bytes stand plainly in a file. */
export interface QemuExtent {
  readonly start: number;
  readonly length: number;
  readonly depth: number;
  readonly present: boolean;
  readonly zero: boolean;
  readonly data: boolean;
  readonly compressed?: boolean;
  readonly offset?: number;
}

export function qemuMap(path: string): QemuExtent[] {
  return JSON.parse(qemuImg("map", "--output=json", path)) as QemuExtent[];
}

/** Virtual size in bytes, by `qemu-img info`. */
export function virtualSize(path: string, format?: string): number {
  const told = format === undefined ? [] : ["-f", format];
  return (JSON.parse(qemuImg("info", ...told, "--output=json", path)) as { "virtual-size": number })["virtual-size"];
}

/** Fails unless `qemu-img check` finds nothing at all. */
export function checkImage(path: string): void {
  execFileSync("qemu-img", ["check", "-q", "-f", "qcow2", path], { stdio: "pipe" });
}
