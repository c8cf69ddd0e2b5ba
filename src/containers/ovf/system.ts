// A virtual machine, as a descriptor tells of it. Reference: DSP0243, "Virtual hardware description"; numbers of ResourceType are those of CIM_ResourceAllocationSettingData.
import { kindOf } from "./sections.js";
import { bytesPerUnit, inBytes } from "./units.js";
import { attributeOf, childrenOf, textOf, type XmlElement } from "../xml.js";

export interface VirtualSystem {
  readonly name: string | undefined;
  readonly product: { readonly name?: string | undefined; readonly vendor?: string | undefined; readonly version?: string | undefined };
  /** As the descriptor calls it. */
  readonly operatingSystem: string | undefined;
  readonly processors: number | undefined;
  /** Bytes. */
  readonly memory: number | undefined;
  /** What its drives hold, in their order. */
  readonly drives: readonly Drive[];
}

export interface Drive {
  readonly kind: "disk" | "CD" | "floppy";
  /** The id of a disk or of a file. */
  readonly target: { readonly disk: string } | { readonly file: string };
}

const resource = { processor: 3, memory: 4, floppy: 14, cd: 15, dvd: 16, disk: 17, logicalDisk: 31 } as const;

const driveKinds: Readonly<Record<number, Drive["kind"]>> = {
  [resource.floppy]: "floppy",
  [resource.cd]: "CD",
  [resource.dvd]: "CD",
  [resource.disk]: "disk",
  [resource.logicalDisk]: "disk",
};

interface HardwareItem {
  readonly type: number;
  readonly element: XmlElement;
}

/** `configuration`: the one that counts, of those that the descriptor offers. */
export function readSystem(system: XmlElement, configuration: string | undefined): VirtualSystem {
  const sections = (kind: string) => system.children.filter((each) => kindOf(each) === kind);
  // Several describe the same machine for several hypervisors.
  const [hardware] = sections("VirtualHardwareSection");
  const items = hardware ? itemsOf(hardware, configuration) : [];
  const identifier = hardware && childrenOf(hardware, "System").flatMap((each) => textOf(each, "VirtualSystemIdentifier") ?? [])[0];
  const products = sections("ProductSection");
  const product = products.find((each) => textOf(each, "Product") !== undefined) ?? products[0];
  return {
    name: textOf(system, "Name") ?? attributeOf(system, "id") ?? identifier,
    product: product
      ? {
          name: textOf(product, "Product"),
          vendor: textOf(product, "Vendor"),
          version: textOf(product, "Version") ?? textOf(product, "FullVersion"),
        }
      : {},
    operatingSystem: sections("OperatingSystemSection").map(operatingSystemOf)[0],
    processors: sum(items, resource.processor, processorsOf),
    memory: sum(items, resource.memory, memoryOf),
    drives: items.flatMap(drivesOf),
  };
}

function operatingSystemOf(section: XmlElement): string | undefined {
  const id = attributeOf(section, "id");
  const name = textOf(section, "Description") ?? textOf(section, "OSType") ?? attributeOf(section, "osType");
  return name ?? (id === undefined ? undefined : `CIM number ${id}`);
}

/** The hardware that counts: of items with the same InstanceID the last one, without those of other configurations and the bounds of quantities. */
function itemsOf(hardware: XmlElement, configuration: string | undefined): readonly HardwareItem[] {
  const found = new Map<string, HardwareItem>();
  for (const element of hardware.children) {
    if (!/^(Item|StorageItem|EthernetPortItem)$/.test(element.name)) continue;
    const configurations = attributeOf(element, "configuration")?.split(/\s+/);
    const bound = attributeOf(element, "bound");
    if (configurations && !configurations.includes(configuration ?? "")) continue;
    if (bound !== undefined && bound !== "normal") continue;
    const instance = textOf(element, "InstanceID") ?? textOf(element, "InstanceId") ?? `none ${found.size}`;
    found.set(instance, { type: Number(textOf(element, "ResourceType") ?? Number.NaN), element });
  }
  return [...found.values()];
}

function sum(items: readonly HardwareItem[], type: number, quantity: (element: XmlElement) => number | undefined): number | undefined {
  const quantities = items.filter((item) => item.type === type).flatMap(({ element }) => quantity(element) ?? []);
  const total = quantities.reduce((all, each) => all + each, 0);
  return quantities.length > 0 && Number.isSafeInteger(total) ? total : undefined;
}

function processorsOf(element: XmlElement): number | undefined {
  const number = (name: string) => inBytes(textOf(element, name), 1);
  const sockets = number("num_of_sockets");
  // Red Hat counts sockets, cores and threads.
  const product = sockets === undefined ? undefined : sockets * (number("cpu_per_socket") ?? 1) * (number("threads_per_cpu") ?? 1);
  return number("VirtualQuantity") ?? product;
}

function memoryOf(element: XmlElement): number | undefined {
  const quantity = textOf(element, "VirtualQuantity");
  const unit = textOf(element, "AllocationUnits");
  if (unit !== undefined) return inBytes(quantity, bytesPerUnit(unit));
  // Without a unit it is bytes, or MiB as programs mean it that show only that: no machine has less than 1 MiB.
  const bytes = inBytes(quantity, 1);
  return bytes !== undefined && bytes < 2 ** 20 ? inBytes(quantity, 2 ** 20) : bytes;
}

function drivesOf({ type, element }: HardwareItem): readonly Drive[] {
  const kind = driveKinds[type];
  if (!kind) return [];
  return childrenOf(element, "HostResource").flatMap(({ text }): Drive[] => {
    const [, where, id] = /^(?:ovf:)?\/{1,2}(disk|file)\/(.+)$/.exec(text) ?? [];
    if (id !== undefined) return [{ kind, target: where === "disk" ? { disk: id } : { file: id } }];
    // Red Hat's have the name of the file.
    return text === "" ? [] : [{ kind, target: { file: text } }];
  });
}
