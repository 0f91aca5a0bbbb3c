// Lists the caller's containers, wakes those that sleep, and prints the first records of the audit.
//
//   npm ci
//   OCMT_ENDPOINT=127.0.0.1:7443 OCMT_CA=ca.pem OCMT_API_KEY=ocmt_key_... npm start

import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

const PROTO = fileURLToPath(new URL("../../../proto", import.meta.url));
const DEADLINE_MS = 30_000; // a wake that takes longer is given up by this client; the container still wakes

interface Container {
  container_id: string;
  state: string;
}

type Call = (
  request: object,
  options: { deadline: number },
  done: (error: grpc.ServiceError | null, answer: any) => void,
) => grpc.ClientUnaryCall;

/** Clients of the services; TLS is believed by the cluster's own authority alone, each call carries the API key. */
function connect(): { containers: any; audit: any } {
  const definition = loadSync(["ocmt/v1/container.proto", "ocmt/v1/audit.proto"], {
    includeDirs: [PROTO],
    keepCase: true,
    enums: String,
    longs: String,
    defaults: true,
  });
  const { ocmt } = grpc.loadPackageDefinition(definition) as any;
  const key = grpc.credentials.createFromMetadataGenerator((_, done) => {
    const metadata = new grpc.Metadata();
    metadata.set("authorization", `Bearer ${process.env.OCMT_API_KEY}`);
    done(null, metadata);
  });
  const tls = grpc.credentials.createSsl(readFileSync(process.env.OCMT_CA!));
  const credentials = grpc.credentials.combineChannelCredentials(tls, key);
  const at = process.env.OCMT_ENDPOINT!;
  return {
    containers: new ocmt.v1.ContainerService(at, credentials),
    audit: new ocmt.v1.AuditService(at, credentials),
  };
}

/** One call, and what its headers say of a wake. */
function ask(client: any, method: string, request: object): Promise<{ answer: any; headers: grpc.Metadata }> {
  return new Promise((resolve, reject) => {
    let headers = new grpc.Metadata();
    const call = (client[method] as Call).bind(client);
    call(request, { deadline: Date.now() + DEADLINE_MS }, (error, answer) =>
      error ? reject(error) : resolve({ answer, headers }),
    ).on("metadata", (metadata: grpc.Metadata) => (headers = metadata));
  });
}

async function* containers(client: any): AsyncGenerator<Container> {
  let page_token = "";
  do {
    const { answer } = await ask(client, "ListContainers", { page_token });
    yield* answer.containers;
    page_token = answer.next_page_token;
  } while (page_token);
}

async function main(): Promise<void> {
  const clients = connect();
  for await (const one of containers(clients.containers)) {
    console.log(one.container_id, one.state);
    if (one.state === "CONTAINER_STATE_PAUSED" || one.state === "CONTAINER_STATE_STOPPED") {
      // the same key for a repeat of this call: it is done once, however often it is sent
      const wake = { container_id: one.container_id, idempotency_key: randomBytes(32) };
      const { headers } = await ask(clients.containers, "WakeContainer", wake);
      console.log("  woke", headers.get("ocmt-wake-kind")[0], headers.get("ocmt-wake-ms")[0], "ms");
    }
  }
  const { answer } = await ask(clients.audit, "QueryAudit", { page_size: 5, ascending: true });
  for (const record of answer.records) console.log(record.sequence, record.action, record.reason || "ok");
  clients.containers.close();
  clients.audit.close();
}

main().catch((error: grpc.ServiceError) => {
  // the reason is stable, the text is for people
  console.error(`${grpc.status[error.code]}: ${error.details}`);
  process.exit(1);
});
