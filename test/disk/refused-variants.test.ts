// Variants that no driver reads, opened as a user does: nothing that looks at the file before its driver may take it for something else, and show it.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { drivers } from "../../src/formats/registry.js";
import { buildSparse } from "../support/android-sparse-builder.js";
import { buildMds, buildNrg } from "../support/cd-builder.js";
import { buildCloop } from "../support/cloop-builder.js";
import { noise } from "../support/content.js";
import { buildDmg } from "../support/dmg-builder.js";
import { buildParallels } from "../support/parallels-builder.js";
import { buildPartclone } from "../support/partclone-builder.js";
import { buildQcow } from "../support/qcow-builder.js";
import { buildQcow2 } from "../support/qcow2-builder.js";
import { buildQed } from "../support/qed-builder.js";
import { refusalOf } from "../support/reading.js";
import { subdirectory, tempDirectory } from "../support/temp.js";
import { buildVdi } from "../support/vdi-builder.js";
import { buildVhd } from "../support/vhd-builder.js";
import { u32, withFooter } from "../support/vhd-images.js";
import { buildVhdx, type VhdxShape, vhdxImage } from "../support/vhdx-builder.js";
import { buildVma } from "../support/vma-builder.js";
import { buildHosted, buildSeSparse } from "../support/vmdk-builder.js";
import { descriptor } from "../support/vmdk-descriptor-builder.js";

const directory = tempDirectory();
const formats = new URL("../formats/", import.meta.url).pathname;

function changed(image: Uint8Array, at: number, bytes: readonly number[] | string): Buffer {
  const copy = Buffer.from(image);
  copy.set(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes, at);
  return copy;
}

const vhd = buildVhd({ blocks: [1, 0, "free"] }).image;
const vhdxShape: VhdxShape = { blocks: [{ state: 0 }] };
const seSparse = buildSeSparse({ grains: [0, "absent"] });
const track = { mode: 0, sectorSize: 2048, content: noise(1, 4096), start: 0 };
const segment = buildDmg({ tables: [{ chunks: [{ kind: "raw", sectors: 8 }] }], segmentCount: 3 }).image;

