// Prints the ranges of a disk that hold data, as "START LENGTH KIND": node data-ranges.mjs IMAGE
import { openImage } from "flatmount";

const image = openImage(process.argv[2]);
try {
  for (const { start, length, kind } of image.extents()) {
    if (kind !== "zero" && kind !== "absent") console.log(start, length, kind);
  }
} finally {
  image.close();
}
