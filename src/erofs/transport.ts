import { closeSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { mountAt } from "../fuse/mountinfo.js";
import type { MountRequest, Session, Transport } from "../fuse/transport.js";
import { binding } from "../native/binding.js";
import { placeMount } from "../native/mounting.js";
import type { DirectoryNode } from "../tree/node.js";
import { reasonOf, systemCode, UserError } from "../util/errors.js";
import { indexTree } from "./index-tree.js";
import { indexFolders, mountIndex, openIndexFile, pathOf } from "./mount.js";
import type { Index, LeftOut } from "./writer.js";

const OTHERWISE = "Without --transport erofs it can be mounted.";

/** The kernel alone: it reads the image through an index, and no process stays. */
export const erofs: Transport = {
  name: "erofs",
  obstacle() {
    if (!binding) return { message: "the native addon is not built", hint: 'Run "npm run build:native", or use --transport libfuse.' };
    if (process.geteuid?.() !== 0) return { message: "the erofs transport is for root", hint: OTHERWISE };
    return undefined;
  },
  async mount(request) {
    const { root } = request.tree;
    if (root.kind !== "directory") throw new UserError(`${request.mountpoint}: the erofs transport needs a directory`, OTHERWISE);
    for (const folder of indexFolders) {
      const index = tryOpen(folder);
      if (index === undefined) continue;
      try {
        const made = await indexTree(index, wishOf(request, root));
        refuseHoles(made.leftOut);
        return place(request, index, made);
      } catch (error) {
        // Not from the file system that this folder is on.
        if (systemCode(error) !== "ENOTBLK") throw error;
      } finally {
        closeSync(index);
      }
    }
    throw new UserError("no folder was found from which the kernel reads an index", `Looked at: ${indexFolders.join(", ")}. ${OTHERWISE}`);
  },
};

/** Others see a mount of the kernel's as far as modes say: without their being let in, its root says that they do not. */
function wishOf({ allowOther, uid, gid, files }: MountRequest, root: DirectoryNode) {
  return { root: allowOther ? root : { ...root, mode: root.mode & 0o700 }, uid, gid, deviceLimit: files.length };
}

function tryOpen(folder: string): number | undefined {
  try {
    return openIndexFile(folder);
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    return undefined;
  }
}

/** What would be missing in the mount must not be missed by chance. */
export function refuseHoles([first, ...others]: readonly LeftOut[]): void {
  if (!first) return;
  const more = others.length === 0 ? "" : `, nor ${others.length} other ${others.length === 1 ? "file" : "files"}`;
  throw new UserError(`the kernel alone cannot read ${first.path}: ${first.reason}${more}`, OTHERWISE);
}

function place({ mountpoint, source }: MountRequest, index: number, made: Index): Session {
  // What the kernel was given is what `mount` and `findmnt` show.
  const folder = mkdtempSync(join(tmpdir(), "flatmount-"));
  const link = join(folder, basename(source));
  try {
    symlinkSync(pathOf(index), link);
    const mounted = mountIndex(index, made, link);
    try {
      placeMount(mounted, mountpoint);
    } finally {
      closeSync(mounted);
    }
  } catch (error) {
    if (systemCode(error) === "ENOTBLK") throw error;
    if (systemCode(error) === "ENODEV") throw new UserError("the kernel has no EROFS", OTHERWISE, error);
    throw new UserError(`${mountpoint}: the kernel does not mount the index: ${detailOf(error)}`, OTHERWISE, error);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return { ended: Promise.resolve(), unattended: mountAt(mountpoint)?.id, unmount: () => Promise.resolve() };
}

function detailOf(error: unknown): string {
  const detail = error instanceof Error && "detail" in error && typeof error.detail === "string" ? error.detail.trim() : "";
  return detail === "" ? reasonOf(error) : detail;
}
