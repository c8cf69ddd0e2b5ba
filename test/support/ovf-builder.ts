// Packages from DMTF DSP0243 alone: descriptors, manifests, and ustar archives.
import { createHash } from "node:crypto";

export interface FileRecipe {
  readonly id: string;
  readonly href: string;
  readonly size?: number | undefined;
  readonly chunkSize?: number | undefined;
  readonly compression?: string | undefined;
}

export interface DiskRecipe {
  readonly id: string;
  readonly file?: string | undefined;
  readonly capacity?: string | undefined;
  readonly units?: string | undefined;
  readonly parent?: string | undefined;
  readonly format?: string | undefined;
}

export interface OvfRecipe {
  readonly namespace?: string | undefined;
  /** That of OVF's namespace; empty makes it the default one, for elements only. */
  readonly prefix?: string | undefined;
  readonly version?: string | undefined;
  readonly files?: readonly FileRecipe[] | undefined;
  readonly disks?: readonly DiskRecipe[] | undefined;
  readonly networks?: readonly string[] | undefined;
  /** XML of systems and further sections, with `%` for the prefix of elements. */
  readonly systems?: string | undefined;
  readonly declaration?: string | undefined;
}

const DMTF_1 = "http://schemas.dmtf.org/ovf/envelope/1";

export const streamOptimized = "http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized";

/** A descriptor, with attributes in OVF's namespace. */
export function buildOvf(recipe: OvfRecipe): string {
  const { namespace = DMTF_1, prefix = "ovf", version, files = [], disks = [], networks = [], systems = "" } = recipe;
  const element = prefix === "" ? "" : `${prefix}:`;
  const own = prefix === "" ? "ovf" : prefix;
  const attributes = (all: Readonly<Record<string, string | number | undefined>>) =>
    Object.entries(all)
      .filter(([, value]) => value !== undefined)
      .map(
        ([name, value]) => ` ${own}:${name}="${String(value).replaceAll("&", "&amp;").replaceAll('"', "&quot;").replaceAll("<", "&lt;")}"`,
      )
      .join("");
  const fileTags = files.map((file) => `<%File${attributes({ ...file })}/>`);
  const diskTags = disks.map(({ id, file, capacity, units, parent, format }) => {
    return `<%Disk${attributes({ capacity, capacityAllocationUnits: units, diskId: id, fileRef: file, parentRef: parent, format })}/>`;
  });
  const body = [
    `<%References>${fileTags.join("")}</%References>`,
    `<%DiskSection><%Info>Disks</%Info>${diskTags.join("")}</%DiskSection>`,
    `<%NetworkSection><%Info>Networks</%Info>${networks.map((name) => `<%Network${attributes({ name })}/>`).join("")}</%NetworkSection>`,
    systems,
  ].join("\n");
  const declared = prefix === "" ? `xmlns="${namespace}" xmlns:ovf="${namespace}"` : `xmlns:${prefix}="${namespace}"`;
  const declaration = recipe.declaration ?? '<?xml version="1.0" encoding="UTF-8"?>\n';
  return `${declaration}<%Envelope ${declared} xmlns:rasd="r" xmlns:vssd="v"${attributes({ version })}>\n${body}\n</%Envelope>\n`.replaceAll(
    /<(\/?)%/g,
    `<$1${element}`,
  );
}

/** An item of virtual hardware. */
export function item(type: number, fields: Readonly<Record<string, string | number>>, attributes = ""): string {
  const inner = Object.entries({ ResourceType: type, ...fields }).map(([name, value]) => `<rasd:${name}>${value}</rasd:${name}>`);
  return `<%Item${attributes}>${inner.join("")}</%Item>`;
}

/** A virtual machine with its hardware. */
export function machine(id: string, name: string, items: readonly string[], sections = ""): string {
  return [
    `<%VirtualSystem ovf:id="${id}"><%Info>A machine</%Info><%Name>${name}</%Name>${sections}`,
    `<%VirtualHardwareSection><%Info>Hardware</%Info>${items.join("")}</%VirtualHardwareSection></%VirtualSystem>`,
  ].join("");
}

export interface TarMember {
  readonly name: string;
  readonly content: Uint8Array | string;
}

/** An archive in the ustar format with its end mark. Names of up to 100 bytes. */
export function buildTar(members: readonly TarMember[]): Buffer {
  const parts = members.flatMap(({ name, content }) => {
    const bytes = Buffer.from(content);
    return [tarHeader(name, bytes.length), bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)];
  });
  return Buffer.concat([...parts, Buffer.alloc(1024)]);
}

/** A header; sizes from 8 GiB on are stored in base 256. */
export function tarHeader(name: string, size: number, type = "0"): Buffer {
  const block = Buffer.alloc(512);
  block.write(name, 0, 100);
  block.write("0000644\0" + "0001750\0" + "0000144\0", 100);
  if (size < 2 ** 33) {
    block.write(`${size.toString(8).padStart(11, "0")}\0`, 124);
  } else {
    block[124] = 0x80;
    block.writeBigUInt64BE(BigInt(size), 128);
  }
  block.write("07346545000\0        ", 136);
  block.write(type, 156);
  block.write("ustar\x0000", 257, "latin1");
  const sum = block.reduce((all, byte) => all + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return block;
}

export function digestOf(algorithm: string, content: Uint8Array | string): string {
  return createHash(algorithm).update(content).digest("hex");
}

/** A manifest of `members` in VMware's spelling. */
export function buildManifest(members: readonly TarMember[], algorithm = "sha256", spelling = algorithm.toUpperCase()): string {
  return members.map(({ name, content }) => `${spelling}(${name})= ${digestOf(algorithm, content)}\n`).join("");
}
