// A client of the door, in types that were generated from its description: deposits, and reads why a bet is refused.

import createClient from "openapi-fetch";
import type { paths } from "./api.js";

declare const process: { argv: string[] };

const [door, token, user] = process.argv.slice(2) as [string, string, string];
const client = createClient<paths>({ baseUrl: door, headers: { authorization: `Bearer ${token}` } });

const deposit = await client.POST("/PaymentService/deposit", {
  body: { walletId: "w-1", userId: user, email: "a@example.com", amount: 1000, paymentMethod: "creditCard" },
});
const bet = await client.POST("/PlayerService/{userId}/placeBet", {
  params: { path: { userId: user } },
  body: { betId: "b-1", walletId: "w-1", stake: 200, legs: [{ marketId: "m-none", selectionId: "home", price: "2.00" }] },
});
console.log(JSON.stringify({ status: deposit.data?.status, reason: bet.error?.metadata?.reason }));
