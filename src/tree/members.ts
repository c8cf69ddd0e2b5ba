import type { Container, Item } from "../containers/container.js";
import type { Members } from "../disk/members.js";
import type { Source } from "../source/source.js";

/** The files of a container, by path. `read` gives the bytes of one of its files. */
export function membersOf(container: Container, read: (item: Item, path: string) => Source): Members {
  return {
    open(path) {
      const item = itemAt(container, path);
      if (item) return item.kind === "file" ? read(item, path) : undefined;
      const source = container.outside?.(path);
      return source && { ...source, close: () => undefined };
    },
    *beside(path) {
      const folder = path.split("/").slice(0, -1);
      const directory = itemAt(container, folder.join("/"));
      if (directory?.kind !== "directory") return;
      for (const [name, item] of container.list(directory.id)) if (item.kind === "file") yield [...folder, name].join("/");
    },
  };
}

/** What stands at `path`; links are not followed. */
function itemAt(container: Container, path: string): Item | undefined {
  let item: Item | undefined = container.root;
  for (const name of path.split("/")) {
    if (name === "" || name === ".") continue;
    item = item?.kind === "directory" ? container.list(item.id).get(name) : undefined;
  }
  return item;
}
