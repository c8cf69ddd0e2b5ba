// The text that Prometheus reads, version 0.0.4. Reference: https://prometheus.io/docs/instrumenting/exposition_formats/; names: https://prometheus.io/docs/practices/naming/.
import type { MountStatus } from "../../daemon/status.js";
import type { Stats } from "../../fuse/counters.js";

type Labels = Readonly<Record<string, string>>;

interface Sample {
  readonly labels: Labels;
  readonly value: number;
}

interface Family {
  readonly name: string;
  readonly type: "counter" | "gauge";
  readonly help: string;
  /** What it has to tell of a mount; `labels` name that. */
  samples(status: MountStatus, labels: Labels): readonly Sample[];
}

const families: readonly Family[] = [
  {
    name: "flatmount_up",
    type: "gauge",
    help: "Whether the daemon of the mount answers. Mounts that the kernel serves alone have none.",
    samples: ({ state }, labels) => (state === "kernel" ? [] : [{ labels, value: state === "served" ? 1 : 0 }]),
  },
  {
    name: "flatmount_mount_info",
    type: "gauge",
    help: "Always 1: what is mounted, and how.",
    samples: ({ record: { format, transport } }, labels) => [{ labels: { ...labels, format, transport }, value: 1 }],
  },
  {
    name: "flatmount_mount_start_time_seconds",
    type: "gauge",
    help: "When the mount was made, in seconds since 1970.",
    samples: ({ record: { since } }, labels) => [{ labels, value: Date.parse(since) / 1000 }],
  },
  {
    name: "flatmount_disk_size_bytes",
    type: "gauge",
    help: "Size of the flat disk.",
    samples: ({ record: { size } }, labels) => [{ labels, value: size }],
  },
  counted("flatmount_requests_total", "Requests that the kernel sent, by what they ask for.", ({ requests }) => byLabel("kind", requests)),
  counted(
    "flatmount_read_bytes_total",
    "Bytes that were answered to reads. What the kernel answers itself is not counted.",
    ({ readBytes }) => one(readBytes),
  ),
  counted("flatmount_errors_total", "Requests that were answered with an error, by its class.", ({ errors }) => byLabel("class", errors)),
  counted("flatmount_cache_hits_total", "Reads of a decoded block that was in the cache.", ({ cache }) => one(cache.hits)),
  counted("flatmount_cache_misses_total", "Reads of a block that had to be decoded.", ({ cache }) => one(cache.misses)),
  counted("flatmount_decoded_bytes_total", "Bytes that were decoded.", ({ cache }) => one(cache.decodedBytes)),
  counted(
    "flatmount_opens_total",
    "Files that were opened, by where they are read: by the kernel from the image or through an index, or by the server.",
    ({ opens }) => (opens ? byLabel("path", opens) : []),
  ),
  {
    ...counted(
      "flatmount_kernel_read_files",
      "Files that the kernel can read itself, so that reads of them are not counted.",
      ({ passedFiles }) => one(passedFiles),
    ),
    type: "gauge",
  },
];

/** Everything about these mounts. Empty without any. */
export function prometheusText(mounts: readonly MountStatus[]): string {
  return families.map((family) => familyText(family, mounts)).join("");
}

function familyText({ name, type, help, samples }: Family, mounts: readonly MountStatus[]): string {
  const lines = mounts
    .flatMap((status) => samples(status, { mountpoint: status.record.mountpoint, image: status.record.image }))
    .map(({ labels, value }) => `${name}{${labelText(labels)}} ${value}\n`);
  return lines.length === 0 ? "" : `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join("")}`;
}

/** A family that tells of what was counted. */
function counted(name: string, help: string, of: (stats: Stats) => readonly Sample[]): Family {
  return {
    name,
    type: "counter",
    help,
    samples: ({ stats }, labels) => (stats ? of(stats) : []).map((sample) => ({ ...sample, labels: { ...labels, ...sample.labels } })),
  };
}

function one(value: number): readonly Sample[] {
  return [{ labels: {}, value }];
}

function byLabel(label: string, values: Readonly<Record<string, number>>): readonly Sample[] {
  return Object.entries(values).map(([name, value]) => ({ labels: { [label]: name }, value }));
}

function labelText(labels: Labels): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}="${escapeValue(value)}"`)
    .join(",");
}

/** Any other character stands for itself. */
function escapeValue(value: string): string {
  return value.toWellFormed().replace(/[\\"\n]/g, (character) => (character === "\n" ? "\\n" : `\\${character}`));
}
