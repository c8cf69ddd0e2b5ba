import type { Entry, Node, Tree } from "../tree/node.js";
import { UserError } from "../util/errors.js";
import { printable, quote } from "../util/text.js";

/** A node and the way to it from the root: names joined by `/`, empty for the root itself. */
export interface Found {
  readonly path: string;
  readonly node: Exclude<Node, { kind: "symlink" }>;
}

/** As many as the kernel follows in one path. */
const LINK_LIMIT = 40;
const NAMED_AT_MOST = 20;

/** What stands at `path` in the view, links followed. Throws a `UserError` that names what is there instead. */
export function findNode({ root }: Tree, path: string): Found {
  if (root.kind === "symlink") throw leadsNowhere(path, path, root.target);
  const way: { readonly name: string; readonly node: Found["node"] }[] = [];
  const pending = path.split("/");
  let links = 0;
  for (let name = pending.shift(); name !== undefined; name = pending.shift()) {
    if (name === "" || name === ".") continue;
    if (name === "..") {
      way.pop();
      continue;
    }
    const here = way.at(-1)?.node ?? root;
    const node = here.kind === "directory" ? here.child(name) : undefined;
    if (!node) throw notThere(path, here);
    if (node.kind === "symlink") {
      links += 1;
      if (links > LINK_LIMIT || node.target.startsWith("/")) throw leadsNowhere(path, name, node.target);
      pending.unshift(...node.target.split("/"));
    } else {
      way.push({ name, node });
    }
  }
  return { path: way.map(({ name }) => name).join("/"), node: way.at(-1)?.node ?? root };
}

function notThere(path: string, here: Found["node"]): UserError {
  return new UserError(
    `there is no ${quote(path)} in the image's view`,
    here.kind === "directory" ? `There are: ${namesIn(here.entries())}.` : undefined,
  );
}

function leadsNowhere(path: string, name: string, target: string): UserError {
  return new UserError(
    `${quote(path)} cannot be followed: ${quote(name)} is a link to ${quote(target)}, which leads out of the view or in a circle`,
  );
}

/** The first few names of a directory, for hints. */
export function namesIn(entries: Iterable<Entry>): string {
  const names: string[] = [];
  for (const entry of entries) {
    if (names.length === NAMED_AT_MOST) {
      names.push("…");
      break;
    }
    names.push(shownName(entry));
  }
  return names.length > 0 ? names.join(", ") : "nothing";
}

/** The name as `ls` shows it: directories end in a slash. */
export function shownName({ name, node }: Entry): string {
  return node.kind === "directory" ? `${printable(name)}/` : printable(name);
}
