// What `check` needs of an opened package, whatever it is stored in.
import { ImageError } from "../../util/errors.js";
import type { Container, Content } from "../container.js";
import type { Descriptor } from "./descriptor.js";
import type { Located } from "./located.js";

/** A file that can be read anywhere. */
export interface ReadableFile {
  /** Bytes. */
  readonly size: number;
  /** Fills all of `target` from `offset` on, or throws. */
  read(target: Uint8Array, offset: number): void;
}

/** The files of a package. Paths are relative to the folder of the descriptor. */
export interface OvfPackage {
  /** What the descriptor is called. */
  readonly descriptorName: string;
  /** Undefined where it could not be understood; then `failure` tells why. */
  readonly descriptor: Descriptor | undefined;
  readonly failure?: ImageError | undefined;
  readonly located: readonly Located[];
  /** What the manifest and the certificate are called; undefined where there is none. */
  readonly manifest: string | undefined;
  readonly certificate: string | undefined;
  /** Every file that is in the package, or known to belong to it. */
  files(): Iterable<string>;
  /** Undefined if there is no such file. */
  open(path: string): ReadableFile | undefined;
  /** The names of an archive's members, as they are stored one after the other, repetitions included. Absent where files have no order. */
  members?(): readonly string[];
}

/** A container that is a package. */
export interface OvfContainer extends Container {
  readonly ovf: OvfPackage;
}

export function isOvfContainer(container: Container): container is OvfContainer {
  return "ovf" in container;
}

/** The bytes of a file in a container, for what reads a little of it. */
export function readableOf({ size, map }: Content, name: string): ReadableFile {
  return {
    size,
    read(target, offset) {
      if (offset + target.length > size)
        throw new ImageError("TRUNCATED", `${target.length} bytes were wanted at ${offset}`, { file: name });
      for (let done = 0; done < target.length; ) {
        const extent = map(offset + done, target.length - done);
        const part = target.subarray(done, done + extent.length);
        if (extent.kind === "damaged") throw extent.error;
        if (extent.kind === "data") extent.source.read(part, extent.position);
        else if (extent.kind === "zero") part.fill(0);
        else throw new ImageError("UNSUPPORTED", "it is stored in a way that is not read here", { file: name });
        done += extent.length;
      }
    },
  };
}

/** All of a small file; `limit` in bytes. */
export function readWhole(file: ReadableFile, name: string, limit: number): Buffer {
  if (file.size > limit) throw new ImageError("UNSUPPORTED", `it has ${file.size} bytes; ${limit} are the limit`, { file: name });
  const content = Buffer.allocUnsafeSlow(file.size);
  if (content.length > 0) file.read(content, 0);
  return content;
}
