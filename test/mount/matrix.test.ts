// Every image that QEMU writes for the tests of the driver, through real mounts and through `cat`.
import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { disksMatrix } from "../formats/disks-matrix.js";
import { qcow2Matrix } from "../formats/qcow2-matrix.js";
import { fingerprint } from "../support/hash.js";
import { describeMounts, type Mounts, useMounts } from "../support/mount.js";
import { flat, requireProgram } from "../support/qemu.js";
import { difference } from "../support/reading.js";
import { tempDirectory } from "../support/temp.js";

const available = requireProgram("qemu-img") && requireProgram("qemu-io");

describeMounts("images written by QEMU, mounted", () => {
  describe.skipIf(!available)("by every transport", () => {
    const directory = tempDirectory();
    const transports = [useMounts("devfuse"), useMounts("devfuse", ["--no-passthrough"]), useMounts("libfuse")];

    test.each([...qcow2Matrix, ...disksMatrix])("$name", async ({ name, build }) => {
      const home = join(directory, name);
      mkdirSync(home);
      const { image, snapshot, whole = image, format } = build(home);
      const expected = flat(whole, { snapshot, format });
      const before = fingerprint(home);

      const views = await Promise.all(transports.map((mounts) => throughMount(mounts, image, snapshot)));

      expect(views.map((view) => difference(view, expected))).toEqual(transports.map(() => undefined));
      expect(difference(throughCat(image, snapshot), expected)).toBeUndefined();
      expect(fingerprint(home)).toBe(before);
      rmSync(home, { recursive: true });
    });
  });
});

function throughCat(image: string, snapshot: string | undefined): Buffer {
  const program = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
  const options = snapshot === undefined ? [] : ["--snapshot", snapshot];
  return execFileSync(process.execPath, [program, "cat", ...options, image], { maxBuffer: 2 ** 28 });
}

async function throughMount(mounts: Mounts, image: string, snapshot: string | undefined): Promise<Buffer> {
  const { disk, leave } = await mounts.serve(image, { options: snapshot === undefined ? [] : ["--snapshot", snapshot] });
  const content = await readFile(disk);
  await leave();
  return content;
}
