// An OpenID Connect provider with three clients, each the subject of its own tokens. Its keys are in a file; POST /rotate
// puts a new one first, which signs from then on, and keeps the others.
import { generateKeyPairSync, randomUUID } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import Provider from "oidc-provider";

const [port, file] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const ROLES = { tom: ["trader"] };
const AUDIENCE = "betting";

function newKey() {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return { ...privateKey.export({ format: "jwk" }), kid: randomUUID(), alg: "ES256", use: "sig" };
}

function load() {
  if (!existsSync(file)) writeFileSync(file, JSON.stringify([newKey()]));
  return JSON.parse(readFileSync(file));
}

function serving(keys) {
  const client = (name) => ({
    client_id: name,
    client_secret: `secret-of-${name}`,
    grant_types: ["client_credentials"],
    redirect_uris: [],
    response_types: [],
    id_token_signed_response_alg: "ES256",
  });
  const provider = new Provider(issuer, {
    clients: ["ann", "ben", "tom"].map(client),
    jwks: { keys },
    extraTokenClaims: (_context, token) => ({ realm_access: { roles: ROLES[token.clientId] ?? [] } }),
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => "urn:betting",
        getResourceServerInfo: () => ({
          scope: "",
          audience: AUDIENCE,
          accessTokenFormat: "jwt",
          accessTokenTTL: 600,
          jwt: { sign: { alg: "ES256" } },
        }),
      },
    },
  });
  return provider.callback();
}

let answer = serving(load());
createServer((request, response) => {
  if (request.url !== "/rotate") return answer(request, response);
  const keys = [newKey(), ...load()];
  writeFileSync(file, JSON.stringify(keys));
  answer = serving(keys);
  response.end(keys[0].kid);
}).listen(Number(port), "127.0.0.1");
