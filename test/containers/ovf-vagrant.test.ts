import { expect, test } from "vitest";
import { openVagrant, vagrant } from "../../src/containers/ovf/vagrant.js";
import { memorySource } from "../../src/source/memory.js";
import { alone } from "../support/containers.js";
import { noise } from "../support/content.js";
import { buildTar } from "../support/ovf-builder.js";
import { difference } from "../support/reading.js";
import { contentOf } from "../support/trees.js";

const content = noise(1, 700);

function box(metadata: unknown, names: readonly string[]) {
  const json = typeof metadata === "string" ? metadata : JSON.stringify(metadata);
  const members = [
    { name: "./metadata.json", content: json },
    { name: "./Vagrantfile", content: "" },
  ];
  return memorySource("a.box", buildTar([...members, ...names.map((name) => ({ name, content }))]));
}

function open(metadata: unknown, names: readonly string[]) {
  const source = box(metadata, names);
  expect(vagrant.probe(source)).toBe(true);
  return openVagrant(source, alone);
}

test("a box of libvirt: box.img", () => {
  const container = open({ provider: "libvirt", format: "qcow2", virtual_size: 40 }, ["./box.img"]);
  expect(container.disks).toEqual([{ name: "box", path: "box.img" }]);
  expect(container.facts()).toMatchObject({ variant: "Vagrant box", details: { provider: "libvirt", disks: 1 }, notes: [] });
  expect(difference(contentOf(container, container.list(container.root.id).get("box.img")?.id ?? 0), content)).toBeUndefined();
});

test("a box of several disks: those that its metadata tell of", () => {
  const disks = [{ path: "b.img" }, { path: "gone.img" }, { path: "../a.img" }, { name: "third" }, 7, null];
  const container = open({ provider: "libvirt", disks }, ["a.img", "b.img", "box_4.img"]);
  expect(container.disks).toEqual([
    { name: "b", path: "b.img" },
    { name: "box_4", path: "box_4.img" },
  ]);
  expect(container.facts().notes).toContain('The disk "gone.img" is missing in the box.');
  expect(container.facts().notes).toContain('The disk "../a.img" is missing in the box.');
});

test("boxes of other providers: every image, but for parts of split ones", () => {
  const names = ["Virtual Hard Disks/disk.vhdx", "disk.vmdk", "disk-s001.vmdk", "disk-flat.vmdk", "vm.vmx", "a/disk.vmdk", "._disk.vmdk"];
  expect(open({ provider: "hyperv" }, names).disks).toEqual([
    { name: "disk", path: "Virtual Hard Disks/disk.vhdx" },
    { name: "disk-2", path: "disk.vmdk" },
    { name: "disk-3", path: "a/disk.vmdk" },
  ]);
});

test("metadata that are damaged: every image, and a note", () => {
  for (const metadata of ["{", "", "[".repeat(100_000), "7", "null"]) {
    const container = open(metadata, ["box.img"]);
    expect(container.disks).toMatchObject([{ path: "box.img" }]);
  }
  expect(open("{", ["box.img"]).facts().notes.join()).toMatch(/"metadata.json" cannot be understood/);
});

test("archives without metadata, or without an image, are no boxes", () => {
  expect(vagrant.probe(memorySource("a", buildTar([{ name: "box.img", content }])))).toBe(false);
  expect(vagrant.probe(box({}, ["notes.txt"]))).toBe(false);
  expect(vagrant.probe(memorySource("a", noise(1, 3000)))).toBe(false);
});
