// The configuration of a VirtualBox machine (.vbox): which of its disks are encrypted. Their images do not tell, their headers are as ever.
// Reference: schema VirtualBox-settings.xsd and MediumImpl.cpp in the VirtualBox sources.
import { basename } from "node:path";
import type { Identity } from "../formats/driver.js";
import { ImageError } from "../util/errors.js";
import { quote } from "../util/text.js";

/** Bytes of a configuration that are looked at; one of a machine with hundreds of snapshots has a few. */
export const CONFIGURATION_LIMIT = 8 * 2 ** 20;

/** Configurations in one folder that are looked at: VirtualBox gives each machine a folder of its own. */
export const CONFIGURATIONS_LIMIT = 16;

export function isConfiguration(name: string): boolean {
  return /\.vbox$/i.test(name);
}

/** A configuration that lies beside an image. */
export interface Configuration {
  readonly name: string;
  readonly text: string;
}

interface HardDisk {
  readonly uuid: string;
  /** Its file's own name. */
  readonly name: string;
  /** What it is a difference to. */
  readonly parent: HardDisk | undefined;
  key: string | undefined;
}

/** Throws if one of `configurations` says that the image `file` is encrypted: what it stores is noise then. */
export function refuseEncrypted(file: string, identities: readonly Identity[], configurations: Iterable<Configuration>): void {
  const own = identities.filter(({ kind }) => kind === "UUID").map(({ value }) => value);
  for (const configuration of configurations) {
    const disks = hardDisksIn(configuration.text);
    const disk = disks.find((each) => (own.length > 0 ? own.includes(each.uuid) : each.name === basename(file)));
    const key = disk && keyOf(disk);
    if (key === undefined) continue;
    const message = `it is encrypted by VirtualBox (with the password called ${quote(key)}), as ${quote(configuration.name)} beside it says`;
    throw new ImageError("UNSUPPORTED", message, {
      file,
      hint: "VBoxManage encryptmedium decrypts it. To see its bytes as they are stored, name its format with --format.",
    });
  }
}

/** The differences to an encrypted disk are encrypted with its key. */
function keyOf(disk: HardDisk): string | undefined {
  for (let each: HardDisk | undefined = disk; each; each = each.parent) if (each.key !== undefined) return each.key;
  return undefined;
}

/** All of the configuration's disks. Values hold no "<", as in all XML; work grows with the length of the text only. */
function hardDisksIn(text: string): readonly HardDisk[] {
  const disks: HardDisk[] = [];
  let inside: HardDisk | undefined;
  for (const [, end = "", element, attributes = "", single] of text.matchAll(/<(\/?)(HardDisk|Property)(?=[\s/>])([^<>]*?)(\/?)>/g)) {
    if (element === "HardDisk" && end === "") {
      const disk = {
        uuid: (valueOf(attributes, "uuid") ?? "").replace(/^\{|\}$/g, "").toLowerCase(),
        name: /[^/\\]*$/.exec(valueOf(attributes, "location") ?? "")?.[0] ?? "",
        parent: inside,
        key: undefined,
      };
      disks.push(disk);
      if (single === "") inside = disk;
    } else if (element === "HardDisk") {
      inside = inside?.parent;
    } else if (inside && /^CRYPT\/Key(?:Id|Store)$/.test(valueOf(attributes, "name") ?? "")) {
      const id = valueOf(attributes, "name") === "CRYPT/KeyId" ? valueOf(attributes, "value") : undefined;
      inside.key = id ?? inside.key ?? "";
    }
  }
  return disks;
}

function valueOf(attributes: string, name: string): string | undefined {
  const [, double, single] = new RegExp(`(?:^|\\s)${name}\\s*=\\s*(?:"([^"]*)"|'([^']*)')`).exec(attributes) ?? [];
  return (double ?? single)?.replace(/&(amp|lt|gt|quot|apos);/g, (_, entity: string) => entities[entity] ?? "");
}

const entities: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };
