// Copies a file out of a disc or an archive: node copy-file.mjs IMAGE PATH TARGET
import { createWriteStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { openImage } from "flatmount";

const [path, file, target] = process.argv.slice(2);
const image = openImage(path);
try {
  const found = image.tree.open(`files/${file}`);
  await pipeline(found.createReadStream(), createWriteStream(target, { flags: "wx" }));
} finally {
  image.close();
}
