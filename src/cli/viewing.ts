import { openView, type View, type ViewRequest } from "../tree/view.js";
import type { Io } from "./io.js";
import { createProgressBar } from "./progress.js";

/** What a mount of the image would show, for commands that look into it without mounting; whoever asked closes it. `cacheLimit`: bytes for decoded blocks. */
export function viewOf(io: Io, image: string, options: ViewRequest["options"], cacheLimit: number): View {
  const bar = createProgressBar(io, "reading through");
  try {
    return openView({ image, options, root: "directory", mode: 0o444, cacheLimit }, bar.step);
  } finally {
    bar.end();
  }
}
