// Seeds that programs write. Without the program there is one seed less.
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { noise, text } from "../../support/content.js";

/** What `program` makes of `input`. */
export function filtered(program: string, args: readonly string[], input: Uint8Array): readonly Buffer[] {
  const { status, stdout } = spawnSync(program, args, { input, maxBuffer: 2 ** 26, stdio: ["pipe", "pipe", "ignore"] });
  return status === 0 ? [stdout] : [];
}

/** The files that `program` writes to the path put in for OUT, each with the arguments of one list; TREE is a folder of small files. */
export function written(program: string, lists: readonly (readonly string[])[]): readonly Buffer[] {
  const folder = mkdtempSync(join(tmpdir(), "flatmount-fuzz-"));
  try {
    const tree = join(folder, "tree");
    makeTree(tree);
    return lists.flatMap((list, index) => {
      const out = join(folder, `out${index}`);
      const args = list.map((word) => word.replace("OUT", out).replace("TREE", tree));
      const { status } = spawnSync(program, args, { stdio: "ignore", env: { ...process.env, SOURCE_DATE_EPOCH: "1000000000", TZ: "UTC" } });
      return status === 0 ? [readFileSync(out)] : [];
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function makeTree(folder: string): void {
  mkdirSync(join(folder, "a folder", "below it"), { recursive: true });
  writeFileSync(join(folder, "boot.img"), noise(1, 2048));
  writeFileSync(join(folder, "a folder", "text.txt"), text(2, 700));
  writeFileSync(join(folder, `${"a long name ".repeat(12)}.txt`), "x");
  writeFileSync(join(folder, "holes"), noise(3, 5000));
  truncateSync(join(folder, "holes"), 400_000);
  linkSync(join(folder, "boot.img"), join(folder, "second name"));
  symlinkSync("../a folder/text.txt", join(folder, "a folder", "link"));
  chmodSync(join(folder, "boot.img"), 0o4755);
  for (const name of ["boot.img", "a folder", "holes"]) utimesSync(join(folder, name), 1_000_000_000, 1_000_000_000);
}
