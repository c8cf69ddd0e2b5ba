// What `flatmount status` prints of what it was told; test/mount/status.test.ts asks real mounts.
import { describe, expect, test } from "vitest";
import { statusCommand } from "../../src/cli/commands/status.js";
import { statusLines } from "../../src/cli/status/lines.js";
import { prometheusText } from "../../src/cli/status/prometheus.js";
import type { MountStatus } from "../../src/daemon/status.js";
import { countOpen, countRequest, createCounters, decodeCounter, summarise } from "../../src/fuse/counters.js";
import { parsePrometheus } from "../support/prometheus.js";
import { failureOf } from "./fake-io.js";

const record = {
  ...{ pid: 6092, started: 1, image: "/home/me/disk.qcow2", format: "qcow2", size: 1_048_576, mountpoint: "/mnt/d" },
  ...{ transport: "devfuse", since: "2026-11-23T06:02:59.309Z", createdMountpoint: true },
  paths: [
    { file: "disk.raw", path: "index" },
    { file: "partitions/1.raw", path: "server", reason: "it is compressed" },
  ],
} as const;

function served(passedFiles = 1): MountStatus {
  const [row = createCounters(1)[0]!] = createCounters(1);
  for (let count = 0; count < 10; count += 1) countRequest(row, 15, 4096);
  countRequest(row, 15, -5);
  countRequest(row, 1, -2);
  countRequest(row, 14, -38);
  countOpen(row, "index");
  decodeCounter(row).decoded(65_536);
  for (let count = 0; count < 3; count += 1) decodeCounter(row).hit();
  return { record, state: "served", stats: summarise([row], { opensAsked: true, passedFiles }) };
}

const kernel: MountStatus = { record: { ...record, transport: "erofs", pid: 0, unattended: 7 }, state: "kernel" };

describe("for people", () => {
  test("what was asked for, and what is counted elsewhere", () => {
    expect(statusLines(served())).toEqual([
      "image:           /home/me/disk.qcow2 (qcow2, 1 MiB)",
      "mount point:     /mnt/d",
      "served by:       process 6092 (devfuse), since 2026-11-23 06:02:59 UTC",
      "requests:        13: read 11, lookup 1, open 1",
      "bytes read:      40 KiB (40960 bytes)",
      "errors:          1: I/O error 1",
      "decoded blocks:  3 of 4 reads found theirs in the cache, 64 KiB (65536 bytes) decoded",
      "opened:          1: through an index 1",
      "not counted:     what the kernel reads itself of 1 file",
      "",
      "Reads of:",
      "  disk.raw          by the kernel through an index; counted by the kernel, not here",
      "  partitions/1.raw  answered by the daemon: it is compressed",
    ]);
  });

  test("a mount that the kernel serves alone, one whose daemon is silent, one whose daemon is gone: no counters, and why", () => {
    const counters = (status: MountStatus) => statusLines(status).filter((line) => /requests|counters/.test(line));
    expect(counters(kernel)).toEqual(["counters:     none: the kernel serves this mount, and there is no process that could count"]);
    expect(counters({ record, state: "silent" })).toEqual(["counters:     none: its daemon does not answer"]);
    expect(counters({ record, state: "gone" })).toEqual(["counters:     none: its daemon has ended without unmounting"]);
  });

  test("what is attached by its devices: its mount is out of sight", () => {
    const parts = [{ id: "1", file: "/partitions/1.raw", size: 512, typeName: "Linux", device: "/dev/loop9p1" }];
    const attached = { key: "k", loops: [], kept: true, parts, mounts: [] };
    const second = (status: MountStatus) => statusLines(status)[1];
    expect(second({ ...served(), record: { ...record, attached } })).toBe("attached as:     /dev/loop9p1");
    expect(second({ ...served(), record: { ...record, attached: { ...attached, device: "/dev/loop9" } } })).toBe(
      "attached as:     /dev/loop9",
    );
  });

  test("nothing that moves the cursor", () => {
    const status = { ...served(), record: { ...record, image: "/tmp/a\x1b[2J\n" } };
    expect(statusLines(status)[0]).toBe("image:           /tmp/a\\x1b[2J\\x0a (qcow2, 1 MiB)");
  });
});

describe("for Prometheus", () => {
  test("nothing without mounts", () => {
    expect(prometheusText([])).toBe("");
  });

  test("each metric once, with all mounts, and what has no value is left out", () => {
    const metrics = parsePrometheus(
      prometheusText([
        served(),
        { ...kernel, record: { ...kernel.record, mountpoint: "/mnt/k" } },
        { record: { ...record, mountpoint: "/mnt/e" }, state: "silent" },
      ]),
    );
    const labels = { mountpoint: "/mnt/d", image: "/home/me/disk.qcow2" };
    const valuesOf = (name: string) => metrics.get(name)?.samples.map(({ value, labels: { mountpoint } }) => [mountpoint, value]);
    expect(valuesOf("flatmount_up")).toEqual([
      ["/mnt/d", 1],
      ["/mnt/e", 0],
    ]);
    expect(valuesOf("flatmount_disk_size_bytes")).toHaveLength(3);
    expect(metrics.get("flatmount_read_bytes_total")).toMatchObject({ type: "counter", samples: [{ labels, value: 40_960 }] });
    expect(metrics.get("flatmount_requests_total")?.samples).toContainEqual({ labels: { ...labels, kind: "read" }, value: 11 });
    expect(metrics.get("flatmount_errors_total")?.samples).toContainEqual({ labels: { ...labels, class: "io" }, value: 1 });
    expect(metrics.get("flatmount_opens_total")?.samples).toContainEqual({ labels: { ...labels, path: "index" }, value: 1 });
    expect(metrics.get("flatmount_mount_start_time_seconds")?.samples[0]?.value).toBe(Date.parse(record.since) / 1000);
    expect([...metrics.keys()].every((name) => name.startsWith("flatmount_"))).toBe(true);
    expect([...metrics.values()].filter(({ help }) => help === "")).toEqual([]);
  });

  test.each(['"', "\\", "\n", '\\"\n\\n', 'ü\t💾 {a="b"}, #', ""])("a label with %j is read as it is", (text) => {
    const status = { ...served(), record: { ...record, mountpoint: `/mnt/${text}`, image: text } };
    const samples = [...parsePrometheus(prometheusText([status])).values()].flatMap((metric) => metric.samples);
    for (const { labels } of samples) expect(labels).toMatchObject({ mountpoint: `/mnt/${text}`, image: text });
    expect(samples.length).toBeGreaterThan(20);
  });
});

test("--json and --prometheus at once is refused", async () => {
  expect(await failureOf(statusCommand, "--json", "--prometheus")).toMatchObject({ message: /two ways/ });
});
