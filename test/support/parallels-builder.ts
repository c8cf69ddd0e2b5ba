// Parallels images and bundles, byte by byte. Independent of the reader: nothing of src/formats/parallels is used here.
// Reference: docs/interop/parallels.rst and prl-xml.rst in the QEMU sources.
import { noise } from "./content.js";

/** What a cluster is: stored in the slot of that number, or not at all. */
export type ParallelsCluster = number | "absent";

export interface ParallelsShape {
  readonly clusters: readonly ParallelsCluster[];
  /** Entries count sectors in the old one, clusters in the new one. */
  readonly magic?: "WithoutFreeSpace" | "WithouFreSpacExt";
  /** Of a cluster. */
  readonly sectorsPerCluster?: number;
  /** Of the disk, if it does not fill its last cluster. */
  readonly sectors?: number;
  /** Sectors more than needed before the first slot; the old one only. */
  readonly gap?: number;
  /** Whether the header tells where the data begin. */
  readonly dataOffset?: boolean;
  readonly inUse?: number;
  readonly flags?: number;
  /** In clusters; the place is kept free. */
  readonly extensionSlot?: number;
  /** Entries of the table more than the disk needs. */
  readonly spare?: number;
  readonly seed?: number;
  /** What the absent clusters hold. */
  readonly parent?: Uint8Array;
}

export interface ParallelsImage {
  readonly image: Buffer;
  readonly disk: Buffer;
  /** Where slot 0 is. */
  readonly dataPosition: number;
}

export function buildParallels(shape: ParallelsShape): ParallelsImage {
  const { clusters, magic = "WithouFreSpacExt", sectorsPerCluster = 1, gap = 0, spare = 0, seed = 1, parent } = shape;
  const old = magic === "WithoutFreeSpace";
  const clusterSize = sectorsPerCluster * 512;
  const sectors = shape.sectors ?? clusters.length * sectorsPerCluster;
  const entries = clusters.length + spare;
  const tableEnd = 64 + entries * 4;
  const dataPosition = old ? (Math.ceil(tableEnd / 512) + gap) * 512 : Math.ceil(tableEnd / clusterSize) * clusterSize;
  const slots = Math.max(-1, shape.extensionSlot ?? -1, ...clusters.filter((cluster) => typeof cluster === "number")) + 1;

  const image = Buffer.alloc(dataPosition + slots * clusterSize, 0xdd);
  image.fill(0, 0, tableEnd);
  image.write(magic, 0, "latin1");
  const fields = [2, 16, 40, sectorsPerCluster, entries];
  for (const [index, value] of fields.entries()) image.writeUInt32LE(value, 16 + 4 * index);
  // In the old one the high half means nothing.
  image.writeUInt32LE(sectors, 36);
  image.writeUInt32LE(old ? 0xabcd : 0, 40);
  image.writeUInt32LE(shape.inUse ?? 0x312e3276, 44);
  image.writeUInt32LE((shape.dataOffset ?? true) ? dataPosition / 512 : 0, 48);
  image.writeUInt32LE(shape.flags ?? 0, 52);
  const extension = shape.extensionSlot === undefined ? 0 : (dataPosition + shape.extensionSlot * clusterSize) / 512;
  image.writeBigUInt64LE(BigInt(extension), 56);

  const disk = Buffer.alloc(clusters.length * clusterSize);
  disk.set((parent ?? new Uint8Array()).subarray(0, disk.length));
  for (const [index, cluster] of clusters.entries()) {
    if (cluster === "absent") continue;
    const position = dataPosition + cluster * clusterSize;
    image.writeUInt32LE(position / (old ? 512 : clusterSize), 64 + 4 * index);
    const content = noise(seed * 1000 + cluster, clusterSize);
    content.copy(image, position);
    content.copy(disk, index * clusterSize);
  }
  return { image, disk: disk.subarray(0, sectors * 512), dataPosition };
}

export interface DescriptorShape {
  /** Of the disk. */
  readonly sectors: number;
  readonly storages: readonly {
    readonly start: number;
    readonly end: number;
    readonly images: readonly { readonly id: string; readonly type?: string; readonly file: string }[];
  }[];
  readonly shots?: readonly { readonly id: string; readonly parent?: string; readonly name?: string }[];
  readonly top?: string;
  readonly padding?: number;
  readonly engine?: string;
  readonly logicalSector?: number;
  readonly version?: string;
  /** Before the root element. */
  readonly prolog?: string;
  /** In it, where any program may add what it likes. */
  readonly extra?: string;
}

const NONE = "00000000-0000-0000-0000-000000000000";
const escaped = (text: string) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

/** `DiskDescriptor.xml`, as Parallels Desktop writes it. */
export function buildDescriptor(shape: DescriptorShape): Buffer {
  const { sectors, storages, shots = [], top, prolog = '<?xml version="1.0" encoding="UTF-8"?>\n' } = shape;
  const images = (list: DescriptorShape["storages"][number]["images"]) =>
    list
      .map(
        ({ id, type = "Compressed", file }) =>
          `<Image>\n<GUID>{${id}}</GUID>\n<Type>${type}</Type>\n<File>${escaped(file)}</File>\n</Image>\n`,
      )
      .join("");
  const text = `${prolog}<Parallels_disk_image Version="${shape.version ?? "1.0"}">
    <Disk_Parameters>
        <Disk_size>${sectors}</Disk_size>
        <Cylinders>40</Cylinders>
        <PhysicalSectorSize>4096</PhysicalSectorSize>
        ${shape.logicalSector === undefined ? "" : `<LogicSectorSize>${shape.logicalSector}</LogicSectorSize>`}
        <Heads>16</Heads>
        <Sectors>32</Sectors>
        <Padding>${shape.padding ?? 0}</Padding>
        <Encryption>
            <Engine>{${shape.engine ?? NONE}}</Engine>
            <Data></Data>
        </Encryption>
        <UID>{b9b8d2e6-0000-4000-8000-000000000001}</UID>
        <Name>disk &amp; more</Name>
        <Miscellaneous><CompatLevel>level2</CompatLevel><Bootable>1</Bootable></Miscellaneous>
    </Disk_Parameters>
    <StorageData>
${storages
  .map(
    ({ start, end, images: list }) =>
      `<Storage>\n<Start>${start}</Start>\n<End>${end}</End>\n<Blocksize>1</Blocksize>\n${images(list)}</Storage>`,
  )
  .join("\n")}
    </StorageData>
    <Snapshots>
${top === undefined ? "" : `<TopGUID>{${top}}</TopGUID>`}
${shots
  .map(
    ({ id, parent, name }) =>
      `<Shot><GUID>{${id}}</GUID><ParentGUID>{${parent ?? NONE}}</ParentGUID>${name === undefined ? "" : `<Name>${escaped(name)}</Name>`}</Shot>`,
  )
  .join("\n")}
    </Snapshots>${shape.extra ?? ""}
</Parallels_disk_image>
`;
  return Buffer.from(text, "utf8");
}
