import { buildSparse } from "../../support/android-sparse-builder.js";
import { buildBochs } from "../../support/bochs-builder.js";
import { buildCloop, UZIP } from "../../support/cloop-builder.js";
import { noise, text } from "../../support/content.js";
import { buildDmg, type DmgShape } from "../../support/dmg-builder.js";
import { withAes, withLuks } from "../../support/encrypted-qcow2.js";
import { buildLuks } from "../../support/luks-builder.js";
import { deflated, zstdStored } from "../../support/packing.js";
import { buildDescriptor, buildParallels } from "../../support/parallels-builder.js";
import { buildQcow } from "../../support/qcow-builder.js";
import { buildQcow2, type Clusters, type Recipe } from "../../support/qcow2-builder.js";
import { buildQed } from "../../support/qed-builder.js";
import { buildVdi } from "../../support/vdi-builder.js";
import { buildVma } from "../../support/vma-builder.js";
import { buildXva } from "../../support/xva-builder.js";
import { type Input, inputOf } from "../input.js";

const base = noise(50, 4096);

export function androidSparse(): readonly Input[] {
  const chunks = [
    { kind: "raw", blocks: 1 },
    { kind: "fill", blocks: 3, pattern: 0x12345678 },
    { kind: "skip", blocks: 2 },
    { kind: "crc32" },
    { kind: "raw", blocks: 2 },
  ] as const;
  return [
    inputOf({ "a.simg": buildSparse({ chunks, blockSize: 512 }).image }),
    inputOf({ "a.simg": buildSparse({ chunks, blockSize: 1024, moreHeader: 4, moreChunkHeader: 4 }).image }),
  ];
}

export function bochs(): readonly Input[] {
  return [
    inputOf({ "a.img": buildBochs({ extents: [1, "absent", 0], sectors: 8 }).image }),
    inputOf({ "a.img": buildBochs({ extents: [0, "absent"], version: 1, sectors: 8 }).image }),
    inputOf({ "a.img": buildBochs({ extents: [0], subtype: "Undoable", sectors: 8 }).image, "b.img": base }),
  ];
}

export function cloop(): readonly Input[] {
  return [
    inputOf({ "a.cloop": buildCloop({ blocks: ["zlib", "zlib", "zlib"], blockSize: 1024 }).image }),
    inputOf({ "a.cloop": buildCloop({ blocks: ["zlib", "plain", "empty", "xz"], blockSize: 512, version: "V4.0" }).image }),
    inputOf({ "a.cloop": buildCloop({ blocks: ["zlib", "zlib"], blockSize: 1024, header: "end" }).image }),
    inputOf({ "a.cloop": buildCloop({ blocks: ["zlib", "zlib"], blockSize: 2048, script: UZIP }).image }),
  ];
}

const dmgShapes: readonly DmgShape[] = [
  {
    tables: [
      {
        chunks: (["zlib", "raw", "zero", "adc", "bzip2", "ignore", "lzfse", "lzma"] as const).map((kind, index) => ({
          kind,
          sectors: 2 + (index % 3),
        })),
      },
    ],
    comments: true,
  },
  { tables: [{ gap: 3, chunks: [{ kind: "raw", sectors: 2 }] }, { chunks: [{ kind: "zlib", sectors: 1 }] }], freeSectors: 7 },
  {
    tables: [
      {
        chunks: [
          { kind: "zlib", sectors: 2 },
          { kind: "raw", sectors: 1 },
        ],
      },
    ],
    directory: "resources",
  },
  { tables: [{ chunks: [{ kind: "adc", sectors: 3 }] }], footer: "start", directory: "resources" },
  { tables: [{ chunks: [{ kind: "raw", sectors: 2, hole: 1 }], tail: 2 }], directory: "both", dataForkPosition: 512, dataOffset: 512 },
  {
    tables: [
      {
        chunks: [
          { kind: "lzfse", sectors: 8 },
          { kind: "lzma", sectors: 4 },
        ],
      },
    ],
    backwards: true,
  },
  {
    tables: [
      {
        chunks: [
          { kind: "bzip2", sectors: 8 },
          { kind: "adc", sectors: 4 },
        ],
      },
    ],
  },
];

export function dmg(): readonly Input[] {
  const images = dmgShapes.map((shape) => buildDmg(shape).image);
  // With a checksum of the data fork that is none: kind 2 is CRC-32, of 32 bits.
  const summed = Buffer.from(images[0] ?? "");
  summed.writeUInt32BE(2, summed.length - 512 + 80);
  summed.writeUInt32BE(32, summed.length - 512 + 84);
  return [...images, summed].map((image) => inputOf({ "a.dmg": image }));
}

const FIRST = "11111111-aaaa-bbbb-cccc-000000000001";
const TOP = "5fbaabe3-6958-40ff-92a7-860e329aab41";

