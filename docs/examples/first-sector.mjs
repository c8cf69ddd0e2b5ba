// Prints the first sector of a disk: node first-sector.mjs IMAGE
import { openImage } from "flatmount";

const image = openImage(process.argv[2]);
try {
  const sector = image.readAt(0, Math.min(512, image.size));
  for (let at = 0; at < sector.length; at += 16) {
    console.log(at.toString(16).padStart(4, "0"), sector.toString("hex", at, at + 16));
  }
} finally {
  image.close();
}
