import { describeTransport } from "./conformance.js";

describeTransport({ transport: "libfuse", seeksHoles: false, mountsOnFiles: false, timeStep: 1_000_000 });
