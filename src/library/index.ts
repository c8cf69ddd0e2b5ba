// What `import … from "flatmount"` gives. Everything here is covered by semantic versioning: see docs/library.md.
export { openImageAsync, type OpenImageAsyncOptions } from "./async.js";
export { ClosedError, PathError, type PathErrorCode, WorkerError } from "./errors.js";
export type { ExtentKind, ImageExtent } from "./extents.js";
export { type FormatDescription, formats, type VariantDescription } from "./formats.js";
export { openImage } from "./image.js";
export type { OpenImageOptions } from "./options.js";
export type { ByteRange } from "./ranges.js";
export type { StreamOptions } from "./stream.js";
export type {
  AsyncImage,
  AsyncImageFile,
  AsyncImageTree,
  CallOptions,
  Image,
  ImageFile,
  ImageParts,
  ImageTree,
  PartitionDescription,
  TreeEntry,
  TreeItem,
  TreeStat,
  VolumeDescription,
} from "./types.js";
export type { NameKind } from "../containers/container.js";
export type { DiskDescription as ImageDescription, MemberDescription } from "../disk/describe.js";
export type { Partition } from "../disk/partitions/partition.js";
export type { Progress } from "../disk/unpack.js";
export type { SnapshotFacts } from "../formats/driver.js";
export type { FormatName } from "../formats/names.js";
export { type ErrorCode, type ErrorDetails, ImageError, UserError } from "../util/errors.js";
export type { CheckProgress, Finding } from "../util/finding.js";
