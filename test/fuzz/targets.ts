import { inflateRawSync } from "node:zlib";
import type { ContainerDriver, ContainerOptions } from "../../src/containers/container.js";
import { initramfs } from "../../src/containers/cpio/index.js";
import { ec2Bundle } from "../../src/containers/ec2/index.js";
import { iso9660 } from "../../src/containers/iso9660/index.js";
import { kernel } from "../../src/containers/kernel/index.js";
import { ovf } from "../../src/containers/ovf/discrete.js";
import { ova } from "../../src/containers/ovf/ova.js";
import { vagrant } from "../../src/containers/ovf/vagrant.js";
import { tar } from "../../src/containers/tar/index.js";
import { udf } from "../../src/containers/udf/index.js";
import { zip } from "../../src/containers/zip/index.js";
import type { OpenOptions } from "../../src/formats/driver.js";
import { driverNamed } from "../../src/formats/registry.js";
import { formatNames } from "../../src/formats/names.js";
import type { PackedDriver } from "../../src/source/packed/driver.js";
import { packedDrivers } from "../../src/source/packed/registry.js";
import type { Input } from "./input.js";
import { checkContainer } from "./oracle/container.js";
import { checkDriver } from "./oracle/layer.js";
import { checkPacked } from "./oracle/packed.js";
import { checkRequests } from "./oracle/requests.js";
import { checkTables } from "./oracle/table.js";
import { checkView } from "./oracle/view.js";
import { repairGpt, repairTar, repairVhd, repairVhdx, repairVma } from "./repair/disks.js";
import { repairEwf, repairPartclone } from "./repair/evidence.js";
import { repairDmg, repairQcow2 } from "./repair/nested.js";
import { repairGzip, repairLz4, repairLzop, repairXz } from "./repair/packed.js";
import { repairUdf } from "./repair/udf.js";
import { repairVolumes } from "./repair/volumes.js";
import * as containers from "./seeds/containers.js";
import * as discs from "./seeds/discs.js";
import * as disks from "./seeds/disks.js";
import * as evidence from "./seeds/evidence.js";
import * as microsoft from "./seeds/microsoft.js";
import * as packed from "./seeds/packed.js";
import { requests } from "./seeds/requests.js";
import * as tables from "./seeds/tables.js";
import { view } from "./seeds/view.js";
import { vmdk } from "./seeds/vmdk.js";
import type { Repair, Target } from "./target.js";

type FormatName = (typeof formatNames)[number];

interface FormatEntry {
  readonly seeds: () => readonly Input[];
  readonly repair?: Repair;
  readonly options?: (input: Input) => OpenOptions;
  /** Of the scope, besides its own folder. */
  readonly more?: readonly string[];
}

/** Every format has its own: one that is added without does not compile. */
const formats: Readonly<Record<FormatName, FormatEntry>> = {
  "android-sparse": { seeds: disks.androidSparse },
  bochs: { seeds: disks.bochs },
  ccd: { seeds: discs.ccd },
  "cd-raw": { seeds: discs.cdRaw },
  cdrdao: { seeds: discs.cdrdao },
  cloop: { seeds: disks.cloop },
  cue: { seeds: discs.cue, more: ["src/formats/cd/"] },
  dmg: { seeds: disks.dmg, repair: repairDmg },
  ewf: { seeds: evidence.ewf, repair: repairEwf },
  mds: { seeds: discs.mds },
  nrg: { seeds: discs.nrg },
  parallels: { seeds: disks.parallels, options: ({ data }) => ((data[0] ?? 0) % 4 === 1 ? { snapshot: "one" } : {}) },
  partclone: { seeds: evidence.partclone, repair: repairPartclone },
  qcow: { seeds: disks.qcow, options: () => ({ passwords: ["password"] }) },
  qcow2: {
    seeds: disks.qcow2,
    repair: repairQcow2,
    options: ({ data }) => ({ passwords: ["password"], ...((data.at(-1) ?? 0) % 4 === 1 && { snapshot: "1" }) }),
  },
  qed: { seeds: disks.qed },
  raw: { seeds: disks.rawDisk },
  sparsebundle: { seeds: evidence.sparsebundle },
  sparseimage: { seeds: evidence.sparseimage },
  vdi: { seeds: disks.vdi },
  vhd: { seeds: microsoft.vhd, repair: repairVhd },
  vhdx: { seeds: microsoft.vhdx, repair: repairVhdx },
  vma: { seeds: disks.vma, repair: repairVma },
  vmdk: { seeds: vmdk },
  xva: { seeds: disks.xva, repair: repairTar, options: ({ data }) => ((data.at(-1) ?? 0) % 4 === 1 ? { disk: "Ref:22" } : {}) },
};

