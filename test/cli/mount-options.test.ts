import { InvalidArgumentError } from "@commander-js/extra-typings";
import { describe, expect, test } from "vitest";
import { parseDuration, parseId, parseMode, parseMountOptions } from "../../src/cli/mount-options.js";

describe("the -o list of mount(8)", () => {
  test.each<readonly [list: string, expected: object]>([
    ["", {}],
    [",,", {}],
    ["ro,rw,nosuid,nodev,noauto,nofail,_netdev,x-systemd.automount,x-gvfs-show,comment=a=b,defaults,user", {}],
    ["user=alice,exec,sync,helper=x,X-mount.mkdir,lazytime,fsname=a,subtype=b,auto_unmount,x-systemd.requires=/a/b", {}],
    ["no_confine,run_as=alice:staff", { confine: false, runAs: "alice:staff" }],
    ["no_auto_unmount,idle_timeout=10m", { autoUnmount: false, idleTimeout: 600_000 }],
    ["allow_other,nonempty", { allowOther: true, nonempty: true }],
    ["format=qcow2,snapshot=a=b,disk=scsi0,transport=libfuse", { format: "qcow2", snapshot: "a=b", disk: "scsi0", transport: "libfuse" }],
    ["uid=0,gid=4294967295,mode=0444", { uid: 0, gid: 4294967295, mode: 0o444 }],
    ["cache=64M", { cache: 64 * 2 ** 20 }],
    ["degraded", { degraded: true }],
    ["offset=0x200,size=1.5K", { offset: 512, size: 1536 }],
    ["offset=0", { offset: 0 }],
    ["sector_size=4K", { sectorSize: 4096 }],
    ["allow=/a,allow=b c,search=/s", { allow: ["/a", "b c"], search: ["/s"] }],
    ["parent=one,parent=two=2,part=a.002,part=a.003", { parent: ["one", "two=2"], part: ["a.002", "a.003"] }],
  ])("%s", (list, expected) => {
    expect(parseMountOptions(list)).toEqual(expected);
  });

  test.each([
    "frob",
    "Ro",
    "degrade",
    "allow_others",
    "sectorsize=512",
    "offset",
    "offset=",
    "offset=-1",
    "offset=1.5",
    "size=big",
    "size=9000P",
    "sector_size=513",
    "sector_size=8192",
    "sector_size=0",
    "uid=root",
    "uid=4294967296",
    "gid=-1",
    "mode=8",
    "mode=07777",
    "cache=",
    "ro,frob",
    "remount",
    "idle_timeout",
    "idle_timeout=",
    "idle_timeout=0",
    "idle_timeout=-1s",
    "idle_timeout=1w",
    "idle_timeout=1 h",
    "idle_timeout=367d",
    "x",
  ])("%s is refused", (list) => {
    expect(() => parseMountOptions(list)).toThrow(InvalidArgumentError);
  });

  test("the one that is not known is told", () => {
    expect(() => parseMountOptions("ro,frob=1,degraded")).toThrow("frob=1");
  });

  test("given twice, adds to the first", () => {
    const before = parseMountOptions("allow=/a,parent=p,offset=1,ro");
    expect(parseMountOptions("allow=/b,search=/s,offset=2,degraded", before)).toEqual({
      allow: ["/a", "/b"],
      parent: ["p"],
      search: ["/s"],
      offset: 2,
      degraded: true,
    });
    expect(before).toEqual({ allow: ["/a"], parent: ["p"], offset: 1 });
  });
});

test("ids and modes", () => {
  expect(parseId("1000")).toBe(1000);
  expect(parseMode("0777")).toBe(0o444);
  expect(parseMode("400")).toBe(0o400);
  for (const text of ["", " 1", "1e3", "0x10", "+1"]) expect(() => parseId(text), text).toThrow(InvalidArgumentError);
  for (const text of ["", "44", "00444", "0o444", "999"]) expect(() => parseMode(text), text).toThrow(InvalidArgumentError);
});

test.each([
  ["90", 90_000],
  ["90s", 90_000],
  ["100ms", 100],
  ["1.5h", 5_400_000],
  ["2min", 120_000],
  ["1d", 86_400_000],
])("a time of %s", (text, milliseconds) => {
  expect(parseDuration(text)).toBe(milliseconds);
});
