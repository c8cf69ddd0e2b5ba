// qcow2 images with encrypted clusters, made of unencrypted ones. Reference: docs/interop/qcow2.rst, "Full disk encryption header pointer".
import { type BuiltLuks, encryptSectors } from "./luks-builder.js";
import { buildQcow2, type Built, type Recipe } from "./qcow2-builder.js";

export interface EncryptedImage extends Built {
  /** Where the LUKS header is. */
  readonly luksAt: number;
}

/** With the LUKS header behind everything else. Sectors are counted by their place in the file. */
export function withLuks(recipe: Recipe, luks: BuiltLuks, headerBytes = luks.header.length): EncryptedImage {
  const pointer = Buffer.alloc(16);
  const build = () =>
    buildQcow2({ ...recipe, cryptMethod: 2, extensions: [...(recipe.extensions ?? []), { type: 0x0537be77, data: pointer }] });
  const luksAt = build().bytes.length;
  pointer.writeBigUInt64BE(BigInt(luksAt), 0);
  pointer.writeBigUInt64BE(BigInt(headerBytes), 8);
  const built = build();
  for (const position of built.data.values()) {
    const cluster = built.bytes.subarray(position, position + built.clusterSize);
    luks.encrypt(cluster, position / 512).copy(cluster);
  }
  const end = Math.ceil(luks.header.length / built.clusterSize) * built.clusterSize;
  return { ...built, bytes: Buffer.concat([built.bytes, luks.header, Buffer.alloc(end - luks.header.length)]), luksAt };
}

/** Sectors are counted by their place on the disk. `password` is ASCII, of any length. */
export function withAes(recipe: Recipe, password: string): Built {
  const built = buildQcow2({ ...recipe, cryptMethod: 1 });
  for (const [number, position] of built.data) {
    const cluster = built.bytes.subarray(position, position + built.clusterSize);
    aesSectors(cluster, (number * built.clusterSize) / 512, password).copy(cluster);
  }
  return built;
}

/** What the legacy encryption makes of `content`, which begins with sector number `sector` of the disk. */
export function aesSectors(content: Uint8Array, sector: number, password: string): Buffer {
  return encryptSectors(Buffer.from(content), sector, "cbc-plain64", Buffer.from(password.slice(0, 16).padEnd(16, "\0"), "latin1"));
}
