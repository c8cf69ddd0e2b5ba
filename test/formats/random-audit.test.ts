// Whatever bytes of an image are changed, and wherever it is cut: its audit ends, quickly, and throws nothing but an `ImageError`.
import { describe, expect, test } from "vitest";
import { auditLayer } from "../../src/tree/audit.js";
import { buildSparse } from "../support/android-sparse-builder.js";
import { builtDisks } from "../support/built.js";
import { between, noise, randomNumbers, text } from "../support/content.js";
import { deflated } from "../support/packing.js";
import { buildParallels } from "../support/parallels-builder.js";
import { buildQcow } from "../support/qcow-builder.js";
import { buildQcow2 } from "../support/qcow2-builder.js";
import { type Cluster } from "../support/qcow2-entries.js";
import { buildQed } from "../support/qed-builder.js";
import { imageErrorOf, withDisk } from "../support/reading.js";
import { buildVdi } from "../support/vdi-builder.js";
import { buildVhd } from "../support/vhd-builder.js";
import { buildVhdx, MIB, vhdxImage } from "../support/vhdx-builder.js";
import { buildVma } from "../support/vma-builder.js";
import { buildHosted } from "../support/vmdk-builder.js";
import { buildStream } from "../support/vmdk-stream-builder.js";
import { buildXva } from "../support/xva-builder.js";

const { write } = builtDisks();

const clusters = new Map<number, Cluster>([
  ...[1, 2, 5, 30].map((number): [number, Cluster] => [number, { kind: "data", content: noise(number, 4096) }]),
  [7, { kind: "packed", content: text(7, 4096), stored: deflated(text(7, 4096)) }],
]);
const size = 600 * 4096;

/** `head`: where the structures are that are worth changing. */
const images: readonly { readonly format: string; readonly image: Buffer; readonly head?: number; readonly rounds?: number }[] = [
  { format: "qcow2", image: buildQcow2({ size, clusters, snapshots: [{ id: "1", name: "one", size, clusters }] }).bytes },
  { format: "qcow", image: buildQcow({ clusters: [0, 1, "packed", 2, "absent", 3] }).image },
  { format: "qed", image: buildQed({ clusters: [0, 1, "zero", 2], tableSize: 1, clusterSize: 4096 }).image, head: 16_384 },
  { format: "vdi", image: buildVdi({ blocks: [2, 0, "free", 1], blockSize: 512 }).image, head: 600 },
  { format: "vhd", image: buildVhd({ blocks: [2, 0, "free", 1], blockSize: 8192 }).image, head: 2200 },
  { format: "vhdx", image: vhdxImage(buildVhdx({ blocks: [noise(1, MIB), noise(2, MIB)], blockSize: MIB })), rounds: 12 },
  { format: "parallels", image: buildParallels({ clusters: [2, 0, "absent", 1], sectorsPerCluster: 8 }).image, head: 100 },
  { format: "vmdk", image: buildHosted({ grains: [2, 0, "absent", 1], redundant: true, tableEntries: 16 }).image, head: 4096 },
  { format: "vmdk", image: buildStream({ grains: ["text", "noise", "absent", "text"] }).image },
  {
    format: "android-sparse",
    image: buildSparse({ chunks: [{ kind: "raw", blocks: 2 }, { kind: "skip", blocks: 9 }, { kind: "crc32" }] }).image,
    head: 60,
  },
  { format: "vma", image: buildVma({ disks: [{ name: "a", clusters: [0xffff, 3] }] }).image },
  { format: "xva", image: buildXva({ disks: [{ id: "Ref:1", chunks: ["data", "data"] }] }).image },
];

describe("changed and cut", () => {
  test.each(images)("$format", ({ format, image, head = image.length, rounds = 60 }) => {
    const random = randomNumbers(image.length);
    for (let round = 0; round < rounds; round += 1) {
      const copy = Buffer.from(image);
      for (let change = 0; change < 4; change += 1) {
        // Small values lead to places that exist, large ones to those that do not.
        copy[between(random, 0, Math.min(head, copy.length) - 1)] =
          between(random, 0, 1) === 0 ? between(random, 0, 8) : between(random, 0, 255);
      }
      const path = write({ disk: round % 4 === 0 ? copy.subarray(0, between(random, 1, copy.length)) : copy });
      const start = Date.now();
      imageErrorOf(() =>
        withDisk(path, { format }, (layer) => {
          auditLayer(layer, {
            found({ kind, severity, message, count = 1, position = 0 }) {
              expect([kind, severity, message].every((word) => word !== "")).toBe(true);
              expect(count).toBeGreaterThan(0);
              expect(position).toBeGreaterThanOrEqual(0);
            },
            doubtful({ start: from, length }) {
              expect(length).toBeGreaterThan(0);
              expect(from >= 0 && from + length <= layer.size).toBe(true);
            },
            progress: () => undefined,
          });
        }),
      );
      expect(Date.now() - start).toBeLessThan(3000);
    }
  });
});
