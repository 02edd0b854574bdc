// node worker.js LIBRARY PORT '{"queue": ..., "db": ..., "prefix": ..., "options": {...}}': works until killed.
// A job's data: {ms} to take so long, {fail} to fail then. Says "ready", "active ID", "completed ID" and "failed ID".
const [library, port, asked] = process.argv.slice(2);
const modules = require("path").join(__dirname, "..", "..", ".node", "node_modules");
const bull = require(`${modules}/${library}`);
const { queue: name, db = 0, prefix = "bull", options = {} } = JSON.parse(asked);
const connection = { host: "127.0.0.1", port: Number(port), db };

async function work(job) {
  console.log("active", job.id);
  await new Promise((done) => setTimeout(done, job.data.ms || 0));
  if (job.data.fail) throw new Error("asked to fail");
}

let worker;
if (library === "bull") {
  const { concurrency = 1, ...settings } = options;
  worker = new bull(name, { redis: connection, prefix, ...settings });
  worker.process("*", concurrency, work);
  worker.isReady().then(() => console.log("ready"));
} else {
  worker = new bull.Worker(name, work, { connection, prefix, ...options });
  worker.waitUntilReady().then(() => console.log("ready"));
}
worker.on("completed", (job) => console.log("completed", job.id));
worker.on("failed", (job) => console.log("failed", job.id));
worker.on("error", (error) => console.error(String(error)));
// Whoever started it holds its stdin: when that is closed, it is over.
process.stdin.on("end", () => process.exit(0)).resume();
