import { ImageError } from "../../util/errors.js";
import type { FormatDriver } from "../driver.js";
import { qcowAes } from "../encryption/qcow-aes.js";
import { backingWish } from "../qemu-names.js";
import { auditQcow } from "./audit.js";
import { readHeader } from "./header.js";
import { CRYPT_METHOD_POSITION, MAGIC, VERSION } from "./layout.js";
import { createMap } from "./map.js";
import { qcowVariants } from "./variants.js";

export const qcow: FormatDriver = {
  name: "qcow",
  variants: qcowVariants,
  extensions: [".qcow", ".img"],
  probe({ head }) {
    if (head.length < 8) return false;
    const view = new DataView(head.buffer, head.byteOffset, head.length);
    return view.getUint32(0) === MAGIC && view.getUint32(4) === VERSION;
  },
  open(source, opener, { snapshot, passwords = [] }) {
    if (snapshot !== undefined) throw new ImageError("UNSUPPORTED", "qcow version 1 has no snapshots", { file: source.name });
    const header = readHeader(source);
    const { size, clusterBits, l2Bits, backingFile } = header;
    const encryption = header.encrypted ? qcowAes(passwords, source.name, CRYPT_METHOD_POSITION) : undefined;
    const map = createMap(source, header, encryption);
    encryption?.choose?.(map, size);
    // Version 1 has no field for the format of the backing file.
    const parent = backingFile === undefined ? undefined : opener.parent(backingWish(source.name, backingFile));
    return {
      format: "qcow",
      name: source.name,
      size,
      ...(parent && { parent }),
      map,
      facts: () => ({
        variant: "version 1",
        details: {
          "cluster size": 2 ** clusterBits,
          "L2 table entries": 2 ** l2Bits,
          ...(encryption && { encryption: encryption.name }),
          ...(backingFile !== undefined && { "backing file": backingFile }),
        },
        notes: [
          ...(parent ? ["Version 1 cannot tell the format of its backing file, which was found by its content."] : []),
          ...(encryption?.notes?.(map, size) ?? []),
        ],
      }),
      audit: (audit) => auditQcow(source, header, audit),
      close() {
        parent?.close();
        source.close();
      },
    };
  },
};
