// What a damaged image is, and what is known of it all the same.

/** Bytes of the disk from `from` up to `to`. */
export type Range = readonly [from: number, to: number];

export interface DiskTruth {
  readonly kind: "disk";
  readonly bytes: Buffer;
  /** What the image does not hold any more: only an error is an answer there. */
  readonly unknown: readonly Range[];
}

export interface TreeTruth {
  readonly kind: "tree";
  /** By path. `known`: so many bytes from the start; all without. */
  readonly files: Readonly<Record<string, { readonly content: Buffer; readonly known?: number }>>;
  /** Other names may be shown, too: which ones is for the program to say. */
  readonly loose?: boolean;
}

/** Nothing: only refusing is an answer. */
export interface NoTruth {
  readonly kind: "none";
}

export interface Sample {
  /** A column of tables: "qcow2", "iso" … */
  readonly format: string;
  /** What is damaged. */
  readonly name: string;
  /** The image and what lies beside it; a name may begin with "../". */
  readonly files: Readonly<Record<string, Buffer>>;
  /** The name of the image in `files`. */
  readonly image: string;
  readonly truth: DiskTruth | TreeTruth | NoTruth;
}

/** What a file outside the image's folder holds. Whoever tells it has opened a file that the image has no right to. */
export const SECRET = Buffer.alloc(65_536, "this is no part of any image, and nobody may see it\n");
/** Its name, from the image's folder. */
export const SECRET_NAME = "../outside/secret.txt";

/** A copy of `image` that `change` damages. */
export function damaged(image: Buffer, change: (copy: Buffer) => void): Buffer {
  const copy = Buffer.from(image);
  change(copy);
  return copy;
}

export function cut(image: Buffer, share: number): Buffer {
  return Buffer.from(image.subarray(0, Math.floor(image.length * share)));
}

/** A set of one format: samples that share the image's name. */
export function samplesOf(format: string, image: string, disk: Buffer) {
  const samples: Sample[] = [];
  const others = (files: Readonly<Record<string, Buffer>> | undefined) => ({ ...files });
  return {
    samples,
    /** All of the disk, but for `unknown`, can still be known. */
    known(name: string, bytes: Buffer, unknown: readonly Range[] = [], files?: Readonly<Record<string, Buffer>>, model = disk): void {
      samples.push({ format, name, image, files: { ...others(files), [image]: bytes }, truth: { kind: "disk", bytes: model, unknown } });
    },
    lost(name: string, bytes: Buffer, files?: Readonly<Record<string, Buffer>>): void {
      samples.push({ format, name, image, files: { ...others(files), [image]: bytes }, truth: { kind: "none" } });
    },
  };
}

/** A set of containers. */
export function treesOf(format: string, image: string) {
  const samples: Sample[] = [];
  return {
    samples,
    known(name: string, bytes: Buffer, files: TreeTruth["files"], loose = false): void {
      samples.push({ format, name, image, files: { [image]: bytes }, truth: { kind: "tree", files, loose } });
    },
    lost(name: string, bytes: Buffer): void {
      samples.push({ format, name, image, files: { [image]: bytes }, truth: { kind: "none" } });
    },
  };
}
