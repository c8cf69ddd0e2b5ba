// The basic structures of ECMA-167 and UDF, as bytes.

/** An extent of a file: 0 recorded, 1 allocated, 2 unallocated, 3 more descriptors. */
export interface UdfExtent {
  readonly state: number;
  readonly length: number;
  readonly block: number;
  readonly partition: number;
}

/** 3/7.2: the tag with its checksum, and a CRC over all of `body`. */
export function udfDescriptor(id: number, location: number, body: Uint8Array): Buffer {
  const tag = Buffer.alloc(16);
  tag.writeUInt16LE(id, 0);
  tag.writeUInt16LE(3, 2);
  tag.writeUInt16LE(crc16(body), 8);
  tag.writeUInt16LE(body.length, 10);
  tag.writeUInt32LE(location >>> 0, 12);
  tag[4] = tag.reduce((sum, byte) => sum + byte, 0) & 0xff;
  return Buffer.concat([tag, body]);
}

/** Makes the tag at `at` fit again to what follows it, if there is one. */
export function retag(disc: Buffer, at: number): void {
  const length = disc.readUInt16LE(at + 10);
  if (disc[at + 2] !== 3 || at + 16 + length > disc.length) return;
  udfDescriptor(disc.readUInt16LE(at), disc.readUInt32LE(at + 12), disc.subarray(at + 16, at + 16 + length)).copy(disc, at);
}

/** x¹⁶ + x¹² + x⁵ + 1, from 0, bit by bit. */
function crc16(content: Uint8Array): number {
  let crc = 0;
  for (const byte of content) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit += 1) crc = ((crc << 1) ^ (crc & 0x8000 ? 0x1021 : 0)) & 0xffff;
  }
  return crc;
}

/** 4/14.14.2 */
export function udfLongAd(length: number, { block, partition }: { block: number; partition: number }): Buffer {
  return udfAllocation({ state: 0, length, block, partition }, "long");
}

/** 4/14.14: of 8, 16 or 20 bytes. */
export function udfAllocation({ state, length, block, partition }: UdfExtent, kind: "short" | "long" | "extended"): Buffer {
  const result = Buffer.alloc({ short: 8, long: 16, extended: 20 }[kind]);
  result.writeUInt32LE((length | (state << 30)) >>> 0, 0);
  if (kind === "extended") {
    result.writeUInt32LE(state === 0 ? length : 0, 4);
    result.writeUInt32LE(state === 3 ? 0 : length, 8);
  }
  const at = kind === "extended" ? 12 : 4;
  result.writeUInt32LE(block, at);
  if (kind !== "short") result.writeUInt16LE(partition, at + 4);
  return result;
}

/** UDF 2.1.5: flags, a name, and the revision. */
export function udfRegid(name: string, revision: number): Buffer {
  const result = Buffer.alloc(32);
  result.write(name, 1, "latin1");
  result.writeUInt16LE(revision, 24);
  return result;
}

/** UDF 2.1.1: 8 bits a character where that is enough. */
export function udfName(name: string): Buffer {
  return /^[\0-\xff]*$/.test(name)
    ? Buffer.concat([Buffer.from([8]), Buffer.from(name, "latin1")])
    : Buffer.concat([Buffer.from([16]), Buffer.from(name, "utf16le").swap16()]);
}

/** 1/7.2.12 */
export function udfDstring(text: string, size: number): Buffer {
  const result = Buffer.alloc(size);
  const name = udfName(text);
  name.copy(result, 0);
  result[size - 1] = name.length;
  return result;
}

/** 1/7.3: local time, `zone` minutes ahead of Greenwich; −2047 is none. */
export function udfTime(milliseconds: number, zone = 0): Buffer {
  const date = new Date(milliseconds + (zone === -2047 ? 0 : zone) * 60_000);
  const result = Buffer.alloc(12);
  result.writeUInt16LE(0x1000 | (zone & 0xfff), 0);
  result.writeInt16LE(date.getUTCFullYear(), 2);
  result.set([date.getUTCMonth() + 1, date.getUTCDate(), date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()], 4);
  const rest = date.getUTCMilliseconds();
  result.set([Math.floor(rest / 10), (rest % 10) * 10], 9);
  return result;
}

/** 4/14.16.1: kind, then a name for kind 5. */
export function udfPath(...components: readonly (readonly [kind: number, name?: string])[]): Buffer {
  return Buffer.concat(
    components.map(([kind, name]) => {
      const content = name === undefined ? Buffer.alloc(0) : udfName(name);
      return Buffer.concat([Buffer.from([kind, content.length, 0, 0]), content]);
    }),
  );
}

/** 4/14.10.1 and 14.10.7, behind an attribute of another kind (14.10.5). */
export function udfDeviceAttribute(major: number, minor: number): Buffer {
  const times = Buffer.alloc(32);
  times.writeUInt32LE(5, 0);
  times[4] = 1;
  times.writeUInt32LE(32, 8);
  const device = Buffer.alloc(24);
  device.writeUInt32LE(12, 0);
  device[4] = 1;
  device.writeUInt32LE(24, 8);
  device.writeUInt32LE(major, 16);
  device.writeUInt32LE(minor, 20);
  return Buffer.concat([udfDescriptor(262, 0, Buffer.alloc(8, 0xff)), times, device]);
}
