// XVA archives, from the description in the Citrix Hypervisor documentation and the writer in xen-api's stream_vdi.ml. Knows nothing of the driver.
import { createHash } from "node:crypto";
import { noise } from "./content.js";

/** One place of a disk: a chunk of content, one of zeros that is left out, or an empty one that only keeps the connection alive (and is no place). */
export type XvaChunk = "data" | "left out" | "empty";

export interface XvaDisk {
  readonly id: string;
  readonly name?: string;
  readonly chunks: readonly XvaChunk[];
  /** Bytes of the last chunk. */
  readonly last?: number;
  /** What the manifest says; undefined: the truth; null: nothing. */
  readonly virtualSize?: number | null;
  readonly checksum?: ".checksum" | ".xxhash";
  /** In place of the numbers that follow from the chunks. */
  readonly numbers?: readonly number[];
}

export interface XvaShape {
  readonly disks: readonly XvaDisk[];
  /** Bytes of a chunk; XenServer's have 1 MiB. */
  readonly chunkSize?: number;
  readonly manifest?: string;
  /** 512-byte blocks of zeros at the end. */
  readonly endBlocks?: number;
}

export interface XvaMember {
  readonly name: string;
  readonly content: Buffer;
}

export interface BuiltXva {
  readonly image: Buffer;
  /** By reference. */
  readonly disks: Readonly<Record<string, Buffer>>;
  readonly members: readonly XvaMember[];
  /** Where the content of each member is. */
  readonly positions: Readonly<Record<string, number>>;
}

export function buildXva({ disks, chunkSize = 2048, manifest, endBlocks = 2 }: XvaShape): BuiltXva {
  const contents: Record<string, Buffer> = {};
  const chunks = disks.flatMap((disk, which) => {
    const parts: Buffer[] = [];
    const members: XvaMember[] = [];
    for (const [index, kind] of disk.chunks.entries()) {
      const size = index === disk.chunks.length - 1 ? (disk.last ?? chunkSize) : chunkSize;
      if (kind === "left out") {
        parts.push(Buffer.alloc(size));
        continue;
      }
      const content = kind === "empty" ? Buffer.alloc(0) : noise(which * 1000 + index, size);
      parts.push(content);
      const name = `${disk.id}/${String(disk.numbers?.[index] ?? index).padStart(8, "0")}`;
      // The sum of another algorithm would do as well: nobody has to look at it.
      members.push(
        { name, content },
        { name: name + (disk.checksum ?? ".checksum"), content: Buffer.from(createHash("sha1").update(content).digest("hex")) },
      );
    }
    contents[disk.id] = Buffer.concat(parts);
    return members;
  });
  const members = [{ name: "ova.xml", content: Buffer.from(manifest ?? manifestOf(disks, contents)) }, ...chunks];
  const positions: Record<string, number> = {};
  const file: Buffer[] = [];
  let position = 0;
  for (const { name, content } of members) {
    positions[name] = position + 512;
    const padding = Buffer.alloc((512 - (content.length % 512)) % 512);
    file.push(tarHeader(name, content.length), content, padding);
    position += 512 + content.length + padding.length;
  }
  return { image: Buffer.concat([...file, Buffer.alloc(endBlocks * 512)]), disks: contents, members, positions };
}

export function tarHeader(name: string, size: number, type = "0"): Buffer {
  const header = Buffer.alloc(512);
  header.write(name, 0, 100);
  header.write("0000644\0", 100);
  header.write("0000000\0", 108);
  header.write("0000000\0", 116);
  header.write(`${size.toString(8).padStart(11, "0")}\0`, 124);
  header.write("00000000000\0", 136);
  header.write("        ", 148);
  header.write(type, 156);
  header.write("ustar\x0000", 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return header;
}

function member(name: string, value: string): string {
  return `<member><name>${name}</name><value>${value}</value></member>`;
}

function struct(...members: readonly string[]): string {
  return `<struct>${members.join("\n")}</struct>`;
}

function manifestOf(disks: readonly XvaDisk[], contents: Readonly<Record<string, Buffer>>): string {
  const vm = struct(
    member("class", "VM"),
    member("id", "Ref:1"),
    member("snapshot", struct(member("name_label", "a machine"), member("VBDs", "<array><data/></array>"))),
  );
  const vdis = disks.map(({ id, name = "", virtualSize }) => {
    const size = virtualSize === undefined ? contents[id]?.length : virtualSize;
    const snapshot = struct(
      member("uuid", "5b4e7b5e-0000-4000-8000-000000000001"),
      member("name_label", name.replace("&", "&amp;")),
      ...(size === null ? [] : [member("virtual_size", String(size))]),
      member("physical_utilisation", "99"),
      member("sharable", "<boolean>0</boolean>"),
      member("tags", "<array><data><value>one</value><value>two</value></data></array>"),
    );
    return struct(member("class", "VDI"), member("id", id), member("snapshot", snapshot));
  });
  const objects = [vm, ...vdis].map((each) => `<value>${each}</value>`).join("\n");
  const version = struct(member("hostname", "xen"), member("export_vsn", "2"));
  return `<?xml version="1.0"?><value>${struct(member("version", version), member("objects", `<array><data>${objects}</data></array>`))}</value>`;
}