export function parallels(): readonly Input[] {
  const root = buildParallels({ clusters: [0, "absent", 1, 2], seed: 2 }).image;
  const top = buildParallels({ clusters: ["absent", 0, "absent", 1], seed: 3 }).image;
  const bundle = buildDescriptor({
    sectors: 8,
    storages: [
      {
        start: 0,
        end: 4,
        images: [
          { id: FIRST, file: "root.hds" },
          { id: TOP, file: "top.hds" },
        ],
      },
      {
        start: 4,
        end: 8,
        images: [
          { id: FIRST, type: "Plain", file: "plain.hds" },
          { id: TOP, type: "Plain", file: "plain.hds" },
        ],
      },
    ],
    shots: [{ id: TOP, parent: FIRST, name: "one" }, { id: FIRST }],
    top: TOP,
    logicalSector: 512,
  });
  return [
    inputOf({ "a.hds": buildParallels({ clusters: [2, "absent", 0, 1], sectorsPerCluster: 2, spare: 3, extensionSlot: 4 }).image }),
    inputOf({ "a.hds": buildParallels({ clusters: [1, 0, "absent"], magic: "WithoutFreeSpace", gap: 1, sectors: 2, flags: 1 }).image }),
    inputOf({ "DiskDescriptor.xml": bundle, "root.hds": root, "top.hds": top, "plain.hds": noise(4, 2048) }),
    // Which one is the current state has to be found out.
    inputOf({
      "DiskDescriptor.xml": bundle.toString("latin1").replace(/<TopGUID>.*<.TopGUID>/, ""),
      "root.hds": root,
      "top.hds": top,
      "plain.hds": noise(4, 2048),
    }),
    inputOf({
      "DiskDescriptor.xml": buildDescriptor({ sectors: 4, storages: [{ start: 0, end: 4, images: [{ id: FIRST, file: "root.hds" }] }] }),
      "root.hds": root,
    }),
  ];
}

export function qcow(): readonly Input[] {
  return [
    inputOf({ "a.qcow": buildQcow({ clusters: [1, "packed", "absent", 0, "packed"] }).image }),
    inputOf({
      "a.qcow": buildQcow({ clusters: [0, "absent", 1], backing: { name: "base.raw", disk: base }, gap: 24, size: 1300 }).image,
      "base.raw": base.subarray(0, 1000),
    }),
    inputOf({ "a.qcow": buildQcow({ clusters: [0, "absent"], cryptMethod: 1 }).image }),
  ];
}

function qcow2Recipes(): readonly Recipe[] {
  const size = 512;
  const content = (seed: number) => text(seed, size);
  const clusters: Clusters = new Map([
    [0, { kind: "data", content: content(1) }],
    [1, { kind: "packed", content: content(2), stored: deflated(content(2)) }],
    [3, { kind: "zero" }],
    [4, { kind: "packed", content: content(4), stored: deflated(content(4)) }],
    [70, { kind: "data", content: content(5) }],
  ]);
  const plain: Recipe = { clusterBits: 9, size: 75 * size, clusters };
  const subclusters: Clusters = new Map([
    [0, { kind: "parts", content: noise(6, 16_384), allocated: 0x0f, zero: 0xf0 }],
    [1, { kind: "data", content: Buffer.alloc(16_384, 3) }],
  ]);
  const zstd: Clusters = new Map([[0, { kind: "packed", content: content(7), stored: zstdStored(content(7)) }]]);
  return [
    plain,
    { ...plain, version: 2, size: 75 * size - 100, seed: 3, cutAtEnd: true },
    {
      ...plain,
      seed: 5,
      snapshots: [
        {
          id: "1",
          name: "one",
          size: 4 * size,
          clusters: new Map([[0, { kind: "data", content: content(8) }]]),
          extraSize: 24,
          seconds: 9,
        },
        { id: "2", name: "two", size: 75 * size, clusters: new Map(), stateSize: 512 },
      ],
    },
    { clusterBits: 14, size: 40_000, clusters: subclusters, extended: true },
    { clusterBits: 9, size: 3 * size, clusters: zstd, compressionType: 1, incompatible: 8n },
    { ...plain, refcountOrder: 6, backing: { name: "base.raw", format: "raw" } },
    {
      clusterBits: 9,
      size: 2 * size,
      clusters: new Map([[0, { kind: "data", content: content(1) }]]),
      refcountOrder: 0,
      autoclear: 1n,
      compatible: 1n,
      incompatible: 1n,
    },
    { clusterBits: 9, size: 4 * size, clusters: new Map([[1, { kind: "data", content: content(1) }]]), dataFile: "data.raw" },
    { clusterBits: 9, size: 4 * size, clusters: new Map([[1, { kind: "data", content: content(1) }]]), backing: { name: "base.qcow2" } },
  ];
}

