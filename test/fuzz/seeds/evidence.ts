import { mixed, noise } from "../../support/content.js";
import { buildEwf } from "../../support/ewf-builder.js";
import { buildPartclone } from "../../support/partclone-builder.js";
import { buildSparseimage, bundleInfo } from "../../support/sparseimage-builder.js";
import { type Input, inputOf } from "../input.js";

const disk = mixed(7, 9 * 1024 + 512);

export function ewf(): readonly Input[] {
  const digests = { md5: noise(1, 16), sha1: noise(2, 20) };
  const segments = buildEwf({ disk, sectorsPerChunk: 2, tableEntries: 2, tablesPerSegment: 2 }).segments;
  const [alone] = buildEwf({
    disk,
    sectorsPerChunk: 2,
    tableEntries: 5,
    base: true,
    digests,
    unread: [[1, 2]],
    header: "1\nmain\nc\tm\nx\t1142163845\n",
  }).segments;
  const [smart] = buildEwf({ disk, sectorsPerChunk: 2, style: "smart", tableEntries: 4 }).segments;
  const [unfinished] = buildEwf({ disk, sectorsPerChunk: 2, sectors: 0 }).segments;
  return [
    inputOf({ "a.E01": alone ?? "" }),
    inputOf(Object.fromEntries(segments.map((segment, index) => [`a.E0${index + 1}`, segment]))),
    inputOf({ "a.s01": smart ?? "" }),
    inputOf({ "a.E01": unfinished ?? "" }),
  ];
}

export function sparseimage(): readonly Input[] {
  const many = Array.from({ length: 1020 }, (_, index) => (index % 50 === 0 ? index : undefined));
  return [
    inputOf({ "a.sparseimage": buildSparseimage({ size: 9 * 512, sectorsPerBand: 1, bands: [7, 0, undefined, 3, 4] }).image }),
    inputOf({ "a.sparseimage": buildSparseimage({ size: 1020 * 512, sectorsPerBand: 1, bands: many }).image }),
  ];
}

export function sparsebundle(): readonly Input[] {
  const info = bundleInfo({ size: 20 * 1024 + 512, bandSize: 1024 });
  return [
    inputOf({ "Info.plist": info, token: "", "bands/0": noise(1, 1024), "bands/3": noise(2, 100), "bands/14": noise(3, 512) }),
    inputOf({ "Info.plist": info, "bands/1": noise(1, 1024) }),
  ];
}

export function partclone(): readonly Input[] {
  const used = Array.from({ length: 40 }, (_, block) => block % 7 < 3);
  return [
    inputOf({ "a.pcl": buildPartclone({ used }).image }),
    inputOf({ "a.pcl": buildPartclone({ used, strip: 0 }).image }),
    inputOf({ "a.pcl": buildPartclone({ used, version: 1 }).image }),
    inputOf({ "a.pcl": buildPartclone({ used, version: 1, checksumSize: 8, blockSize: 1024 }).image }),
  ];
}
