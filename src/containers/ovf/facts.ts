import { formatSize } from "../../util/size.js";
import type { ContainerFacts } from "../container.js";
import type { Descriptor } from "./descriptor.js";
import type { VirtualSystem } from "./system.js";

/** More names than that are told by their number. */
const LIST_LIMIT = 16;

/** What a package holds, in the field's terms. */
export function detailsOf({ systems, disks, networks }: Descriptor): ContainerFacts["details"] {
  const [only] = systems;
  const machines = systems.length === 1 && only ? detailsOfOne(only) : detailsOfMany(systems);
  return {
    ...machines,
    disks: disks.length,
    ...(disks.some(({ capacity }) => capacity !== undefined) && {
      "total disk size": disks.reduce((all, { capacity = 0 }) => all + capacity, 0),
    }),
    ...(networks.length > 0 && { networks: listed(networks) }),
  };
}

function detailsOfOne(system: VirtualSystem): ContainerFacts["details"] {
  const { name, operatingSystem, processors, memory } = system;
  return present({
    "virtual machine": name,
    product: productOf(system),
    "operating system": operatingSystem,
    CPUs: processors,
    "memory size": memory,
  });
}

function detailsOfMany(systems: readonly VirtualSystem[]): ContainerFacts["details"] {
  const shown = systems.slice(0, LIST_LIMIT).map((system, index) => [`virtual machine ${index + 1}`, inOneLine(system)] as const);
  return { "virtual machines": systems.length, ...Object.fromEntries(shown) };
}

function inOneLine(system: VirtualSystem): string {
  const { name, operatingSystem, processors, memory } = system;
  const parts = [
    name ?? "no name",
    productOf(system),
    operatingSystem,
    processors === undefined ? undefined : `${processors} ${processors === 1 ? "CPU" : "CPUs"}`,
    memory === undefined ? undefined : `${formatSize(memory)} of memory`,
  ];
  return parts.filter((part) => part !== undefined).join(", ");
}

function productOf({ product: { name, vendor, version } }: VirtualSystem): string | undefined {
  const text = [name, version].filter((part) => part !== undefined).join(" ");
  if (vendor === undefined) return text === "" ? undefined : text;
  return text === "" ? vendor : `${text} (${vendor})`;
}

function listed(names: readonly string[]): string {
  return names.length > LIST_LIMIT ? String(names.length) : names.join(", ");
}

function present(details: Readonly<Record<string, string | number | undefined>>): ContainerFacts["details"] {
  return Object.fromEntries(Object.entries(details).filter((entry): entry is [string, string | number] => entry[1] !== undefined));
}
