// Apple's sparse disk images, byte by byte. Knows nothing of the driver.
import { noise } from "./content.js";

export interface SparseimageShape {
  /** Bytes. */
  readonly size: number;
  readonly sectorsPerBand?: number;
  /** The bands of the disk in the order of the file, counted from 0; undefined for a place that is not used. */
  readonly bands: readonly (number | undefined)[];
}

/** A first node has so many numbers, a later one so many. */
const FIRST = (4096 - 64) / 4;
const LATER = (4096 - 56) / 4;

export function buildSparseimage({ size, sectorsPerBand = 8, bands }: SparseimageShape): { readonly image: Buffer; readonly disk: Buffer } {
  const bandSize = sectorsPerBand * 512;
  const disk = Buffer.alloc(Math.ceil(size / bandSize) * bandSize);
  for (const band of bands) if (band !== undefined) noise(band + 1, bandSize).copy(disk, band * bandSize);
  const parts: Buffer[] = [];
  for (let first = 0, number = 0; first === 0 || first < bands.length; number += 1) {
    const count = first === 0 ? FIRST : LATER;
    const own = bands.slice(first, first + count);
    const node = Buffer.alloc(4096);
    node.write("sprs");
    const at = parts.reduce((sum, { length }) => sum + length, 0);
    const next = first + count < bands.length ? at + 4096 + count * bandSize : 0;
    if (first === 0) {
      node.writeUInt32BE(3, 4);
      node.writeUInt32BE(sectorsPerBand, 8);
      node.writeUInt32BE(1, 12);
      node.writeUInt32BE(size / 512, 16);
      node.writeBigUInt64BE(BigInt(next), 20);
      node.writeBigUInt64BE(BigInt(size / 512), 28);
    } else {
      node.writeUInt32BE(number - 1, 4);
      node.writeUInt32BE(1, 8);
      node.writeBigUInt64BE(BigInt(next), 12);
    }
    for (const [index, band] of own.entries()) node.writeUInt32BE(band === undefined ? 0 : band + 1, (first === 0 ? 64 : 56) + 4 * index);
    parts.push(
      node,
      ...own.map((band) => (band === undefined ? Buffer.alloc(bandSize) : disk.subarray(band * bandSize, (band + 1) * bandSize))),
    );
    first += count;
  }
  return { image: Buffer.concat(parts), disk: disk.subarray(0, size) };
}

/** The property list of a sparse bundle. */
export function bundleInfo({ size, bandSize }: { readonly size: number; readonly bandSize: number }): string {
  const entries = [
    ["CFBundleInfoDictionaryVersion", "<string>6.0</string>"],
    ["band-size", `<integer>${bandSize}</integer>`],
    ["bundle-backingstore-version", "<integer>1</integer>"],
    ["diskimage-bundle-type", "<string>com.apple.diskimage.sparsebundle</string>"],
    ["size", `<integer>${size}</integer>`],
  ];
  return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
${entries.map(([key, value]) => `\t<key>${key}</key>\n\t${value}`).join("\n")}
</dict>
</plist>
`;
}
