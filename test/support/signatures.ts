/** How files of the formats begin (Latin-1), padded to what a probe looks at. */
export const signatures: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries({
    qcow: "QFI\xfb\0\0\0\x01",
    qcow2: "QFI\xfb\0\0\0\x03",
    "qcow2, version 2": "QFI\xfb\0\0\0\x02",
    vmdk: "KDMV\x01\0\0\0",
    "vmdk, COWD": "COWD\x01\0\0\0",
    "vmdk, descriptor": "# Disk DescriptorFile\nversion=1\n",
    vhdx: "vhdxfile",
    vhd: "conectix\0\0\0\x02",
    vdi: `${"<<< Oracle VM VirtualBox Disk Image >>>\n".padEnd(64, "\0")}\x7f\x10\xda\xbe\x01\0\x01\0`,
    qed: "QED\0",
    "android-sparse": "\x3a\xff\x26\xed\x01\0\0\0",
    cloop: "#!/bin/sh\n#V2.0 Format\n",
    dmg: "encrcdsa",
    parallels: "WithoutFreeSpace",
    "parallels, extended": "WithouFreSpacExt",
    "parallels, bundle": "<Parallels_disk_image ",
    bochs: `${"Bochs Virtual HD Image".padEnd(32, "\0")}${"Redolog".padEnd(16, "\0")}Growing`,
    "gzip of something": "\x1f\x8b\x08\0",
    "a partitioned disk": `${"\0".repeat(510)}\x55\xaa`,
  }).map(([name, head]) => [name, head.padEnd(4096, "\0")]),
);