/** An image with a bitmap of one table and one cluster, in clusters behind everything else. */
function withBitmaps(recipe: Recipe): Buffer {
  const fields = Buffer.alloc(24);
  const build = () => buildQcow2({ ...recipe, autoclear: 1n, extensions: [{ type: 0x23852875, data: fields }] }).bytes;
  const clusterSize = 2 ** (recipe.clusterBits ?? 12);
  const at = Math.ceil(build().length / clusterSize) * clusterSize;
  const entry = Buffer.alloc(clusterSize * 3);
  entry.writeBigUInt64BE(BigInt(at + clusterSize), 0);
  entry.writeUInt32BE(2, 8);
  entry.writeUInt32BE(2, 12);
  entry.set([1, 9], 16);
  entry.writeUInt16BE(3, 18);
  entry.write("map", 24);
  entry.writeBigUInt64BE(BigInt(at + 2 * clusterSize), clusterSize);
  entry.writeBigUInt64BE(1n, clusterSize + 8);
  fields.writeUInt32BE(1, 0);
  fields.writeBigUInt64BE(32n, 8);
  fields.writeBigUInt64BE(BigInt(at), 16);
  const image = build();
  return Buffer.concat([image, Buffer.alloc(at - image.length), entry]);
}

export function qcow2(): readonly Input[] {
  const under = buildQcow2({ clusterBits: 9, size: 2048, clusters: new Map([[0, { kind: "data", content: noise(3, 512) }]]) }).bytes;
  const beside = { "base.raw": base, "data.raw": base, "base.qcow2": under };
  const small: Recipe = { clusterBits: 9, size: 2048, clusters: new Map([[1, { kind: "data", content: noise(9, 512) }]]) };
  const luks = buildLuks({ passwords: ["password"], iterations: 10, stripes: 4 });
  return [
    ...qcow2Recipes().map((recipe) => inputOf({ "a.qcow2": buildQcow2(recipe).bytes, ...beside })),
    inputOf({ "a.qcow2": withBitmaps(small), ...beside }),
    inputOf({ "a.qcow2": withAes(small, "password").bytes, ...beside }),
    inputOf({ "a.qcow2": withLuks(small, luks).bytes, ...beside }),
  ];
}

export function qed(): readonly Input[] {
  return [
    inputOf({ "a.qed": buildQed({ clusters: [0, "zero", "absent", 1], seed: 2 }).image }),
    inputOf({
      "a.qed": buildQed({ clusters: ["absent", 0], backing: { name: "base.raw", disk: base, raw: true }, needCheck: true }).image,
      "base.raw": base,
    }),
    inputOf({
      "a.qed": buildQed({
        clusters: new Map([
          [0, 0],
          [600, 1],
        ]),
        tableSize: 1,
        headerSize: 2,
        compatFeatures: 1n,
      }).image,
    }),
  ];
}

export function rawDisk(): readonly Input[] {
  return [inputOf({ "a.raw": Buffer.concat([noise(1, 700), Buffer.alloc(5000), noise(2, 900)]) }), inputOf({ "a.raw": "" })];
}

export function vdi(): readonly Input[] {
  const parent = buildVdi({ blocks: [0, 1, "free"], seed: 4, id: "11111111-2222-3333-4444-555555555555" });
  const id = "11111111-2222-3333-4444-555555555555";
  return [
    inputOf({ "a.vdi": buildVdi({ blocks: [2, "free", 0, "zero", 1], extra: 512, size: 2300 }).image }),
    inputOf({ "a.vdi": buildVdi({ blocks: [1, 0], version: "0.1" }).image }),
    inputOf({ "a.vdi": buildVdi({ blocks: [1, 0, "free"], version: "1.0", type: 2, spare: 3, comment: "a comment" }).image }),
    inputOf({ "a.vdi": buildVdi({ blocks: [0, 1], version: "1.1plus", geometry: [1, 2, 3], align: 512, gap: 40 }).image }),
    inputOf({
      "a.vdi": buildVdi({ blocks: ["free", 0, "zero"], type: 4, parent: { id, disk: parent.disk } }).image,
      "base.vdi": parent.image,
    }),
  ];
}

export function vma(): readonly Input[] {
  return [
    inputOf({ "a.vma": buildVma({ disks: [{ name: "drive-scsi0", clusters: [0x0003, 0, 0x8001], size: 150_000 }] }).image }),
    inputOf({
      "a.vma": buildVma({
        disks: [
          { name: "drive-scsi0", clusters: [1, 0, "lost"] },
          { name: "drive-efidisk0", clusters: [2] },
        ],
        perExtent: 2,
        shuffle: 3,
      }).image,
    }),
  ];
}

export function xva(): readonly Input[] {
  return [
    inputOf({
      "a.xva": buildXva({ disks: [{ id: "Ref:1", chunks: ["data", "left out", "data", "empty", "data"], last: 1000 }], chunkSize: 1024 })
        .image,
    }),
    inputOf({
      "a.xva": buildXva({
        disks: [
          { id: "Ref:1", name: "one", chunks: ["data", "data"] },
          { id: "Ref:22", name: "two", chunks: ["data"], checksum: ".xxhash" },
        ],
        chunkSize: 512,
        endBlocks: 0,
      }).image,
    }),
  ];
}
