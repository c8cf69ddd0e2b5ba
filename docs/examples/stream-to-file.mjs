// Writes the flat disk of an image to a file, holes left out: node stream-to-file.mjs IMAGE TARGET
import { open } from "node:fs/promises";
import { openImage } from "flatmount";

const [path, target] = process.argv.slice(2);
const image = openImage(path);
const file = await open(target, "wx");
try {
  await file.truncate(image.size);
  for (const { start, length, kind } of image.extents()) {
    // What reads as zeros need not be written. What is damaged is read, and fails.
    if (kind === "zero" || kind === "absent") continue;
    let position = start;
    for await (const piece of image.createReadStream({ start, end: start + length - 1 })) {
      await file.write(piece, 0, piece.length, position);
      position += piece.length;
    }
  }
} finally {
  await file.close();
  image.close();
}
