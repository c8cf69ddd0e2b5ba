// Ways to make images with QEMU's own programs, used for a while. Made with seeds: the same ones on every run.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { activity } from "./activity.js";
import { mixed, noise } from "./content.js";
import { type CreateOptions, change, createImage, type QemuFormat, qemuImg, type Step } from "./qemu.js";

export interface MatrixImage {
  readonly name: string;
  /** Makes the image and all it needs below `directory`, which is empty and the image's own. */
  build(directory: string): {
    readonly image: string;
    readonly snapshot?: string;
    /** What `qemu-img` is to read instead, where it cannot read `image`. */
    readonly whole?: string;
    /** What to tell `qemu-img` the format is, where it does not find that out. */
    readonly format?: QemuFormat;
  };
}

export const MIB = 2 ** 20;
/** What a disk in use sees; all but the first on any state of it. */
export const all = ["packed", "zero", "zero-unmap", "discard"] as const;
export const unpacked = ["zero", "zero-unmap", "discard"] as const;

type Options = NonNullable<CreateOptions["options"]>;

/** A name's own seed. */
function seedOf(name: string): number {
  return Buffer.from(name).reduce((sum, byte) => (sum * 31 + byte) % 1_000_003, 7);
}

interface Plain {
  readonly size?: number;
  readonly cluster?: number;
  readonly options?: Options;
  readonly also?: Parameters<typeof activity>[0]["also"];
  readonly format?: QemuFormat;
  /** Done before and after the usual activity. */
  readonly before?: readonly Step[];
  readonly after?: readonly Step[];
}

/** A single image that was created and used. */
export function used(
  name: string,
  { size = MIB + 1536, cluster = 65_536, options = {}, also = [], format = "qcow2", before = [], after = [] }: Plain,
): MatrixImage {
  return {
    name,
    build(directory) {
      const image = join(directory, "disk.img");
      createImage(image, size, { format, options: format === "qcow2" ? { cluster_size: cluster, ...options } : options });
      const steps = size < 4096 ? [] : activity({ size, clusterSize: cluster, seed: seedOf(name), also });
      change(image, [...before, ...steps, ...after], format);
      return { image };
    },
  };
}

/** A raw disk written out by `qemu-img convert`. */
export function converted(name: string, args: readonly string[], content: () => Buffer): MatrixImage {
  return {
    name,
    build(directory) {
      const image = join(directory, "disk.img");
      const source = join(dirname(image), "source.bin");
      writeFileSync(source, content());
      qemuImg("convert", "-f", "raw", ...args, source, image);
      return { image };
    },
  };
}

export interface Link {
  readonly file: string;
  readonly size?: number;
  readonly format?: QemuFormat;
  /** The name to record instead of `file`, as the next one's backing file. */
  readonly as?: (directory: string) => string;
  readonly options?: Options;
  readonly also?: Plain["also"];
  readonly steps?: readonly Step[];
}

/** A chain, the lowest first. `afterwards` gets the directory and the top image. */
export function chain(name: string, links: readonly Link[], afterwards?: (image: string) => void): MatrixImage {
  return {
    name,
    build(directory) {
      let below: Link | undefined;
      let image = "";
      for (const [depth, link] of links.entries()) {
        image = join(directory, link.file);
        mkdirSync(dirname(image), { recursive: true });
        makeLink(
          image,
          link,
          below && { name: below.as?.(directory) ?? below.file, format: below.format ?? "qcow2" },
          seedOf(name) + depth,
        );
        below = link;
      }
      afterwards?.(image);
      return { image };
    },
  };
}

function makeLink(image: string, link: Link, below: { readonly name: string; readonly format: string } | undefined, seed: number): void {
  const { size = below ? undefined : MIB, format = "qcow2", options = {}, also = [] } = link;
  if (format === "raw") {
    writeFileSync(image, mixed(seed, size ?? MIB));
    return;
  }
  createImage(image, size, { format, options, ...(below && { backing: below.name, backingFormat: below.format }) });
  const clusterSize = Number(options["cluster_size"] ?? 65_536);
  change(image, link.steps ?? activity({ size: size ?? MIB, clusterSize, seed, also, steps: 12 }), format);
}

/** As images from before 2010: the format of the backing file is not recorded. */
export function forgetBackingFormat(image: string): void {
  const content = readFileSync(image);
  const at = content.indexOf(Buffer.from("e2792aca", "hex"));
  if (at < 0 || at > 512) throw new Error(`${image} records no backing format`);
  content.writeUInt32BE(0x12345678, at);
  writeFileSync(image, content);
}

/** A disk whose state was kept `rounds` times; reads the snapshot `selected`, the current state without. */
export function kept(
  name: string,
  rounds: number,
  selected: string | undefined,
  { cluster = 65_536, options = {}, grow = 0, also = [] }: Plain & { grow?: number },
): MatrixImage {
  return {
    name,
    build(directory) {
      const image = join(directory, "disk.img");
      let size = MIB + 1536;
      createImage(image, size, { options: { cluster_size: cluster, ...options } });
      for (let round = 1; round <= rounds; round += 1) {
        // QEMU does not compress over what is there: later rounds only write.
        change(image, activity({ size, clusterSize: cluster, seed: seedOf(name) + round, also: round === 1 ? also : unpacked, steps: 10 }));
        if (round % 2 === 0) change(image, [{ kind: "state", at: 0, content: noise(round, 70_144) }]);
        qemuImg("snapshot", "-c", `state ${round}`, image);
        if (grow !== 0) qemuImg("resize", "-q", ...(grow < 0 ? ["--shrink"] : []), image, String((size += grow)));
      }
      change(image, activity({ size, clusterSize: cluster, seed: seedOf(name), also: unpacked, steps: 10 }));
      return { image, ...(selected !== undefined && { snapshot: selected }) };
    },
  };
}

/** A disk whose clusters are in another file. */
export function withDataFile(name: string, options: Options): MatrixImage {
  const size = MIB + 1536;
  return {
    name,
    build(directory) {
      const image = join(directory, "disk.img");
      // QEMU records the name it is given, and takes it relative to where it runs: so it is recorded in a second step.
      createImage(image, size, { options: { data_file: join(directory, "disk.data"), ...options } });
      change(image, activity({ size, clusterSize: Number(options["cluster_size"] ?? 65_536), seed: seedOf(name), also: unpacked }));
      return { image };
    },
  };
}
