// A virtual machine exported by XenServer or XCP-ng. References: "XVA format" in the Citrix Hypervisor documentation (Import and export VMs), and
// ocaml/xapi/stream_vdi.ml of the xen-api sources, which writes and reads the chunks. The tar archive: POSIX.1-2017, pax, "ustar Interchange Format".
import { ascii, struct, u8 } from "../../util/struct.js";

export const BLOCK = 512;

export const tarHeader = struct("tar header", "big", BLOCK, {
  name: [0, ascii(100)],
  type: [156, u8],
  magic: [257, ascii(6)],
  prefix: [345, ascii(155)],
});

/** Where the size and the checksum of a member stand, as octal digits; the size also as a number in base 256. */
export const fields = { size: [124, 12], checksum: [148, 8] } as const;

export const memberTypes = { file: 0x30, oldFile: 0, contiguous: 0x37, longName: 0x4c, pax: 0x78 } as const;

/** What the archive begins with. */
export const MANIFEST = "ova.xml";

/** Of all chunks but the last of a disk. */
export const CHUNK = 2 ** 20;

/** Ours. */
export const limits = { manifest: 16 * 2 ** 20, name: 65536, disks: 1024 } as const;
