// Lists the files of a disc or an archive: node list-files.mjs IMAGE
import { openImage } from "flatmount";

const image = openImage(process.argv[2]);
try {
  for (const { path, kind, size, target } of image.tree.walk("files")) {
    console.log(kind === "directory" ? `${path}/` : kind === "symlink" ? `${path} -> ${target}` : `${path} ${size}`);
  }
} finally {
  image.close();
}
