// Tells which disks are in an OVA or another archive, and whether they begin with a boot sector: node package-disks.mjs IMAGE
import { openImage } from "flatmount";

const image = openImage(process.argv[2]);
try {
  for (const { name, format, size, readAt } of image.disks) {
    const boots = size >= 512 && readAt(510, 2).toString("hex") === "55aa";
    console.log(`${name}: ${format}, ${size} bytes${boots ? ", with a boot sector" : ""}`);
  }
} finally {
  image.close();
}
