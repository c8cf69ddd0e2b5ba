// The daemon: started by warm.ts.
import { launch } from "./launch.js";

launch("daemon", __dirname);