const formatTargets = (Object.entries(formats) as [FormatName, FormatEntry][]).map(
  ([name, { seeds, repair, options = () => ({}), more = [] }]): Target => {
    const driver = driverNamed(name);
    return {
      name,
      scope: [`src/formats/${name}/`, ...more],
      seeds,
      repair,
      execute: (run) => checkDriver(run, driver, options(run.input)),
    };
  },
);

interface ContainerEntry {
  readonly drivers: readonly ContainerDriver[];
  readonly seeds: () => readonly Input[];
  readonly repair?: Repair;
  readonly options?: () => ContainerOptions;
}

const containerEntries: Readonly<Record<string, ContainerEntry>> = {
  cpio: { drivers: [initramfs], seeds: containers.cpio },
  ec2: { drivers: [ec2Bundle], seeds: containers.ec2, options: () => ({ privateKey: containers.privateKey() }) },
  iso9660: { drivers: [iso9660], seeds: containers.iso9660 },
  kernel: { drivers: [kernel], seeds: containers.kernel },
  ovf: { drivers: [ova, vagrant, ovf], seeds: containers.ovf, repair: repairTar },
  tar: { drivers: [tar], seeds: containers.tar, repair: repairTar },
  udf: { drivers: [udf], seeds: containers.udf, repair: repairUdf },
  zip: { drivers: [zip], seeds: containers.zip },
};

const containerTargets = Object.entries(containerEntries).map(([name, { drivers, seeds, repair, options = () => ({}) }]): Target => {
  return {
    name,
    scope: [`src/containers/${name}/`],
    seeds,
    repair,
    execute(run) {
      for (const driver of drivers) checkContainer(run, driver, options());
    },
  };
});

const inflate = (body: Uint8Array): Uint8Array | undefined => {
  try {
    return inflateRawSync(body, { maxOutputLength: 2 ** 18 });
  } catch {
    return undefined;
  }
};

const streams: Readonly<
  Record<string, { readonly seeds: () => readonly Input[]; readonly repair?: Repair; readonly files: readonly string[] }>
> = {
  gzip: {
    seeds: packed.gzip,
    repair: (input) => repairGzip(input, inflate),
    files: ["gzip", "gzip-points", "gzip-scan", "gzip-stream", "gzip-window", "points"],
  },
  xz: { seeds: packed.xz, repair: repairXz, files: ["xz", "xz-layout", "units", "streamed"] },
  zstd: { seeds: packed.zstd, files: ["zstd", "zstd-frames", "unpacked", "chunks"] },
  bzip2: { seeds: packed.bzip2, files: ["bzip2", "bzip2-bits"] },
  lz4: { seeds: packed.lz4, repair: repairLz4, files: ["lz4", "lz4-frames", "lz4-block", "xxh32"] },
  lzip: { seeds: packed.lzip, files: ["lzip"] },
  lzop: { seeds: packed.lzop, repair: repairLzop, files: ["lzop", "lzop-block"] },
  lzma: { seeds: packed.lzma, files: ["lzma"] },
};

const packedTargets = Object.entries(streams).map(([name, { seeds, repair, files }]): Target => {
  const driver = packedDrivers.find((each) => each.name === name) as PackedDriver;
  return { name, scope: files.map((file) => `src/source/packed/${file}.ts`), seeds, repair, execute: (run) => checkPacked(run, driver) };
});

/** Everything that is fuzzed. */
export const targets: readonly Target[] = [
  ...formatTargets,
  ...containerTargets,
  ...packedTargets,
  { name: "partitions", scope: ["src/disk/partitions/"], seeds: tables.partitions, repair: repairGpt, execute: checkTables },
  { name: "volumes", scope: ["src/disk/volumes/"], seeds: tables.volumes, repair: repairVolumes, execute: checkTables },
  {
    name: "view",
    scope: ["shown", "contents", "find-disks", "flat", "check", "audit", "members"].map((file) => `src/tree/${file}.ts`),
    seeds: view,
    repair: repairQcow2,
    execute: checkView,
  },
  {
    name: "fuse",
    scope: ["src/fuse/server.ts", "src/fuse/operations.ts", "src/fuse/exchange.ts", "src/fuse/listing.ts", "src/fuse/opens.ts"],
    seeds: requests,
    execute: checkRequests,
  },
];

export function targetNamed(name: string): Target {
  const found = targets.find((target) => target.name === name);
  if (!found) throw new Error(`there is no target "${name}"; there are ${targets.map((target) => target.name).join(", ")}`);
  return found;
}
