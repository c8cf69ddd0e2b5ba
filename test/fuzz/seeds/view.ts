import type { Input } from "../input.js";
import { inputOf } from "../input.js";
import { gzipSync } from "node:zlib";
import * as containers from "./containers.js";
import * as disks from "./disks.js";
import * as discs from "./discs.js";
import * as microsoft from "./microsoft.js";
import * as packed from "./packed.js";
import * as tables from "./tables.js";
import { vmdk } from "./vmdk.js";
import { buildTar } from "../../support/ovf-builder.js";
import { buildQcow2 } from "../../support/qcow2-builder.js";
import { noise } from "../../support/content.js";

/** A few of everything, and some in each other. */
export function view(): readonly Input[] {
  const makers = [...Object.values(disks), ...Object.values(discs), ...Object.values(microsoft), vmdk, ...Object.values(tables)];
  const trees = [containers.iso9660, containers.udf, containers.tar, containers.cpio, containers.kernel, containers.ovf, containers.ec2];
  const inner = buildQcow2({ clusterBits: 9, size: 2048, clusters: new Map([[1, { kind: "data", content: noise(1, 512) }]]) }).bytes;
  return [
    ...[...makers, ...trees, ...Object.values(packed)].flatMap((maker) => maker().slice(0, 2)),
    inputOf({
      "a.tar": buildTar([
        { name: "inner.qcow2", content: inner },
        { name: "b.tar.gz", content: gzipSync(buildTar([{ name: "c.qcow2", content: inner }])) },
      ]),
    }),
    inputOf({ "a.qcow2.gz": gzipSync(inner) }),
  ];
}
