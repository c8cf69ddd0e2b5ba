// A virtual machine exported by XenServer or XCP-ng. References: "XVA format" in the Citrix Hypervisor documentation (Import and export VMs), and
// ocaml/xapi/stream_vdi.ml of the xen-api sources, which writes and reads the chunks. The tar archive: ../tar-header.ts.
/** What the archive begins with. */
export const MANIFEST = "ova.xml";

/** Of all chunks but the last of a disk. */
export const CHUNK = 2 ** 20;

/** Ours. */
export const limits = { manifest: 16 * 2 ** 20, name: 65536, disks: 1024 } as const;