const refused: readonly (readonly [what: string, extension: string, image: Buffer, message: string])[] = [
  ["VHD that vhd-util has marked", ".vhd", changed(changed(vhd, 0, "v_poison"), vhd.length - 512, "v_poison"), "v_poison"],
  ["VHD of version 2", ".vhd", withFooter(vhd, 12, [0, 2, 0, 0]), "version 2.0"],
  ["VHD of type 5", ".vhd", withFooter(vhd, 60, u32(5)), "disk type is 5"],
  ["encrypted DMG, version 2", ".dmg", Buffer.concat([Buffer.from("encrcdsa"), noise(4, 5000)]), "encrypted"],
  ["encrypted DMG, version 1", ".dmg", Buffer.concat([noise(5, 5000), Buffer.from("cdsaencr")]), "encrypted"],
  ["a segment of a DMG", ".dmg", segment, "segment 1 of 3"],
  [
    "qcow2 with an unknown feature",
    ".qcow2",
    changed(buildQcow2({ size: 65_536, clusters: new Map() }).bytes, 72, [0x80]),
    "feature bit 63",
  ],
  ["qcow2 of version 4", ".qcow2", changed(buildQcow2({ size: 65_536, clusters: new Map() }).bytes, 7, [4]), "version 4"],
  ["qcow with AES", ".qcow", changed(buildQcow({ clusters: [0] }).image, 36, [0, 0, 0, 1]), "no password"],
  ["VMDK: vsanSparse", ".vmdk", descriptor({ lines: ['RW 8 VMFS "a.bin"'], createType: "vsanSparse" }), "vsanSparse"],
  ["VMDK: raw device mapping", ".vmdk", descriptor({ lines: ['RW 8 VMFSRDM "a-rdm.vmdk"'], createType: "vmfsRDM" }), "raw device"],
  ["VMDK: an extent of an unknown type", ".vmdk", descriptor({ lines: ['RW 8 MAGIC "a.bin"'] }), "MAGIC"],
  ["VMDK: encrypted", ".vmdk", descriptor({ lines: ["RW 8 ZERO"], keys: ['encryption.keySafe = "vmware:key/list"'] }), "encrypted"],
  ["VMDK: sparse extent of version 4", ".vmdk", changed(buildHosted({ grains: [0] }).image, 4, [4]), "version"],
  [
    "VMDK: a copy in text mode",
    ".vmdk",
    Buffer.from(
      buildHosted({ grains: [0, 1] })
        .image.toString("latin1")
        .replaceAll("\r\n", "\n"),
      "latin1",
    ),
    "text mode",
  ],
  ["VMDK: seSparse with a journal", ".vmdk", changed(seSparse.image, seSparse.volatileHeader + 24, [1]), "journal"],
  ["VHD Set", ".vhds", vhdxImage(buildVhdx(vhdxShape)), "VHD Set"],
  ["VDI of version 2", ".vdi", changed(buildVdi({ blocks: [0] }).image, 68, [0, 0, 2, 0]), "version 2.0"],
  ["QED with an unknown feature", ".qed", changed(buildQed({ clusters: [0] }).image, 16, [8]), "feature bit 3"],
  ["Parallels of version 3", ".hds", changed(buildParallels({ clusters: [0] }).image, 16, [3]), "version is 3"],
  ...(["V0.6", "V1.0", "L3.0", "Z4.0", "V9.0"] as const).map(
    (version) =>
      [
        `cloop ${version}`,
        ".cloop",
        changed(buildCloop({ blocks: ["zlib"] }).image, 11, version),
        version === "V0.6" ? "0.6x" : "",
      ] as const,
  ),
  ["Android sparse of version 2", ".simg", changed(buildSparse({ chunks: [] }).image, 4, [2]), "version is 2.0"],
  ["VMA of version 2", ".vma", changed(buildVma({ disks: [{ name: "drive-a", clusters: [1] }] }).image, 7, [2]), "version is 2"],
  ["EWF: logical evidence", ".L01", Buffer.concat([Buffer.from("LVF\x09\x0d\x0a\xff\0", "latin1"), noise(1, 4096)]), "L01"],
  ["EWF: logical evidence of version 2", ".Lx01", Buffer.concat([Buffer.from("LEF2\x0d\x0a\x81\0", "latin1"), noise(1, 4096)]), "Lx01"],
  ["EWF: version 2", ".Ex01", Buffer.concat([Buffer.from("EVF2\x0d\x0a\x81\0", "latin1"), noise(1, 4096)]), "Ex01"],
  ["EWF: AD encryption", ".E01", Buffer.concat([Buffer.from("ADCRYPT\0", "latin1"), noise(1, 4096)]), "AD encryption"],
  ["Nero's before version 5.0", ".nrg", buildNrg([[track]], 1, false).fill("TINF", 4096, 4100), "TINF"],
  [
    "MDS of version 2",
    ".mds",
    buildMds([{ number: 1, mode: 0xaa, sectorSize: 2352, start: 0, position: 0, pregap: 150, length: 40 }], { version: [2, 1] }),
    "encrypted",
  ],
  ["partclone of a later version", ".pcl", changed(buildPartclone({ used: [true] }).image, 30, "0003"), '"0003"'],
  ["partclone from another machine", ".pcl", changed(buildPartclone({ used: [true] }).image, 34, [0xc0, 0xde]), "big-endian"],
];

describe("refused by name, whatever the file is called", () => {
  test.each(refused)("%s", (_, extension, image, message) => {
    for (const name of extension === ".vhds" ? ["image.vhds"] : [`image${extension}`, "image", "image.img"]) {
      const path = join(subdirectory(directory), name);
      writeFileSync(path, image);
      const error = refusalOf(path);
      expect(error.message, name).toContain(message);
      // By the driver, not by whoever finds a signature that nobody knows what to do with.
      expect(error.message, name).not.toContain("is none that can be read");
    }
  });

  test("every format has samples that are opened as a user does", () => {
    const sources = readdirSync(formats)
      .filter((name) => name.endsWith(".test.ts"))
      .map((name) => readFileSync(join(formats, name), "utf8"));
    const described = new Set(sources.flatMap((source) => [...source.matchAll(/describeDriver\(\s*(\w+)/g)].map(([, name]) => name)));
    const otherwise = sources.filter((source) => /flatOf\(|expectDisk\(/.test(source)).join("\n");
    for (const { name } of drivers) {
      const identifier = name.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
      expect(described.has(identifier) || otherwise.includes(`formats/${name}/`) || otherwise.includes(`-o", "${name}`), name).toBe(true);
    }
  });
});
