import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { nodeAt } from "../../src/tree/node.js";
import { openView } from "../../src/tree/view.js";
import { noise } from "../support/content.js";
import { subdirectory, tempDirectory } from "../support/temp.js";
import { disklabel, lvmUuid, physicalVolume, stripes, vgText } from "../support/volume-builder.js";

const MIB = 2 ** 20;
const directory = tempDirectory();

/** What the view of a disk shows at `path`, and all its names at the top. */
function shown(
  disk: Buffer,
  path: string,
): { readonly content: Buffer; readonly part: Buffer; readonly names: readonly string[]; readonly volumes: unknown } {
  const image = join(subdirectory(directory), "disk.raw");
  writeFileSync(image, disk);
  const view = openView({ image, options: {}, root: "directory", mode: 0o444, cacheLimit: MIB });
  const node = nodeAt(view.tree, path);
  if (node?.kind !== "file") throw new Error(`${path} is not there: ${view.description.notes.join()}`);
  const content = Buffer.alloc(node.file.size);
  node.file.read(content, 0);
  expect(view.tree.node(node.id)).toBe(node);
  const part = Buffer.alloc(MIB);
  node.file.read(part, 123_457);
  const names = view.tree.root.kind === "directory" ? [...view.tree.root.entries()].map(({ name }) => name) : [];
  view.close();
  return { content, part, names, volumes: view.description.volumes };
}

test("the slices of a BSD disklabel", () => {
  const disk = noise(1, 8 * MIB);
  disklabel([{ index: 0, start: 100, size: 8000 }]).copy(disk, 512);
  const { content, names, volumes } = shown(disk, "volumes/a.raw");
  expect(content.equals(disk.subarray(100 * 512, 8100 * 512))).toBe(true);
  expect(names).toContain("volumes");
  expect(volumes).toMatchObject([{ name: "a", kind: "BSD disklabel", size: 8000 * 512, file: "volumes/a.raw" }]);
});

test("a logical volume in pieces that lie in another order", () => {
  const disk = noise(2, 16 * MIB);
  const uuid = lvmUuid("disk");
  const extent = 128 * 512;
  const text = vgText({
    pvs: [{ uuid, extents: 200 }],
    volumes: [{ name: "root", segments: [stripes([["pv0", 100]]), stripes([["pv0", 20]])], extents: [30, 10] }],
  });
  for (const { at, content } of physicalVolume({ at: 0, size: disk.length, uuid, text })) disk.set(content, at);
  const { content, part } = shown(disk, "volumes/vg0-root.raw");
  const at = (index: number) => MIB + index * extent;
  const expected = Buffer.concat([disk.subarray(at(100), at(130)), disk.subarray(at(20), at(30))]);
  expect(content.equals(expected)).toBe(true);
  expect(part.equals(expected.subarray(123_457, 123_457 + MIB))).toBe(true);
});
