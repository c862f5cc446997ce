// run.js CASE HOSTS: runs one case with browsers on these hosts; see tests/src/page.rs.
import { Host, leave } from "./people.js";

/** Longer than any case takes, so that only one that hangs is given up. */
const CASE_MS_MAX = 240_000;

const [name, hosts] = process.argv.slice(2);
setTimeout(() => {
  console.error(`${name} does not end`);
  process.exit(1);
}, CASE_MS_MAX).unref();
const { default: run } = await import(`./cases/${name}.js`);
try {
  await run(...JSON.parse(hosts).map((host) => new Host(host)));
  await leave();
} catch (error) {
  console.error(error);
  await leave(error);
  process.exit(1);
}
process.exit(0);
