import { statSync } from "node:fs";
import { join } from "node:path";

/** What tells of the disk in a directory that is one image, best first: that of Parallels, and of Apple, which has a copy. */
const bundleIndexes: readonly { readonly name: string; readonly beside?: string }[] = [
  { name: "DiskDescriptor.xml" },
  { name: "Info.plist", beside: "bands" },
  { name: "Info.bckup", beside: "bands" },
];

/** The file that stands for a directory that is one image. */
export function bundled(path: string): string {
  const found = bundleIndexes.find(
    ({ name, beside }) => isFile(join(path, name)) && (beside === undefined || isFolder(join(path, beside))),
  );
  return found ? join(path, found.name) : path;
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

export function isFile(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
