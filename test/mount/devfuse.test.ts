import { describeTransport } from "./conformance.js";

describeTransport({ transport: "devfuse", seeksHoles: true, mountsOnFiles: true, timeStep: 1 });
