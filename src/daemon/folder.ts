import { lstatSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { UserError } from "../util/errors.js";
import { makeFolders } from "../util/folders.js";

/** Who started us: the daemon may become somebody else. */
const uid = process.geteuid?.() ?? 0;

/** The folder of the records, made if missing: only its owner may look into it. */
export function stateFolder(): string {
  const runtime = process.env["XDG_RUNTIME_DIR"];
  const folder = runtime ? join(runtime, "flatmount") : uid === 0 ? "/run/flatmount" : join(tmpdir(), `flatmount-${uid}`);
  makeFolders(folder, 0o700);
  const stat = lstatSync(folder);
  if (stat.isDirectory() && stat.uid === uid) return folder;
  throw new UserError(
    `${folder}: it belongs to somebody else, so mounts cannot be recorded there`,
    "Set XDG_RUNTIME_DIR to a folder of your own.",
  );
}
