import { expect, test } from "vitest";
import { readHelperWords } from "../../src/cli/mount-helper.js";

test.each<readonly [given: readonly string[], words: readonly string[], fake: boolean]>([
  [["/a.qcow2", "/mnt/a"], ["mount", "/a.qcow2", "/mnt/a"], false],
  [["/a.qcow2", "/mnt/a", "-o", "rw,x-a=1"], ["mount", "/a.qcow2", "/mnt/a", "-o", "rw,x-a=1"], false],
  [
    ["/a.qcow2", "/mnt/a", "-v", "-sn", "-o", "ro", "-t", "fuse.flatmount", "-N", "/proc/1/ns/mnt"],
    ["mount", "/a.qcow2", "/mnt/a", "-o", "ro"],
    false,
  ],
  [["/a.qcow2", "/mnt/a", "-fv"], ["mount", "/a.qcow2", "/mnt/a"], true],
  [["-o", "ro", "/a.qcow2", "/mnt/a"], ["mount", "-o", "ro", "/a.qcow2", "/mnt/a"], false],
  [["/a.qcow2", "/mnt/a", "--foreground"], ["mount", "/a.qcow2", "/mnt/a", "--foreground"], false],
])("mount(8) says %j", (given, words, fake) => {
  expect(readHelperWords(given)).toEqual({ words, fake });
});
