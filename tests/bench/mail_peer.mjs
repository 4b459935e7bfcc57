// SPDX-License-Identifier: Apache-2.0
// Runs the verify() of nodemailer as the job on standard input says, and prints what it said.
import process from "node:process";
import { createSecureContext } from "node:tls";
import nodemailer from "nodemailer";

let text = "";
for await (const chunk of process.stdin) text += chunk;
const job = JSON.parse(text);
const shared = job.shared ? { secureContext: createSecureContext({ ca: job.ca }) } : { ca: job.ca };

async function verify() {
  const transport = nodemailer.createTransport({
    host: job.host,
    port: job.port,
    secure: job.secure,
    auth: { user: job.user, pass: job.password },
    tls: { servername: job.name, ...shared },
  });
  try {
    return String(await transport.verify());
  } catch (error) {
    return `${error.code} ${error.command}`;
  } finally {
    transport.close();
  }
}

async function batch(probes) {
  const said = {};
  let left = probes;
  const worker = async () => {
    while (left-- > 0) {
      const one = await verify();
      said[one] = (said[one] ?? 0) + 1;
    }
  };
  const began = process.hrtime.bigint();
  const before = process.cpuUsage();
  await Promise.all(Array.from({ length: Math.min(job.atOnce, probes) }, worker));
  const cpu = process.cpuUsage(before);
  const wall = Number(process.hrtime.bigint() - began) / 1e9;
  return { wall, cpu: (cpu.user + cpu.system) / 1e6, said };
}

if (job.warmUp) await batch(job.warmUp);
process.stdout.write(JSON.stringify(await batch(job.probes)));
process.exit(0);
