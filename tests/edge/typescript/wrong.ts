// What the types do not allow, each line of it.

import createClient from "openapi-fetch";
import type { paths } from "./api.js";

const client = createClient<paths>({});
await client.POST("/PaymentService/concludeAlone", {});
await client.POST("/PlayerService/{userId}/getBet", { params: { path: { userId: "ann" } } });
await client.POST("/PlayerService/{userId}/takeBreak", { params: { path: { userId: "ann" } }, body: { days: "7" } });
