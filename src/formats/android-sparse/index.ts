import { readStruct } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import type { FormatDriver } from "../driver.js";
import { auditSparse } from "./audit.js";
import { checkHeader, readChunks } from "./chunks.js";
import { header, MAGIC } from "./layout.js";
import { createMap } from "./map.js";
import { androidSparseVariants } from "./variants.js";

export const androidSparse: FormatDriver = {
  name: "android-sparse",
  variants: androidSparseVariants,
  extensions: [".simg", ".img"],
  probe({ head }) {
    return head.length >= 28 && new DataView(head.buffer, head.byteOffset, head.length).getUint32(0, true) === MAGIC;
  },
  open(source, _opener, { snapshot, disk }) {
    const asked = snapshot !== undefined ? "snapshots" : disk !== undefined ? "several disks" : undefined;
    if (asked !== undefined) throw new ImageError("UNSUPPORTED", `an Android sparse image has no ${asked}`, { file: source.name });
    const fields = readStruct(source, 0, header);
    if (fields.magic !== MAGIC) throw new ImageError("WRONG_FORMAT", "it is no Android sparse image", { file: source.name, position: 0 });
    const sparse = checkHeader(source, fields);
    const { blockSize, totalBlocks, totalChunks, version } = sparse;
    const chunks = readChunks(source, sparse);
    const size = blockSize * totalBlocks;
    if (!Number.isSafeInteger(size)) {
      throw new ImageError("CORRUPT", `the disk of ${totalBlocks} blocks of ${blockSize} bytes has more than 2^53 bytes`, {
        file: source.name,
        position: 16,
      });
    }
    return {
      format: "android-sparse",
      name: source.name,
      size,
      map: createMap(source, chunks, blockSize, size),
      facts: () => ({
        variant: `version ${version}`,
        details: { "block size": blockSize, chunks: totalChunks },
        notes: chunks.broken ? [`Its end cannot be read: ${chunks.broken.message}.`] : [],
      }),
      audit: (audit) => auditSparse(source, audit),
      close: () => source.close(),
    };
  },
};
