import { describe, expect, test } from "vitest";
import { parseName } from "../../src/formats/qemu-names.js";
import { ImageError } from "../../src/util/errors.js";

describe("names of files that images give", () => {
  test.each([
    ["base.qcow2", { path: "base.qcow2" }],
    ["/a/b c.img", { path: "/a/b c.img" }],
    ["./x:y.img", { path: "./x:y.img" }],
    ["file:base.img", { path: "base.img" }],
    ['json:{"driver":"qcow2","file":{"driver":"file","filename":"b.qcow2"}}', { path: "b.qcow2", format: "qcow2" }],
    ['json:{"driver":"qcow2","file.driver":"file","file.filename":"b.qcow2"}', { path: "b.qcow2", format: "qcow2" }],
    ['json:{"file.filename":"b.img"}', { path: "b.img" }],
    ['json:{"driver":"file","filename":"b.img"}', { path: "b.img", format: "raw" }],
    ['json:{"driver":"raw","file":{"driver":"file","filename":"b.img","locking":"off"}}', { path: "b.img", format: "raw" }],
    ['json:{"driver":"vmdk","file":{"driver":"raw","file":{"driver":"file","filename":"b"}}}', { path: "b", format: "vmdk" }],
  ])("%s", (name, expected) => {
    expect(parseName(name)).toEqual(expected);
  });

  test.each([
    "nbd://host/export",
    "nbd:unix:/run/x.sock",
    "http://host/x",
    "fd:3",
    "rbd:pool/image",
    "json:{",
    "json:[]",
    'json:{"driver":"nbd","host":"h","port":"1"}',
    'json:{"driver":"qcow2","file":{"driver":"nbd","path":"/x"}}',
    'json:{"driver":"qcow2","file":"node"}',
    'json:{"driver":"raw","offset":512,"file":{"driver":"file","filename":"b"}}',
    'json:{"driver":"qcow2","file":{"driver":"file","filename":"b"},"backing":{"driver":"file","filename":"c"}}',
    'json:{"driver":"qcow2","file":{"driver":"vmdk","file":{"driver":"file","filename":"b"}}}',
    'json:{"driver":"qcow2","file":{"driver":"file","filename":7}}',
  ])("%s is refused", (name) => {
    expect(() => parseName(name)).toThrow(ImageError);
  });
});
